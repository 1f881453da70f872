//! Stations that claim what is announced here.

use super::*;
use crate::wire::ndp::{ALL_NODES, Message, NdpPacket};

const MEMBER: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x0e]);
const FOREIGN: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x66]);
const VIP_V6: std::net::Ipv6Addr = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10);

fn both(now: Instant) -> Announcer {
    let mut announcer = Announcer::new(Config { refresh_interval_secs: 0, ..Config::default() });
    announcer.set_interface(ETH0, NODE, now);
    announcer.set_members([MEMBER].into());
    announcer.set_vips(ETH0, [VIP, VIP_V6.into()].into(), now).unwrap();
    announcer
}

/// Lets the bursts pass.
fn quiet(now: Instant) -> (Announcer, Instant) {
    let mut announcer = both(now);
    let later = now + secs(6);
    while let Some(due) = announcer.poll_timeout() {
        announcer.handle_timeout(due);
        sent(&mut announcer);
    }
    announcer.handle_timeout(later);
    (announcer, later)
}

fn sent(announcer: &mut Announcer) -> Vec<Frame> {
    std::iter::from_fn(|| announcer.poll_transmit()).map(|transmit| transmit.frame).collect()
}

fn events(announcer: &mut Announcer) -> Vec<Event> {
    std::iter::from_fn(|| announcer.poll_event()).collect()
}

fn announcement(vip: IpAddr, mac: MacAddr) -> Frame {
    crate::frames::gratuitous(mac, vip, Form::Request)
}

fn conflict(vip: IpAddr, mac: MacAddr) -> Event {
    Event::Conflict { vip, interface: ETH0, mac }
}

/// RFC 5227 §2.4 (c), RFC 4862 §5.4.4.
#[test]
fn a_foreign_claim_is_told_and_defended_once_in_ten_seconds() {
    for vip in [VIP, VIP_V6.into()] {
        let (mut announcer, began) = quiet(start());
        let mut defended = Vec::new();
        let mut told = Vec::new();
        for second in 0..35 {
            let now = began + secs(second);
            announcer.handle_input(ETH0, &announcement(vip, FOREIGN), now);
            let frames = sent(&mut announcer);
            if !frames.is_empty() {
                defended.push(second);
                assert_eq!(frames.len(), if vip.is_ipv4() { 2 } else { 1 });
                assert!(frames.iter().all(|frame| frame[6..12] == NODE.0), "{frames:?}");
            }
            told.extend(events(&mut announcer).into_iter().map(|event| (second, event)));
        }
        assert_eq!(defended, [0, 10, 20, 30], "{vip}");
        assert_eq!(told, [(0, conflict(vip, FOREIGN))], "{vip}");
        assert_eq!(announcer.counters().defences, 4);
        assert_eq!(announcer.counters().foreign_claims, 35);
    }
}

#[test]
fn only_claims_of_foreign_stations_for_announced_vips_are_conflicts() {
    let (vip, other) = (VIP, IpAddr::from(Ipv4Addr::new(192, 0, 2, 99)));
    let advertisement = |at, sender| {
        let packet = NdpPacket {
            ethernet_destination: MacAddr::of_group(ALL_NODES),
            ethernet_source: sender,
            source: VIP_V6,
            destination: ALL_NODES,
            target: VIP_V6,
            message: Message::Advertisement {
                target_mac: Some(at),
                is_router: false,
                is_solicited: false,
                overrides: false,
            },
        };
        packet.emit()
    };
    let uses = ArpPacket {
        sender_mac: FOREIGN,
        sender_ip: VIP_V4,
        target_ip: Ipv4Addr::new(192, 0, 2, 1),
        ..request()
    };
    let cases = [
        ("an announcement", announcement(vip, FOREIGN), vec![conflict(vip, FOREIGN)]),
        ("a question asked from it", uses.emit(), vec![conflict(vip, FOREIGN)]),
        ("an advertisement", advertisement(FOREIGN, FOREIGN), vec![conflict(VIP_V6.into(), FOREIGN)]),
        ("of another address", announcement(other, FOREIGN), vec![]),
        ("of our own station", announcement(vip, NODE), vec![]),
        ("of a stand-in for us", advertisement(NODE, MEMBER), vec![]),
        (
            "of a member",
            announcement(vip, MEMBER),
            vec![Event::MemberAnnounces { vip, interface: ETH0, mac: MEMBER }],
        ),
        ("a question that a member asks from it", ArpPacket { sender_mac: MEMBER, ..uses }.emit(), vec![]),
        ("a probe, which is answered", crate::frames::probe(FOREIGN, vip, [0; 6]), vec![]),
    ];
    for (name, frame, expected) in cases {
        let (mut announcer, now) = quiet(start());
        announcer.handle_input(ETH0, &frame, now);
        assert_eq!(events(&mut announcer), expected, "{name}");
        let is_defended = matches!(expected.first(), Some(Event::Conflict { .. }));
        let announced = sent(&mut announcer).iter().any(|frame| frame[0] & 1 == 1);
        assert_eq!(announced, is_defended, "{name}");
    }
}

#[test]
fn a_conflict_is_over_after_30_s_of_silence_and_an_unanswered_question() {
    for vip in [VIP, VIP_V6.into()] {
        let (mut announcer, began) = quiet(start());
        announcer.handle_input(ETH0, &announcement(vip, FOREIGN), began);
        sent(&mut announcer);
        // It speaks again after 20 s, and answers the first question.
        let again = began + secs(20);
        announcer.handle_input(ETH0, &announcement(vip, FOREIGN), again);
        assert_eq!(events(&mut announcer), [conflict(vip, FOREIGN)]);
        sent(&mut announcer);
        let mut asked = Vec::new();
        let mut over = None;
        while let Some(due) = announcer.poll_timeout() {
            announcer.handle_timeout(due);
            let questions = sent(&mut announcer).iter().filter(|frame| frame[..6] == FOREIGN.0).count();
            if questions > 0 {
                asked.push((due - began).as_millis());
                if asked.len() == 1 {
                    announcer.handle_input(ETH0, &announcement(vip, FOREIGN), due);
                }
            }
            for event in events(&mut announcer) {
                assert_eq!(event, Event::ConflictOver { vip, interface: ETH0, mac: FOREIGN });
                over = Some((due - began).as_millis());
            }
        }
        assert_eq!(asked, [50_000, 80_000, 80_020], "{vip}");
        assert_eq!(over, Some(80_040), "{vip}");
        announcer.handle_input(ETH0, &announcement(vip, FOREIGN), began + secs(100));
        assert_eq!(events(&mut announcer), [conflict(vip, FOREIGN)], "a new one");
    }
}

#[test]
fn a_conflict_ends_when_its_station_turns_out_to_be_a_member() {
    let (mut announcer, now) = quiet(start());
    announcer.handle_input(ETH0, &announcement(VIP, FOREIGN), now);
    announcer.set_members([MEMBER, FOREIGN].into());
    let over = Event::ConflictOver { vip: VIP, interface: ETH0, mac: FOREIGN };
    assert_eq!(events(&mut announcer), [conflict(VIP, FOREIGN), over]);
}

#[test]
fn a_conflict_about_a_withdrawn_vip_is_forgotten() {
    let (mut announcer, now) = quiet(start());
    announcer.handle_input(ETH0, &announcement(VIP, FOREIGN), now);
    announcer.withdraw(ETH0, VIP);
    assert_eq!(sent(&mut announcer), [], "no defence");
    assert_eq!(events(&mut announcer), [conflict(VIP, FOREIGN)]);
    assert_eq!(announcer.poll_timeout(), None);
}

#[test]
fn claims_of_members_are_told_at_most_five_times_a_second() {
    let (mut announcer, now) = quiet(start());
    for millis in 0..1000 {
        announcer.handle_input(ETH0, &announcement(VIP, MEMBER), now + Duration::from_millis(millis));
    }
    assert_eq!(events(&mut announcer).len(), 5);
    assert_eq!(sent(&mut announcer), [], "no defence");
}

#[test]
fn a_storm_of_spoofed_claims_grows_nothing_and_changes_no_schedule() {
    let (mut announcer, began) = quiet(start());
    for nth in 0..200_000u32 {
        let [_, a, b, c] = nth.to_be_bytes();
        let mac = MacAddr([0x02, 0x66, 0, a, b, c]);
        let now = began + Duration::from_micros(10) * nth;
        announcer.handle_input(ETH0, &announcement(VIP, mac), now);
        announcer.handle_input(ETH0, &announcement(VIP_V6.into(), mac), now);
    }
    let defences = sent(&mut announcer);
    assert_eq!(defences.len(), 3, "one announcement for each VIP in these two seconds: {defences:?}");
    assert_eq!(events(&mut announcer).len(), 2);
    let conflicts = announcer.conflicts.len();
    assert_eq!(conflicts, 2, "one for each VIP, not for each station");
}
