//! RFC 5880 §6.8.4: how long silence is bearable; §6.8.1, §6.8.18: what is forgotten after it.

use super::*;

fn with_intervals(min_tx: u64, min_rx: u64, detect_multiplier: u8) -> Packet {
    Packet {
        desired_min_tx_interval: millis(min_tx),
        required_min_rx_interval: millis(min_rx),
        detect_multiplier: multiplier(detect_multiplier),
        ..packet(State::Up)
    }
}

#[test]
fn the_detection_time_is_the_peers_multiplier_times_the_slower_of_its_sending_and_our_receiving() {
    for (own, min_tx, detect_multiplier, expected) in
        [(300, 50, 3, 900), (50, 300, 3, 900), (50, 50, 3, 150), (50, 1_000, 5, 5_000), (50, 0, 1, 50)]
    {
        let mut bench = Bench::in_state(State::Up, &config(own));
        bench.receive(&with_intervals(min_tx, 7_000, detect_multiplier));
        assert_eq!(bench.session.detection_time(), millis(expected), "own {own}, peer's {min_tx}");
    }
}

#[test]
fn a_session_lives_until_the_detection_time_has_passed_and_not_longer() {
    let mut bench = Bench::up();
    let detection_time = bench.session.detection_time();
    let heard = bench.now;
    assert_eq!(bench.session.handle_timeout(heard + detection_time - Duration::from_nanos(1)), None);
    assert_eq!(bench.session.state(), State::Up);
    assert_eq!(
        bench.session.handle_timeout(heard + detection_time),
        Some(Change::Down(DownCause::DetectionTimeExpired))
    );
}

#[test]
fn each_packet_gives_a_whole_detection_time() {
    let mut bench = Bench::up();
    for _ in 0..20 {
        bench.pass(millis(899));
        assert_eq!(bench.session.state(), State::Up);
        bench.receive(&packet(State::Up));
    }
}

#[test]
fn a_packet_that_is_handed_in_late_but_before_the_timeout_keeps_the_session_up() {
    let mut bench = Bench::up();
    bench.now += millis(5_000);
    bench.receive(&packet(State::Up));
    assert_eq!(bench.session.handle_timeout(bench.now), None);
    assert_eq!(bench.session.state(), State::Up);
}

#[test]
fn a_new_interval_of_the_peer_counts_from_the_packet_that_tells_it() {
    let mut bench = Bench::up();
    bench.pass(millis(100));
    bench.receive(&with_intervals(2_000, 300, 3));
    bench.pass(millis(5_999));
    assert_eq!(bench.session.state(), State::Up);
    bench.pass(millis(1));
    assert_eq!(bench.session.state(), State::Down);
}

#[test]
fn after_a_detection_time_of_silence_the_peer_is_forgotten_in_every_state() {
    for state in [State::AdminDown, State::Down, State::Init, State::Up] {
        let mut bench = Bench::in_state(state, &Config::default());
        bench.receive(&Packet {
            is_demand: true,
            required_min_rx_interval: millis(20_000),
            ..packet(State::AdminDown)
        });
        bench.drain();
        assert_eq!(bench.session.remote().discriminator, Some(REMOTE));
        let detection_time = bench.session.detection_time();
        bench.pass(detection_time);
        let remote = bench.session.remote();
        assert_eq!((remote.discriminator, remote.is_demand), (None, false), "{state:?}");
        assert_eq!(remote.min_rx, Duration::from_micros(1), "{state:?}");
    }
}

#[test]
fn a_peer_that_is_forgotten_is_told_down_without_its_discriminator() {
    let mut bench = Bench::up();
    let sent = bench.pass(millis(900));
    let (_, last) = sent.last().unwrap();
    assert_eq!((last.state, last.your_discriminator), (State::Down, None));
    assert_eq!(last.diagnostic, Diagnostic::CONTROL_DETECTION_TIME_EXPIRED);
    assert!(!last.is_poll, "nobody would answer");
}

#[test]
fn a_passive_side_that_has_forgotten_its_peer_falls_silent() {
    let mut bench = Bench::in_state(State::Up, &passive());
    let sent = bench.pass(millis(60_000));
    assert!(sent.iter().all(|(_, packet)| packet.state == State::Up));
    assert_eq!(bench.session.state(), State::Down);
    assert_eq!(bench.session.poll_timeout(), None);
}

#[test]
fn nothing_is_due_for_a_peer_that_was_never_heard_but_the_next_packet() {
    let bench = Bench::new(&Config::default());
    assert_eq!(bench.session.detection_time(), Duration::ZERO);
    let due = bench.session.poll_timeout().unwrap();
    assert!(due >= bench.now + millis(750) && due <= bench.now + millis(1_000));
}
