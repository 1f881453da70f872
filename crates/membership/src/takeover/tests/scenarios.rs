//! Named faults in the world, each over several seeds, with the limits of issue 5. The model's gossip calls a node dead
//! 400 to 515 ms after its last word; the machine's own part of an outage is what comes on top.

use super::world::World;
use super::*;

/// The model's longest time to notice a death, and two questions.
const DEATH_OUTAGE_MAX: Duration = Duration::from_millis(515 + 45);
/// A message between two nodes.
const MESSAGE_MAX: Duration = Duration::from_millis(16);

type Holders = BTreeMap<GroupId, Vec<usize>>;

/// `count` nodes at rest, with nothing wrong.
fn at_rest(count: usize, groups: u64, seed: u64) -> World {
    let mut world = World::new(count, groups, seed);
    world.run(ms(3000));
    world.check_rest();
    world.checks.overlap_max = Duration::ZERO;
    world.checks.outage_max = Duration::ZERO;
    world.checks.disturbed_until = Some(world.now);
    world.events.clear();
    world
}

/// Runs `fault` in worlds of three and five nodes.
fn each(fault: impl Fn(&mut World)) {
    for seed in 0..12 {
        let mut world = at_rest(if seed % 2 == 0 { 3 } else { 5 }, 4, seed);
        fault(&mut world);
        world.check_rest();
    }
}

/// Who announces each group.
fn holders(world: &World) -> Holders {
    world.plan().groups.iter().map(|group| (*group, world.announcers(*group))).collect()
}

fn holder_of(world: &World, group: GroupId) -> usize {
    world.announcers(group)[0]
}

fn block_all(world: &mut World) {
    let count = world.nodes.len();
    world.blocked.extend((0..count).flat_map(|a| (0..count).map(move |b| (a, b))));
}

fn isolate(world: &mut World, node: usize) {
    world.blocked.extend((0..world.nodes.len()).flat_map(|other| [(node, other), (other, node)]));
}

fn ensure_same(world: &World, before: &Holders) {
    world.ensure(holders(world) == *before, || format!("{before:?} became {:?}", holders(world)));
}

fn ensure_at_most(world: &World, outage_max: Duration, overlap_max: Duration) {
    let (outage, overlap) = (world.checks.outage_max, world.checks.overlap_max);
    world.ensure(outage <= outage_max, || format!("outage of {outage:?}"));
    world.ensure(overlap <= overlap_max, || format!("two announcers for {overlap:?}"));
}

#[test]
fn a_cluster_that_starts_comes_to_one_announcer_for_each_group() {
    for seed in 0..6 {
        for count in [1, 2, 3, 7] {
            at_rest(count, 6, seed);
        }
    }
}

#[test]
fn a_node_that_joins_moves_nothing() {
    for seed in 0..6 {
        let mut world = World::new(4, 6, seed);
        world.kill(0);
        world.run(ms(3000));
        world.kill(0);
        world.run(ms(3000));
        let before = holders(&world);
        world.start(0, Duration::ZERO);
        world.run(ms(10_000));
        ensure_same(&world, &before);
    }
}

#[test]
fn a_death_moves_only_the_groups_of_the_dead_and_in_time() {
    each(|world| {
        let before = holders(world);
        let dead = holder_of(world, G);
        world.kill(dead);
        world.run(ms(3000));
        for (group, after) in holders(world) {
            let moved = before[&group] != after;
            world.ensure(moved == (before[&group] == [dead]), || format!("{group} moved: {moved}"));
        }
        ensure_at_most(world, DEATH_OUTAGE_MAX, Duration::ZERO);
    });
}

#[test]
fn a_silent_cut_is_as_short_as_a_death_and_moves_nothing_back_when_it_heals() {
    each(|world| {
        let cut = holder_of(world, G);
        world.part[cut] = 9;
        world.run(ms(3000));
        // Also on the cut-off node's own part of the LAN, where each idle node's turn is waited for, and silence is asked
        // for three times.
        let outage_max = DEATH_OUTAGE_MAX + ms(400);
        ensure_at_most(world, outage_max, Duration::ZERO);
        let majority = |world: &World| -> Holders {
            let others = |nodes: Vec<usize>| nodes.into_iter().filter(|node| *node != cut).collect();
            holders(world).into_iter().map(|(group, nodes)| (group, others(nodes))).collect()
        };
        let before = majority(world);
        world.part[cut] = 0;
        world.run(ms(3000));
        // The many keep what they took, and what they had.
        ensure_same(world, &before);
        ensure_at_most(world, outage_max, ms(200));
    });
}

#[test]
fn a_drain_leaves_no_gap() {
    each(|world| {
        let drained = holder_of(world, G);
        world.drain(drained, true);
        world.run(ms(3000));
        assert!(holders(world).values().all(|holders| *holders != [drained]));
        ensure_at_most(world, Duration::ZERO, MESSAGE_MAX);
    });
}

#[test]
fn an_exclusion_by_plans_that_arrive_at_different_times_leaves_no_gap() {
    each(|world| {
        let excluded = holder_of(world, G);
        world.change_plan(200, |plan| plan.eligible[excluded] = Err(Outgoing::Forwards));
        world.run(ms(3000));
        assert!(holders(world).values().all(|holders| *holders != [excluded]));
        ensure_at_most(world, Duration::ZERO, MESSAGE_MAX);
    });
}

#[test]
fn the_last_drained_node_goes_on_answering() {
    each(|world| {
        for node in 0..world.nodes.len() {
            world.drain(node, true);
            world.run(ms(2000));
        }
        assert!(holders(world).values().all(|holders| holders.len() == 1));
        ensure_at_most(world, Duration::ZERO, MESSAGE_MAX);
    });
}

#[test]
fn a_holder_whose_last_endpoint_goes_hands_over_in_two_messages() {
    each(|world| {
        let dead_end = holder_of(world, G);
        world.change_plan(0, |plan| plan.eligible[dead_end] = Err(Outgoing::DeadEnd));
        world.run(ms(3000));
        ensure_at_most(world, MESSAGE_MAX, Duration::ZERO);
    });
}

#[test]
fn a_lost_carrier_with_a_second_path_for_gossip_hands_over_in_two_messages() {
    each(|world| {
        let hindered = holder_of(world, G);
        world.hinder(hindered, true);
        world.run(ms(3000));
        assert!(holders(world).values().all(|holders| *holders != [hindered]));
        ensure_at_most(world, MESSAGE_MAX, Duration::ZERO);
    });
}

#[test]
fn a_rolling_restart_of_all_speakers_moves_nothing_and_leaves_no_asker_without_answer() {
    each(|world| {
        let before = holders(world);
        for node in 0..world.nodes.len() {
            world.restart(node, ms(4000));
            world.run(ms(6000));
        }
        ensure_same(world, &before);
        // Until the one who stands in has heard the farewell.
        ensure_at_most(world, MESSAGE_MAX, Duration::ZERO);
    });
}

#[test]
fn a_killed_speaker_that_is_back_before_it_is_missed_goes_on() {
    each(|world| {
        let before = holders(world);
        let killed = holder_of(world, G);
        world.kill(killed);
        world.start(killed, ms(150));
        world.run(ms(3000));
        ensure_same(world, &before);
    });
}

#[test]
fn a_node_that_is_switched_off_is_not_waited_for_as_one_whose_speaker_restarts() {
    each(|world| {
        let before = holders(world);
        let gone = holder_of(world, G);
        world.restart(gone, ms(30_000));
        world.run(ms(50));
        world.part[gone] = 9;
        world.run(ms(3000));
        for (group, after) in holders(world) {
            let moved = before[&group] != after;
            world.ensure(moved == (before[&group] == [gone]), || format!("{group} moved: {moved}"));
        }
        ensure_at_most(world, ms(1100), Duration::ZERO);
    });
}

#[test]
fn a_restart_that_takes_too_long_is_a_death() {
    each(|world| {
        let gone = holder_of(world, G);
        world.restart(gone, ms(30_000));
        world.run(ms(9900));
        assert!(holders(world)[&G].is_empty());
        world.run(ms(600));
        assert_eq!(holders(world)[&G].len(), 1);
    });
}

#[test]
fn a_frozen_speaker_is_replaced_and_answers_for_nothing_of_that_when_it_goes_on() {
    each(|world| {
        let frozen = holder_of(world, G);
        world.freeze(frozen, ms(5000));
        world.run(ms(4900));
        let replaced = holders(world);
        world.run(ms(5000));
        ensure_same(world, &replaced);
        ensure_at_most(world, DEATH_OUTAGE_MAX, Duration::ZERO);
    });
}

#[test]
fn a_whole_cluster_that_was_frozen_goes_on_as_it_was() {
    each(|world| {
        let before = holders(world);
        for node in 0..world.nodes.len() {
            world.freeze(node, ms(20_000));
        }
        world.run(ms(25_000));
        ensure_same(world, &before);
    });
}

#[test]
fn gossip_blocked_everywhere_moves_nothing() {
    each(|world| {
        let before = holders(world);
        block_all(world);
        world.run(ms(30_000));
        ensure_same(world, &before);
        world.blocked.clear();
        world.run(ms(3000));
        ensure_same(world, &before);
        assert_eq!(world.events, []);
        ensure_at_most(world, Duration::ZERO, Duration::ZERO);
    });
}

#[test]
fn a_group_that_is_new_while_gossip_is_blocked_everywhere_gets_exactly_one_announcer() {
    each(|world| {
        block_all(world);
        world.run(ms(2000));
        world.change_plan(50, |plan| {
            plan.groups.insert(GroupId(7));
        });
        world.run(ms(3000));
        world.check_rest();
        world.blocked.clear();
        world.run(ms(3000));
        ensure_at_most(world, ms(700), Duration::ZERO);
    });
}

#[test]
fn a_death_is_noticed_while_gossip_is_blocked_everywhere() {
    each(|world| {
        block_all(world);
        world.run(ms(5000));
        let dead = holder_of(world, G);
        world.kill(dead);
        world.run(ms(5000));
        // Asked once a second; then two questions each about the node, the group, and after a turn.
        ensure_at_most(world, ms(1500), ms(1100));
    });
}

#[test]
fn a_wrong_key_on_one_node_moves_nothing_and_hides_no_death() {
    each(|world| {
        let before = holders(world);
        isolate(world, 0);
        world.run(ms(10_000));
        ensure_same(world, &before);
        world.change_plan(50, |plan| {
            plan.groups.insert(GroupId(7));
        });
        world.run(ms(3000));
        world.check_rest();
        let dead =
            (1..world.nodes.len()).find(|node| holders(world).values().any(|holders| holders == &[*node]));
        world.kill(dead.unwrap_or(1));
        world.run(ms(5000));
        world.check_rest();
        world.blocked.clear();
        world.run(ms(3000));
        ensure_at_most(world, ms(1500), ms(1100));
    });
}

#[test]
fn gossip_lost_one_way_moves_nothing() {
    each(|world| {
        let before = holders(world);
        world.blocked.insert((holder_of(world, G), 1));
        world.blocked.insert((0, 2));
        world.run(ms(30_000));
        ensure_same(world, &before);
        ensure_at_most(world, Duration::ZERO, Duration::ZERO);
    });
}

#[test]
fn a_tenth_of_all_gossip_lost_moves_nothing() {
    each(|world| {
        let before = holders(world);
        world.loss = 10;
        world.run(ms(60_000));
        ensure_same(world, &before);
        ensure_at_most(world, Duration::ZERO, Duration::ZERO);
    });
}

#[test]
fn a_split_lan_has_one_announcer_on_each_side_and_one_soon_after_it_heals() {
    each(|world| {
        let count = world.nodes.len();
        world.part = (0..count).map(|node| usize::from(node * 2 < count)).collect();
        world.run(ms(5000));
        world.check_rest();
        world.part = vec![0; count];
        world.run(ms(3000));
        ensure_at_most(world, DEATH_OUTAGE_MAX + ms(300), ms(200));
    });
}

#[test]
fn equal_halves_of_a_split_lan_go_back_to_what_was() {
    for seed in 0..6 {
        let mut world = at_rest(4, 6, seed);
        let before = holders(&world);
        world.part = vec![0, 0, 1, 1];
        world.run(ms(5000));
        world.part = vec![0; 4];
        world.run(ms(3000));
        world.check_rest();
        ensure_same(&world, &before);
        ensure_at_most(&world, DEATH_OUTAGE_MAX + ms(300), ms(200));
    }
}

#[test]
fn a_split_that_heals_while_gossip_is_blocked_ends_with_one_announcer_too() {
    each(|world| {
        let count = world.nodes.len();
        world.part = (0..count).map(|node| usize::from(node * 2 < count)).collect();
        world.run(ms(3000));
        block_all(world);
        world.run(ms(3000));
        world.part = vec![0; count];
        world.run(ms(5000));
    });
}

#[test]
fn a_rebalance_spreads_the_groups_again_without_a_gap() {
    each(|world| {
        let returned = holder_of(world, G);
        world.kill(returned);
        world.run(ms(2000));
        world.start(returned, Duration::ZERO);
        world.run(ms(2000));
        world.checks.outage_max = Duration::ZERO;
        let now = world.now;
        for node in 0..world.nodes.len() {
            world.drive(node, |machine| {
                machine.handle_rebalance(now);
            });
        }
        world.run(ms(10_000));
        assert_eq!(holder_of(world, G), returned);
        ensure_at_most(world, Duration::ZERO, MESSAGE_MAX);
    });
}
