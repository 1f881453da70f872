//! Questions to stations and segments, in both families.

use super::*;
use crate::wire::ndp::{ALL_NODES, Message, NdpPacket, solicited_node_group};

const OLD_HOLDER: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x0d]);
const MEMBER: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x0e]);
const VIP_V6: std::net::Ipv6Addr = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10);

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn idle(now: Instant) -> Announcer {
    let mut announcer = Announcer::new(Config::default());
    announcer.set_interface(ETH0, NODE, now);
    announcer.set_addresses(ETH0, &["192.0.2.1/24".parse().unwrap(), "fe80::1/64".parse().unwrap()]).unwrap();
    announcer.set_members([OLD_HOLDER, MEMBER].into());
    announcer
}

fn frames(announcer: &mut Announcer) -> Vec<Frame> {
    std::iter::from_fn(|| announcer.poll_transmit()).map(|transmit| transmit.frame).collect()
}

fn events(announcer: &mut Announcer) -> Vec<Event> {
    std::iter::from_fn(|| announcer.poll_event()).collect()
}

/// Lets time pass as a driver does, and notes after how many milliseconds frames left and what was decided.
fn pass(announcer: &mut Announcer, start: Instant, until: Duration) -> (Vec<u64>, Vec<(u64, Outcome)>) {
    let (mut sent, mut decided) = (Vec::new(), Vec::new());
    let mut now = start;
    loop {
        let elapsed = (now - start).as_millis() as u64;
        sent.extend(frames(announcer).iter().map(|_| elapsed));
        for event in events(announcer) {
            let Event::Decided { outcome, .. } = event else { panic!("{event:?}") };
            decided.push((elapsed, outcome));
        }
        match announcer.poll_timeout() {
            Some(due) if due <= start + until => now = due,
            _ => return (sent, decided),
        }
        announcer.handle_timeout(now);
    }
}

/// A station's claim of the VIP, told to all or to us, from a station that need not be the one it speaks of.
fn claim(vip: IpAddr, mac: MacAddr, sender: MacAddr, to: MacAddr) -> Frame {
    match vip {
        IpAddr::V4(vip) => ArpPacket {
            ethernet_destination: to,
            ethernet_source: sender,
            operation: Operation::Reply,
            sender_mac: mac,
            sender_ip: vip,
            target_mac: NODE,
            target_ip: Ipv4Addr::new(192, 0, 2, 1),
        }
        .emit(),
        IpAddr::V6(vip) => NdpPacket {
            ethernet_destination: if to == NODE { to } else { MacAddr::of_group(ALL_NODES) },
            ethernet_source: sender,
            source: vip,
            destination: if to == NODE { "fe80::1".parse().unwrap() } else { ALL_NODES },
            target: vip,
            message: Message::Advertisement {
                target_mac: Some(mac),
                is_router: true,
                is_solicited: to == NODE,
                overrides: true,
            },
        }
        .emit(),
    }
}

#[test]
fn a_station_is_asked_twice_20_ms_apart_and_silent_after_40() {
    for vip in [VIP, VIP_V6.into()] {
        let now = start();
        let mut announcer = idle(now);
        announcer.ask_station(ETH0, vip, OLD_HOLDER, now).unwrap();
        assert_eq!(pass(&mut announcer, now, secs(9)), (vec![0, 20], vec![(40, Outcome::Silent)]), "{vip}");
        assert_eq!(announcer.poll_timeout(), None);
    }
}

#[test]
fn the_answer_of_the_station_itself_decides_at_once() {
    for vip in [VIP, VIP_V6.into()] {
        let now = start();
        let mut announcer = idle(now);
        let question = announcer.ask_station(ETH0, vip, OLD_HOLDER, now).unwrap();
        frames(&mut announcer);
        announcer.handle_input(ETH0, &claim(vip, OLD_HOLDER, OLD_HOLDER, NODE), now + millis(3));
        let decided = Event::Decided {
            question,
            interface: ETH0,
            address: vip,
            outcome: Outcome::Answered(OLD_HOLDER),
            seen: vec![OLD_HOLDER],
        };
        assert_eq!(events(&mut announcer), [decided]);
        assert_eq!(announcer.poll_timeout(), None);
        assert_eq!(frames(&mut announcer), []);
    }
}

#[test]
fn what_others_say_of_the_station_does_not_prove_that_it_lives() {
    for vip in [VIP, VIP_V6.into()] {
        let now = start();
        let mut announcer = idle(now);
        announcer.ask_station(ETH0, vip, OLD_HOLDER, now).unwrap();
        frames(&mut announcer);
        announcer.handle_input(ETH0, &claim(vip, OLD_HOLDER, MEMBER, NODE), now);
        announcer.handle_input(ETH0, &claim(vip, CLIENT, CLIENT, NODE), now);
        announcer.handle_input(ETH1, &claim(vip, OLD_HOLDER, OLD_HOLDER, NODE), now);
        announcer.handle_timeout(now + millis(20));
        frames(&mut announcer);
        announcer.handle_timeout(now + millis(40));
        let outcomes = events(&mut announcer);
        let [Event::Decided { outcome: Outcome::Silent, seen, .. }] = &outcomes[..] else {
            panic!("{vip}: {outcomes:?}")
        };
        assert_eq!(seen, &[OLD_HOLDER, CLIENT], "{vip}");
    }
}

#[test]
fn a_decision_of_a_process_that_was_starved_is_asked_again() {
    let now = start();
    let mut announcer = idle(now);
    announcer.ask_station(ETH0, VIP, OLD_HOLDER, now).unwrap();
    frames(&mut announcer);
    announcer.handle_timeout(now + millis(20));
    frames(&mut announcer);
    let thawed = now + secs(5);
    announcer.handle_timeout(thawed);
    assert_eq!(events(&mut announcer), []);
    assert_eq!(pass(&mut announcer, thawed, secs(1)), (vec![0, 20], vec![(40, Outcome::Silent)]));
}

#[test]
fn a_fast_check_probes_once_and_takes_50_ms() {
    for vip in [VIP, VIP_V6.into()] {
        let now = start();
        let mut announcer = idle(now);
        announcer.check_address(ETH0, vip, Check::Fast, now).unwrap();
        assert_eq!(pass(&mut announcer, now, secs(9)), (vec![0], vec![(50, Outcome::Silent)]), "{vip}");
    }
}

#[test]
fn a_full_check_keeps_the_times_of_rfc_5227() {
    let mut first = BTreeSet::new();
    for seed in 0..50 {
        let now = start();
        let mut announcer = Announcer::new(Config { seed, ..Config::default() });
        announcer.set_interface(ETH0, NODE, now);
        announcer.check_address(ETH0, VIP, Check::Full, now).unwrap();
        let (sent, decided) = pass(&mut announcer, now, secs(20));
        assert_eq!(sent.len(), 3, "PROBE_NUM");
        assert!(sent[0] <= 1000, "PROBE_WAIT: {sent:?}");
        for pair in sent.windows(2) {
            assert!((999..=2001).contains(&(pair[1] - pair[0])), "PROBE_MIN to PROBE_MAX: {sent:?}");
        }
        let [(at, Outcome::Silent)] = decided[..] else { panic!("{decided:?}") };
        assert!((1999..=2001).contains(&(at - sent[2])), "ANNOUNCE_WAIT: {sent:?}, {at}");
        first.insert(sent[0]);
    }
    assert!(first.len() > 25, "nodes that start together probe apart: {first:?}");
}

#[test]
fn without_a_check_an_address_is_silent_at_once() {
    let now = start();
    let mut announcer = idle(now);
    announcer.check_address(ETH0, VIP, Check::Off, now).unwrap();
    assert_eq!(pass(&mut announcer, now, secs(1)), (vec![], vec![(0, Outcome::Silent)]));
}

#[test]
fn a_check_names_all_stations_that_answer_and_probes_no_more() {
    for vip in [VIP, VIP_V6.into()] {
        for check in [Check::Fast, Check::Full] {
            let now = start();
            let mut announcer = idle(now);
            announcer.check_address(ETH0, vip, check, now).unwrap();
            announcer.handle_timeout(now + secs(1));
            frames(&mut announcer);
            let then = now + secs(1) + millis(10);
            announcer.handle_input(ETH0, &claim(vip, CLIENT, CLIENT, NODE), then);
            announcer.handle_input(ETH0, &claim(vip, MEMBER, MEMBER, MacAddr::BROADCAST), then);
            announcer.handle_timeout(then + millis(50));
            assert_eq!(frames(&mut announcer), []);
            let outcomes = events(&mut announcer);
            let [Event::Decided { outcome, seen, .. }] = &outcomes[..] else { panic!("{outcomes:?}") };
            assert_eq!((*outcome, &seen[..]), (Outcome::Answered(CLIENT), &[CLIENT, MEMBER][..]), "{vip}");
            assert_eq!(announcer.poll_timeout(), None);
        }
    }
}

/// RFC 5227 §2.1.1, RFC 4862 §5.4.3, RFC 7527 §4.2.
#[test]
fn a_foreign_station_that_wants_the_address_too_has_it() {
    let rival = |vip: IpAddr, mac: MacAddr, nonce| crate::frames::probe(mac, vip, nonce);
    for vip in [VIP, VIP_V6.into()] {
        let cases = [
            ("foreign", rival(vip, CLIENT, [1; 6]), Outcome::Answered(CLIENT)),
            ("a member, which agrees otherwise", rival(vip, MEMBER, [1; 6]), Outcome::Silent),
            ("our own", rival(vip, NODE, [1; 6]), Outcome::Silent),
        ];
        for (name, frame, expected) in cases {
            let now = start();
            let mut announcer = idle(now);
            announcer.check_address(ETH0, vip, Check::Fast, now).unwrap();
            frames(&mut announcer);
            announcer.handle_input(ETH0, &frame, now + millis(1));
            announcer.handle_timeout(now + millis(50));
            announcer.handle_timeout(now + millis(51));
            let outcomes = events(&mut announcer);
            assert!(
                matches!(&outcomes[..], [Event::Decided { outcome, .. }] if *outcome == expected),
                "{vip}, {name}: {outcomes:?}"
            );
        }
    }
}

#[test]
fn our_own_detection_that_comes_back_by_another_station_is_known_by_its_nonce() {
    let now = start();
    let mut announcer = idle(now);
    announcer.check_address(ETH0, VIP_V6.into(), Check::Fast, now).unwrap();
    let sent = frames(&mut announcer);
    let mut packet = NdpPacket::parse(&sent[0]).unwrap();
    assert_eq!(packet.destination, solicited_node_group(VIP_V6));
    packet.ethernet_source = CLIENT;
    announcer.handle_input(ETH0, &packet.emit(), now);
    assert_eq!(pass(&mut announcer, now, secs(1)).1, [(50, Outcome::Silent)]);
}

#[test]
fn questions_overtake_announcements_and_answers_overtake_questions() {
    let now = start();
    let mut announcer = idle(now);
    announcer
        .set_vips(ETH0, (0..=255).map(|host| Ipv4Addr::new(192, 0, 2, host).into()).collect(), now)
        .unwrap();
    announcer.handle_input(ETH0, &request().emit(), now);
    announcer.ask_station(ETH0, VIP_V6.into(), OLD_HOLDER, now).unwrap();
    let sent: Vec<_> = frames(&mut announcer).into_iter().take(3).collect();
    assert_eq!(ArpPacket::parse(&sent[0]).unwrap().ethernet_destination, CLIENT);
    assert_eq!(NdpPacket::parse(&sent[1]).unwrap().ethernet_destination, OLD_HOLDER);
    assert_eq!(ArpPacket::parse(&sent[2]).unwrap().ethernet_destination, MacAddr::BROADCAST);
}

#[test]
fn checks_of_10_000_addresses_are_paced_and_each_has_its_whole_time() {
    let now = start();
    let mut announcer = idle(now);
    for host in 0..10_000u32 {
        announcer.check_address(ETH0, Ipv4Addr::from(0x0a00_0000 + host).into(), Check::Fast, now).unwrap();
    }
    let (sent, decided) = pass(&mut announcer, now, secs(5));
    assert_eq!((sent.len(), decided.len()), (10_000, 10_000));
    assert!((480..=520).contains(&sent[9_999]), "{}", sent[9_999]);
    assert!(decided[9_999].0 >= sent[9_999] + 50);
}

#[test]
fn open_questions_are_bounded_and_end_with_their_interface() {
    let now = start();
    let mut announcer = idle(now);
    assert_eq!(
        announcer.ask_station(ETH1, VIP, CLIENT, now),
        Err(AskError::UnknownInterface(UnknownInterface(ETH1)))
    );
    for _ in 0..QUESTIONS_MAX {
        announcer.ask_station(ETH0, VIP, OLD_HOLDER, now).unwrap();
    }
    assert_eq!(announcer.ask_station(ETH0, VIP, CLIENT, now), Err(AskError::TooMany(QUESTIONS_MAX)));
    announcer.remove_interface(ETH0);
    let outcomes = events(&mut announcer);
    assert_eq!(outcomes.len(), QUESTIONS_MAX);
    assert!(matches!(outcomes[0], Event::Decided { outcome: Outcome::Abandoned, .. }));
    assert_eq!((frames(&mut announcer), announcer.poll_timeout()), (vec![], None));
}

#[test]
fn the_addresses_of_an_interface_are_those_announced_stood_in_for_and_asked_about() {
    let now = start();
    let mut announcer = idle(now);
    let [stood_in, asked] = [11, 12].map(|host| IpAddr::from(Ipv4Addr::new(192, 0, 2, host)));
    let mut revision = announcer.addresses_revision(ETH0);
    let mut changed = |announcer: &Announcer| {
        let latest = announcer.addresses_revision(ETH0);
        std::mem::replace(&mut revision, latest) != latest
    };
    announcer.announce(ETH0, VIP, now).unwrap();
    assert!(changed(&announcer));
    announcer.announce(ETH0, VIP, now).unwrap();
    assert!(!changed(&announcer));
    announcer.stand_in(ETH0, stood_in, MEMBER).unwrap();
    assert!(changed(&announcer));
    announcer.ask_station(ETH0, asked, MEMBER, now).unwrap();
    assert!(changed(&announcer));
    announcer.ask_station(ETH0, asked, OLD_HOLDER, now).unwrap();
    announcer.ask_station(ETH0, VIP, OLD_HOLDER, now).unwrap();
    assert!(!changed(&announcer));
    assert_eq!(announcer.addresses(ETH0), [VIP, stood_in, asked].into());
    announcer.announce(ETH0, stood_in, now).unwrap();
    assert!(!changed(&announcer), "it was answered for before");
    announcer.withdraw(ETH0, stood_in);
    assert!(changed(&announcer));
    assert_eq!(announcer.addresses(ETH0), [VIP, asked].into());
    let joined = announcer.solicited_revision(ETH0);
    announcer.announce(ETH0, VIP_V6.into(), now).unwrap();
    assert_eq!(announcer.solicited(ETH0).collect::<Vec<_>>(), [VIP_V6]);
    assert!(announcer.solicited_revision(ETH0) != joined);

    announcer.remove_interface(ETH0);
    let gone = announcer.addresses_revision(ETH0);
    announcer.set_interface(ETH0, NODE, now);
    announcer.announce(ETH0, VIP, now).unwrap();
    let back = announcer.addresses_revision(ETH0);
    assert!(![revision, gone].contains(&back), "an interface that came again looks unchanged");
}

#[test]
fn what_was_asked_about_and_is_announced_then_is_no_news_for_the_kernel() {
    for vip in [VIP, VIP_V6.into()] {
        let now = start();
        let mut announcer = idle(now);
        announcer.check_address(ETH0, vip, Check::Fast, now).unwrap();
        let revision = announcer.addresses_revision(ETH0);
        frames(&mut announcer);
        announcer.handle_timeout(now + Duration::from_millis(50));
        assert!(matches!(events(&mut announcer)[..], [Event::Decided { outcome: Outcome::Silent, .. }]));
        assert_eq!(announcer.addresses(ETH0), [vip].into(), "the kernel lets it through still");
        let joined = announcer.solicited_revision(ETH0);
        announcer.announce(ETH0, vip, now).unwrap();
        assert_eq!(announcer.addresses_revision(ETH0), revision);
        assert_eq!(
            announcer.solicited_revision(ETH0) != joined,
            vip.is_ipv6(),
            "its group is another matter"
        );
        announcer.withdraw(ETH0, vip);
        assert_ne!(announcer.addresses_revision(ETH0), revision);
        assert!(announcer.addresses(ETH0).is_empty());
    }
}

#[test]
fn what_was_only_asked_about_is_let_through_until_the_next_news() {
    let now = start();
    let mut announcer = idle(now);
    let other = IpAddr::from([192, 0, 2, 99]);
    announcer.check_address(ETH0, other, Check::Fast, now).unwrap();
    frames(&mut announcer);
    announcer.handle_timeout(now + Duration::from_millis(50));
    let revision = announcer.addresses_revision(ETH0);
    announcer.announce(ETH0, VIP, now).unwrap();
    assert_ne!(announcer.addresses_revision(ETH0), revision);
    assert_eq!(announcer.addresses(ETH0), [VIP].into());
    // It is not known any longer, so it is news again.
    let revision = announcer.addresses_revision(ETH0);
    announcer.announce(ETH0, other, now).unwrap();
    assert_ne!(announcer.addresses_revision(ETH0), revision);
}
