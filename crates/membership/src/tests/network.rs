//! Cuts, partitions, several paths, and datagrams that do not belong.

use std::time::Duration;

use super::sim::{Sim, address, id};
use super::{downs, known_down};
use crate::Rejected;
use crate::members::Event;

#[test]
fn a_link_cut_one_way_or_both_ways_kills_nobody_while_others_see_both() {
    for both_ways in [false, true] {
        let mut sim = Sim::joined(3, 1, 4);
        let since = sim.now();
        sim.network.cuts.insert((0, 1, 0));
        if both_ways {
            sim.network.cuts.insert((1, 0, 0));
        }
        sim.run_ms(30_000);
        assert_eq!(downs(&sim, since), 0);
        sim.with(0, |members| members.hold(crate::GroupId(1), crate::Term(1)));
        sim.run_ms(500);
        assert!(sim.agree(), "news goes round the cut");
    }
}

#[test]
fn those_who_do_not_watch_a_node_can_still_tell_that_it_lives() {
    // Most of the others never hear a node of which they are no neighbour, unless they are asked about it.
    let mut sim = Sim::joined(10, 1, 4);
    let mut ring: Vec<_> = (0..10).collect();
    ring.sort_unstable_by_key(|node| id(*node));
    let since = sim.now();
    sim.network.cuts.extend([(ring[4], ring[5], 0), (ring[5], ring[4], 0)]);
    sim.run_ms(30_000);
    assert_eq!(downs(&sim, since), 0);
}

#[test]
fn a_node_that_is_cut_off_says_so_and_accuses_nobody() {
    let mut sim = Sim::joined(4, 1, 4);
    let cut = sim.now();
    sim.partition(&[3], &[0, 1, 2]);
    sim.run_ms(3_000);
    assert!(!sim.members(3).unwrap().joined());
    assert_eq!(known_down(&sim, 3, cut).len(), 3);
    let told = sim.log(3).iter().filter(|(at, event)| *at >= cut && matches!(event, Event::Down(_)));
    assert!(told.clone().all(|(at, _)| *at - cut < Duration::from_millis(400)));
    assert_eq!(told.count(), 3);
    let counters = sim.members(3).unwrap().counters();
    assert_eq!((counters.isolations, counters.accusations), (1, 0));

    let healed = sim.now();
    sim.network.cuts.clear();
    assert!(sim.run_until(2_000, Sim::agree));
    println!("a node cut off: all agree {:?} after the cut is healed", sim.now() - healed);
    assert_eq!(downs(&sim, healed), 0);
}

#[test]
fn a_node_that_hears_nothing_but_is_heard_does_no_harm() {
    let mut sim = Sim::joined(4, 1, 4);
    let cut = sim.now();
    sim.network.cuts.extend((0..3).map(|other| (other, 3, 0)));
    sim.run_ms(5_000);
    assert!(!sim.members(3).unwrap().joined());
    let harmed = sim.told_since(cut, |event| matches!(event, Event::Down(node) if *node == id(3)));
    assert_eq!(harmed, 0, "its heartbeats arrive, so it is alive");
}

#[test]
fn both_sides_of_a_partition_go_on_and_find_each_other_again() {
    for (one, other, seed) in [(2, 3, 0), (2, 3, 1), (1, 1, 2), (5, 5, 3), (4, 8, 4), (20, 30, 5)] {
        let mut sim = Sim::joined(one + other, 1, seed);
        let nodes: Vec<_> = (0..one + other).collect();
        sim.partition(&nodes[..one], &nodes[one..]);
        sim.run_ms(6_000);
        assert_eq!(sim.members(0).unwrap().members().count(), one - 1);
        assert_eq!(sim.members(one).unwrap().members().count(), other - 1);
        let healed = sim.now();
        sim.network.cuts.clear();
        assert!(sim.run_until(3_000, Sim::agree));
        println!("{one} and {other} nodes: all agree {:?} after the cut is healed", sim.now() - healed);
        assert_eq!(downs(&sim, healed), 0);
    }
}

#[test]
fn a_node_is_up_while_one_of_its_paths_is() {
    let mut sim = Sim::joined(3, 2, 4);
    let since = sim.now();
    let first_path: Vec<_> = (0..3).flat_map(|a| (0..3).map(move |b| (a, b, 0))).collect();
    sim.network.cuts.extend(first_path);
    sim.run_ms(5_000);
    assert_eq!(downs(&sim, since), 0);
    for node in 0..3 {
        for other in (0..3).filter(|other| *other != node) {
            let down = Event::PathDown { node: id(other), address: address(other, 0) };
            let told = sim.log(node).iter().filter(|(at, event)| *at >= since && *event == down).count();
            assert_eq!(told, 1);
        }
    }
    sim.with(0, |members| members.hold(crate::GroupId(1), crate::Term(1)));
    sim.run_ms(2);
    assert!(sim.agree(), "news takes the path that is left");

    let healed = sim.now();
    sim.network.cuts.clear();
    sim.run_ms(1_000);
    assert_eq!(sim.told_since(healed, |event| matches!(event, Event::PathUp { .. })), 6);

    let killed = sim.now();
    sim.kill(0);
    sim.run_ms(1_000);
    assert!(*known_down(&sim, 0, killed).last().unwrap() < Duration::from_millis(400));
}

#[test]
fn a_node_that_is_silent_on_all_its_paths_is_down_and_no_path_of_it_alone() {
    for seed in 0..20 {
        let mut sim = Sim::joined(3, 2, seed);
        let since = sim.now();
        let both_paths = (0..3).flat_map(|a| (0..3).flat_map(move |b| [(a, b, 0), (a, b, 1)]));
        sim.network.cuts.extend(both_paths);
        sim.run_ms(1_000);
        assert_eq!(downs(&sim, since), 6);
        let told = sim.told_since(since, |event| matches!(event, Event::PathDown { .. }));
        assert_eq!(told, 0, "with seed {seed}");
    }
}

#[test]
fn recorded_datagrams_do_not_bring_a_dead_node_back() {
    let mut sim = Sim::new(3, 1, 6);
    sim.record();
    (0..3).for_each(|node| sim.start_node(node));
    sim.run_ms(2_000);
    sim.kill(1);
    sim.run_ms(1_000);
    let since = sim.now();
    let before = sim.members(0).unwrap().counters();
    let count = sim.replay();
    assert!(count > 100);
    sim.run_ms(2_000);
    assert_eq!(sim.told_since(since, |event| matches!(event, Event::Up(_) | Event::Down(_))), 0);
    let after = sim.members(0).unwrap().counters();
    assert!(after.rejected[Rejected::Replayed.index()] > before.rejected[Rejected::Replayed.index()]);

    // Also not those of an earlier boot, to a node that is back, or to one that never saw them.
    sim.start_node(1);
    sim.run_ms(500);
    sim.record();
    sim.run_ms(500);
    sim.kill(1);
    sim.kill(0);
    sim.run_ms(1_000);
    sim.start_node(0);
    sim.run_ms(500);
    let since = sim.now();
    assert!(sim.replay() > 20);
    sim.run_ms(1_000);
    assert_eq!(sim.told_since(since, |event| *event == Event::Up(id(1))), 0);
    assert!(sim.members(0).unwrap().counters().rejected[Rejected::UnprovenBoot.index()] > 0);
}

#[test]
fn a_bad_network_is_put_up_with() {
    let mut sim = Sim::joined(5, 1, 8);
    sim.network.loss_permille = 50;
    sim.network.twice_permille = 200;
    sim.network.late_permille = 200;
    let since = sim.now();
    sim.run_ms(60_000);
    assert_eq!(downs(&sim, since), 0);
    assert!(sim.members(0).unwrap().counters().rejected[Rejected::Replayed.index()] > 0);
}

#[test]
fn only_nodes_that_were_named_are_members() {
    let mut sim = Sim::joined(3, 1, 1);
    let named = [crate::Seed { node: id(1), addresses: vec![address(1, 0)] }];
    let now = sim.now();
    sim.with(1, |members| members.hold(crate::GroupId(5), crate::Term(1)));
    sim.run_ms(5);
    sim.with(0, |members| members.set_seeds(&named, now));
    let last: Vec<_> = sim.log(0).iter().rev().take(1).map(|(_, event)| *event).collect();
    assert_eq!(last, [Event::Down(id(2))]);
    sim.run_ms(2_000);
    assert!(sim.members(0).unwrap().members().eq([id(1)]));
    assert!(sim.members(0).unwrap().counters().rejected[Rejected::UnknownNode.index()] > 0);
    let now = sim.now();
    sim.with(0, |members| members.set_seeds(&[], now));
    let last: Vec<_> = sim.log(0).iter().rev().take(2).map(|(_, event)| *event).collect();
    assert_eq!(
        last,
        [Event::Released { node: id(1), group: crate::GroupId(5), term: crate::Term(0) }, Event::Down(id(1))]
    );
}
