//! One session per peer for whoever asks: who comes, who goes, what they are told.

use super::*;

fn down(session: Discriminator, host: u8, cause: DownCause) -> Event {
    Event::Down { session, peer: single(host), cause }
}

#[test]
fn clients_of_one_peer_share_one_session_with_the_fastest_wish_of_all() {
    let mut bench = Bench::new();
    let session = bench.acquire(single(1), CLIENT, config(2_000));
    assert_eq!(bench.acquire(single(1), OTHER, config(1_500)), session);
    assert_eq!(bench.sessions.iter().collect::<Vec<_>>(), [(single(1), session)]);
    assert_eq!(bench.sessions.clients(session).collect::<Vec<_>>(), [CLIENT, OTHER]);
    assert_eq!(bench.sessions.status(session).unwrap().transmit_interval, millis(1_500));
    bench.sessions.release(session, OTHER, bench.now);
    assert_eq!(bench.sessions.status(session).unwrap().transmit_interval, millis(2_000));
    assert_eq!(bench.sessions.clients(session).collect::<Vec<_>>(), [CLIENT]);
}

#[test]
fn peers_differ_by_address_interface_and_hops() {
    let mut bench = Bench::new();
    let peers = [
        single(1),
        single(2),
        multi(1),
        Peer { interface: Some(ETH0), ..single(1) },
        Peer { interface: Some(ETH1), ..single(1) },
    ];
    let sessions: BTreeSet<_> =
        peers.iter().map(|peer| bench.acquire(*peer, CLIENT, Config::default())).collect();
    assert_eq!(sessions.len(), peers.len());
    for peer in peers {
        assert!(bench.sessions.session(&peer).is_some_and(|session| sessions.contains(&session)));
    }
    assert_eq!(bench.sessions.session(&single(3)), None);
}

#[test]
fn a_client_that_asks_again_changes_its_wish() {
    let mut bench = Bench::new();
    let session = bench.acquire(single(1), CLIENT, config(2_000));
    bench.acquire(single(1), CLIENT, config(3_000));
    assert_eq!(bench.sessions.clients(session).count(), 1);
    assert_eq!(bench.sessions.status(session).unwrap().transmit_interval, millis(3_000));
}

#[test]
fn a_wish_out_of_its_limits_changes_nothing() {
    let mut bench = Bench::new();
    let refused = bench.sessions.acquire(single(1), CLIENT, config(9), bench.now);
    assert_eq!(refused, Err(ConfigError::ReceiveInterval(millis(9))));
    assert!(bench.sessions.is_empty() && bench.sessions.poll_transmit().is_none());
}

#[test]
fn the_strictest_minimum_ttl_of_all_clients_holds() {
    let mut bench = Bench::new();
    let session = bench.acquire(multi(1), CLIENT, Config { minimum_ttl: 200, ..Config::default() });
    let octets = packet(State::Down, Some(session)).encode();
    let arrived = Datagram { ttl: 210, hops: Hops::Multi, ..datagram(&octets, 1) };
    assert!(bench.sessions.handle_input(&arrived, bench.now).is_ok());
    bench.acquire(multi(1), OTHER, Config::default());
    assert!(bench.sessions.handle_input(&arrived, bench.now).is_err());
    bench.sessions.release(session, OTHER, bench.now);
    assert!(bench.sessions.handle_input(&arrived, bench.now).is_ok());
}

#[test]
fn after_the_last_client_the_peer_is_told_and_then_the_session_is_gone() {
    let mut bench = Bench::new();
    let session = bench.up(1);
    bench.acquire(single(1), OTHER, Config::default());
    bench.sessions.release(session, CLIENT, bench.now);
    bench.sessions.release(session, CLIENT, bench.now);
    assert_eq!((bench.state(session), bench.drain().len()), (State::Up, 0), "there is another one");
    bench.sessions.release(session, OTHER, bench.now);
    assert_eq!(bench.drain()[0].1.state, State::AdminDown);
    let sent = bench.pass(millis(10_000));
    assert!(sent.len() >= 3 && sent.iter().all(|(_, packet)| packet.state == State::AdminDown));
    assert!(bench.sessions.is_empty() && bench.sessions.status(session).is_none());
    assert_eq!((bench.sessions.poll_timeout(), bench.events()), (None, vec![]));
    assert_eq!(
        bench.receive(packet(State::Down, Some(session)), 1),
        Err(crate::Discard::UnknownSession(session))
    );
}

#[test]
fn a_peer_that_goes_on_speaking_does_not_keep_a_session_that_nobody_wants() {
    let mut bench = Bench::new();
    let session = bench.up(1);
    bench.sessions.release(session, CLIENT, bench.now);
    for _ in 0..60 {
        let _gone = bench.receive(packet(State::Up, Some(session)), 1);
        bench.pass(millis(50));
    }
    assert!(bench.sessions.is_empty());
    assert_eq!(bench.sessions.poll_timeout(), None);
}

#[test]
fn a_session_on_its_way_out_comes_back_for_who_asks() {
    let mut bench = Bench::new();
    let session = bench.up(1);
    bench.sessions.release(session, CLIENT, bench.now);
    bench.pass(millis(1_000));
    assert_eq!(bench.acquire(single(1), OTHER, Config::default()), session);
    bench.pass(millis(10_000));
    assert_eq!(bench.state(session), State::Down);
    bench.receive(packet(State::Init, Some(session)), 1).unwrap();
    assert_eq!(bench.events(), [Event::Up { session, peer: single(1) }]);
}

#[test]
fn a_session_that_is_switched_off_tells_its_clients_and_stays_off_whoever_asks() {
    let mut bench = Bench::new();
    let session = bench.up(1);
    bench.sessions.set_enabled(session, false, bench.now);
    assert_eq!(bench.events(), [down(session, 1, DownCause::Disabled)]);
    bench.acquire(single(1), OTHER, Config::default());
    assert_eq!(bench.state(session), State::AdminDown);
    bench.pass(millis(60_000));
    assert_eq!(bench.state(session), State::AdminDown);
    bench.sessions.set_enabled(session, true, bench.now);
    assert_eq!(bench.state(session), State::Down);
}

#[test]
fn switching_on_does_not_bring_back_a_session_without_clients() {
    let mut bench = Bench::new();
    let session = bench.up(1);
    bench.sessions.release(session, CLIENT, bench.now);
    bench.sessions.set_enabled(session, true, bench.now);
    bench.pass(millis(10_000));
    assert!(bench.sessions.is_empty());
}

#[test]
fn an_unknown_session_can_be_neither_released_nor_switched() {
    let mut bench = Bench::new();
    bench.sessions.release(REMOTE, CLIENT, bench.now);
    bench.sessions.set_enabled(REMOTE, true, bench.now);
    assert!(bench.sessions.is_empty() && bench.sessions.poll_timeout().is_none());
}

#[test]
fn a_failure_is_told_with_its_cause_once() {
    let mut bench = Bench::new();
    let session = bench.up(1);
    bench.pass(millis(60_000));
    assert_eq!(bench.events(), [down(session, 1, DownCause::DetectionTimeExpired)]);
}

#[test]
fn only_the_session_whose_peer_is_silent_goes_down() {
    let mut bench = Bench::new();
    let sessions = [1, 2, 3].map(|host| bench.up(host));
    for _ in 0..10 {
        bench.pass(millis(100));
        for host in [1, 3] {
            bench.receive(packet(State::Up, Some(sessions[usize::from(host) - 1])), host).unwrap();
        }
    }
    assert_eq!(bench.events(), [down(sessions[1], 2, DownCause::DetectionTimeExpired)]);
}

#[test]
fn down_and_up_between_two_calls_are_both_told_and_up_and_down_are_not() {
    let mut bench = Bench::new();
    let session = bench.up(1);
    let say = |bench: &mut Bench, state| bench.receive(packet(state, Some(session)), 1).unwrap();
    for state in [State::Down, State::Init, State::Down, State::Init] {
        say(&mut bench, state);
    }
    let cause = DownCause::PeerDown(Diagnostic::NONE);
    assert_eq!(bench.events(), [down(session, 1, cause), Event::Up { session, peer: single(1) }]);
    say(&mut bench, State::Down);
    assert_eq!(bench.events(), [down(session, 1, cause)]);
    say(&mut bench, State::Init);
    say(&mut bench, State::Down);
    assert_eq!(bench.events(), []);
    let status = bench.sessions.status(session).unwrap();
    assert_eq!((status.ups, status.downs), (4, 4));
}

#[test]
fn a_failure_does_not_hide_behind_a_peer_that_was_switched_off_before() {
    let mut bench = Bench::new();
    let session = bench.up(1);
    for state in [State::AdminDown, State::Down, State::Init] {
        bench.receive(packet(state, Some(session)), 1).unwrap();
    }
    assert_eq!(bench.state(session), State::Up);
    bench.pass(millis(60_000));
    assert_eq!(bench.events(), [down(session, 1, DownCause::DetectionTimeExpired)]);
}

#[test]
fn a_status_says_what_both_sides_said() {
    let mut bench = Bench::new();
    let session = bench.up(1);
    let heard = Packet {
        is_control_plane_independent: true,
        diagnostic: Diagnostic::PATH_DOWN,
        desired_min_tx_interval: millis(400),
        required_min_rx_interval: millis(500),
        ..packet(State::Up, Some(session))
    };
    bench.receive(heard, 1).unwrap();
    let expected = Status {
        state: State::Up,
        diagnostic: Diagnostic::NONE,
        remote_state: State::Up,
        remote_diagnostic: Diagnostic::PATH_DOWN,
        remote_discriminator: Some(REMOTE),
        is_remote_control_plane_independent: true,
        transmit_interval: millis(500),
        detection_time: millis(1_200),
        packets_received: 2,
        packets_sent: 1,
        ups: 1,
        downs: 0,
    };
    assert_eq!(bench.sessions.status(session), Some(expected));
}
