use std::net::Ipv4Addr;

use super::*;
use crate::frames::Form;
use crate::wire::arp::{ArpPacket, Operation};

mod conflicts;
mod families;
mod model;
mod questions;

const NODE: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x0a]);
const OTHER_NODE: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x0b]);
const CLIENT: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x0c]);
const CLIENT_IP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 200);
const VIP_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
const VIP: IpAddr = IpAddr::V4(VIP_V4);
const ETH0: IfIndex = IfIndex(2);
const ETH1: IfIndex = IfIndex(3);

#[expect(clippy::disallowed_methods, reason = "a virtual clock needs some instant to count from")]
fn start() -> Instant {
    Instant::now()
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn drain(announcer: &mut Announcer) -> Vec<(IfIndex, ArpPacket)> {
    std::iter::from_fn(|| announcer.poll_transmit())
        .map(|transmit| (transmit.interface, ArpPacket::parse(&transmit.frame).unwrap()))
        .collect()
}

/// Announces `VIP` on `ETH0` and drops the first announcement.
fn announcing(now: Instant) -> Announcer {
    let mut announcer = Announcer::new(Config::default());
    announcer.set_interface(ETH0, NODE, now);
    announcer.set_vips(ETH0, BTreeSet::from([VIP]), now).unwrap();
    assert_eq!(drain(&mut announcer).len(), 2);
    announcer
}

/// Lets time pass until `until`, as a driver does, and returns the seconds since `from` at which `vip` was announced.
fn announcements(announcer: &mut Announcer, vip: IpAddr, from: Instant, until: Instant) -> Vec<u64> {
    let mut at = Vec::new();
    while let Some(due) = announcer.poll_timeout()
        && due <= until
    {
        announcer.handle_timeout(due);
        let frames = drain(announcer);
        if frames.iter().any(|(_, packet)| IpAddr::from(packet.sender_ip) == vip) {
            at.push((due - from).as_secs());
        }
    }
    at
}

fn request() -> ArpPacket {
    ArpPacket {
        ethernet_destination: MacAddr::BROADCAST,
        ethernet_source: CLIENT,
        operation: Operation::Request,
        sender_mac: CLIENT,
        sender_ip: CLIENT_IP,
        target_mac: MacAddr::ZERO,
        target_ip: VIP_V4,
    }
}

#[test]
fn a_new_vip_is_announced_at_once_in_both_forms() {
    let now = start();
    let mut announcer = Announcer::new(Config::default());
    announcer.set_interface(ETH0, NODE, now);
    announcer.set_vips(ETH0, BTreeSet::from([VIP]), now).unwrap();
    let gratuitous_request = ArpPacket {
        ethernet_destination: MacAddr::BROADCAST,
        ethernet_source: NODE,
        operation: Operation::Request,
        sender_mac: NODE,
        sender_ip: VIP_V4,
        target_mac: MacAddr::ZERO,
        target_ip: VIP_V4,
    };
    let gratuitous_reply = ArpPacket { operation: Operation::Reply, target_mac: NODE, ..gratuitous_request };
    assert_eq!(drain(&mut announcer), [(ETH0, gratuitous_request), (ETH0, gratuitous_reply)]);
    assert_eq!(announcer.counters().arp.gratuitous, 2);
}

#[test]
fn a_burst_repeats_each_second_for_five_then_each_refresh_interval() {
    let now = start();
    let mut announcer = announcing(now);
    let at = announcements(&mut announcer, VIP, now, now + secs(200));
    assert_eq!(at, [1, 2, 3, 4, 5, 65, 125, 185]);
}

#[test]
fn without_refresh_a_vip_is_silent_after_its_burst() {
    let now = start();
    let mut announcer = Announcer::new(Config { refresh_interval_secs: 0, ..Config::default() });
    announcer.set_interface(ETH0, NODE, now);
    announcer.set_vips(ETH0, BTreeSet::from([VIP]), now).unwrap();
    let at = announcements(&mut announcer, VIP, now, now + secs(10_000));
    assert_eq!(at, [0, 1, 2, 3, 4, 5]);
    assert_eq!(announcer.poll_timeout(), None);
    // It is still answered for.
    announcer.handle_input(ETH0, &request().emit(), now);
    assert_eq!(drain(&mut announcer).len(), 1);
}

#[test]
fn the_longest_refresh_interval_is_no_trouble() {
    let now = start();
    let mut announcer = Announcer::new(Config { refresh_interval_secs: u32::MAX, ..Config::default() });
    announcer.set_interface(ETH0, NODE, now);
    announcer.set_vips(ETH0, BTreeSet::from([VIP]), now).unwrap();
    assert_eq!(announcements(&mut announcer, VIP, now, now + secs(3600)), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn the_same_vips_again_disturb_no_schedule() {
    let now = start();
    let mut announcer = announcing(now);
    let later = now + Duration::from_millis(1500);
    announcer.handle_timeout(now + secs(1));
    drain(&mut announcer);
    let other = Ipv4Addr::new(192, 0, 2, 11);
    announcer.set_vips(ETH0, BTreeSet::from([VIP, other.into()]), later).unwrap();
    let frames = drain(&mut announcer);
    assert!(frames.iter().all(|(_, packet)| packet.sender_ip == other), "{frames:?}");
    assert_eq!(announcements(&mut announcer, VIP, now, now + secs(10)), [2, 3, 4, 5]);
}

#[test]
fn a_vip_that_is_gone_stops_at_once_even_with_frames_waiting() {
    let now = start();
    let mut announcer = Announcer::new(Config::default());
    announcer.set_interface(ETH0, NODE, now);
    announcer.set_vips(ETH0, BTreeSet::from([VIP]), now).unwrap();
    announcer.handle_input(ETH0, &request().emit(), now);
    announcer.set_vips(ETH0, BTreeSet::new(), now).unwrap();
    assert_eq!(drain(&mut announcer), []);
    assert_eq!(announcer.poll_timeout(), None);
    announcer.handle_input(ETH0, &request().emit(), now);
    assert_eq!(drain(&mut announcer), []);
    assert_eq!(announcer.counters().arp.replies, 0);
}

#[test]
fn a_removed_interface_falls_silent_and_begins_anew_when_it_returns() {
    let now = start();
    let mut announcer = announcing(now);
    announcer.handle_timeout(now + secs(1));
    announcer.remove_interface(ETH0);
    announcer.handle_input(ETH0, &request().emit(), now);
    assert_eq!(drain(&mut announcer), []);
    assert_eq!(announcer.poll_timeout(), None);
    let vips = BTreeSet::from([VIP]);
    let back = now + secs(2);
    assert_eq!(announcer.set_vips(ETH0, vips.clone(), back), Err(UnknownInterface(ETH0)));
    announcer.set_interface(ETH0, NODE, back);
    announcer.set_vips(ETH0, vips, back).unwrap();
    assert_eq!(drain(&mut announcer).len(), 2);
    assert_eq!(announcements(&mut announcer, VIP, back, back + secs(10)), [1, 2, 3, 4, 5]);
}

#[test]
fn a_new_mac_address_brings_a_new_burst_with_it() {
    let now = start();
    let mut announcer = announcing(now);
    announcements(&mut announcer, VIP, now, now + secs(30));
    let changed = now + secs(30);
    announcer.set_interface(ETH0, NODE, changed);
    assert_eq!(drain(&mut announcer), [], "the same address is no change");
    announcer.set_interface(ETH0, OTHER_NODE, changed);
    let frames = drain(&mut announcer);
    assert_eq!(frames.len(), 2);
    assert!(frames.iter().all(|(_, packet)| packet.sender_mac == OTHER_NODE), "{frames:?}");
    assert_eq!(announcements(&mut announcer, VIP, changed, changed + secs(70)), [1, 2, 3, 4, 5, 65]);
}

#[test]
fn a_late_wake_up_makes_up_for_nothing() {
    let now = start();
    let mut announcer = announcing(now);
    let thawed = now + secs(3600);
    announcer.handle_timeout(thawed);
    assert_eq!(drain(&mut announcer).len(), 2);
    assert_eq!(announcer.poll_timeout(), Some(thawed + secs(1)));
}

#[test]
fn requests_for_a_vip_are_answered_and_nothing_else_is() {
    let foreign = Ipv4Addr::new(192, 0, 2, 99);
    let group = MacAddr([0x01, 0, 0x5e, 0, 0, 1]);
    let cases = [
        ("broadcast", true, request()),
        ("unicast", true, ArpPacket { ethernet_destination: NODE, target_mac: NODE, ..request() }),
        ("probe", true, ArpPacket { sender_ip: Ipv4Addr::UNSPECIFIED, ..request() }),
        ("for a foreign address", false, ArpPacket { target_ip: foreign, ..request() }),
        ("meant for another station", false, ArpPacket { ethernet_destination: OTHER_NODE, ..request() }),
        ("to a group", false, ArpPacket { ethernet_destination: group, ..request() }),
        ("gratuitous", false, ArpPacket { sender_ip: VIP_V4, ..request() }),
        ("reply", false, ArpPacket { operation: Operation::Reply, ..request() }),
        ("our own", false, ArpPacket { sender_mac: NODE, ..request() }),
        ("from the broadcast address", false, ArpPacket { sender_mac: MacAddr::BROADCAST, ..request() }),
        ("from a group address", false, ArpPacket { sender_mac: group, ..request() }),
        ("from nobody", false, ArpPacket { sender_mac: MacAddr::ZERO, ..request() }),
    ];
    for (name, answered, packet) in cases {
        let now = start();
        let mut announcer = announcing(now);
        announcer.handle_input(ETH0, &packet.emit(), now);
        let expected = ArpPacket {
            ethernet_destination: CLIENT,
            ethernet_source: NODE,
            operation: Operation::Reply,
            sender_mac: NODE,
            sender_ip: VIP_V4,
            target_mac: CLIENT,
            target_ip: packet.sender_ip,
        };
        let mut frames = drain(&mut announcer);
        // What tells that a foreigner has the VIP is not answered, but the VIP is defended.
        frames.retain(|(_, packet)| packet.ethernet_destination != MacAddr::BROADCAST);
        assert_eq!(frames, if answered { vec![(ETH0, expected)] } else { vec![] }, "{name}");
        let counted = u64::from(answered);
        let counters = announcer.counters().arp;
        assert_eq!((counters.requests, counters.replies), (counted, counted), "{name}");
    }
}

#[test]
fn a_vip_is_answered_only_on_its_own_interface() {
    let now = start();
    let mut announcer = announcing(now);
    announcer.set_interface(ETH1, OTHER_NODE, now);
    announcer.handle_input(ETH1, &request().emit(), now);
    announcer.handle_input(IfIndex(99), &request().emit(), now);
    assert_eq!(drain(&mut announcer), []);
}

#[test]
fn broken_frames_are_counted_and_dropped() {
    let now = start();
    let mut announcer = announcing(now);
    announcer.handle_input(ETH0, &request().emit()[..41], now);
    announcer.handle_input(ETH0, &[], now);
    assert_eq!(drain(&mut announcer), []);
    assert_eq!(announcer.counters().malformed, 2);
}

#[test]
fn answers_overtake_announcements() {
    let now = start();
    let mut announcer = announcing(now);
    let many = (0..200).map(|host| Ipv4Addr::new(198, 51, 100, host).into()).chain([VIP]).collect();
    announcer.set_vips(ETH0, many, now).unwrap();
    announcer.poll_transmit().unwrap();
    announcer.handle_input(ETH0, &request().emit(), now);
    let next = ArpPacket::parse(&announcer.poll_transmit().unwrap().frame).unwrap();
    assert_eq!((next.ethernet_destination, next.sender_ip), (CLIENT, VIP_V4));
}

#[test]
fn a_flood_of_requests_leaves_a_bounded_number_of_answers_waiting() {
    let now = start();
    let mut announcer = announcing(now);
    let frame = request().emit();
    for _ in 0..3 * PENDING_ANSWERS_MAX {
        announcer.handle_input(ETH0, &frame, now);
    }
    assert_eq!(drain(&mut announcer).len(), PENDING_ANSWERS_MAX);
    assert_eq!(announcer.counters().arp.requests, 3 * PENDING_ANSWERS_MAX as u64);
}
