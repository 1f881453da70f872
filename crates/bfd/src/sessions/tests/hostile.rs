//! A peer, or somebody on the link, that sends whatever it likes.

use proptest::prelude::*;

use super::*;

/// What is sent: octets that mean nothing, or a packet that is taken.
#[derive(Clone, Debug)]
enum Sent {
    Noise(Vec<u8>),
    Packet { bits: u8, flags: u8, is_named: bool, multiplier: u8, intervals: [u32; 3] },
}

fn any_sent() -> impl Strategy<Value = Sent> {
    let interval = || prop_oneof![Just(0), 1..2_000_000_u32, any::<u32>()];
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Sent::Noise),
        8 => (0..4_u8, 0..64_u8, any::<bool>(), any::<u8>(), [interval(), interval(), interval()]).prop_map(
            |(bits, flags, is_named, multiplier, intervals)| Sent::Packet {
                bits,
                // Neither authenticated nor multipoint, or it would be noise.
                flags: flags & !0x05,
                is_named,
                multiplier,
                intervals,
            }
        ),
    ]
}

fn octets(sent: &Sent, session: Discriminator) -> Vec<u8> {
    match sent {
        Sent::Noise(octets) => octets.clone(),
        Sent::Packet { bits, flags, is_named, multiplier, intervals } => {
            let mut octets = vec![0x20, bits << 6 | flags, *multiplier, 24];
            octets.extend(REMOTE.0.get().to_be_bytes());
            octets.extend(if *is_named { session.0.get() } else { 0 }.to_be_bytes());
            octets.extend(intervals.iter().flat_map(|interval| interval.to_be_bytes()));
            octets
        }
    }
}

proptest! {
    /// Beside answers and changes of state, of which each datagram brings one at most, nothing comes faster than the
    /// session would send to the fastest of peers.
    #[test]
    fn whatever_is_sent_the_machine_lives_and_never_sends_a_storm(
        steps in prop::collection::vec((any_sent(), 0..200_u64), 1..120),
    ) {
        let mut bench = Bench::new();
        let session = bench.acquire(single(1), CLIENT, config(100));
        let (began, mut sent, mut taken) = (bench.now, bench.drain().len(), 0);
        for (step, wait) in &steps {
            let payload = octets(step, session);
            taken += usize::from(bench.sessions.handle_input(&datagram(&payload, 1), bench.now).is_ok());
            sent += bench.drain().len();
            sent += bench.pass(millis(*wait)).len();
            prop_assert!(bench.sessions.ready.len() <= 1 && bench.sessions.news.len() <= 1);
            prop_assert_eq!(bench.sessions.deadlines.len(), 1);
        }
        let elapsed = (bench.now - began).as_millis();
        // A timer that runs out changes the state too, at most once for each packet that was taken.
        let allowed = 1 + elapsed / 75 + 2 * taken as u128;
        prop_assert!(sent as u128 <= allowed, "{} packets in {} ms after {}", sent, elapsed, taken);
        let status = bench.sessions.status(session).unwrap();
        prop_assert_eq!(status.packets_sent, sent as u64);
        prop_assert_eq!(status.packets_received, taken as u64);
        prop_assert_eq!(bench.sessions.discards().total(), (steps.len() - taken) as u64);
    }
}

#[test]
fn a_flood_of_polls_that_nobody_fetches_answers_for_piles_up_nothing() {
    let mut bench = Bench::new();
    let session = bench.up(1);
    for _ in 0..10_000 {
        bench.receive(Packet { is_poll: true, ..packet(State::Up, Some(session)) }, 1).unwrap();
        bench.receive(packet(State::Down, Some(session)), 1).unwrap();
        bench.receive(packet(State::Init, Some(session)), 1).unwrap();
    }
    assert_eq!((bench.sessions.ready.len(), bench.sessions.news.len()), (1, 1));
    assert_eq!(bench.drain().len(), 1, "an answer, which tells of the change too");
    assert_eq!(bench.events().len(), 2, "down, and up");
}
