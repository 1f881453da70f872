//! Random histories of faults, all checks after every step. A failure prints its seed and its last steps.

use proptest::prelude::*;

use super::world::World;
use super::*;

#[derive(Clone, Debug)]
enum Op {
    Kill(usize),
    Start(usize),
    Restart(usize, u64),
    Freeze(usize, u64),
    /// The node's cable: off its part of the LAN, and back.
    Unplug(usize),
    Plug(usize),
    Split(u8),
    Heal,
    /// Gossip both ways between a node and all others.
    Isolate(usize),
    BlockOneWay(usize, usize),
    BlockAll,
    Unblock,
    Loss(u64),
    Drain(usize),
    Undrain(usize),
    /// No candidate by the plan; forwards still, or not.
    Exclude(usize, bool),
    Include(usize),
    Hinder(usize),
    Unhinder(usize),
    AddGroup(u64),
    RemoveGroup(u64),
    Revert(bool),
    Rebalance,
}

fn any_op() -> impl Strategy<Value = Op> {
    let node = || 0..7usize;
    prop_oneof![
        2 => node().prop_map(Op::Kill),
        3 => node().prop_map(Op::Start),
        3 => (node(), 50..12_000u64).prop_map(|(node, down)| Op::Restart(node, down)),
        3 => (node(), 20..8_000u64).prop_map(|(node, long)| Op::Freeze(node, long)),
        2 => node().prop_map(Op::Unplug),
        2 => node().prop_map(Op::Plug),
        2 => any::<u8>().prop_map(Op::Split),
        2 => Just(Op::Heal),
        2 => node().prop_map(Op::Isolate),
        2 => (node(), node()).prop_map(|(from, to)| Op::BlockOneWay(from, to)),
        1 => Just(Op::BlockAll),
        3 => Just(Op::Unblock),
        1 => (0..30u64).prop_map(Op::Loss),
        2 => node().prop_map(Op::Drain),
        2 => node().prop_map(Op::Undrain),
        2 => (node(), any::<bool>()).prop_map(|(node, forwards)| Op::Exclude(node, forwards)),
        2 => node().prop_map(Op::Include),
        1 => node().prop_map(Op::Hinder),
        2 => node().prop_map(Op::Unhinder),
        2 => (0..5u64).prop_map(Op::AddGroup),
        1 => (0..5u64).prop_map(Op::RemoveGroup),
        1 => any::<bool>().prop_map(Op::Revert),
        1 => Just(Op::Rebalance),
    ]
}

impl World {
    /// Does what the history says; returns for how long that disturbs.
    fn apply(&mut self, op: &Op) -> Duration {
        let count = self.nodes.len();
        let own_part = |node: usize| 10 + node;
        match *op {
            Op::Kill(node) => self.kill(node % count),
            Op::Start(node) => self.start(node % count, Duration::ZERO),
            Op::Restart(node, down) => {
                self.restart(node % count, ms(down));
                return ms(down.min(10_000));
            }
            Op::Freeze(node, long) => {
                self.freeze(node % count, ms(long));
                return ms(long);
            }
            Op::Unplug(node) => self.part[node % count] = own_part(node % count),
            Op::Plug(node) => self.part[node % count] = 0,
            Op::Split(mask) => self.part = (0..count).map(|node| usize::from(mask >> node & 1)).collect(),
            Op::Heal => self.part = vec![0; count],
            Op::Isolate(node) => {
                let node = node % count;
                self.blocked.extend((0..count).flat_map(|other| [(node, other), (other, node)]));
            }
            Op::BlockOneWay(from, to) => {
                self.blocked.insert((from % count, to % count));
            }
            Op::BlockAll => {
                self.blocked.extend((0..count).flat_map(|a| (0..count).map(move |b| (a, b))));
            }
            Op::Unblock => self.blocked.clear(),
            Op::Loss(percent) => self.loss = percent,
            Op::Drain(node) => self.drain(node % count, true),
            Op::Undrain(node) => self.drain(node % count, false),
            Op::Exclude(node, forwards) => {
                let outgoing = if forwards { Outgoing::Forwards } else { Outgoing::DeadEnd };
                self.change_plan(300, |plan| plan.eligible[node % count] = Err(outgoing));
            }
            Op::Include(node) => self.change_plan(300, |plan| plan.eligible[node % count] = Ok(())),
            Op::Hinder(node) => self.hinder(node % count, true),
            Op::Unhinder(node) => self.hinder(node % count, false),
            Op::AddGroup(group) => self.change_plan(300, |plan| {
                plan.groups.insert(GroupId(G.0 + group));
            }),
            Op::RemoveGroup(group) => self.change_plan(300, |plan| {
                plan.groups.remove(&GroupId(G.0 + group));
            }),
            Op::Revert(revert) => self.change_plan(300, |plan| plan.revert = revert),
            Op::Rebalance => {
                let now = self.now;
                for node in 0..count {
                    if !self.nodes[node].is_frozen() {
                        self.drive(node, |machine| {
                            machine.handle_rebalance(now);
                        });
                    }
                }
            }
        }
        Duration::ZERO
    }
}

/// How long after the last disturbance a group may be without announcer: death noticed 500 ms, start 1,100 ms, or the
/// end of a restart that was granted 10 s; six turns; a second for a claim that is not confirmed.
const OUTAGE_MAX: Duration = Duration::from_millis(3500);

fn play(world: &mut World, history: &[(Op, u64)]) {
    world.checks.outage_limit = Some(OUTAGE_MAX);
    for (op, pause) in history {
        world.log(format!("== {op:?}"));
        let until = world.now + world.apply(op);
        let before = world.checks.disturbed_until.unwrap_or(until);
        world.checks.disturbed_until = Some(until.max(before).max(world.now));
        world.run(ms(*pause));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_history_ends_with_one_announcer_and_never_has_two_or_none_for_long(
        seed in any::<u64>(),
        count in 2..=7usize,
        groups in 1..4u64,
        history in prop::collection::vec((any_op(), 0..3000u64), 1..12),
        blind_end in any::<bool>(),
    ) {
        let mut world = World::new(count, groups, seed);
        world.run(ms(2000));
        play(&mut world, &history);
        let mut end = vec![(Op::Heal, 0), (Op::Loss(0), 0)];
        if !blind_end {
            end.push((Op::Unblock, 0));
        }
        play(&mut world, &end);
        world.run(ms(20_000));
        world.check_rest();
    }
}
