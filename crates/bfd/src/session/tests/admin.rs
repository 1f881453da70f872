//! RFC 5880 §6.8.16: a session that is switched off and on.

use super::*;

#[test]
fn a_session_that_is_switched_off_says_so_for_as_many_packets_as_the_peer_can_miss() {
    let mut bench = Bench::up();
    bench.session.disable(bench.now);
    let mut sent: Vec<Packet> = bench.drain();
    sent.extend(bench.pass(millis(60_000)).into_iter().map(|(_, packet)| packet));
    assert!((4..=6).contains(&sent.len()), "{} packets", sent.len());
    assert!(sent.iter().all(|packet| packet.state == State::AdminDown));
    assert!(sent.iter().all(|packet| packet.diagnostic == Diagnostic::ADMINISTRATIVELY_DOWN));
    assert!(bench.session.is_over());
    assert_eq!(bench.session.poll_timeout(), None);
}

#[test]
fn it_is_told_for_our_detection_time_if_that_is_longer() {
    let mut bench = Bench::up();
    bench.receive(&Packet { desired_min_tx_interval: millis(5_000), ..packet(State::Up) });
    bench.session.disable(bench.now);
    bench.pass(millis(14_999));
    assert!(!bench.session.is_over());
    bench.pass(millis(1));
    assert!(bench.session.is_over());
}

#[test]
fn what_the_peer_says_does_not_lengthen_the_telling() {
    let mut bench = Bench::up();
    bench.session.disable(bench.now);
    bench.pass_hearing(millis(3_000), &packet(State::Up));
    assert!(bench.session.is_over());
    assert!(bench.pass_hearing(millis(10_000), &packet(State::Up)).is_empty());
}

#[test]
fn a_session_that_is_switched_on_again_begins_anew_and_comes_up() {
    let mut bench = Bench::up();
    bench.session.disable(bench.now);
    bench.pass(millis(60_000));
    bench.session.enable(bench.now);
    let sent = bench.drain();
    assert_eq!((sent.len(), sent[0].state, sent[0].your_discriminator), (1, State::Down, None));
    assert_eq!(bench.receive(&packet(State::Init)), Some(Change::Up));
}

#[test]
fn a_session_that_is_switched_on_while_it_still_tells_goes_on_telling_down() {
    let mut bench = Bench::up();
    bench.session.disable(bench.now);
    bench.pass(millis(1_500));
    bench.session.enable(bench.now);
    assert_eq!(bench.session.told_until, None);
    assert!(bench.pass(millis(10_000)).iter().all(|(_, packet)| packet.state == State::Down));
    assert!(!bench.session.is_over());
}

#[test]
fn a_peer_that_is_switched_off_takes_the_session_down_and_back_when_it_returns() {
    let mut bench = Bench::up();
    let change = bench.receive(&packet(State::AdminDown));
    let Some(Change::Down(cause)) = change else { panic!("{change:?}") };
    assert!(!cause.is_failure());
    bench.pass_hearing(millis(5_000), &packet(State::AdminDown));
    assert_eq!(bench.session.state(), State::Down);
    bench.receive(&packet(State::Down));
    assert_eq!(bench.session.state(), State::Init);
}

#[test]
fn every_cause_has_its_diagnostic_and_only_two_are_failures() {
    let cases = [
        (DownCause::DetectionTimeExpired, 1, true),
        (DownCause::PeerDown(Diagnostic::NONE), 3, true),
        (DownCause::PeerAdminDown(Diagnostic::NONE), 3, false),
        (DownCause::Disabled, 7, false),
    ];
    for (cause, code, is_failure) in cases {
        assert_eq!((cause.diagnostic().code(), cause.is_failure()), (code, is_failure), "{cause:?}");
    }
}
