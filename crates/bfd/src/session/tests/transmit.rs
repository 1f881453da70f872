//! RFC 5880 §6.8.2, §6.8.3, §6.8.7: when packets are sent, and when none are; §6.6: the peer's demand mode.

use super::*;

/// Gaps between packets, the first one counted from `from`.
fn gaps(from: Instant, sent: &[(Instant, Packet)]) -> Vec<Duration> {
    let mut before = from;
    sent.iter().map(|(at, _)| *at - std::mem::replace(&mut before, *at)).collect()
}

fn assert_between(gaps: &[Duration], least: u64, most: u64) {
    assert!(!gaps.is_empty());
    for gap in gaps {
        assert!((millis(least)..=millis(most)).contains(gap), "{gap:?} not in {least}..={most} ms");
    }
}

#[test]
fn an_active_side_speaks_first_and_at_once() {
    let mut session = Session::new(LOCAL, &Config::default(), 1, start());
    let first = session.poll_transmit().unwrap();
    assert_eq!((first.state, first.your_discriminator), (State::Down, None));
    assert_eq!((first.my_discriminator, first.is_poll), (LOCAL, false));
    assert_eq!(session.poll_transmit(), None);
}

#[test]
fn a_passive_side_is_silent_until_it_hears_its_peer() {
    let mut session = Session::new(LOCAL, &passive(), 1, start());
    assert_eq!((session.poll_transmit(), session.poll_timeout()), (None, None));
    session.handle_packet(&packet(State::Down), start());
    assert_eq!(session.poll_transmit().map(|packet| packet.state), Some(State::Init));
}

#[test]
fn echo_packets_demand_mode_and_independence_are_never_offered() {
    let mut bench = Bench::up();
    for (_, packet) in bench.pass_hearing(millis(3_000), &packet(State::Up)) {
        assert!(packet.required_min_echo_rx_interval.is_zero());
        assert!(!packet.is_demand && !packet.is_control_plane_independent);
    }
}

#[test]
fn while_not_up_no_more_than_a_packet_in_a_second_is_sent_and_offered() {
    for (state, heard) in [(State::Down, State::AdminDown), (State::Init, State::Down)] {
        let mut bench = Bench::in_state(state, &config(50));
        let from = bench.now;
        let sent = bench.pass_hearing(millis(30_000), &packet(heard));
        assert_between(&gaps(from, &sent), 750, 1_000);
        assert!(sent.iter().all(|(_, packet)| packet.desired_min_tx_interval == millis(1_000)));
    }
}

#[test]
fn a_slow_session_is_as_slow_while_not_up() {
    let mut bench = Bench::new(&config(5_000));
    let from = bench.now;
    assert_between(&gaps(from, &bench.pass(millis(60_000))), 3_750, 5_000);
}

#[test]
fn while_up_packets_keep_the_slower_of_our_sending_and_the_peers_receiving() {
    for (own, peer, expected) in [(50, 300, 300), (300, 50, 300), (50, 50, 50)] {
        let mut bench = Bench::in_state(State::Up, &config(own));
        let heard = Packet { required_min_rx_interval: millis(peer), ..packet(State::Up) };
        bench.receive(&heard);
        bench.pass_hearing(millis(1_000), &heard);
        let from = bench.pass_hearing(millis(1_000), &heard).last().unwrap().0;
        let sent = bench.pass_hearing(millis(30_000), &heard);
        assert_between(&gaps(from, &sent), expected * 3 / 4, expected);
    }
}

#[test]
fn every_interval_has_a_jitter_of_its_own() {
    let mut bench = Bench::up();
    let from = bench.now;
    let sent = bench.pass_hearing(millis(30_000), &packet(State::Up));
    let different: std::collections::BTreeSet<_> = gaps(from, &sent).into_iter().collect();
    assert!(different.len() > 90, "{} of {}", different.len(), sent.len());
}

#[test]
fn with_multiplier_one_packets_come_a_tenth_early_at_least() {
    let once = Config { detect_multiplier: multiplier(1), ..config(300) };
    let mut bench = Bench::in_state(State::Up, &once);
    let from = bench.pass_hearing(millis(1_000), &packet(State::Up)).last().unwrap().0;
    assert_between(&gaps(from, &bench.pass_hearing(millis(60_000), &packet(State::Up))), 225, 270);
}

#[test]
fn a_peer_that_takes_more_is_sent_more_from_the_packet_before_on() {
    let mut bench = Bench::in_state(State::Up, &config(50));
    let slow = Packet { required_min_rx_interval: millis(10_000), ..packet(State::Up) };
    bench.receive(&slow);
    let last = bench.pass_hearing(millis(20_000), &slow).last().unwrap().0;
    bench.now = last + millis(200);
    bench.receive(&packet(State::Up));
    let due = bench.session.poll_timeout().unwrap();
    assert!(due >= last + millis(225) && due <= last + millis(300), "{:?}", due - last);
    // Had more time passed than the new interval has, it would be due at once.
    bench.receive(&Packet { required_min_rx_interval: millis(100), ..packet(State::Up) });
    assert!(bench.session.poll_timeout().unwrap() <= bench.now);
}

#[test]
fn a_peer_that_takes_nothing_is_sent_changes_and_answers_and_nothing_else() {
    let deaf = |state| Packet { required_min_rx_interval: Duration::ZERO, ..packet(state) };
    let mut bench = Bench::new(&Config::default());
    bench.receive(&deaf(State::Down));
    assert_eq!(bench.drain().iter().map(|packet| packet.state).collect::<Vec<_>>(), [State::Init]);
    assert!(bench.pass_hearing(millis(10_000), &deaf(State::Down)).is_empty());
    bench.receive(&Packet { is_poll: true, ..deaf(State::Down) });
    assert_eq!(bench.drain().iter().map(|packet| packet.is_final).collect::<Vec<_>>(), [true]);
    assert!(bench.pass_hearing(millis(10_000), &deaf(State::Down)).is_empty());
    assert!(!bench.pass_hearing(millis(1_000), &packet(State::Down)).is_empty(), "it takes packets again");
}

#[test]
fn a_peer_in_demand_mode_is_sent_nothing_while_both_are_up() {
    let demand = |state| Packet { is_demand: true, ..packet(state) };
    let mut bench = Bench::up();
    bench.receive(&demand(State::Up));
    assert!(bench.pass_hearing(millis(10_000), &demand(State::Up)).is_empty());
    assert!(!bench.pass_hearing(millis(1_000), &demand(State::Init)).is_empty(), "the peer is not Up");
    bench.pass_hearing(millis(1_000), &demand(State::Up));
    assert!(!bench.pass_hearing(millis(1_000), &packet(State::Up)).is_empty(), "it has left demand mode");
}

#[test]
fn a_peer_in_demand_mode_is_polled_all_the_same() {
    let demand = Packet { is_demand: true, ..packet(State::Up) };
    let mut bench = Bench::up();
    bench.receive(&demand);
    bench.session.set_config(&config(400));
    let sent = bench.pass_hearing(millis(2_000), &demand);
    assert!(sent.len() > 3 && sent.iter().all(|(_, packet)| packet.is_poll));
    bench.receive(&Packet { is_final: true, ..demand });
    assert!(bench.pass_hearing(millis(2_000), &demand).is_empty());
}

#[test]
fn a_peer_in_demand_mode_that_falls_silent_is_detected() {
    let mut bench = Bench::up();
    bench.receive(&Packet { is_demand: true, ..packet(State::Up) });
    bench.pass(millis(900));
    assert_eq!(bench.session.state(), State::Down);
}

#[test]
fn a_caller_that_comes_late_sends_one_packet_and_no_burst() {
    let mut bench = Bench::in_state(State::Down, &Config::default());
    bench.now += millis(60_000);
    bench.session.handle_timeout(bench.now);
    assert_eq!(bench.drain().len(), 1);
    bench.session.handle_timeout(bench.now);
    assert!(bench.drain().is_empty());
    assert!(bench.session.poll_timeout().unwrap() >= bench.now + millis(750));
}

#[test]
fn a_packet_says_what_holds_when_it_is_handed_out() {
    let mut bench = Bench::new(&Config::default());
    bench.now += millis(1_000);
    bench.session.handle_timeout(bench.now);
    bench.receive(&packet(State::Down));
    let sent = bench.drain();
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].state, sent[0].your_discriminator), (State::Init, Some(REMOTE)));
}
