//! Says the data plane's tables in the kernel's terms, word by word.

use keryx_dataplane::guard::SetChange;
use keryx_dataplane::rules::{self, Action, Chain, Family, Key, Match, Rule, Set, Table};
use keryx_netio::nftables::{Base, Batch, Element, Expression, Field, Hook, Operator, Reject, Verdict};

/// `meta nfproto` of IPv4 and IPv6 (linux/netfilter.h).
const NFPROTO_IPV4: u8 = 2;
const NFPROTO_IPV6: u8 = 10;
/// IP protocol number of ICMPv6 (RFC 4443).
const ICMPV6: u8 = 58;
/// ICMPv6 types of Neighbor Discovery, first and last (RFC 4861 section 4).
const NEIGHBOR_DISCOVERY: (u8, u8) = (133, 137);
/// Hardware type of loopback interfaces (linux/if_arp.h).
const ARPHRD_LOOPBACK: u16 = 772;

/// Makes `table` anew with empty sets, whatever stood under its name.
pub(crate) fn create(batch: &mut Batch, table: &Table) {
    batch.reset_table(table.name);
    for set in &table.sets {
        batch.create_set(table.name, set.name, &key_fields(*set));
    }
    for chain in &table.chains {
        batch.create_chain(table.name, chain.name, chain.base.map(base));
    }
    for chain in &table.chains {
        add_rules(batch, table.name, chain);
    }
}

/// Removes and adds set elements.
pub(crate) fn change(batch: &mut Batch, table: &str, changes: &[SetChange]) {
    for SetChange { set, remove, add } in changes {
        let elements = |list: &[rules::Element]| list.iter().map(element).collect::<Vec<_>>();
        if !remove.is_empty() {
            batch.delete_elements(table, set.name, &elements(remove));
        }
        if !add.is_empty() {
            batch.add_elements(table, set.name, &elements(add));
        }
    }
}

fn base(base: rules::Base) -> Base {
    let hook = match base.hook {
        rules::Hook::Forward => Hook::Forward,
        rules::Hook::Output => Hook::Output,
    };
    Base { hook, priority: base.priority }
}

fn add_rules(batch: &mut Batch, table: &str, chain: &Chain) {
    for Rule { matches, action } in &chain.rules {
        let mut expressions: Vec<Expression> = matches.iter().flat_map(|test| tests(*test)).collect();
        expressions.push(Expression::Counter);
        expressions.push(match action {
            Action::Accept => Expression::Verdict(Verdict::Accept),
            Action::Drop => Expression::Verdict(Verdict::Drop),
            Action::ResetTcp => Expression::Reject(Reject::TcpReset),
            Action::PortUnreachable => Expression::Reject(Reject::PortUnreachable),
            Action::Goto(target) => Expression::Verdict(Verdict::Goto((*target).to_owned())),
        });
        batch.add_rule(table, chain.name, &expressions);
    }
}

fn tests(test: Match) -> Vec<Expression> {
    match test {
        Match::LeavesByLoopback => {
            vec![equal(Field::OutputInterfaceType, ARPHRD_LOOPBACK.to_ne_bytes().to_vec())]
        }
        Match::Destination(set) | Match::DestinationPort(set) => vec![
            equal(Field::NetworkProtocol, vec![network_protocol(set.family)]),
            Expression::InSet { key: key_fields(set), set: set.name.to_owned() },
        ],
        Match::Transport(transport) => vec![equal(Field::TransportProtocol, vec![transport.number()])],
        Match::NeighborDiscovery => {
            let (first, last) = NEIGHBOR_DISCOVERY;
            vec![
                equal(Field::NetworkProtocol, vec![NFPROTO_IPV6]),
                equal(Field::TransportProtocol, vec![ICMPV6]),
                Expression::Compare {
                    field: Field::Icmpv6Type,
                    operator: Operator::AtLeast,
                    value: vec![first],
                },
                Expression::Compare {
                    field: Field::Icmpv6Type,
                    operator: Operator::AtMost,
                    value: vec![last],
                },
            ]
        }
    }
}

fn equal(field: Field, value: Vec<u8>) -> Expression {
    Expression::Compare { field, operator: Operator::Equal, value }
}

fn network_protocol(family: Family) -> u8 {
    match family {
        Family::Ipv4 => NFPROTO_IPV4,
        Family::Ipv6 => NFPROTO_IPV6,
    }
}

fn key_fields(set: Set) -> Vec<Field> {
    let address = match set.family {
        Family::Ipv4 => Field::Ipv4Destination,
        Family::Ipv6 => Field::Ipv6Destination,
    };
    match set.key {
        Key::Address => vec![address],
        Key::Port => vec![address, Field::TransportProtocol, Field::DestinationPort],
    }
}

fn element(element: &rules::Element) -> Element {
    let address = |address: &std::net::IpAddr| match address {
        std::net::IpAddr::V4(v4) => Element::new().ipv4(*v4),
        std::net::IpAddr::V6(v6) => Element::new().ipv6(*v6),
    };
    match element {
        rules::Element::Address(vip) => address(vip),
        rules::Element::Port(vip, transport, port) => address(vip).protocol(transport.number()).port(*port),
    }
}
