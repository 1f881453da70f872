//! Each error with the NOTIFICATION that its RFC names, and what is said about it in words.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::peers::{
    LOCAL, config, dialed, established, graceful, graceful_open, keepalive, last_words, message, octets,
    open, open_sent, start,
};
use crate::peer::{Delivery, RemoteAs};
use crate::values::Asn;
use crate::wire::{ErrorCode, Notification, Open};
use crate::{Action, Config, Event, Peer, PerFamily, Reason, State, Stop};

/// What a peer with this OPEN is told, if it is refused.
fn refusal(config: Config, open: &Open) -> Option<Notification> {
    let now = start();
    let (mut peer, id) = open_sent(config, now);
    peer.handle_input(id, &octets(open), now);
    last_words(&mut peer)
}

fn expect(error: ErrorCode, data: &[u8]) -> Option<Notification> {
    Some(Notification::new(error, data.to_vec()))
}

fn with(change: impl FnOnce(&mut Open)) -> Open {
    let mut open = open();
    change(&mut open);
    open
}

#[test]
fn an_open_is_refused_for_what_is_wrong_with_it() {
    let bad_as = expect(ErrorCode::BAD_PEER_AS, &[]);
    let bad_id = expect(ErrorCode::BAD_BGP_IDENTIFIER, &[]);
    let as4 = |number| with(|open| open.capabilities.four_octet_as = Some(number));
    assert_eq!(refusal(config(), &open()), None);
    assert_eq!(refusal(config(), &as4(65_003)), bad_as);
    assert_eq!(refusal(config(), &as4(0)), bad_as);
    assert_eq!(refusal(config(), &with(|open| open.my_as = 0)), bad_as);
    assert_eq!(refusal(config(), &with(|open| open.identifier = Ipv4Addr::UNSPECIFIED)), bad_id);
    for secs in [1, 2] {
        let expected = expect(ErrorCode::UNACCEPTABLE_HOLD_TIME, &[0, secs]);
        assert_eq!(refusal(config(), &with(|open| open.hold_time_secs = secs.into())), expected);
    }
    let no_ipv4 = Config { families: PerFamily { ipv4: true, ipv6: false }, ..config() };
    let only_ipv6 =
        with(|open| open.capabilities.multiprotocol = Some(PerFamily { ipv4: false, ipv6: true }));
    assert_eq!(refusal(no_ipv4, &only_ipv6), expect(ErrorCode::UNSUPPORTED_CAPABILITY, &[1, 4, 0, 1, 0, 1]));
}

#[test]
fn who_is_meant_by_internal_and_external() {
    let as_of = |number| {
        with(|open| {
            open.my_as = number;
            open.capabilities.four_octet_as = None;
        })
    };
    let of = |remote_as| Config { remote_as, ..config() };
    let bad_as = expect(ErrorCode::BAD_PEER_AS, &[]);
    assert_eq!(refusal(of(RemoteAs::External), &as_of(65_009)), None);
    assert_eq!(refusal(of(RemoteAs::External), &as_of(65_001)), bad_as);
    assert_eq!(refusal(of(RemoteAs::Internal), &as_of(65_001)), None);
    assert_eq!(refusal(of(RemoteAs::Internal), &as_of(65_009)), bad_as);
    // RFC 6286 §2.2: our identifier is no fault in another AS.
    let mut same_id = as_of(65_001);
    same_id.identifier = config().router_id.get();
    assert_eq!(refusal(of(RemoteAs::Internal), &same_id), expect(ErrorCode::BAD_BGP_IDENTIFIER, &[]));
    same_id.my_as = 65_009;
    assert_eq!(refusal(of(RemoteAs::External), &same_id), None);
}

#[test]
fn a_large_as_number_stands_in_the_capability() {
    let config = Config { local_as: Asn::new(4_200_000_001).unwrap(), ..config() };
    let (mut peer, id) = open_sent(config, start());
    let sent = Open::parse(&peer.poll_transmit(id).unwrap()[19..]).unwrap();
    assert_eq!((sent.my_as, sent.capabilities.four_octet_as), (23_456, Some(4_200_000_001)));
}

#[test]
fn an_unexpected_message_is_named() {
    let now = start();
    let (mut peer, id) = open_sent(config(), now);
    peer.handle_input(id, &message(2, &[0; 4]), now);
    assert_eq!(last_words(&mut peer), expect(ErrorCode::UNEXPECTED_IN_OPEN_SENT, &[2]));
    let reason = peer.poll_event();
    let Some(Event::Failed(reason)) = reason else { panic!("{reason:?}") };
    assert_eq!(reason.to_string(), "told the peer: Unexpected Message in OpenSent State");
}

#[test]
fn each_stop_has_its_cease_and_a_text() {
    let now = start();
    let text = || "rack 7 is moved".to_owned();
    for (stop, error, said) in [
        (Stop::Shutdown { text: text() }, ErrorCode::ADMINISTRATIVE_SHUTDOWN, Some(text())),
        (Stop::Reset { text: text() }, ErrorCode::ADMINISTRATIVE_RESET, Some(text())),
        (Stop::Deconfigured, ErrorCode::PEER_DECONFIGURED, None),
    ] {
        let (mut peer, _) = established(config(), &open(), now);
        peer.stop(&stop, now);
        let words = last_words(&mut peer).unwrap();
        assert_eq!((words.error, words.text()), (error, said));
        // Only a reset starts again.
        assert_eq!(peer.poll_timeout().is_some(), error == ErrorCode::ADMINISTRATIVE_RESET);
    }
}

#[test]
fn a_peer_that_keeps_routes_over_a_notification_is_stopped_hard() {
    let now = start();
    let config = Config { graceful_restart: Some(graceful()), ..config() };
    for (notification, error) in [(true, ErrorCode::HARD_RESET), (false, ErrorCode::PEER_DECONFIGURED)] {
        let (mut peer, _) = established(config.clone(), &graceful_open(notification), now);
        peer.stop(&Stop::Deconfigured, now);
        assert_eq!(last_words(&mut peer).unwrap().error, error);
    }
    let (mut peer, _) = established(config.clone(), &graceful_open(true), now);
    peer.stop(&Stop::Restart, now);
    assert_eq!(last_words(&mut peer), None);
    assert_eq!(peer.poll_event(), Some(Event::Down(Reason::Restart)));
    // The hold timer is no hard reset: the other side may be frozen for a while only.
    let (mut peer, _) = established(config, &graceful_open(true), now);
    peer.handle_timeout(now + Duration::from_secs(90));
    assert_eq!(last_words(&mut peer).unwrap().error, ErrorCode::HOLD_TIMER_EXPIRED);
}

#[test]
fn bfd_takes_routes_away_unless_graceful_restart_is_to_keep_them() {
    let now = start();
    let of = |over_bfd_down| Config {
        graceful_restart: Some(crate::peer::GracefulRestart { over_bfd_down, ..graceful() }),
        ..config()
    };
    // (our choice, the peer's OPEN, what it is told)
    for (over_bfd_down, open, told) in [
        (false, open(), Some(ErrorCode::BFD_DOWN)),
        (false, graceful_open(false), Some(ErrorCode::BFD_DOWN)),
        (false, graceful_open(true), Some(ErrorCode::HARD_RESET)),
        (true, open(), Some(ErrorCode::BFD_DOWN)),
        (true, graceful_open(false), None),
        (true, graceful_open(true), Some(ErrorCode::BFD_DOWN)),
    ] {
        let (mut peer, _) = established(of(over_bfd_down), &open, now);
        peer.handle_bfd_down(now);
        assert_eq!(last_words(&mut peer).map(|words| words.error), told, "{over_bfd_down} {open:?}");
        assert_eq!(peer.state(), State::Idle);
    }
}

#[test]
fn a_peer_that_takes_nothing_is_given_up_and_its_own_silence_noticed_before() {
    let beginning = start();
    let (mut peer, id) = established(config(), &open(), beginning);
    // The socket is full: nobody asks for octets. The peer goes on talking.
    let mut now = beginning;
    while peer.state() == State::Established {
        now += Duration::from_secs(10);
        assert!(now - beginning < Duration::from_secs(600));
        peer.handle_input(id, &keepalive(), now);
        peer.handle_timeout(now);
    }
    assert_eq!(last_words(&mut peer), expect(ErrorCode::SEND_HOLD_TIMER_EXPIRED, &[]));
    assert!(now - beginning >= Duration::from_secs(480));

    let (mut peer, _) = established(config(), &open(), beginning);
    peer.handle_timeout(beginning + Duration::from_secs(90));
    assert_eq!(last_words(&mut peer), expect(ErrorCode::HOLD_TIMER_EXPIRED, &[]));
}

#[test]
fn of_two_connections_the_one_of_the_higher_identifier_stays() {
    let now = start();
    for (remote_id, dialed_stays) in [([192, 0, 2, 2], false), ([10, 0, 0, 1], true)] {
        for dialed_first in [false, true] {
            let (mut peer, ours) = open_sent(config(), now);
            let theirs = peer.accept(LOCAL, now).unwrap();
            let open = octets(&with(|open| open.identifier = remote_id.into()));
            let order = if dialed_first { [ours, theirs] } else { [theirs, ours] };
            for id in order {
                peer.handle_input(id, &open, now);
            }
            let (stays, goes) = if dialed_stays { (ours, theirs) } else { (theirs, ours) };
            let actions: Vec<_> = std::iter::from_fn(|| peer.poll_action()).collect();
            let [Action::Close { connection, notification: Some(words) }] = &actions[..] else {
                panic!("{actions:?}")
            };
            assert_eq!((*connection, &words[19..]), (goes, &[6, 7][..]));
            peer.handle_input(stays, &keepalive(), now);
            assert_eq!(peer.session().map(|session| session.connection), Some(stays));
        }
    }
}

#[test]
fn a_session_that_stands_stays_unless_its_peer_restarts() {
    let now = start();
    let (mut peer, first) = established(config(), &open(), now);
    let second = peer.accept(LOCAL, now).unwrap();
    peer.handle_input(second, &octets(&open()), now);
    assert_eq!(last_words(&mut peer), expect(ErrorCode::COLLISION_RESOLUTION, &[]));
    assert_eq!(peer.session().map(|session| session.connection), Some(first));

    let config = Config { graceful_restart: Some(graceful()), ..config() };
    let (mut peer, _) = established(config, &graceful_open(true), now);
    let second = peer.accept(LOCAL, now).unwrap();
    peer.handle_input(second, &octets(&graceful_open(true)), now);
    assert_eq!(last_words(&mut peer), None);
    assert_eq!(peer.poll_event(), Some(Event::Down(Reason::PeerRestarted)));
    peer.handle_input(second, &keepalive(), now);
    assert_eq!(peer.session().map(|session| session.connection), Some(second));
}

#[test]
fn a_second_connection_of_the_peer_ends_its_first() {
    let now = start();
    let mut passive = Config { dial: false, ..config() };
    passive.accept = true;
    let mut peer = Peer::new(passive, 1);
    peer.start(now);
    assert_eq!((peer.state(), peer.poll_action(), peer.poll_timeout()), (State::Active, None, None));
    let first = peer.accept(LOCAL, now).unwrap();
    let second = peer.accept(LOCAL, now).unwrap();
    let actions: Vec<_> = std::iter::from_fn(|| peer.poll_action()).collect();
    assert!(
        matches!(&actions[..], [Action::Close { connection, .. }] if *connection == first),
        "{actions:?}"
    );
    peer.handle_input(second, &octets(&open()), now);
    peer.handle_input(second, &keepalive(), now);
    assert_eq!(peer.state(), State::Established);
}

#[test]
fn who_does_not_accept_or_is_idle_takes_no_connection() {
    let now = start();
    let mut deaf = Peer::new(Config { accept: false, ..config() }, 1);
    assert_eq!(deaf.accept(LOCAL, now), None);
    deaf.start(now);
    assert_eq!(deaf.accept(LOCAL, now), None);
    let (mut peer, id) = open_sent(config(), now);
    peer.handle_input(id, &message(6, &[]), now);
    assert_eq!((peer.state(), peer.accept(LOCAL, now)), (State::Idle, None));
}

#[test]
fn a_dial_that_still_waits_is_given_up_once_a_session_stands() {
    let now = start();
    let mut peer = Peer::new(config(), 1);
    peer.start(now);
    let dialling = dialed(&mut peer);
    let id = peer.accept(LOCAL, now).unwrap();
    peer.handle_input(id, &octets(&open()), now);
    peer.handle_input(id, &keepalive(), now);
    assert_eq!(peer.poll_action(), Some(Action::Close { connection: dialling, notification: None }));
    // What the driver finds out too late does not matter.
    peer.handle_connected(dialling, LOCAL, now);
    assert!(peer.poll_transmit(dialling).is_none());
}

#[test]
fn what_both_sides_can_is_what_is_done() {
    let now = start();
    let session = |config: Config, open: &Open, local: IpAddr| {
        let mut peer = Peer::new(config, 1);
        peer.start(now);
        let id = dialed(&mut peer);
        peer.handle_connected(id, local, now);
        peer.handle_input(id, &octets(open), now);
        peer.handle_input(id, &keepalive(), now);
        peer.session().unwrap().clone()
    };
    let bare = with(|open| open.capabilities = crate::wire::Capabilities::default());
    let found = session(config(), &bare, LOCAL);
    assert_eq!(found.delivery, PerFamily { ipv4: Delivery::Sent, ipv6: Delivery::NotOffered });
    assert!(!found.four_octet_as && !found.route_refresh && found.graceful_restart.is_none());

    let mut no_next_hops = config();
    no_next_hops.next_hops = crate::peer::NextHops::default();
    let found = session(no_next_hops.clone(), &open(), LOCAL);
    assert_eq!(found.delivery, PerFamily { ipv4: Delivery::Sent, ipv6: Delivery::NoNextHop });
    let ipv6 = "2001:db8::1".parse().unwrap();
    let found = session(no_next_hops.clone(), &open(), ipv6);
    assert_eq!(found.delivery, PerFamily { ipv4: Delivery::NoNextHop, ipv6: Delivery::Sent });
    let over_ipv6 = with(|open| open.capabilities.ipv4_over_ipv6 = true);
    let found = session(no_next_hops, &over_ipv6, ipv6);
    assert_eq!(found.delivery, PerFamily { ipv4: Delivery::Sent, ipv6: Delivery::Sent });

    let short = with(|open| open.hold_time_secs = 30);
    assert_eq!(session(config(), &short, LOCAL).hold_time.as_secs(), 30);
}
