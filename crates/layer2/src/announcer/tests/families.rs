//! What both families have in common, by many VIPs; and stand-ins.

use super::*;
use crate::wire::ndp::{Message, NdpPacket};

const HOLDER: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x0d]);
const VIP_V6: std::net::Ipv6Addr = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10);

fn solicitation() -> Frame {
    let nets = ["fe80::c/64".parse().unwrap()];
    crate::frames::unicast_question(CLIENT, &nets, VIP_V6.into(), NODE)
}

/// Drains as a driver does until `until`; gives the time of the last gratuitous frame, and how many there were.
fn run(announcer: &mut Announcer, start: Instant, until: Duration) -> (Duration, usize) {
    let (mut last, mut count, mut now) = (Duration::ZERO, 0, start);
    loop {
        while announcer.poll_transmit().is_some() {
            count += 1;
            last = now - start;
        }
        match announcer.poll_timeout() {
            Some(due) if due < start + until => now = due,
            _ => return (last, count),
        }
        announcer.handle_timeout(now);
    }
}

#[test]
fn ten_thousand_vips_of_each_family_are_announced_within_two_seconds() {
    let v4: BTreeSet<IpAddr> = (0..10_000u32).map(|n| Ipv4Addr::from(0x0a00_0000 + n).into()).collect();
    let v6: BTreeSet<IpAddr> =
        (0..10_000u128).map(|n| std::net::Ipv6Addr::from(u128::from(VIP_V6) + n).into()).collect();
    for (vips, frames) in [(v4.clone(), 20_000), (v6.clone(), 10_000), (&v4 | &v6, 30_000)] {
        let now = start();
        let mut announcer = Announcer::new(Config::default());
        announcer.set_interface(ETH0, NODE, now);
        announcer.set_vips(ETH0, vips.clone(), now).unwrap();
        let mut announced = BTreeSet::new();
        let mut at = now;
        while announced.len() < vips.len() {
            while let Some(transmit) = announcer.poll_transmit() {
                let address: IpAddr = if transmit.is_ipv6 {
                    NdpPacket::parse(&transmit.frame).unwrap().target.into()
                } else {
                    ArpPacket::parse(&transmit.frame).unwrap().sender_ip.into()
                };
                announced.insert(address);
            }
            at = announcer.poll_timeout().unwrap();
            announcer.handle_timeout(at);
        }
        assert!(at - now <= secs(2), "{frames} frames took {:?}", at - now);
    }
}

#[test]
fn ten_thousand_vips_are_all_told_of_once_within_half_a_second_before_any_is_told_of_twice() {
    let vips: BTreeSet<IpAddr> = (0..10_000u32).map(|n| Ipv4Addr::from(0x0a00_0000 + n).into()).collect();
    let now = start();
    let mut announcer = Announcer::new(Config::default());
    announcer.set_interface(ETH0, NODE, now);
    announcer.set_vips(ETH0, vips.clone(), now).unwrap();
    let (mut told, mut at) = (BTreeSet::new(), now);
    while told.len() < vips.len() {
        for (_, packet) in drain(&mut announcer) {
            assert_eq!(packet.operation, Operation::Request, "{} of 10,000 were told of", told.len());
            assert!(told.insert(packet.sender_ip));
        }
        assert!(at - now <= Duration::from_millis(500), "{:?}", at - now);
        at = announcer.poll_timeout().unwrap();
        announcer.handle_timeout(at);
    }
}

#[test]
fn more_vips_than_the_pace_allows_are_all_announced_equally_often() {
    let now = start();
    let mut announcer = Announcer::new(Config { refresh_interval_secs: 1, ..Config::default() });
    announcer.set_interface(ETH0, NODE, now);
    let vips = (0..30_000u32).map(|n| Ipv4Addr::from(0x0a00_0000 + n).into()).collect();
    announcer.set_vips(ETH0, vips, now).unwrap();
    let mut counts: BTreeMap<Ipv4Addr, usize> = BTreeMap::new();
    let mut at = now;
    while at < now + secs(10) {
        while let Some(transmit) = announcer.poll_transmit() {
            *counts.entry(ArpPacket::parse(&transmit.frame).unwrap().sender_ip).or_default() += 1;
        }
        at = announcer.poll_timeout().unwrap();
        announcer.handle_timeout(at);
    }
    let (least, most) = (counts.values().min().unwrap(), counts.values().max().unwrap());
    assert_eq!(counts.len(), 30_000);
    assert!(most - least <= 2, "between {least} and {most} frames in 10 s");
}

#[test]
fn an_ipv6_vip_keeps_the_same_schedule_with_one_frame_each() {
    let now = start();
    let mut announcer = Announcer::new(Config { refresh_interval_secs: 60, ..Config::default() });
    announcer.set_interface(ETH0, NODE, now);
    announcer.announce(ETH0, VIP_V6.into(), now).unwrap();
    assert_eq!(run(&mut announcer, now, secs(126)), (secs(125), 6 + 2));
    assert_eq!(announcer.counters().ndp.gratuitous, 8);
}

#[test]
fn a_burst_begins_anew_on_demand_but_not_for_what_is_not_announced() {
    let now = start();
    let mut announcer = announcing(now);
    announcements(&mut announcer, VIP, now, now + secs(30));
    let again = now + secs(30);
    announcer.burst(ETH0, VIP, again);
    announcer.burst(ETH0, VIP_V6.into(), again);
    announcer.burst(ETH1, VIP, again);
    assert_eq!(drain(&mut announcer).len(), 2);
    assert_eq!(announcements(&mut announcer, VIP, again, again + secs(70)), [1, 2, 3, 4, 5, 65]);
}

#[test]
fn solicitations_are_answered_unicast_ones_too() {
    let now = start();
    let mut announcer = announcing(now);
    announcer.handle_input(ETH0, &solicitation(), now);
    assert_eq!(announcer.poll_transmit(), None, "not announced");
    announcer.announce(ETH0, VIP_V6.into(), now).unwrap();
    announcer.handle_input(ETH0, &solicitation(), now);
    let transmit = announcer.poll_transmit().unwrap();
    let packet = NdpPacket::parse(&transmit.frame).unwrap();
    assert!(transmit.is_ipv6);
    assert_eq!((packet.ethernet_destination, packet.target), (CLIENT, VIP_V6));
    assert!(matches!(packet.message, Message::Advertisement { is_solicited: true, overrides: true, .. }));
    assert_eq!((announcer.counters().ndp.requests, announcer.counters().ndp.replies), (1, 1));
}

#[test]
fn a_stand_in_answers_for_the_holder_and_announces_nothing() {
    let now = start();
    let mut announcer = Announcer::new(Config::default());
    announcer.set_interface(ETH0, NODE, now);
    assert_eq!(announcer.stand_in(ETH1, VIP, HOLDER), Err(UnknownInterface(ETH1)));
    announcer.stand_in(ETH0, VIP, HOLDER).unwrap();
    announcer.stand_in(ETH0, VIP_V6.into(), HOLDER).unwrap();
    assert_eq!((announcer.poll_transmit(), announcer.poll_timeout()), (None, None));
    announcer.handle_input(ETH0, &request().emit(), now);
    let [(_, answer)] = &drain(&mut announcer)[..] else { panic!("no answer") };
    assert_eq!((answer.ethernet_source, answer.sender_mac), (NODE, HOLDER));
    announcer.handle_input(ETH0, &solicitation(), now);
    let answer = NdpPacket::parse(&announcer.poll_transmit().unwrap().frame).unwrap();
    assert!(matches!(answer.message, Message::Advertisement { target_mac: Some(HOLDER), .. }));

    // The holder is back, and somebody claims the VIP: neither is this node's business.
    announcer.handle_input(ETH0, &crate::frames::gratuitous(CLIENT, VIP, Form::Request), now);
    announcer.handle_input(ETH0, &ArpPacket { sender_mac: HOLDER, ..request() }.emit(), now);
    assert_eq!((announcer.poll_event(), announcer.poll_transmit()), (None, None));

    // Now it is its own.
    announcer.announce(ETH0, VIP, now).unwrap();
    announcer.stand_in(ETH0, VIP, HOLDER).unwrap();
    assert_eq!(drain(&mut announcer).len(), 2);
    announcer.handle_input(ETH0, &request().emit(), now);
    assert_eq!(drain(&mut announcer)[0].1.sender_mac, NODE);
    announcer.withdraw(ETH0, VIP);
    announcer.end_stand_in(ETH0, VIP_V6.into());
    announcer.handle_input(ETH0, &request().emit(), now);
    announcer.handle_input(ETH0, &solicitation(), now);
    assert_eq!(announcer.poll_transmit(), None);
}
