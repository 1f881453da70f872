use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::*;
use crate::attributes::AttributeValues;
use crate::values::Asn;
use crate::wire::NextHop;

fn encoding() -> Encoding {
    let next_hop = NextHop::Ipv4(Ipv4Addr::new(192, 0, 2, 1));
    Encoding {
        local_as: Asn::new(65_001).unwrap(),
        external: true,
        four_octet_as: true,
        next_hops: PerFamily { ipv4: Some(next_hop), ipv6: None },
    }
}

fn attributes(med: u32) -> Arc<Attributes> {
    Arc::new(Attributes::new(AttributeValues { med: Some(med), ..AttributeValues::default() }).unwrap())
}

fn prefix(host: u8) -> IpNet {
    IpNet::from(IpAddr::from([10, 0, 0, host]))
}

/// Writes all that waits; how many prefixes were announced and withdrawn.
fn drain(rib: &mut AdjRibOut) -> (usize, usize) {
    let mut sum = (0, 0);
    let mut out = Vec::new();
    while let Some(written) = rib.write(&encoding(), &mut out) {
        match written {
            Written::Announced(prefixes) => sum.0 += prefixes,
            Written::Withdrawn(prefixes) => sum.1 += prefixes,
            Written::EndOfRib(_) => {}
        }
    }
    assert!(!rib.is_waiting());
    sum
}

#[derive(Clone, Debug)]
enum Op {
    Change(u8, Option<u32>),
    Write(usize),
    Refresh,
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0..12_u8, prop::option::weighted(0.6, 0..3_u32)).prop_map(|(host, med)| Op::Change(host, med)),
        3 => (1..4_usize).prop_map(Op::Write),
        1 => Just(Op::Refresh),
        1 => Just(Op::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn once_all_is_written_the_peer_knows_what_is_wanted_and_nothing_is_left_over(
        ops in prop::collection::vec(op(), 0..60),
    ) {
        let mut rib = AdjRibOut::default();
        let mut wanted: BTreeMap<IpNet, Arc<Attributes>> = BTreeMap::new();
        rib.set_complete();
        rib.start(PerFamily { ipv4: true, ipv6: false });
        for op in ops {
            match op {
                Op::Change(host, med) => {
                    let attributes = med.map(attributes);
                    rib.change(prefix(host), attributes.clone());
                    match attributes {
                        Some(attributes) => drop(wanted.insert(prefix(host), attributes)),
                        None => drop(wanted.remove(&prefix(host))),
                    }
                }
                Op::Write(times) => {
                    for _ in 0..times {
                        let _written = rib.write(&encoding(), &mut Vec::new());
                    }
                }
                Op::Refresh => rib.refresh(Family::Ipv4),
                Op::Restart => rib.start(PerFamily { ipv4: true, ipv6: false }),
            }
            prop_assert_eq!(rib.wanted(), PerFamily { ipv4: wanted.len(), ipv6: 0 });
        }
        drain(&mut rib);
        let known: BTreeMap<IpNet, Arc<Attributes>> = rib
            .routes
            .iter()
            .filter_map(|(prefix, route)| match &route.sent {
                Sent::This(attributes) => Some((*prefix, Arc::clone(attributes))),
                Sent::Nothing | Sent::Stale => None,
            })
            .collect();
        prop_assert_eq!(&known, &wanted);
        prop_assert_eq!(rib.routes.len(), wanted.len());
    }
}

#[test]
fn only_the_difference_is_said() {
    let mut rib = AdjRibOut::default();
    rib.change(prefix(1), Some(attributes(1)));
    rib.start(PerFamily { ipv4: true, ipv6: false });
    assert_eq!(drain(&mut rib), (1, 0));
    rib.change(prefix(1), Some(attributes(1)));
    rib.change(prefix(2), Some(attributes(1)));
    rib.change(prefix(3), None);
    assert_eq!(drain(&mut rib), (1, 0));
    rib.change(prefix(1), Some(attributes(2)));
    rib.change(prefix(2), None);
    assert_eq!(drain(&mut rib), (1, 1));
}

#[test]
fn a_family_without_a_session_only_remembers() {
    let mut rib = AdjRibOut::default();
    rib.start(PerFamily { ipv4: false, ipv6: false });
    rib.change(prefix(1), Some(attributes(1)));
    rib.set_complete();
    assert!(!rib.is_waiting() && !rib.owes_end_of_rib());
    rib.refresh(Family::Ipv4);
    assert_eq!(drain(&mut rib), (0, 0));
    rib.start(PerFamily { ipv4: true, ipv6: false });
    assert_eq!(drain(&mut rib), (1, 0));
}
