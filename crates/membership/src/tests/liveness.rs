//! Deaths, restarts, and nodes that only look dead.

use std::time::Duration;

use super::sim::{Sim, id};
use super::{downs, known_down};
use crate::members::Event;

const LIMIT: Duration = Duration::from_millis(400);

#[test]
fn three_nodes_know_a_death_within_400_ms_at_any_phase() {
    let mut worst = Duration::ZERO;
    for phase in 0..40 {
        let mut sim = Sim::joined(3, 1, phase);
        sim.run_ms(phase * 7);
        let killed = sim.now();
        sim.kill(1);
        sim.run_ms(600);
        worst = worst.max(*known_down(&sim, 1, killed).last().unwrap());
        assert_eq!(downs(&sim, killed), 2);
    }
    println!("3 nodes, 40 deaths: known to all after {worst:?} at the latest");
    assert!(worst <= LIMIT, "{worst:?}");
}

#[test]
fn deaths_are_known_in_time_in_spite_of_loss() {
    let mut worst = Duration::ZERO;
    for seed in 0..40 {
        let mut sim = Sim::joined(5, 1, seed);
        sim.network.loss_permille = 50;
        sim.run_ms(500 + seed * 7);
        let killed = sim.now();
        sim.kill(2);
        sim.run_ms(900);
        worst = worst.max(*known_down(&sim, 2, killed).last().unwrap());
    }
    println!("5 nodes, 5 % loss, 40 deaths: known to all after {worst:?} at the latest");
    assert!(worst <= LIMIT, "{worst:?}");
}

#[test]
fn two_hundred_nodes_know_a_death_within_half_a_second() {
    let mut sim = Sim::joined(200, 1, 1);
    sim.network.loss_permille = 10;
    for dead in [3, 77, 140] {
        let killed = sim.now();
        sim.kill(dead);
        sim.run_ms(700);
        let known = known_down(&sim, dead, killed);
        println!("200 nodes, 1 % loss: known to half after {:?}, to all after {:?}", known[98], known.last());
        assert!(known.last() < Some(&Duration::from_millis(500)), "{known:?}");
    }
}

#[test]
fn neighbours_that_die_together_are_both_known() {
    let mut sim = Sim::joined(10, 1, 3);
    let mut ring: Vec<_> = (0..10).collect();
    ring.sort_unstable_by_key(|node| id(*node));
    let killed = sim.now();
    ring[2..5].iter().for_each(|node| sim.kill(*node));
    sim.run_ms(2_000);
    for dead in &ring[2..5] {
        // The one in the middle is nobody's neighbour until the others are known to be dead.
        assert!(*known_down(&sim, *dead, killed).last().unwrap() <= LIMIT * 2);
    }
    assert_eq!(downs(&sim, killed), 3 * 7);
}

#[test]
fn a_node_at_rest_sends_less_than_two_kilobytes_a_second() {
    for count in [2, 3, 10, 40] {
        let mut sim = Sim::joined(count, 1, 5);
        let before = sim.sent(0).0;
        sim.run_ms(10_000);
        let rate = (sim.sent(0).0 - before) / 10;
        println!("{count} nodes: {rate} octets/s sent by each");
        assert!(rate <= 2_000, "{count} nodes: {rate} octets/s");
    }
}

#[test]
fn no_node_is_called_dead_for_loss_alone() {
    for (count, secs) in [(3, 600), (10, 120)] {
        let mut sim = Sim::joined(count, 1, 9);
        sim.network.loss_permille = 100;
        let (since, before) = (sim.now(), sim.sent(0).0);
        sim.run_ms(secs * 1_000);
        println!(
            "{count} nodes, 10 % loss, {secs} s: {} false downs, {} octets/s sent by each",
            downs(&sim, since),
            (sim.sent(0).0 - before) / secs
        );
        assert_eq!(downs(&sim, since), 0);
    }
}

#[test]
fn a_dead_node_that_returns_is_up_at_once() {
    let mut sim = Sim::joined(4, 1, 2);
    sim.kill(1);
    sim.run_ms(1_000);
    let started = sim.now();
    sim.start_node(1);
    assert!(sim.run_until(1_000, Sim::agree));
    println!("a node that was dead: all agree after {:?}", sim.now() - started);
    assert!(sim.now() - started < Duration::from_millis(50));
    assert!(
        sim.run_until(200, |sim| sim.members(1).unwrap().synced()),
        "synced by a member, not by the limit"
    );
}

#[test]
fn a_restart_quicker_than_the_detection_is_no_death_but_ends_the_holds() {
    let mut sim = Sim::joined(3, 1, 2);
    let (group, term) = (crate::GroupId(7), crate::Term(1));
    sim.with(1, |members| members.hold(group, term));
    sim.run_ms(10);
    let since = sim.now();
    sim.kill(1);
    sim.run_ms(100);
    sim.start_node(1);
    sim.run_ms(1_000);
    assert!(sim.agree());
    assert_eq!(downs(&sim, since), 0);
    assert_eq!(
        sim.told_since(since, |event| *event == Event::Released { node: id(1), group, term: crate::Term(0) }),
        2
    );
}

#[test]
fn a_stopped_process_accuses_nobody_when_it_goes_on() {
    for (count, seed) in [(3, 1), (3, 2), (10, 3)] {
        let mut sim = Sim::joined(count, 1, seed);
        let since = sim.now();
        sim.freeze(1, Duration::from_secs(2));
        sim.run_ms(1_000);
        assert_eq!(known_down(&sim, 1, since).len(), count - 1);
        sim.run_ms(1_300);
        assert!(sim.agree(), "back within 300 ms");
        let stalled = sim.log(1).iter().filter(|(_, event)| matches!(event, Event::Stalled(_))).count();
        assert_eq!(stalled, 1);
        let accused = sim.told_since(since, |event| matches!(event, Event::Down(node) if *node != id(1)));
        assert_eq!(accused, 0);
    }
}

#[test]
fn a_short_stop_is_no_death() {
    for seed in 0..20 {
        let mut sim = Sim::joined(3, 1, seed);
        sim.run_ms(seed * 13);
        let since = sim.now();
        sim.freeze(1, Duration::from_millis(230));
        sim.run_ms(2_000);
        assert_eq!(downs(&sim, since), 0);
    }
}

#[test]
fn all_stopped_at_once_is_no_death() {
    // A hypervisor that pauses, or a clock that jumps.
    let mut sim = Sim::joined(5, 1, 1);
    let since = sim.now();
    (0..5).for_each(|node| sim.freeze(node, Duration::from_secs(3)));
    sim.run_ms(6_000);
    assert_eq!(downs(&sim, since), 0);
    assert_eq!(sim.told_since(since, |event| matches!(event, Event::Stalled(_))), 5);
}
