//! What a router knows of our routes, in each way of saying them.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::peers::{
    config, dialed, established, graceful, graceful_open, keepalive, message, octets, open, start,
};
use super::receiver::{Receiver, Seen};
use crate::attributes::{AttributeValues, Attributes, Origin};
use crate::peer::{NextHops, RemoteAs, TRANSMIT_MAX_LEN};
use crate::values::Asn;
use crate::wire::{Capabilities, Open};
use crate::{Config, ConnectionId, Event, Family, Peer, PerFamily};

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn attributes() -> Arc<Attributes> {
    let values = AttributeValues {
        origin: Origin::Igp,
        prepend: 2,
        med: Some(7),
        local_pref: Some(250),
        communities: BTreeSet::from([0xffff_0000, 0xfde9_0001]),
        extended_communities: BTreeSet::from([[0, 2, 0xfd, 0xe9, 0, 0, 0, 1]]),
        large_communities: BTreeSet::from([[65_001, 1, 2]]),
    };
    Arc::new(Attributes::new(values).unwrap())
}

fn drain(peer: &mut Peer, id: ConnectionId, receiver: &mut Receiver) {
    while let Some(octets) = peer.poll_transmit(id) {
        assert!(octets.len() <= TRANSMIT_MAX_LEN);
        receiver.take(&octets);
    }
}

/// What a router sees of one IPv4 and one IPv6 prefix, on a connection with this local address.
fn seen(config: Config, open: &Open, local: IpAddr, mut receiver: Receiver) -> PerFamily<Option<Seen>> {
    let now = start();
    let mut peer = Peer::new(config, 1);
    let (ipv4, ipv6) = (net("198.51.100.7/32"), net("2001:db8:1::7/128"));
    peer.change_routes([ipv4, ipv6].map(|prefix| (prefix, Some(attributes()))));
    peer.set_routes_complete();
    peer.start(now);
    let id = dialed(&mut peer);
    peer.handle_connected(id, local, now);
    peer.handle_input(id, &octets(open), now);
    peer.handle_input(id, &keepalive(), now);
    drain(&mut peer, id, &mut receiver);
    let found =
        PerFamily { ipv4: receiver.routes.get(&ipv4).cloned(), ipv6: receiver.routes.get(&ipv6).cloned() };
    // What was said can be taken back.
    peer.change_routes([ipv4, ipv6].map(|prefix| (prefix, None)));
    drain(&mut peer, id, &mut receiver);
    assert!(receiver.routes.is_empty());
    assert!(!peer.wants_transmit(id));
    found
}

#[test]
fn an_external_peer_sees_path_med_and_communities() {
    let (local, next_hop) = ("192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap());
    let found = seen(config(), &open(), local, Receiver::default());
    assert_eq!(found.ipv4, Some(Seen::expected(&attributes(), 65_001, local)));
    assert_eq!(found.ipv6, Some(Seen::expected(&attributes(), 65_001, next_hop)));
}

#[test]
fn an_internal_peer_sees_a_preference_and_no_path() {
    let config = Config { remote_as: RemoteAs::Internal, ..config() };
    let mut open = open();
    open.my_as = 65_001;
    open.capabilities.four_octet_as = Some(65_001);
    let found = seen(config, &open, "192.0.2.1".parse().unwrap(), Receiver::default()).ipv4.unwrap();
    assert_eq!((found.as_path, found.local_pref, found.med), (vec![], Some(250), Some(7)));
}

#[test]
fn a_peer_of_two_octets_sees_the_whole_path_beside() {
    let config = Config { local_as: Asn::new(4_200_000_001).unwrap(), ..config() };
    let mut open = open();
    open.capabilities.four_octet_as = None;
    let found = seen(config, &open, "192.0.2.1".parse().unwrap(), Receiver::of_two_octets()).ipv4.unwrap();
    assert_eq!((found.as_path, found.as4_path), (vec![23_456; 3], vec![4_200_000_001; 3]));
}

#[test]
fn ipv4_goes_over_an_ipv6_next_hop_if_the_peer_takes_it() {
    let link_local = "fe80::1".parse().ok();
    let next_hops = NextHops { ipv4: None, ipv6: None, link_local };
    let config = Config { next_hops, ..config() };
    let mut open = open();
    let local: IpAddr = "2001:db8::1".parse().unwrap();
    assert_eq!(seen(config.clone(), &open, local, Receiver::default()).ipv4, None);
    open.capabilities.ipv4_over_ipv6 = true;
    let found = seen(config, &open, local, Receiver::default());
    for found in [found.ipv4.unwrap(), found.ipv6.unwrap()] {
        assert_eq!((found.next_hop, found.link_local), (Some(local), link_local.map(IpAddr::V6)));
    }
}

#[test]
fn a_family_that_the_peer_does_not_speak_is_not_sent() {
    let mut open = open();
    open.capabilities = Capabilities::default();
    let found = seen(config(), &open, "192.0.2.1".parse().unwrap(), Receiver::of_two_octets());
    assert!(found.ipv4.is_some() && found.ipv6.is_none());
}

#[test]
fn the_same_attributes_share_messages_up_to_their_limit() {
    let now = start();
    let (mut peer, id) = established(config(), &open(), now);
    let prefixes = (0..2_000_u32).map(|host| IpNet::from(IpAddr::from((0x0a00_0000 + host).to_be_bytes())));
    peer.change_routes(prefixes.clone().map(|prefix| (prefix, Some(attributes()))));
    let mut receiver = Receiver::default();
    drain(&mut peer, id, &mut receiver);
    assert_eq!(receiver.routes.len(), 2_000);
    // 4,096 less header, lengths and some 80 octets of attributes, at five octets each.
    assert_eq!(receiver.updates.len(), 3, "{:?}", receiver.updates);
    peer.change_routes(prefixes.map(|prefix| (prefix, None)));
    drain(&mut peer, id, &mut receiver);
    assert_eq!((receiver.routes.len(), receiver.updates.len()), (0, 6), "{:?}", receiver.updates);
}

#[test]
fn attributes_of_any_permitted_size_leave_room_for_a_prefix() {
    let large = |from| (0..170).map(move |index| [from, 0, index]).collect();
    let values = AttributeValues {
        prepend: 64,
        med: Some(1),
        large_communities: large(1),
        ..AttributeValues::default()
    };
    let attributes = Arc::new(Attributes::new(values.clone()).unwrap());
    assert!(Attributes::new(AttributeValues { prepend: 65, ..values.clone() }).is_err());
    let more = AttributeValues { communities: (0..3).collect(), ..values };
    assert_eq!(
        Attributes::new(more).unwrap_err().to_string(),
        "communities take 2052 octets, and 2048 are the limit; attach fewer of them"
    );
    let now = start();
    let mut old = open();
    old.capabilities.four_octet_as = None;
    let config = Config { local_as: Asn::new(4_200_000_001).unwrap(), ..config() };
    let (mut peer, id) = established(config, &old, now);
    peer.change_routes([
        (net("2001:db8::/64"), Some(Arc::clone(&attributes))),
        (net("10.0.0.0/8"), Some(attributes)),
    ]);
    let mut receiver = Receiver::of_two_octets();
    drain(&mut peer, id, &mut receiver);
    assert_eq!(receiver.routes.len(), 2);
}

#[test]
fn changes_while_the_peer_does_not_read_are_merged() {
    let now = start();
    let (mut peer, id) = established(config(), &open(), now);
    let prefix = net("198.51.100.7/32");
    for round in 0..1_000 {
        let values = AttributeValues { med: Some(round), ..AttributeValues::default() };
        peer.change_routes([(prefix, Some(Arc::new(Attributes::new(values).unwrap())))]);
    }
    let mut receiver = Receiver::default();
    drain(&mut peer, id, &mut receiver);
    assert_eq!((receiver.updates.len(), receiver.routes[&prefix].med), (1, Some(999)));
    // There and back is nothing at all.
    let known =
        Arc::new(Attributes::new(AttributeValues { med: Some(999), ..AttributeValues::default() }).unwrap());
    peer.change_routes([
        (prefix, None),
        (prefix, Some(known)),
        (net("10.0.0.0/8"), Some(attributes())),
        (net("10.0.0.0/8"), None),
    ]);
    assert!(!peer.wants_transmit(id));
}

#[test]
fn withdrawals_go_first() {
    let now = start();
    let (mut peer, id) = established(config(), &open(), now);
    let mut receiver = Receiver::default();
    let (gone, new) = (net("2001:db8::1/128"), net("10.0.0.1/32"));
    peer.change_routes([(gone, Some(attributes()))]);
    drain(&mut peer, id, &mut receiver);
    peer.change_routes([(new, Some(attributes())), (gone, None)]);
    drain(&mut peer, id, &mut receiver);
    assert_eq!(receiver.updates, [(0, 1), (1, 0), (0, 1)]);
}

#[test]
fn an_end_of_rib_waits_for_the_first_full_set() {
    let now = start();
    let restart = crate::peer::GracefulRestart { restarting: true, ..graceful() };
    let config = Config { graceful_restart: Some(restart), ..config() };
    let restarting = |peer: &mut Peer, id| {
        let sent = peer.poll_transmit(id).unwrap();
        let restart = Open::parse(&sent[19..]).unwrap().capabilities.graceful_restart.unwrap();
        assert_eq!(restart.forwarding, PerFamily { ipv4: true, ipv6: true });
        restart.restarting
    };
    let (mut peer, id) = established(config, &graceful_open(true), now);
    let mut receiver = Receiver::default();
    peer.change_routes([(net("10.0.0.1/32"), Some(attributes()))]);
    drain(&mut peer, id, &mut receiver);
    assert_eq!((receiver.routes.len(), receiver.ended), (1, PerFamily { ipv4: 0, ipv6: 0 }));

    // A session that is lost before has not ended the restart.
    peer.handle_closed(id, now);
    let now = peer.poll_timeout().unwrap();
    peer.handle_timeout(now);
    let id = dialed(&mut peer);
    peer.handle_connected(id, super::peers::LOCAL, now);
    assert!(restarting(&mut peer, id));
    peer.handle_input(id, &octets(&graceful_open(true)), now);
    peer.handle_input(id, &keepalive(), now);
    peer.set_routes_complete();
    let mut receiver = Receiver::default();
    drain(&mut peer, id, &mut receiver);
    assert_eq!((receiver.routes.len(), receiver.ended), (1, PerFamily { ipv4: 1, ipv6: 1 }));
    let events: Vec<_> = std::iter::from_fn(|| peer.poll_event()).collect();
    assert_eq!(events[events.len() - 2..], Family::ALL.map(Event::EndOfRibSent));

    peer.handle_closed(id, now);
    let now = peer.poll_timeout().unwrap();
    peer.handle_timeout(now);
    let id = dialed(&mut peer);
    peer.handle_connected(id, super::peers::LOCAL, now);
    assert!(!restarting(&mut peer, id));
}

#[test]
fn a_refresh_says_one_family_again_and_many_of_them_no_more_than_twice() {
    let now = start();
    let (mut peer, id) = established(config(), &open(), now);
    peer.set_routes_complete();
    let (ipv4, ipv6) = (net("10.0.0.1/32"), net("2001:db8::1/128"));
    peer.change_routes([ipv4, ipv6].map(|prefix| (prefix, Some(attributes()))));
    let mut receiver = Receiver::default();
    drain(&mut peer, id, &mut receiver);
    receiver.updates.clear();
    peer.handle_input(id, &message(5, &[0, 2, 0, 1]), now);
    drain(&mut peer, id, &mut receiver);
    assert_eq!((receiver.updates.len(), receiver.ended), (1, PerFamily { ipv4: 1, ipv6: 2 }));
    receiver.updates.clear();
    for _ in 0..100 {
        peer.handle_input(id, &message(5, &[0, 1, 0, 1]), now);
    }
    // What is withdrawn meanwhile is withdrawn, though it was to be said again.
    peer.change_routes([(ipv4, None), (net("10.0.0.2/32"), Some(attributes()))]);
    drain(&mut peer, id, &mut receiver);
    assert_eq!(receiver.updates, [(1, 0), (0, 1), (0, 1)]);
    assert!(!receiver.routes.contains_key(&ipv4));
    // Unknown families and the borders of RFC 7313 are ignored.
    peer.handle_input(id, &message(5, &[0x40, 4, 0, 71]), now);
    peer.handle_input(id, &message(5, &[0, 1, 1, 1]), now);
    assert!(!peer.wants_transmit(id));
}
