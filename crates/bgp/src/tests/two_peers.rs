//! Whatever happens to two peers: left alone, they come to stand, and each knows what it is to know.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use proptest::prelude::*;

use super::peers::{graceful, start};
use super::sim::Sim;
use crate::attributes::{AttributeValues, Attributes};
use crate::peer::RemoteAs;
use crate::values::Asn;
use crate::{Config, HoldTime, RouterId};

#[derive(Clone, Debug)]
enum Op {
    Change { node: usize, first: u16, count: u16, med: Option<u32> },
    ResetLinks,
    Block { node: usize, secs: u64 },
    Restart(usize),
    Reset(usize),
    BfdDown(usize),
}

/// Who dials whom.
#[derive(Clone, Copy, Debug)]
enum Roles {
    BothDial,
    OneDials,
}

fn op() -> impl Strategy<Value = Op> {
    let node = 0..2_usize;
    prop_oneof![
        6 => (node.clone(), 0..60_u16, 1..40_u16, prop::option::weighted(0.7, 0..3_u32))
            .prop_map(|(node, first, count, med)| Op::Change { node, first, count, med }),
        1 => (node.clone(), Just(1_000_u16), 900..2_500_u16, prop::option::weighted(0.7, 0..3_u32))
            .prop_map(|(node, first, count, med)| Op::Change { node, first, count, med }),
        2 => Just(Op::ResetLinks),
        2 => (node.clone(), 1..30_u64).prop_map(|(node, secs)| Op::Block { node, secs }),
        1 => node.clone().prop_map(Op::Restart),
        1 => node.clone().prop_map(Op::Reset),
        1 => node.prop_map(Op::BfdDown),
    ]
}

fn configs(roles: Roles, graceful_restart: bool) -> [Config; 2] {
    [1_u32, 2].map(|node| {
        let number = |node| Asn::new(4_200_000_000 + node).unwrap();
        let identifier = RouterId::new(Ipv4Addr::new(192, 0, 2, u8::try_from(node).unwrap())).unwrap();
        let mut config = Config::new(number(node), RemoteAs::Number(number(3 - node)), identifier);
        config.accept = true;
        config.dial = node == 1 || matches!(roles, Roles::BothDial);
        config.hold_time = HoldTime::from_secs(9).unwrap();
        config.connect_retry_max = Duration::from_secs(20);
        config.next_hops.ipv6 = Some(Ipv6Addr::from(u128::from(node)));
        config.graceful_restart = graceful_restart.then(graceful);
        config
    })
}

/// Every other prefix is an IPv6 one.
fn prefix(number: u16) -> IpNet {
    if number.is_multiple_of(2) {
        let [high, low] = number.to_be_bytes();
        IpNet::from(IpAddr::from([10, 0, high, low]))
    } else {
        IpNet::from(IpAddr::from(Ipv6Addr::from((0x2001_0db8 << 96) + u128::from(number))))
    }
}

fn run(roles: Roles, graceful_restart: bool, ops: &[(Op, u64)], seed: u64) {
    let mut sim = Sim::new(configs(roles, graceful_restart), seed, start());
    for (op, pause_ms) in ops {
        sim.run(Duration::from_millis(*pause_ms));
        match *op {
            Op::Change { node, first, count, med } => {
                let values = AttributeValues { med, ..AttributeValues::default() };
                let attributes = Arc::new(Attributes::new(values).unwrap());
                for number in first..first + count {
                    sim.change(node, prefix(number), med.map(|_| Arc::clone(&attributes)));
                }
            }
            Op::ResetLinks => sim.reset_links(),
            Op::Block { node, secs } => sim.block(node, Duration::from_secs(secs)),
            Op::Restart(node) => sim.restart(node),
            Op::Reset(node) => sim.reset(node),
            Op::BfdDown(node) => sim.bfd_down(node),
        }
    }
    sim.run(Duration::from_secs(400));
    sim.check_quiet();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn left_alone_both_stand_and_know_what_they_are_to_know(
        roles in prop_oneof![Just(Roles::BothDial), Just(Roles::OneDials)],
        graceful_restart: bool,
        ops in prop::collection::vec((op(), 0..15_000_u64), 0..14),
        seed: u64,
    ) {
        run(roles, graceful_restart, &ops, seed);
    }
}

#[test]
fn two_that_dial_each_other_at_once_agree_on_one_connection() {
    for seed in 0..200 {
        run(Roles::BothDial, seed % 2 == 0, &[], seed);
    }
}

#[test]
fn a_crowd_of_routes_arrives_over_a_socket_that_stalls() {
    let change = |count, med| Op::Change { node: 0, first: 0, count, med };
    let ops = [
        (change(6_000, Some(1)), 5_000),
        (Op::Block { node: 0, secs: 5 }, 10),
        (change(3_000, Some(2)), 10),
        (change(1_000, None), 10),
    ];
    run(Roles::OneDials, false, &ops, 1);
}
