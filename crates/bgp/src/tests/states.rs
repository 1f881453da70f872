//! Every state with every event (RFC 4271 §8.2.2).

use std::time::{Duration, Instant};

use super::peers::{
    LOCAL, config, dialed, established, keepalive, last_words, message, notification, octets, open,
    open_sent, start,
};
use crate::wire::ErrorCode;
use crate::{ConnectionId, Peer, State, Stop};

/// Columns: where the machine is; rows: what happens. In the cells: where the machine is then, and the NOTIFICATION with
/// which a connection was closed. `.` = nothing changes, and nothing is closed.
const TABLE: &str = "
event            | Stopped  | Idle     | Active   | Connect  | OpenSent    | OpenConfirm | Established
start            | Connect  | .        | .        | .        | .           | .           | .
shutdown         | .        | Idle     | Idle     | Idle     | Idle 6/2    | Idle 6/2    | Idle 6/2
deconfigure      | .        | Idle     | Idle     | Idle     | Idle 6/3    | Idle 6/3    | Idle 6/3
reset            | .        | Idle     | Idle     | Idle     | Idle 6/4    | Idle 6/4    | Idle 6/4
restart          | .        | Idle     | Idle     | Idle     | Idle        | Idle        | Idle
back-off over    | .        | Connect  | Connect  | .        | .           | .           | .
10 s             | .        | Connect  | Connect  | Active   | .           | .           | .
89 s             | .        | Connect  | Connect  | Active   | .           | .           | .
90 s             | .        | Connect  | Connect  | Active   | .           | Idle 4/0    | Idle 4/0
240 s            | .        | Connect  | Connect  | Active   | Idle 4/0    | Idle 4/0    | Idle 4/0
connected        | .        | .        | .        | OpenSent | .           | .           | .
accepted         | .        | .        | OpenSent | OpenSent | .           | .           | .
closed           | .        | .        | .        | Active   | Active      | Idle        | Idle
BFD down         | .        | .        | .        | .        | Idle 6/10   | Idle 6/10   | Idle 6/10
OPEN             | .        | .        | .        | .        | OpenConfirm | Idle 5/2    | Idle 5/3
KEEPALIVE        | .        | .        | .        | .        | Idle 5/1    | Established | .
UPDATE           | .        | .        | .        | .        | Idle 5/1    | Idle 5/2    | .
ROUTE-REFRESH    | .        | .        | .        | .        | Idle 5/1    | Idle 5/2    | .
NOTIFICATION     | .        | .        | .        | .        | Idle        | Idle        | Idle
bad NOTIFICATION | .        | .        | .        | .        | Idle        | Idle        | Idle
bad marker       | .        | .        | .        | .        | Idle 1/1    | Idle 1/1    | Idle 1/1
bad length       | .        | .        | .        | .        | Idle 1/2    | Idle 1/2    | Idle 1/2
bad type         | .        | .        | .        | .        | Idle 1/3    | Idle 1/3    | Idle 1/3
bad OPEN         | .        | .        | .        | .        | Idle 2/1    | Idle 5/2    | Idle 5/3
bad UPDATE       | .        | .        | .        | .        | Idle 5/1    | Idle 5/2    | Idle 3/1
half a message   | .        | .        | .        | .        | .           | .           | .
";

/// A machine in the state of a column; its connection, if it has one.
fn machine(column: &str, now: Instant) -> (Peer, ConnectionId) {
    let mut peer = Peer::new(config(), 1);
    peer.start(now);
    let id = dialed(&mut peer);
    match column {
        "Stopped" => return (Peer::new(config(), 1), id),
        "Connect" => return (peer, id),
        "Active" => {
            peer.handle_closed(id, now);
            return (peer, id);
        }
        _ => peer.handle_connected(id, LOCAL, now),
    }
    let inputs: &[Vec<u8>] = match column {
        "Idle" => &[notification(ErrorCode::CEASE)],
        "OpenSent" => &[],
        "OpenConfirm" => &[octets(&open())],
        "Established" => &[octets(&open()), keepalive()],
        other => panic!("{other}"),
    };
    inputs.iter().for_each(|input| peer.handle_input(id, input, now));
    while peer.poll_action().is_some() {}
    (peer, id)
}

fn happen(event: &str, peer: &mut Peer, id: ConnectionId, now: Instant) {
    let mut bad_marker = keepalive();
    bad_marker[0] = 0;
    let mut bad_open = octets(&open());
    bad_open[19] = 3;
    match event {
        "start" => peer.start(now),
        "shutdown" => peer.stop(&Stop::Shutdown { text: String::new() }, now),
        "deconfigure" => peer.stop(&Stop::Deconfigured, now),
        "reset" => peer.stop(&Stop::Reset { text: String::new() }, now),
        "restart" => peer.stop(&Stop::Restart, now),
        "back-off over" => peer.handle_timeout(now + Duration::from_secs(2)),
        "10 s" => peer.handle_timeout(now + Duration::from_secs(10)),
        "89 s" => peer.handle_timeout(now + Duration::from_secs(89)),
        "90 s" => peer.handle_timeout(now + Duration::from_secs(90)),
        "240 s" => peer.handle_timeout(now + Duration::from_secs(240)),
        "connected" => peer.handle_connected(id, LOCAL, now),
        "accepted" => drop(peer.accept(LOCAL, now)),
        "closed" => peer.handle_closed(id, now),
        "BFD down" => peer.handle_bfd_down(now),
        "OPEN" => peer.handle_input(id, &octets(&open()), now),
        "KEEPALIVE" => peer.handle_input(id, &keepalive(), now),
        "UPDATE" => peer.handle_input(id, &message(2, &[0; 4]), now),
        "ROUTE-REFRESH" => peer.handle_input(id, &message(5, &[0, 1, 0, 1]), now),
        "NOTIFICATION" => peer.handle_input(id, &notification(ErrorCode::CEASE), now),
        "bad NOTIFICATION" => peer.handle_input(id, &message(3, &[6]), now),
        "bad marker" => peer.handle_input(id, &bad_marker, now),
        "bad length" => peer.handle_input(id, &message(4, &[0]), now),
        "bad type" => peer.handle_input(id, &message(6, &[]), now),
        "bad OPEN" => peer.handle_input(id, &bad_open, now),
        "bad UPDATE" => peer.handle_input(id, &message(2, &[0, 9, 0, 0]), now),
        "half a message" => peer.handle_input(id, &keepalive()[..10], now),
        other => panic!("{other}"),
    }
}

#[test]
fn every_state_answers_every_event_as_the_table_says() {
    let now = start();
    let mut lines = TABLE.trim().lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let columns = lines.next().unwrap();
    let mut cells = 0;
    for row in lines {
        for (column, expected) in columns[1..].iter().zip(&row[1..]) {
            let (mut peer, id) = machine(column, now);
            let before = peer.state();
            assert_eq!(format!("{before:?}"), column.replace("Stopped", "Idle"));
            happen(row[0], &mut peer, id, now);
            let words = last_words(&mut peer);
            let told = words.map(|words| format!(" {}/{}", words.error.code, words.error.subcode));
            let found = format!("{:?}{}", peer.state(), told.unwrap_or_default());
            let expected = if *expected == "." { format!("{before:?}") } else { (*expected).to_owned() };
            assert_eq!(found, expected, "{} in {column}", row[0]);
            cells += 1;
        }
    }
    assert_eq!(cells, 26 * 7);
}

#[test]
fn keepalives_come_at_a_third_of_the_hold_time_and_up_to_a_quarter_earlier() {
    let beginning = start();
    let (mut peer, id) = open_sent(config(), beginning);
    let mut short = open();
    short.hold_time_secs = 9;
    peer.handle_input(id, &octets(&short), beginning);
    peer.handle_input(id, &keepalive(), beginning);
    while peer.poll_transmit(id).is_some() {}
    let mut now = beginning;
    let mut gaps = Vec::new();
    for _ in 0..50 {
        // The peer is never silent, so only KEEPALIVEs fall due.
        peer.handle_input(id, &keepalive(), now);
        let due = peer.poll_timeout().unwrap();
        gaps.push(due - now);
        now = due;
        peer.handle_timeout(now);
        assert_eq!(peer.poll_transmit(id), Some(keepalive()));
        assert_eq!(peer.poll_transmit(id), None);
    }
    let within = |gap: &Duration| (2_250..=3_000).contains(&gap.as_millis());
    assert!(gaps.iter().all(within), "{gaps:?}");
    assert!(gaps.iter().any(|gap| *gap != gaps[0]));
    assert_eq!(peer.state(), State::Established);
}

#[test]
fn an_update_is_a_sign_of_life_and_a_refresh_is_none() {
    let beginning = start();
    for (input, stands) in
        [(message(2, &[0; 4]), true), (message(5, &[0, 1, 0, 1]), false), (vec![0xff; 16], false)]
    {
        let (mut peer, id) = established(config(), &open(), beginning);
        peer.handle_input(id, &input, beginning + Duration::from_secs(60));
        peer.handle_timeout(beginning + Duration::from_secs(100));
        assert_eq!(peer.state() == State::Established, stands, "{input:?}");
    }
}

#[test]
fn a_hold_time_of_zero_means_no_timer() {
    let now = start();
    let (mut peer, id) = open_sent(config(), now);
    let mut silent = open();
    silent.hold_time_secs = 0;
    peer.handle_input(id, &octets(&silent), now);
    peer.handle_input(id, &keepalive(), now);
    assert_eq!((peer.state(), peer.poll_timeout()), (State::Established, None));
}

#[test]
fn a_peer_that_always_refuses_is_tried_less_and_less_often() {
    let mut now = start();
    let mut peer = Peer::new(config(), 7);
    peer.start(now);
    let mut waits = Vec::new();
    for attempt in 0..12 {
        let id = dialed(&mut peer);
        peer.handle_connected(id, LOCAL, now);
        peer.handle_input(id, &octets(&open()), now);
        if attempt % 2 == 0 {
            // That the session stands for a moment must not set the back-off back.
            peer.handle_input(id, &keepalive(), now);
        }
        peer.handle_input(id, &notification(ErrorCode::MAXIMUM_PREFIXES), now);
        while peer.poll_action().is_some() {}
        let due = peer.poll_timeout().unwrap();
        waits.push((due - now).as_secs_f64());
        now = due;
        peer.handle_timeout(now);
    }
    for (wait, longest) in waits.iter().zip([1, 2, 4, 8, 16, 32, 64, 120, 120, 120, 120, 120]) {
        let longest = f64::from(longest);
        assert!((longest * 0.75..=longest).contains(wait), "{waits:?}");
    }
}

#[test]
fn a_session_that_has_stood_sets_the_back_off_back() {
    let beginning = start();
    let mut peer = Peer::new(config(), 7);
    peer.start(beginning);
    let mut now = beginning;
    for _ in 0..5 {
        let id = dialed(&mut peer);
        peer.handle_closed(id, now);
        now = peer.poll_timeout().unwrap();
        peer.handle_timeout(now);
    }
    let id = dialed(&mut peer);
    peer.handle_connected(id, LOCAL, now);
    peer.handle_input(id, &octets(&open()), now);
    peer.handle_input(id, &keepalive(), now);
    now += Duration::from_secs(31);
    peer.handle_closed(id, now);
    assert!(peer.poll_timeout().unwrap() - now <= Duration::from_secs(1));
}
