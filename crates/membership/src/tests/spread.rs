//! Facts and holds: how fast they get to all, at what cost, and what a starting node waits for.

use std::time::Duration;

use super::sim::{Sim, id};
use crate::members::Event;
use crate::{Facts, GroupId, Interface, Term};

fn facts(draining: bool) -> Facts {
    let prefixes = vec!["192.0.2.7/24".parse().unwrap()];
    let eth0 =
        Interface { index: 2, name: "eth0".to_owned(), mac: [2, 0, 0, 0, 0, 7], carrier: true, prefixes };
    Facts { interfaces: vec![eth0], draining, restarting_secs: None }
}

#[test]
fn what_changes_is_known_everywhere_after_one_trip() {
    let mut sim = Sim::joined(10, 1, 1);
    sim.with(0, |members| members.set_facts(facts(true)).unwrap());
    sim.with(1, |members| members.hold(GroupId(1), Term(4)));
    sim.run_ms(1);
    assert!(sim.agree());
    assert_eq!(
        sim.told_since(sim.now() - Duration::from_millis(1), |event| *event == Event::Facts(id(0))),
        9
    );
    let since = sim.now();
    sim.with(1, |members| members.release(GroupId(1), Term(6)));
    sim.run_ms(1);
    assert!(sim.agree());
    let released = Event::Released { node: id(1), group: GroupId(1), term: Term(6) };
    assert_eq!(sim.told_since(since, |event| *event == released), 9);
}

#[test]
fn what_was_lost_comes_with_the_next_heartbeats() {
    let mut worst = Duration::ZERO;
    for seed in 0..30 {
        let mut sim = Sim::joined(10, 1, seed);
        sim.network.loss_permille = 100;
        let since = sim.now();
        sim.with(0, |members| members.set_facts(facts(true)).unwrap());
        for group in 0..20 {
            sim.with(1, |members| members.hold(GroupId(group), Term(1)));
        }
        assert!(sim.run_until(3_000, Sim::agree));
        worst = worst.max(sim.now() - since);
        sim.check_holds();
    }
    println!("10 nodes, 10 % loss, 21 changes: all agree after {worst:?} at the latest");
    assert!(worst < Duration::from_secs(1));
}

#[test]
fn a_change_among_two_hundred_nodes_is_known_within_half_a_second() {
    let mut sim = Sim::joined(200, 1, 1);
    sim.network.loss_permille = 10;
    let since = sim.now();
    sim.with(0, |members| members.set_facts(facts(true)).unwrap());
    sim.with(1, |members| members.hold(GroupId(1), Term(4)));
    let held = Event::Held { node: id(1), group: GroupId(1), term: Term(4) };
    let known = |sim: &Sim, event| sim.told_since(since, |told| *told == event);
    sim.run_ms(10);
    println!("200 nodes, 1 % loss: a hold is known to {} after 10 ms", known(&sim, held));
    sim.run_ms(490);
    assert_eq!(known(&sim, held), 199);
    assert_eq!(known(&sim, Event::Facts(id(0))), 199);
}

#[test]
fn a_change_costs_what_the_change_is_and_not_what_is_held() {
    let mut sim = Sim::joined(3, 1, 1);
    sim.with(0, |members| (0..10_000).for_each(|group| members.hold(GroupId(group), Term(1))));
    assert!(sim.run_until(2_000, Sim::agree));
    sim.run_ms(500);
    let before: u64 = (0..3).map(|node| sim.sent(node).0).sum();
    sim.with(0, |members| members.hold(GroupId(77), Term(2)));
    sim.run_ms(5);
    assert!(sim.agree());
    let after: u64 = (0..3).map(|node| sim.sent(node).0).sum();
    // Two datagrams, and perhaps some heartbeats.
    assert!(after - before < 1_000, "{} octets", after - before);
}

#[test]
fn a_starting_node_learns_ten_thousand_holds_before_it_is_synced() {
    for loss_permille in [0, 20] {
        let mut sim = Sim::joined(3, 1, 1);
        sim.kill(2);
        sim.with(0, |members| (0..5_000).for_each(|group| members.hold(GroupId(group), Term(1))));
        sim.with(1, |members| (5_000..10_000).for_each(|group| members.hold(GroupId(group), Term(1))));
        sim.run_ms(3_000);
        sim.network.loss_permille = loss_permille;
        let started = sim.now();
        sim.start_node(2);
        assert!(sim.run_until(5_000, |sim| sim.members(2).unwrap().synced()));
        println!("10,000 holds, {loss_permille} of 1000 lost: synced after {:?}", sim.now() - started);
        let log: Vec<_> = sim.log(2).iter().map(|(_, event)| *event).collect();
        let held = log.iter().take_while(|event| **event != Event::Synced);
        assert_eq!(held.filter(|event| matches!(event, Event::Held { .. })).count(), 10_000);
        sim.check_holds();
    }
}

#[test]
fn a_node_that_finds_nobody_is_synced_after_the_limit() {
    let mut sim = Sim::new(3, 1, 1);
    sim.start_node(0);
    sim.run_ms(990);
    assert!(!sim.members(0).unwrap().synced());
    sim.run_ms(20);
    assert_eq!(sim.log(0).iter().map(|(_, event)| *event).collect::<Vec<_>>(), [Event::Synced]);
}

#[test]
fn nodes_that_start_together_do_not_take_each_other_for_those_that_know() {
    let mut sim = Sim::new(3, 1, 1);
    sim.start_node(0);
    sim.start_node(1);
    sim.run_ms(900);
    assert!(sim.agree());
    assert!(!sim.members(0).unwrap().synced() && !sim.members(1).unwrap().synced());
    sim.run_ms(200);
    assert!(sim.members(0).unwrap().synced() && sim.members(1).unwrap().synced());
}

#[test]
fn the_holds_of_the_dead_are_known_also_to_those_that_come_later() {
    let mut sim = Sim::joined(3, 1, 1);
    sim.with(0, |members| members.hold(GroupId(9), Term(3)));
    sim.run_ms(5);
    sim.kill(0);
    sim.kill(2);
    sim.run_ms(1_000);
    sim.start_node(2);
    sim.run_ms(1_000);
    assert!(!sim.members(2).unwrap().is_up(id(0)));
    assert!(sim.members(2).unwrap().holds(id(0)).eq([(GroupId(9), Term(3))]));
}

#[test]
fn the_facts_of_an_earlier_boot_stay_until_there_are_new_ones() {
    let mut sim = Sim::joined(3, 1, 1);
    sim.with(0, |members| members.set_facts(facts(false)).unwrap());
    sim.run_ms(2);
    sim.kill(0);
    sim.start_node(0);
    sim.run_ms(1_000);
    assert_eq!(sim.members(1).unwrap().facts(id(0)), Some(&facts(false)));
    sim.with(0, |members| members.set_facts(facts(true)).unwrap());
    sim.run_ms(2);
    assert_eq!(sim.members(1).unwrap().facts(id(0)), Some(&facts(true)));
}

#[test]
fn facts_that_are_refused_leave_the_old_ones() {
    let mut sim = Sim::joined(2, 1, 1);
    sim.with(0, |members| members.set_facts(facts(false)).unwrap());
    let mut long = facts(false);
    long.interfaces = vec![long.interfaces[0].clone(); 100];
    assert!(sim.with(0, |members| members.set_facts(long)).unwrap().is_err());
    sim.run_ms(2);
    assert_eq!(sim.members(1).unwrap().facts(id(0)), Some(&facts(false)));
}
