//! RFC 5880 §6.5, §6.8.3: poll sequences, and what waits for their end.

use super::*;

fn intervals(packet: &Packet) -> (Duration, Duration) {
    (packet.desired_min_tx_interval, packet.required_min_rx_interval)
}

fn with(transmit: u64, receive: u64) -> Config {
    Config { transmit_interval: millis(transmit), receive_interval: millis(receive), ..Config::default() }
}

/// The next periodic packet.
fn next_packet(bench: &mut Bench) -> Packet {
    loop {
        bench.receive(&packet(State::Up));
        if let Some((_, packet)) = bench.pass(millis(50)).first() {
            return *packet;
        }
    }
}

#[test]
fn a_poll_is_answered_at_once_with_the_final_bit_and_without_the_poll_bit() {
    for state in [State::Down, State::Init, State::Up] {
        let mut bench = Bench::in_state(state, &Config::default());
        let due = bench.session.next_transmit();
        // A packet that changes no state.
        let heard = match state {
            State::AdminDown | State::Down => State::AdminDown,
            State::Init => State::Down,
            State::Up => State::Up,
        };
        bench.receive(&poll(heard));
        let sent = bench.drain();
        assert_eq!(sent.len(), 1, "{state:?}");
        assert_eq!((sent[0].is_final, sent[0].is_poll, sent[0].state), (true, false, state));
        assert_eq!(bench.session.next_transmit(), due, "periodic packets go on as they would");
    }
}

#[test]
fn a_poll_is_not_answered_while_admin_down() {
    let mut bench = Bench::in_state(State::AdminDown, &Config::default());
    bench.receive(&poll(State::Down));
    assert!(bench.drain().is_empty());
}

#[test]
fn no_packet_has_both_bits() {
    let mut bench = Bench::up();
    bench.session.set_config(&config(100));
    for _ in 0..50 {
        bench.receive(&Packet { is_poll: true, ..packet(State::Up) });
        bench.now += millis(300);
        bench.session.handle_timeout(bench.now);
        let sent = bench.drain();
        assert!(sent.iter().any(|packet| packet.is_poll) && sent.iter().any(|packet| packet.is_final));
        assert!(!sent.iter().any(|packet| packet.is_poll && packet.is_final));
    }
}

#[test]
fn coming_up_asks_for_the_fast_interval_until_the_peer_has_answered() {
    let mut bench = Bench::new(&config(50));
    bench.receive(&packet(State::Init));
    let sent = bench.pass_hearing(millis(1_000), &packet(State::Up));
    assert!(sent.iter().all(|(_, packet)| packet.is_poll && packet.desired_min_tx_interval == millis(50)));
    bench.receive(&final_answer(State::Up));
    let sent = bench.pass_hearing(millis(1_000), &packet(State::Up));
    assert!(!sent.is_empty() && sent.iter().all(|(_, packet)| !packet.is_poll));
}

#[test]
fn a_change_of_an_interval_goes_with_the_next_periodic_packet_and_no_additional_one() {
    let mut bench = Bench::up();
    let due = bench.session.next_transmit();
    bench.session.set_config(&with(300, 200));
    assert!(bench.drain().is_empty());
    assert_eq!(bench.session.next_transmit(), due);
    let next = next_packet(&mut bench);
    assert!(next.is_poll);
    assert_eq!(intervals(&next), (millis(300), millis(200)));
}

#[test]
fn a_change_of_the_multiplier_alone_is_told_without_a_poll() {
    let mut bench = Bench::up();
    bench.session.set_config(&Config { detect_multiplier: multiplier(7), ..Config::default() });
    let next = next_packet(&mut bench);
    assert_eq!((next.detect_multiplier, next.is_poll), (multiplier(7), false));
}

#[test]
fn the_same_configuration_again_changes_nothing() {
    let mut bench = Bench::up();
    bench.session.set_config(&Config::default());
    assert!(!next_packet(&mut bench).is_poll);
}

#[test]
fn while_up_packets_become_rarer_only_once_the_peer_has_answered() {
    let mut bench = Bench::up();
    bench.session.set_config(&with(1_000, 300));
    assert_eq!(next_packet(&mut bench).desired_min_tx_interval, millis(1_000));
    assert_eq!(bench.session.transmit_interval(), millis(300));
    bench.receive(&packet(State::Up));
    assert_eq!(bench.session.transmit_interval(), millis(300), "no answer yet");
    bench.receive(&final_answer(State::Up));
    assert_eq!(bench.session.transmit_interval(), millis(1_000));
}

#[test]
fn while_up_packets_become_more_frequent_at_once() {
    let mut bench = Bench::up();
    bench.session.set_config(&with(350, 300));
    assert_eq!(bench.session.transmit_interval(), millis(300));
    bench.session.set_config(&with(50, 300));
    let heard = Packet { required_min_rx_interval: millis(50), ..packet(State::Up) };
    bench.receive(&heard);
    assert_eq!(bench.session.transmit_interval(), millis(50));
}

#[test]
fn while_up_the_detection_time_becomes_shorter_only_once_the_peer_has_answered() {
    let mut bench = Bench::up();
    let fast = |packet: Packet| Packet { desired_min_tx_interval: millis(50), ..packet };
    bench.receive(&fast(packet(State::Up)));
    assert_eq!(bench.session.detection_time(), millis(900));
    bench.session.set_config(&with(300, 100));
    assert_eq!(next_packet(&mut bench).required_min_rx_interval, millis(100));
    bench.receive(&fast(packet(State::Up)));
    assert_eq!(bench.session.detection_time(), millis(900), "no answer yet");
    bench.receive(&fast(final_answer(State::Up)));
    assert_eq!(bench.session.detection_time(), millis(300));
}

#[test]
fn while_up_the_detection_time_becomes_longer_at_once() {
    let mut bench = Bench::up();
    bench.session.set_config(&with(300, 2_000));
    assert_eq!(bench.session.detection_time(), millis(6_000));
}

#[test]
fn while_not_up_every_interval_changes_at_once() {
    let mut bench = Bench::in_state(State::Init, &Config::default());
    bench.session.set_config(&with(9_000, 100));
    assert_eq!(bench.session.transmit_interval(), millis(9_000));
    assert_eq!(bench.session.detection_time(), millis(900));
    let sent = bench.pass_hearing(millis(9_000), &packet(State::Down));
    assert!(sent.iter().any(|(_, packet)| packet.is_poll), "a poll is out, and does not matter");
    bench.session.set_config(&with(300, 500));
    assert_eq!(bench.session.transmit_interval(), millis(1_000));
    assert_eq!(bench.session.detection_time(), millis(1_500));
}

#[test]
fn going_down_makes_packets_rare_at_once_whatever_poll_is_out() {
    let mut bench = Bench::up();
    bench.session.set_config(&config(50));
    next_packet(&mut bench);
    bench.receive(&packet(State::Down));
    assert_eq!(bench.session.transmit_interval(), millis(1_000));
    assert_eq!(bench.drain()[0].desired_min_tx_interval, millis(1_000));
}

#[test]
fn a_final_bit_that_answers_no_poll_ends_nothing() {
    let mut bench = Bench::up();
    bench.session.set_config(&with(1_000, 300));
    bench.receive(&final_answer(State::Up));
    assert_eq!(bench.session.transmit_interval(), millis(300), "no packet has asked yet");
    assert!(next_packet(&mut bench).is_poll);
}

#[test]
fn changes_before_the_first_poll_are_told_together() {
    let mut bench = Bench::up();
    bench.session.set_config(&with(600, 300));
    bench.session.set_config(&with(400, 200));
    assert_eq!(intervals(&next_packet(&mut bench)), (millis(400), millis(200)));
    bench.receive(&final_answer(State::Up));
    assert_eq!(bench.session.transmit_interval(), millis(400));
}

#[test]
fn a_change_while_a_poll_is_out_waits_for_its_answer_and_for_a_packet_without_the_final_bit() {
    let mut bench = Bench::up();
    bench.session.set_config(&with(400, 300));
    assert_eq!(next_packet(&mut bench).desired_min_tx_interval, millis(400));
    bench.session.set_config(&with(800, 300));
    assert_eq!(next_packet(&mut bench).desired_min_tx_interval, millis(400), "the poll is out");
    bench.receive(&final_answer(State::Up));
    assert_eq!(bench.session.transmit_interval(), millis(400));
    bench.receive(&final_answer(State::Up));
    assert!(!bench.session.negotiation.is_polling(), "no packet without the final bit yet");
    bench.pass(millis(500));
    bench.receive(&packet(State::Up));
    let next = next_packet(&mut bench);
    assert_eq!((next.desired_min_tx_interval, next.is_poll), (millis(800), true));
    assert_eq!(bench.session.transmit_interval(), millis(400));
    bench.receive(&final_answer(State::Up));
    assert_eq!(bench.session.transmit_interval(), millis(800));
}

#[test]
fn the_next_poll_waits_until_the_answers_to_all_earlier_ones_must_have_come() {
    let mut bench = Bench::up();
    bench.session.set_config(&with(400, 300));
    // Three polls leave before the first answer, over a path of long delay.
    let first = bench.pass_hearing(millis(900), &packet(State::Up));
    let (first, last) = (first.first().unwrap().0, first.last().unwrap().0);
    assert!(last > first);
    bench.session.set_config(&with(800, 300));
    bench.receive(&final_answer(State::Up));
    let round_trip = bench.now - first;
    bench.now = last + round_trip - Duration::from_nanos(1);
    bench.receive(&packet(State::Up));
    assert!(!bench.session.negotiation.is_polling());
    bench.now = last + round_trip;
    bench.receive(&packet(State::Up));
    assert!(bench.session.negotiation.is_polling());
}

#[test]
fn a_poll_that_was_not_answered_before_the_peer_was_forgotten_is_sent_to_whoever_comes() {
    // As slow while Up as while Down: the change of state by itself asks for no poll.
    let mut bench = Bench::new(&config(2_000));
    bench.receive(&packet(State::Init));
    assert!(!bench.drain()[0].is_poll);
    bench.session.set_config(&config(3_000));
    assert!(bench.pass(millis(2_000))[0].1.is_poll);
    bench.pass(millis(60_000));
    assert_eq!(bench.session.state(), State::Down);
    bench.receive(&packet(State::Down));
    assert!(bench.drain()[0].is_poll);
}

#[test]
fn a_poll_whose_peer_was_forgotten_goes_on_once_somebody_is_there() {
    let mut bench = Bench::up();
    let sent = bench.pass(millis(10_000));
    assert!(sent.iter().all(|(_, packet)| packet.your_discriminator.is_some() || !packet.is_poll));
    bench.receive(&packet(State::Down));
    assert!(bench.drain()[0].is_poll, "the peer has not said that it knows of the slow interval");
}
