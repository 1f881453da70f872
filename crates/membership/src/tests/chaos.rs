//! Anything in any order: the simulator checks its invariants at each step, and in the end, when the network is whole
//! again, all agree.

use std::time::Duration;

use proptest::prelude::*;

use super::sim::{Sim, address, id};
use crate::{Facts, GroupId, Term};

#[derive(Clone, Debug)]
enum Op {
    Run(u64),
    Kill(usize),
    Start(usize),
    Freeze(usize, u64),
    Cut(usize, usize),
    Split(usize),
    Heal,
    Loss(u64),
    Late(u64),
    Twice(u64),
    Hold(usize, u64, u32),
    Release(usize, u64),
    Drain(usize, bool),
    Hostile(usize, usize, Vec<u8>),
}

fn op(count: usize) -> impl Strategy<Value = Op> {
    let node = move || 0..count;
    prop_oneof![
        6 => (1_u64..700).prop_map(Op::Run),
        1 => node().prop_map(Op::Kill),
        2 => node().prop_map(Op::Start),
        1 => (node(), 1_u64..1_500).prop_map(|(node, ms)| Op::Freeze(node, ms)),
        1 => (node(), node()).prop_map(|(from, to)| Op::Cut(from, to)),
        1 => (1..count).prop_map(Op::Split),
        2 => Just(Op::Heal),
        1 => (0_u64..300).prop_map(Op::Loss),
        1 => (0_u64..300).prop_map(Op::Late),
        1 => (0_u64..300).prop_map(Op::Twice),
        4 => (node(), 0_u64..300, 0_u32..5).prop_map(|(node, group, term)| Op::Hold(node, group, term)),
        2 => (node(), 0_u64..300).prop_map(|(node, group)| Op::Release(node, group)),
        1 => (node(), any::<bool>()).prop_map(|(node, draining)| Op::Drain(node, draining)),
        1 => (node(), node(), prop::collection::vec(any::<u8>(), 0..120))
            .prop_map(|(from, to, octets)| Op::Hostile(from, to, octets)),
    ]
}

fn apply(sim: &mut Sim, op: Op, count: usize) {
    match op {
        Op::Run(ms) => sim.run_ms(ms),
        Op::Kill(node) => sim.kill(node),
        Op::Start(node) if sim.members(node).is_none() => sim.start_node(node),
        Op::Start(_) => {}
        Op::Freeze(node, ms) => sim.freeze(node, Duration::from_millis(ms)),
        Op::Cut(from, to) => {
            sim.network.cuts.insert((from, to, 0));
        }
        Op::Split(at) => sim.partition(&(0..at).collect::<Vec<_>>(), &(at..count).collect::<Vec<_>>()),
        Op::Heal => sim.network.cuts.clear(),
        Op::Loss(permille) => sim.network.loss_permille = permille,
        Op::Late(permille) => sim.network.late_permille = permille,
        Op::Twice(permille) => sim.network.twice_permille = permille,
        Op::Hold(node, group, term) => {
            sim.with(node, |members| members.hold(GroupId(group), Term(term)));
        }
        Op::Release(node, group) => {
            sim.with(node, |members| members.release(GroupId(group), crate::Term(0)));
        }
        Op::Drain(node, draining) => {
            sim.with(node, |members| members.set_facts(Facts { draining, ..Facts::default() }).unwrap());
        }
        Op::Hostile(from, to, octets) => {
            let now = sim.now();
            // The right header, so that it gets as far as a stranger's can.
            let forged = [&[1, 0x72], &id(from).0.to_be_bytes()[..], &octets].concat();
            let refused =
                sim.with(to, |members| members.handle_input(address(from, 0), &forged, now).is_err());
            assert!(refused != Some(false));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn all_agree_in_the_end(
        (count, ops) in (2_usize..7).prop_flat_map(|count| (Just(count), prop::collection::vec(op(count), 1..60))),
        seed in any::<u64>(),
    ) {
        let mut sim = Sim::joined(count, 1, seed);
        for op in ops {
            apply(&mut sim, op, count);
        }
        sim.network = super::sim::Network::default();
        sim.run_ms(1_500);
        for node in 0..count {
            if sim.members(node).is_none() {
                sim.start_node(node);
            }
        }
        prop_assert!(sim.run_until(3_000, Sim::agree), "no agreement");
        sim.run_ms(2_000);
        prop_assert!(sim.agree(), "and it lasts");
        sim.check_holds();
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let run = |seed| {
        let mut sim = Sim::joined(5, 1, seed);
        sim.network.loss_permille = 100;
        sim.freeze(3, Duration::from_secs(1));
        sim.run_ms(5_000);
        let start = sim.now() - sim.elapsed();
        let logs = (0..5)
            .map(|node| sim.log(node).iter().map(|(at, event)| (*at - start, *event)).collect::<Vec<_>>());
        (logs.collect::<Vec<_>>(), (0..5).map(|node| sim.sent(node)).collect::<Vec<_>>())
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}
