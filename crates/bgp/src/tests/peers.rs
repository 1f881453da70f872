//! Peers for tests, and the messages that their peers send.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use crate::peer::{GracefulRestart, RemoteAs};
use crate::values::Asn;
use crate::wire::{Capabilities, ErrorCode, Notification, Open, RestartCapability, write_keepalive};
use crate::{Action, Config, ConnectionId, Event, HoldTime, Peer, PerFamily, RouterId};

pub(crate) const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

#[expect(clippy::disallowed_methods, reason = "a virtual clock needs some instant to count from")]
pub(crate) fn start() -> Instant {
    Instant::now()
}

/// AS 65001 with identifier 192.0.2.1, which dials and accepts.
pub(crate) fn config() -> Config {
    let mut config = Config::new(
        Asn::new(65_001).unwrap(),
        RemoteAs::Number(Asn::new(65_002).unwrap()),
        RouterId::new(Ipv4Addr::new(192, 0, 2, 1)).unwrap(),
    );
    config.accept = true;
    config.next_hops.ipv6 = Some("2001:db8::1".parse().unwrap());
    config
}

pub(crate) fn graceful() -> GracefulRestart {
    GracefulRestart {
        restart_time: std::time::Duration::from_secs(120),
        over_notification: true,
        over_bfd_down: false,
        restarting: false,
    }
}

/// The OPEN of AS 65002 with identifier 192.0.2.2.
pub(crate) fn open() -> Open {
    Open {
        my_as: 65_002,
        hold_time_secs: HoldTime::SUGGESTED.as_secs(),
        identifier: Ipv4Addr::new(192, 0, 2, 2),
        capabilities: Capabilities {
            multiprotocol: Some(PerFamily { ipv4: true, ipv6: true }),
            four_octet_as: Some(65_002),
            route_refresh: true,
            ..Capabilities::default()
        },
    }
}

/// The same, with graceful restart.
pub(crate) fn graceful_open(notification: bool) -> Open {
    let mut open = open();
    open.capabilities.graceful_restart =
        Some(RestartCapability { notification, time_secs: 60, ..RestartCapability::default() });
    open
}

pub(crate) fn octets(open: &Open) -> Vec<u8> {
    let mut octets = Vec::new();
    open.write(&mut octets);
    octets
}

pub(crate) fn keepalive() -> Vec<u8> {
    let mut octets = Vec::new();
    write_keepalive(&mut octets);
    octets
}

/// A message of any type with any body.
pub(crate) fn message(type_octet: u8, body: &[u8]) -> Vec<u8> {
    let mut octets = vec![0xff; 16];
    octets.extend(u16::try_from(19 + body.len()).unwrap().to_be_bytes());
    octets.push(type_octet);
    octets.extend(body);
    octets
}

pub(crate) fn notification(error: ErrorCode) -> Vec<u8> {
    let mut octets = Vec::new();
    Notification::new(error, vec![]).write(&mut octets);
    octets
}

/// The connection that the peer asks for.
pub(crate) fn dialed(peer: &mut Peer) -> ConnectionId {
    match peer.poll_action() {
        Some(Action::Connect(id)) => id,
        other => panic!("no connection is asked for, but {other:?}"),
    }
}

/// Starts a peer and brings it to OpenSent.
pub(crate) fn open_sent(config: Config, now: Instant) -> (Peer, ConnectionId) {
    let mut peer = Peer::new(config, 1);
    peer.start(now);
    let id = dialed(&mut peer);
    peer.handle_connected(id, LOCAL, now);
    (peer, id)
}

/// Starts a peer and brings it to Established, with all that it said taken away.
pub(crate) fn established(config: Config, open: &Open, now: Instant) -> (Peer, ConnectionId) {
    let (mut peer, id) = open_sent(config, now);
    peer.handle_input(id, &octets(open), now);
    peer.handle_input(id, &keepalive(), now);
    assert!(matches!(peer.poll_event(), Some(Event::Established(_))), "{peer:?}");
    while peer.poll_transmit(id).is_some() {}
    (peer, id)
}

/// The last message with which a connection was closed.
pub(crate) fn last_words(peer: &mut Peer) -> Option<Notification> {
    std::iter::from_fn(|| peer.poll_action()).find_map(|action| match action {
        Action::Close { notification, .. } => {
            notification.map(|octets| Notification::parse(&octets[19..]).unwrap())
        }
        Action::Connect(_) => None,
    })
}
