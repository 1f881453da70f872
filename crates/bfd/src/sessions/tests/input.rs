//! RFC 5880 §6.3, RFC 5881 §3 and §5, RFC 5883: which datagram reaches which session.

use super::*;
use crate::Discard;
use crate::packet::DecodeError;

fn is_untouched(bench: &Bench, session: Discriminator) -> bool {
    bench.sessions.status(session).unwrap().packets_received == 0
}

#[test]
fn a_packet_without_discriminator_finds_its_session_by_its_source() {
    let mut bench = Bench::new();
    let [first, second] = [1, 2].map(|host| bench.acquire(single(host), CLIENT, Config::default()));
    assert_eq!(bench.receive(packet(State::Down, None), 2), Ok(()));
    assert_eq!((bench.state(first), bench.state(second)), (State::Down, State::Init));
}

#[test]
fn a_packet_with_a_discriminator_finds_its_session_whatever_its_source() {
    let mut bench = Bench::new();
    let [first, second] = [1, 2].map(|host| bench.acquire(single(host), CLIENT, Config::default()));
    assert_eq!(bench.receive(packet(State::Down, Some(first)), 2), Ok(()));
    assert_eq!(bench.receive(packet(State::Down, Some(second)), 77), Ok(()));
    assert_eq!((bench.state(first), bench.state(second)), (State::Init, State::Init));
}

#[test]
fn the_session_of_the_interface_comes_before_the_one_of_none() {
    let mut bench = Bench::new();
    let any = bench.acquire(single(1), CLIENT, Config::default());
    let bound = bench.acquire(Peer { interface: Some(ETH0), ..single(1) }, CLIENT, Config::default());
    assert_ne!(any, bound);
    bench.receive(packet(State::Down, None), 1).unwrap();
    assert_eq!((bench.state(any), bench.state(bound)), (State::Down, State::Init));
    let octets = packet(State::Down, None).encode();
    bench.sessions.handle_input(&Datagram { interface: ETH1, ..datagram(&octets, 1) }, bench.now).unwrap();
    assert_eq!(bench.state(any), State::Init);
}

#[test]
fn a_session_that_is_bound_to_an_interface_takes_nothing_from_another() {
    let mut bench = Bench::new();
    let session = bench.acquire(Peer { interface: Some(ETH1), ..single(1) }, CLIENT, Config::default());
    assert_eq!(bench.receive(packet(State::Down, None), 1), Err(Discard::UnknownPeer));
    assert_eq!(bench.receive(packet(State::Down, Some(session)), 1), Err(Discard::WrongPath(session)));
    assert!(is_untouched(&bench, session));
}

#[test]
fn packets_for_unknown_sessions_and_from_unknown_peers_are_counted_and_change_nothing() {
    let mut bench = Bench::new();
    let session = bench.acquire(single(1), CLIENT, Config::default());
    bench.drain();
    let stranger = Discriminator(NonZeroU32::new(session.0.get() ^ 1).unwrap());
    let due = bench.sessions.poll_timeout();
    for _ in 0..3 {
        assert_eq!(
            bench.receive(packet(State::Up, Some(stranger)), 1),
            Err(Discard::UnknownSession(stranger))
        );
    }
    for _ in 0..2 {
        assert_eq!(bench.receive(packet(State::Down, None), 9), Err(Discard::UnknownPeer));
    }
    let discards = bench.sessions.discards();
    assert_eq!((discards.unknown_session, discards.unknown_peer, discards.total()), (3, 2, 5));
    assert!(is_untouched(&bench, session) && bench.drain().is_empty());
    assert_eq!((bench.sessions.poll_timeout(), bench.sessions.iter().count()), (due, 1));
}

#[test]
fn a_single_hop_takes_ttl_255_and_no_other() {
    let mut bench = Bench::new();
    let session = bench.acquire(single(1), CLIENT, Config::default());
    for ttl in [0, 1, 64, 254] {
        for named in [None, Some(session)] {
            let octets = packet(State::Down, named).encode();
            let result = bench.sessions.handle_input(&Datagram { ttl, ..datagram(&octets, 1) }, bench.now);
            assert_eq!(result, Err(Discard::Ttl { received: ttl, minimum: 255 }));
        }
    }
    assert!(is_untouched(&bench, session));
    assert_eq!(bench.sessions.discards().ttl, 8);
    assert_eq!(bench.receive(packet(State::Down, None), 1), Ok(()));
}

#[test]
fn several_hops_take_the_ttl_that_the_session_asks_for_and_higher_ones() {
    let mut bench = Bench::new();
    let config = Config { minimum_ttl: 250, ..Config::default() };
    let session = bench.acquire(multi(1), CLIENT, config);
    let octets = packet(State::Down, Some(session)).encode();
    for (ttl, is_taken) in [(0, false), (249, false), (250, true), (255, true)] {
        let arrived = Datagram { ttl, hops: Hops::Multi, ..datagram(&octets, 1) };
        let expected = if is_taken { Ok(()) } else { Err(Discard::Ttl { received: ttl, minimum: 250 }) };
        assert_eq!(bench.sessions.handle_input(&arrived, bench.now), expected);
    }
}

#[test]
fn the_ttl_of_a_single_hop_cannot_be_evaded_by_the_port_of_several_hops() {
    let mut bench = Bench::new();
    let session = bench.acquire(single(1), CLIENT, Config { minimum_ttl: 0, ..Config::default() });
    for (named, expected) in [(Some(session), Discard::WrongPath(session)), (None, Discard::UnknownPeer)] {
        let octets = packet(State::Down, named).encode();
        let arrived = Datagram { ttl: 3, hops: Hops::Multi, ..datagram(&octets, 1) };
        assert_eq!(bench.sessions.handle_input(&arrived, bench.now), Err(expected));
    }
    assert!(is_untouched(&bench, session));
}

#[test]
fn every_cause_has_its_counter() {
    let mut bench = Bench::new();
    bench.acquire(single(1), CLIENT, Config::default());
    let golden = packet(State::Down, None).encode();
    let mut send = |offset: usize, octet: u8| {
        let mut octets = golden;
        octets[offset] = octet;
        bench.sessions.handle_input(&datagram(&octets, 1), bench.now)
    };
    let causes =
        [(0, 0x40), (3, 99), (2, 0), (1, 0x41), (1, 0x80)].map(|(offset, octet)| send(offset, octet));
    assert!(causes.iter().all(Result::is_err), "{causes:?}");
    let no_sender = [&golden[..4], &[0; 20]].concat();
    let mut authenticated = [&golden[..], &[0; 2]].concat();
    (authenticated[1], authenticated[3]) = (0x44, 26);
    for (octets, cause) in [
        (&no_sender[..], DecodeError::MyDiscriminator),
        (&authenticated[..], DecodeError::Authentication),
        (&golden[..23], DecodeError::TooShort(23)),
    ] {
        let result = bench.sessions.handle_input(&datagram(octets, 1), bench.now);
        assert_eq!(result, Err(Discard::Decode(cause)));
    }
    let expected = Discards {
        version: 1,
        length: 1,
        detect_multiplier: 1,
        multipoint: 1,
        your_discriminator: 1,
        my_discriminator: 1,
        authentication: 1,
        too_short: 1,
        ..Discards::default()
    };
    assert_eq!(bench.sessions.discards(), expected);
    assert_eq!(expected.total(), 8);
}

#[test]
fn a_peer_that_begins_anew_takes_the_session_down_and_comes_up_with_its_new_discriminator() {
    let mut bench = Bench::new();
    let session = bench.up(1);
    let reborn = Discriminator(NonZeroU32::new(0x0c0c_0c0c).unwrap());
    let down = Packet { my_discriminator: reborn, ..packet(State::Down, None) };
    bench.receive(down, 1).unwrap();
    let cause = DownCause::PeerDown(Diagnostic::NONE);
    assert_eq!(bench.events(), [Event::Down { session, peer: single(1), cause }]);
    assert_eq!(bench.drain()[0].1.your_discriminator, Some(reborn));
    bench.receive(Packet { my_discriminator: reborn, ..packet(State::Init, Some(session)) }, 1).unwrap();
    assert_eq!(bench.events(), [Event::Up { session, peer: single(1) }]);
}

#[test]
fn discriminators_differ_between_sessions_and_between_starts() {
    let mut seen = BTreeSet::new();
    for seed in 0..20 {
        let mut sessions = Sessions::new(seed);
        for host in 0..100 {
            seen.insert(sessions.acquire(single(host), CLIENT, Config::default(), start()).unwrap());
        }
    }
    assert_eq!(seen.len(), 2_000);
}
