use proptest::prelude::*;

use super::*;

/// A packet as a base chain sees it.
#[derive(Clone, Copy, Debug)]
struct Packet {
    hook: Hook,
    by_loopback: bool,
    destination: IpAddr,
    body: Body,
}

#[derive(Clone, Copy, Debug)]
enum Body {
    Port(Transport, u16),
    NeighborDiscovery,
    /// ICMP echo, a later fragment of UDP, a header chain that cannot be parsed.
    Other,
    LaterTcpFragment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    SentOn,
    Dropped,
    Reset,
    Unreachable,
}

/// Runs the table as nftables would.
fn fate(table: &Table, guard: &Guard, packet: Packet) -> Fate {
    let mut bases =
        table.chains.iter().filter(|chain| chain.base.is_some_and(|base| base.hook == packet.hook));
    let mut chain = bases.next().unwrap();
    assert!(bases.next().is_none(), "one base chain per hook");
    loop {
        let decides = |rule: &&Rule| rule.matches.iter().all(|test| holds(*test, table, guard, packet));
        match chain.rules.iter().find(decides).map(|rule| rule.action) {
            None | Some(Action::Accept) => return Fate::SentOn,
            Some(Action::Drop) => return Fate::Dropped,
            Some(Action::ResetTcp) => return Fate::Reset,
            Some(Action::PortUnreachable) => return Fate::Unreachable,
            Some(Action::Goto(name)) => {
                chain = table.chains.iter().find(|chain| chain.name == name).unwrap();
                assert_eq!(chain.base, None, "only regular chains can be gone to");
            }
        }
    }
}

fn holds(test: Match, table: &Table, guard: &Guard, packet: Packet) -> bool {
    let in_set = |set: Set, element: Element| {
        assert!(table.sets.contains(&set), "{} is not declared", set.name);
        Family::of(packet.destination) == set.family
            && missing(&Guard::default(), guard, set).contains(&element)
    };
    match (test, packet.body) {
        (Match::LeavesByLoopback, _) => packet.by_loopback,
        (Match::Destination(set), _) => in_set(set, Element::Address(packet.destination)),
        (Match::DestinationPort(set), Body::Port(transport, port)) => {
            in_set(set, Element::Port(packet.destination, transport, port))
        }
        (Match::DestinationPort(_), Body::NeighborDiscovery | Body::Other | Body::LaterTcpFragment) => false,
        (Match::Transport(wanted), Body::Port(transport, _)) => transport == wanted,
        (Match::Transport(wanted), Body::LaterTcpFragment) => wanted == Transport::Tcp,
        (Match::Transport(_), Body::NeighborDiscovery | Body::Other) => false,
        (Match::NeighborDiscovery, body) => matches!(body, Body::NeighborDiscovery),
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// One VIP per family, port 80 of TCP and 53 of UDP claimed on both.
fn guard() -> Guard {
    let vips = BTreeSet::from([address("192.0.2.10"), address("2001:db8::10")]);
    let claims = |vip: &IpAddr| [(*vip, Transport::Tcp, 80), (*vip, Transport::Udp, 53)];
    Guard { claimed: vips.iter().flat_map(claims).collect(), vips }
}

#[test]
fn a_packet_still_addressed_to_a_vip_is_dropped_if_its_port_is_claimed_and_refused_otherwise() {
    let cases = [
        (Body::Port(Transport::Tcp, 80), Fate::Dropped),
        (Body::Port(Transport::Udp, 53), Fate::Dropped),
        (Body::Port(Transport::Tcp, 53), Fate::Reset),
        (Body::Port(Transport::Udp, 80), Fate::Unreachable),
        (Body::Other, Fate::Unreachable),
        // The kernel answers no later fragment: both actions discard it.
        (Body::LaterTcpFragment, Fate::Reset),
    ];
    for destination in ["192.0.2.10", "2001:db8::10"].map(address) {
        for hook in [Hook::Forward, Hook::Output] {
            for (body, expected) in cases {
                let packet = Packet { hook, by_loopback: false, destination, body };
                assert_eq!(fate(&layout(), &guard(), packet), expected, "{packet:?}");
            }
        }
    }
}

#[test]
fn neighbor_discovery_for_a_vip_is_sent_by_the_node_itself_but_never_forwarded() {
    let packet = |hook| Packet {
        hook,
        by_loopback: false,
        destination: address("2001:db8::10"),
        body: Body::NeighborDiscovery,
    };
    assert_eq!(fate(&layout(), &guard(), packet(Hook::Output)), Fate::SentOn);
    assert_eq!(fate(&layout(), &guard(), packet(Hook::Forward)), Fate::Dropped);
}

#[test]
fn a_vip_that_the_node_holds_itself_is_left_alone() {
    for body in [Body::Port(Transport::Tcp, 80), Body::Port(Transport::Udp, 80), Body::Other] {
        let packet =
            Packet { hook: Hook::Output, by_loopback: true, destination: address("192.0.2.10"), body };
        assert_eq!(fate(&layout(), &guard(), packet), Fate::SentOn, "{packet:?}");
    }
}

#[test]
fn a_claimed_port_of_an_address_that_is_no_vip_has_no_effect() {
    let guard = Guard { vips: BTreeSet::new(), ..guard() };
    let packet = Packet {
        hook: Hook::Forward,
        by_loopback: false,
        destination: address("192.0.2.10"),
        body: Body::Port(Transport::Tcp, 80),
    };
    assert_eq!(fate(&layout(), &guard, packet), Fate::SentOn);
}

#[test]
fn a_change_names_each_set_with_what_it_gains_and_loses() {
    let (old, new) = (address("192.0.2.10"), address("2001:db8::10"));
    let installed =
        Guard { vips: BTreeSet::from([old]), claimed: BTreeSet::from([(old, Transport::Tcp, 80)]) };
    let wanted = Guard {
        vips: BTreeSet::from([old, new]),
        claimed: BTreeSet::from([(old, Transport::Tcp, 81), (new, Transport::Udp, 53)]),
    };
    let expected = [
        SetChange { set: VIPS_V6, remove: vec![], add: vec![Element::Address(new)] },
        SetChange {
            set: CLAIMED_V4,
            remove: vec![Element::Port(old, Transport::Tcp, 80)],
            add: vec![Element::Port(old, Transport::Tcp, 81)],
        },
        SetChange { set: CLAIMED_V6, remove: vec![], add: vec![Element::Port(new, Transport::Udp, 53)] },
    ];
    assert_eq!(change(&installed, &wanted), expected);
}

#[test]
fn the_names_of_the_table_are_unique_and_every_goto_leads_somewhere() {
    let table = layout();
    let sets: BTreeSet<_> = table.sets.iter().map(|set| set.name).collect();
    let chains: BTreeSet<_> = table.chains.iter().map(|chain| chain.name).collect();
    assert_eq!((sets.len(), chains.len()), (table.sets.len(), table.chains.len()));
    for rule in table.chains.iter().flat_map(|chain| &chain.rules) {
        if let Action::Goto(chain) = rule.action {
            assert!(chains.contains(chain), "{chain} is not a chain of the table");
        }
    }
}

/// Few addresses and ports, so that random states overlap.
fn any_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0..4u8).prop_map(|last| IpAddr::from([192, 0, 2, last])),
        (0..4u16).prop_map(|last| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last])),
    ]
}

fn any_transport() -> impl Strategy<Value = Transport> {
    prop_oneof![Just(Transport::Tcp), Just(Transport::Udp)]
}

fn any_guard() -> impl Strategy<Value = Guard> {
    let vips = proptest::collection::btree_set(any_address(), 0..6);
    let claimed = proptest::collection::btree_set((any_address(), any_transport(), 0..4u16), 0..12);
    (vips, claimed).prop_map(|(vips, claimed)| Guard { vips, claimed })
}

fn any_body() -> impl Strategy<Value = Body> {
    prop_oneof![
        4 => (any_transport(), 0..5u16).prop_map(|(transport, port)| Body::Port(transport, port)),
        1 => Just(Body::NeighborDiscovery),
        1 => Just(Body::Other),
        1 => Just(Body::LaterTcpFragment),
    ]
}

proptest! {
    #[test]
    fn no_packet_to_a_vip_is_forwarded_and_no_other_packet_is_touched(
        guard in any_guard(),
        destination in any_address(),
        body in any_body(),
        hook in prop_oneof![Just(Hook::Forward), Just(Hook::Output)],
    ) {
        let ipv4 = Family::of(destination) == Family::Ipv4;
        prop_assume!(!(ipv4 && matches!(body, Body::NeighborDiscovery)));
        let packet = Packet { hook, by_loopback: false, destination, body };
        let own_discovery = matches!((hook, body), (Hook::Output, Body::NeighborDiscovery));
        let sent_on = fate(&layout(), &guard, packet) == Fate::SentOn;
        prop_assert_eq!(sent_on, own_discovery || !guard.vips.contains(&destination));
    }

    #[test]
    fn applying_a_change_to_what_is_installed_gives_what_is_wanted(installed in any_guard(), wanted in any_guard()) {
        let mut result = installed.clone();
        for SetChange { remove, add, .. } in change(&installed, &wanted) {
            for element in remove {
                prop_assert!(match element {
                    Element::Address(vip) => result.vips.remove(&vip),
                    Element::Port(vip, transport, port) => result.claimed.remove(&(vip, transport, port)),
                }, "{element:?} is removed but not there: the kernel would refuse the batch");
            }
            for element in add {
                prop_assert!(match element {
                    Element::Address(vip) => result.vips.insert(vip),
                    Element::Port(vip, transport, port) => result.claimed.insert((vip, transport, port)),
                }, "{element:?} is added twice");
            }
        }
        prop_assert_eq!(result, wanted);
    }
}
