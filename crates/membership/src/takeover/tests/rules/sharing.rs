//! Rules 8 to 15: two claims, planned moves, restarts of others, damping.

use super::*;

#[test]
fn rule_8_the_better_claim_stays_and_bursts_the_worse_stops_at_once() {
    // Among equal terms the heavier node wins.
    let equal = claims::weight(G, ME) > claims::weight(G, A);
    for (term, keeps) in [(1, true), (2, equal), (3, false)] {
        let mut speaker = Speaker::holding(&[ME, A]);
        speaker.hold(A, term);
        let burst = vec![Action::Burst { group: G }, Action::TellHold { group: G, term: Term(2) }];
        assert_eq!(speaker.actions(), if keeps { burst } else { stopped(3) }, "term {term}");
        assert_eq!(speaker.machine.announces(G), keeps);
    }
}

#[test]
fn rule_8_of_two_nodes_exactly_one_wins_a_tie_and_the_groups_spread() {
    let wins = (0..1000).filter(|group| claims::outbids(GroupId(*group), (Term(2), A), (Term(2), B)));
    let lost = (0..1000).filter(|group| claims::outbids(GroupId(*group), (Term(2), B), (Term(2), A)));
    let (wins, lost) = (wins.count(), lost.count());
    assert_eq!(wins + lost, 1000);
    assert!((400..=600).contains(&wins), "{wins}");
}

#[test]
fn rule_8_a_claim_heard_twice_brings_one_burst() {
    let mut speaker = Speaker::holding(&[ME, A]);
    speaker.hold(A, 1);
    speaker.actions();
    speaker.hold(A, 1);
    assert_eq!(speaker.actions(), []);
}

/// Members heard and dead beside this node, the dead holder's term, the bid for its group, and that after a second.
#[test]
fn rule_9_a_dead_holder_is_bid_low_and_a_majority_raises_it() {
    let rows = [
        (1, 1, 2, 1, 4),
        (1, 1, 3, 3, 4),
        (1, 2, 4, 3, 3),
        (0, 1, 2, 1, 1),
        (0, 2, 1, 1, 1),
        (3, 3, 2, 1, 4),
    ];
    for (heard, dead, held, low, raised) in rows {
        let row = format!("{heard} heard, {dead} dead, held {held}");
        let mut speaker = Speaker::starting();
        speaker.hold(A, held);
        speaker.group(&[A, ME]);
        for node in 0..heard {
            speaker.member(NodeId(20 + node), Liveness::Alive);
        }
        for node in 0..dead - 1 {
            speaker.member(NodeId(30 + node), Liveness::Dead);
        }
        speaker.member(A, Liveness::Dead);
        speaker.machine.handle_synced(speaker.now);
        for _question in 0..if heard == 0 { 3 } else { 1 } {
            speaker.dead(A, false);
        }
        assert_eq!(speaker.machine.holder(G), Some((ME, Term(low))), "{row}");
        speaker.actions();
        speaker.pass(ms(999));
        assert_eq!(speaker.machine.holder(G), Some((ME, Term(low))), "{row}");
        speaker.pass(ms(1));
        assert_eq!(speaker.machine.holder(G), Some((ME, Term(raised))), "{row}");
        let told = speaker.actions().contains(&Action::TellHold { group: G, term: Term(raised) });
        assert_eq!(told, raised > low, "{row}");
    }
}

#[test]
fn rule_9_a_bid_stays_low_if_the_majority_was_lost_meanwhile() {
    let mut speaker = Speaker::watching(&[A, ME]);
    speaker.member(A, Liveness::Dead);
    speaker.dead(A, false);
    speaker.member(B, Liveness::Dead);
    speaker.pass(ms(500));
    speaker.member(B, Liveness::Alive);
    speaker.pass(ms(5000));
    assert_eq!(speaker.machine.holder(G), Some((ME, Term(1))));
}

/// A node lighter than this one for the group, and a heavier one.
fn lighter_and_heavier() -> (NodeId, NodeId) {
    let weighs = |node: &NodeId| claims::weight(G, *node) < claims::weight(G, ME);
    let find = |lighter| (2..).map(NodeId).find(|node| weighs(node) == lighter).unwrap();
    (find(true), find(false))
}

/// Holds the group, has seen `rival` announce it, which gossip does not hear, and has burst.
fn disputing(rival: NodeId) -> Speaker {
    let mut speaker = Speaker::holding(&[ME, rival]);
    speaker.member(rival, Liveness::Dead);
    speaker.machine.handle_sighting(rival, G, speaker.now);
    assert_eq!(speaker.actions(), [Action::Burst { group: G }]);
    speaker
}

#[test]
fn rule_8_each_burst_of_a_member_whose_claim_is_worse_brings_one_of_the_better() {
    let mut speaker = Speaker::holding(&[ME, A, B]);
    speaker.hold(A, 1);
    speaker.actions();
    for _ in 0..2 {
        speaker.machine.handle_sighting(A, G, speaker.now);
        assert_eq!(speaker.actions(), [Action::Burst { group: G }]);
    }
    // Of whom no claim is known, it may be the better one.
    speaker.machine.handle_sighting(B, G, speaker.now);
    assert_eq!(speaker.actions(), []);
}

#[test]
fn rule_9_of_two_announcers_whom_gossip_does_not_join_the_lighter_asks_and_stops() {
    let (lighter, heavier) = lighter_and_heavier();
    for (rival, stops) in [(lighter, false), (heavier, true)] {
        let mut speaker = disputing(rival);
        speaker.pass(ms(299));
        assert_eq!(speaker.actions(), []);
        speaker.pass(ms(1));
        assert_eq!(speaker.actions(), [ASK_HOLDER]);
        speaker.wire(HolderAnswer::Member(rival));
        assert_eq!(speaker.actions(), if stops { stopped(3) } else { vec![] });
    }
}

#[test]
fn rule_9_a_dispute_that_gossip_joins_in_time_is_settled_by_the_terms() {
    let (lighter, heavier) = lighter_and_heavier();
    for (rival, term, stops) in [(heavier, 1, false), (lighter, 4, true)] {
        let mut speaker = disputing(rival);
        speaker.member(rival, Liveness::Alive);
        speaker.hold(rival, term);
        speaker.machine.handle_sighting(rival, G, speaker.now);
        assert_eq!(speaker.machine.announces(G), !stops);
    }
}

#[test]
fn rule_9_the_heavier_stops_too_if_the_other_does_not_see_it() {
    let mut speaker = disputing(lighter_and_heavier().0);
    for after in [300, 300, 299] {
        speaker.pass(ms(after));
        speaker.machine.handle_sighting(lighter_and_heavier().0, G, speaker.now);
        assert!(speaker.machine.announces(G));
    }
    speaker.pass(ms(1));
    speaker.machine.handle_sighting(lighter_and_heavier().0, G, speaker.now);
    assert!(!speaker.machine.announces(G));
}

#[test]
fn rule_9_the_first_dispute_brings_a_burst_of_all_that_the_other_could_announce() {
    let other = GroupId(200);
    let mut speaker = Speaker::holding(&[ME, A]);
    speaker.machine.set_group(other, Speaker::candidacy(&[ME, A]), speaker.now);
    let silent = ProbeResult::Holder { group: other, answer: HolderAnswer::Silent };
    speaker.machine.handle_probe(silent, speaker.now);
    speaker.member(A, Liveness::Dead);
    speaker.actions();
    for expected in [vec![Action::Burst { group: G }, Action::Burst { group: other }], vec![]] {
        speaker.machine.handle_sighting(A, G, speaker.now);
        assert_eq!(speaker.actions(), expected);
    }
}

#[test]
fn rule_9_who_is_heard_is_judged_by_its_term_and_not_by_sight() {
    let mut speaker = Speaker::holding(&[ME, A, B]);
    for node in [A, B] {
        speaker.machine.handle_sighting(node, G, speaker.now);
    }
    assert_eq!(speaker.actions(), []);
    assert!(speaker.machine.announces(G));
}

#[test]
fn rule_9_a_node_that_does_not_hear_all_looks_out_for_a_second_announcer() {
    let mut speaker = Speaker::holding(&[ME, A]);
    speaker.pass(ms(10_000));
    assert_eq!(speaker.actions(), []);
    speaker.member(A, Liveness::Dead);
    speaker.pass(ms(500));
    assert_eq!(speaker.actions(), [ASK_HOLDER]);
    speaker.wire(HolderAnswer::Silent);
    speaker.member(A, Liveness::Alive);
    speaker.pass(ms(10_000));
    assert_eq!(speaker.actions(), []);
}

#[test]
fn rule_10_a_holder_that_drains_and_has_only_just_been_heard_again_is_given_time_to_take_that_back() {
    let settle = Config::default().handover_settle;
    for takes_back in [true, false] {
        let mut speaker = Speaker::watching(&[A, ME, B]);
        speaker.pass(ms(5000));
        speaker.member(A, Liveness::Dead);
        speaker.dead(A, true);
        speaker.actions();
        speaker.member(A, Liveness::Draining);
        speaker.hold(A, 2);
        speaker.pass(settle - ms(1));
        assert_eq!(speaker.moved(), None);
        if takes_back {
            speaker.member(A, Liveness::Alive);
        }
        speaker.pass(ms(2));
        assert_eq!(speaker.moved(), (!takes_back).then_some(Cause::HolderDraining));
    }
}

#[test]
fn rule_10_the_first_in_turn_takes_over_from_a_draining_holder_at_once() {
    let mut speaker = Speaker::watching(&[A, ME, B]);
    speaker.member(A, Liveness::Draining);
    assert_eq!(speaker.actions(), claimed(4));
    assert_eq!(speaker.moved(), Some(Cause::HolderDraining));
    // The old one has stopped.
    speaker.release(A, 4);
    assert_eq!(speaker.actions(), [Action::Burst { group: G }]);
}

#[test]
fn rule_10_from_a_holder_that_is_no_candidate_the_group_is_taken_once_the_plan_has_settled() {
    let mut speaker = Speaker::watching(&[A, ME]);
    speaker.group(&[ME]);
    speaker.pass(ms(249));
    assert_eq!(speaker.actions(), []);
    speaker.pass(ms(1));
    assert_eq!(speaker.actions(), claimed(4));
    assert_eq!(speaker.moved(), Some(Cause::HolderNoCandidate));
}

#[test]
fn rule_10_a_holder_that_lingers_is_left_the_group_for_ten_seconds_unless_it_drains() {
    let lingering = Candidacy { lingers: true, ..Speaker::candidacy(&[ME]) };
    let mut speaker = Speaker::watching(&[A, ME]);
    speaker.machine.set_group(G, lingering.clone(), speaker.now);
    speaker.pass(ms(9_999));
    assert_eq!(speaker.actions(), []);
    // A candidate again: the time begins anew.
    speaker.group(&[A, ME]);
    speaker.machine.set_group(G, lingering, speaker.now);
    speaker.pass(ms(9_999));
    assert_eq!(speaker.actions(), []);
    let mut drained = Speaker::watching(&[ME]);
    drained.member(A, Liveness::Draining);
    assert_eq!(drained.moved(), Some(Cause::HolderDraining));
    speaker.pass(ms(1));
    assert_eq!(speaker.moved(), Some(Cause::HolderNoCandidate));
}

#[test]
fn rule_10_a_draining_holder_answers_until_it_hears_of_the_claim() {
    let mut speaker = Speaker::holding(&[A]);
    speaker.member(ME, Liveness::Draining);
    speaker.pass(ms(60_000));
    assert_eq!(speaker.actions(), []);
    speaker.hold(A, 4);
    assert_eq!(speaker.actions(), stopped(4));
    assert_eq!(speaker.events(), [Event::Stopped { group: G, cause: StopCause::GaveWay { to: A } }]);
}

#[test]
fn rule_10_a_draining_node_takes_nothing_over() {
    let mut speaker = Speaker::watching(&[ME, A]);
    speaker.member(ME, Liveness::Draining);
    speaker.member(A, Liveness::Draining);
    speaker.pass(ms(10_000));
    assert_eq!(speaker.actions(), []);
}

#[test]
fn rule_11_whom_an_obstacle_hinders_stops_at_once_and_says_so() {
    for obstacle in [Obstacle::CarrierLost, Obstacle::NoFitInterface] {
        let mut speaker = Speaker::holding(&[ME, A]);
        speaker.machine.handle_obstacle(G, Some(obstacle), speaker.now);
        assert_eq!(speaker.actions(), stopped(2));
        let cause = StopCause::Obstacle(obstacle);
        assert_eq!(speaker.events(), [Event::Stopped { group: G, cause }]);
    }
}

#[test]
fn rule_11_a_holder_without_endpoint_stops_at_once_and_one_with_goes_on() {
    for (outgoing, stops) in [(Outgoing::Forwards, false), (Outgoing::DeadEnd, true)] {
        let mut speaker = Speaker::holding(&[ME, A]);
        speaker.machine.set_group(G, Candidacy { outgoing, ..Speaker::candidacy(&[A]) }, speaker.now);
        assert_eq!(speaker.actions(), if stops { stopped(2) } else { vec![] });
    }
}

#[test]
fn a_group_that_the_plan_does_not_hold_any_more_is_withdrawn_and_forgotten() {
    let mut speaker = Speaker::holding(&[ME, A]);
    speaker.machine.remove_group(G, speaker.now);
    assert_eq!(speaker.actions(), stopped(2));
    assert_eq!(speaker.machine.poll_timeout(), None);
    assert!(speaker.machine.groups.is_empty());
    assert_eq!(speaker.machine.unplanned, 0);
}

#[test]
fn rule_12_a_group_with_revert_moves_back_to_the_first_in_rank() {
    for (ranked, moves) in [([ME, A], true), ([A, ME], false)] {
        let mut speaker = Speaker::watching(&ranked);
        let candidacy = Candidacy { revert: true, ..Speaker::candidacy(&ranked) };
        speaker.machine.set_group(G, candidacy, speaker.now);
        speaker.pass(ms(4999));
        assert_eq!(speaker.actions(), []);
        speaker.pass(ms(1));
        assert_eq!(speaker.moved(), moves.then_some(Cause::Revert));
    }
}

#[test]
fn rule_13_a_rebalance_takes_one_group_after_the_other() {
    let mut speaker = Speaker::active();
    for group in 0..4 {
        // Of the last, another is the first in rank.
        let ranked = if group == 3 { [A, ME] } else { [ME, A] };
        speaker.machine.handle_hold(A, GroupId(group), Term(2), speaker.now);
        speaker.machine.set_group(GroupId(group), Speaker::candidacy(&ranked), speaker.now);
    }
    let announced =
        |speaker: &Speaker| (0..4).filter(|group| speaker.machine.announces(GroupId(*group))).count();
    speaker.machine.handle_rebalance(speaker.now);
    assert_eq!(announced(&speaker), 1);
    assert_eq!(speaker.moved(), Some(Cause::Rebalance));
    speaker.machine.handle_release(A, GroupId(0), Term(4), speaker.now);
    assert_eq!(announced(&speaker), 2);
    speaker.pass(ms(999));
    assert_eq!(announced(&speaker), 2);
    speaker.pass(ms(1));
    assert_eq!(announced(&speaker), 3);
    speaker.pass(ms(60_000));
    assert_eq!(announced(&speaker), 3);
}

#[test]
fn rule_14_the_next_in_turn_stands_in_for_a_holder_that_restarts_until_it_tells_its_hold() {
    let mut speaker = Speaker::watching(&[A, ME, B]);
    let back_in = ms(10_000);
    speaker.member(A, Liveness::Restarting { back_in });
    assert_eq!(speaker.actions(), [Action::StandIn { group: G, for_node: A }]);
    // Gossip misses the process.
    speaker.member(A, Liveness::Dead);
    speaker.pass(ms(5000));
    speaker.member(A, Liveness::Alive);
    assert_eq!(speaker.actions(), []);
    speaker.hold(A, 2);
    assert_eq!(speaker.actions(), [Action::StandDown { group: G }]);
    speaker.pass(ms(60_000));
    assert_eq!(speaker.actions(), []);
    assert_eq!(speaker.machine.holder(G), Some((A, Term(2))));
}

#[test]
fn rule_14_only_the_next_in_turn_stands_in() {
    let mut speaker = Speaker::watching(&[A, B, ME]);
    speaker.member(A, Liveness::Restarting { back_in: ms(10_000) });
    speaker.pass(ms(5000));
    assert_eq!(speaker.actions(), []);
}

#[test]
fn rule_14_the_stand_in_asks_the_holders_kernel_and_takes_over_if_that_is_gone() {
    let mut speaker = Speaker::watching(&[A, ME, B]);
    speaker.member(A, Liveness::Restarting { back_in: ms(10_000) });
    for quarter in 1..=4 {
        speaker.pass(ms(250));
        speaker.actions();
        assert_eq!(speaker.kernel_asked, quarter);
        // Never three times in a row.
        speaker.kernel(A, quarter == 2);
    }
    assert_eq!(speaker.actions(), []);
    speaker.pass(ms(250));
    speaker.kernel(A, false);
    assert_eq!(speaker.actions(), [Action::StandDown { group: G }, claimed(1)[0], claimed(1)[1]]);
    assert_eq!(speaker.moved(), Some(Cause::HolderDead));
    // One that does not stand in asks nobody.
    let mut speaker = Speaker::watching(&[A, B, ME]);
    speaker.member(A, Liveness::Restarting { back_in: ms(10_000) });
    speaker.pass(ms(5000));
    speaker.actions();
    assert_eq!(speaker.kernel_asked, 0);
    // An answer that comes late says nothing about a member that is back.
    speaker.member(A, Liveness::Alive);
    for _late in 0..3 {
        speaker.kernel(A, false);
    }
    assert_eq!(speaker.machine.holder(G).map(|(node, _)| node), Some(A));
}

#[test]
fn rule_14_a_holder_that_does_not_come_back_in_its_time_is_asked_and_replaced() {
    for (back_in, granted) in [(3000, 3000), (60_000, 10_000)] {
        let mut speaker = Speaker::watching(&[A, ME, B]);
        speaker.member(A, Liveness::Restarting { back_in: ms(back_in) });
        speaker.actions();
        speaker.pass(ms(granted - 1));
        // Said again, it is no second grant.
        speaker.member(A, Liveness::Restarting { back_in: ms(back_in) });
        assert_eq!(speaker.actions(), []);
        speaker.pass(ms(1));
        assert_eq!(speaker.actions(), [Action::StandDown { group: G }, ASK_A]);
        speaker.dead(A, false);
        assert_eq!(speaker.actions(), claimed(1));
    }
}

#[test]
fn rule_14_a_holder_that_comes_back_without_its_hold_is_replaced_after_a_second() {
    let mut speaker = Speaker::watching(&[A, ME, B]);
    speaker.member(A, Liveness::Restarting { back_in: ms(10_000) });
    speaker.member(A, Liveness::Alive);
    speaker.pass(ms(999));
    assert_eq!(speaker.actions(), [Action::StandIn { group: G, for_node: A }]);
    speaker.pass(ms(101));
    assert_eq!(speaker.actions(), [Action::StandDown { group: G }, ASK_HOLDER]);
}

/// A draining `A` holds the group, which has moved four times between it and this node, just now.
fn often_moved() -> Speaker {
    let mut speaker = Speaker::watching(&[A, ME]);
    for (mine, theirs) in [(4, 6), (8, 10)] {
        speaker.member(A, Liveness::Draining);
        assert_eq!(speaker.actions(), claimed(mine));
        speaker.member(A, Liveness::Alive);
        speaker.hold(A, theirs);
        assert_eq!(speaker.actions(), stopped(theirs));
    }
    speaker.events();
    speaker.member(A, Liveness::Draining);
    speaker
}

#[test]
fn rule_15_after_four_moves_in_a_minute_a_group_rests_until_the_minute_is_over() {
    let mut speaker = often_moved();
    speaker.pass(ms(30_000));
    speaker.member(A, Liveness::Alive);
    speaker.member(A, Liveness::Draining);
    speaker.pass(ms(29_999));
    assert_eq!(speaker.actions(), []);
    assert_eq!(speaker.events(), [Event::Damped { group: G }], "told once");
    speaker.pass(ms(1));
    assert_eq!(speaker.moved(), Some(Cause::HolderDraining));
}

#[test]
fn rule_15_a_dead_holder_is_replaced_however_often_the_group_has_moved() {
    let mut speaker = often_moved();
    speaker.member(A, Liveness::Dead);
    speaker.dead(A, false);
    assert_eq!(speaker.moved(), Some(Cause::HolderDead));
}
