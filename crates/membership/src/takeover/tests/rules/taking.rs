//! Rules 3 to 7: turns, free groups, holders in doubt.

use super::*;

#[test]
fn rule_3_a_live_candidate_keeps_its_group_whatever_its_rank() {
    let mut speaker = Speaker::watching(&[ME, B, A]);
    speaker.pass(ms(60_000));
    assert_eq!(speaker.actions(), []);
    assert_eq!(speaker.machine.holder(G), Some((A, Term(2))));
}

#[test]
fn rule_4_who_is_no_candidate_takes_nothing() {
    let mut speaker = Speaker::active();
    speaker.group(&[A]);
    speaker.pass(ms(60_000));
    assert_eq!(speaker.actions(), []);
    speaker.group(&[A, ME]);
    speaker.machine.handle_obstacle(G, Some(Obstacle::NoFitInterface), speaker.now);
    speaker.pass(ms(60_000));
    assert_eq!(speaker.actions(), []);
    speaker.machine.handle_obstacle(G, None, speaker.now);
    speaker.pass(ms(99));
    assert_eq!(speaker.actions(), []);
    speaker.pass(ms(1));
    assert_eq!(speaker.actions(), [ASK_HOLDER]);
}

#[test]
fn rule_6_the_first_claim_of_all_can_need_a_thorough_question_and_turns_as_long_as_it() {
    let thorough = Action::AskHolder { group: G, thorough: true };
    for (ranked, wait) in [([ME, A], ms(0)), ([A, ME], ms(10_000))] {
        let mut speaker = Speaker::active();
        let candidacy = Candidacy { checks_thoroughly: true, ..Speaker::candidacy(&ranked) };
        speaker.machine.set_group(G, candidacy, speaker.now);
        if wait > ms(0) {
            speaker.pass(wait - ms(1));
            assert_eq!(speaker.actions(), []);
            speaker.pass(ms(1));
        }
        assert_eq!(speaker.actions(), [thorough]);
        // It is waited for.
        speaker.pass(ms(7_000));
        assert_eq!(speaker.actions(), []);
        speaker.wire(HolderAnswer::Silent);
        assert!(speaker.actions().contains(&Action::Announce { group: G, term: Term(2) }));
    }
}

#[test]
fn rule_6_a_group_that_somebody_held_needs_no_thorough_question() {
    let mut speaker = Speaker::active();
    let candidacy = Candidacy { checks_thoroughly: true, ..Speaker::candidacy(&[A, ME]) };
    speaker.machine.set_group(G, candidacy, speaker.now);
    speaker.machine.handle_hold(A, G, Term(2), speaker.now);
    speaker.machine.handle_release(A, G, Term(2), speaker.now);
    assert!(speaker.actions().contains(&Action::Announce { group: G, term: Term(4) }));
}

/// What each candidate before this node is to gossip, and how long this node waits then.
#[test]
fn rule_5_candidates_take_turns_by_rank_and_liveness() {
    let back_in = ms(5000);
    let rows: [(&[Liveness], u64); 8] = [
        (&[], 0),
        (&[Liveness::Alive], 100),
        (&[Liveness::Alive, Liveness::Alive], 200),
        (&[Liveness::Draining], 0),
        (&[Liveness::Restarting { back_in }], 0),
        (&[Liveness::Dead], 100),
        (&[Liveness::Unknown], 0),
        (&[Liveness::Unknown, Liveness::Alive, Liveness::Draining], 100),
    ];
    for (before, wait_ms) in rows {
        let mut speaker = Speaker::active();
        let nodes: Vec<NodeId> = (10..).map(NodeId).take(before.len()).collect();
        for (node, liveness) in nodes.iter().zip(before) {
            speaker.member(*node, *liveness);
        }
        let ranked: Vec<NodeId> = nodes.into_iter().chain([ME]).collect();
        speaker.group(&ranked);
        if wait_ms > 0 {
            speaker.pass(ms(wait_ms - 1));
            assert_eq!(speaker.actions(), [], "{before:?}");
            speaker.pass(ms(1));
        }
        assert_eq!(speaker.actions(), [ASK_HOLDER], "{before:?}");
    }
}

#[test]
fn rule_5_a_draining_node_comes_last() {
    let mut speaker = Speaker::active();
    speaker.member(ME, Liveness::Draining);
    speaker.group(&[ME, A, B]);
    speaker.pass(ms(199));
    assert_eq!(speaker.actions(), []);
    speaker.pass(ms(1));
    assert_eq!(speaker.actions(), [ASK_HOLDER]);
}

#[test]
fn rule_5_candidates_beyond_the_eighth_do_not_count() {
    let mut speaker = Speaker::active();
    let ranked: Vec<NodeId> = (10..18).map(NodeId).chain([ME]).collect();
    speaker.group(&ranked);
    speaker.pass(ms(5000));
    assert_eq!(speaker.actions(), []);
}

#[test]
fn rule_6_a_group_without_known_holder_is_taken_when_the_segment_is_silent() {
    let mut speaker = Speaker::active();
    speaker.group(&[ME, A]);
    assert_eq!(speaker.actions(), [ASK_HOLDER]);
    assert!(!speaker.machine.announces(G));
    speaker.wire(HolderAnswer::Silent);
    assert_eq!(speaker.actions(), claimed(2));
    assert_eq!(speaker.moved(), Some(Cause::NoHolder));
}

#[test]
fn rule_6_a_member_that_answers_holds_the_group_for_as_long_as_it_does() {
    let mut speaker = Speaker::active();
    speaker.group(&[ME, A]);
    speaker.wire(HolderAnswer::Member(A));
    assert_eq!(speaker.actions(), [ASK_HOLDER]);
    assert_eq!(speaker.machine.holder(G).map(|(node, _)| node), Some(A));
    // It is alive by gossip and does not tell its hold.
    speaker.pass(ms(1000));
    assert_eq!(speaker.actions(), [ASK_HOLDER]);
    speaker.wire(HolderAnswer::Silent);
    assert_eq!(speaker.actions()[0], claimed(2)[0]);
    assert_eq!(speaker.moved(), Some(Cause::HolderForgot));
}

#[test]
fn rule_6_a_stranger_keeps_the_group_from_being_claimed_until_it_goes() {
    let mut speaker = Speaker::active();
    speaker.group(&[ME, A]);
    speaker.wire(HolderAnswer::Foreign);
    assert_eq!(speaker.actions(), [ASK_HOLDER]);
    assert_eq!(speaker.events(), [Event::Foreign { group: G }]);
    speaker.pass(ms(9999));
    assert_eq!(speaker.actions(), []);
    speaker.pass(ms(1));
    assert_eq!(speaker.actions(), [ASK_HOLDER]);
    speaker.wire(HolderAnswer::Silent);
    assert!(speaker.machine.announces(G));
}

#[test]
fn rule_6_a_release_lets_the_next_take_the_group_without_a_question() {
    let mut speaker = Speaker::watching(&[A, ME, B]);
    speaker.release(A, 2);
    assert_eq!(speaker.actions(), claimed(4));
    assert_eq!(speaker.moved(), Some(Cause::HolderReleased));
}

#[test]
fn rule_6_a_release_before_a_claim_that_is_not_heard_yet_makes_nobody_claim_unasked() {
    let mut speaker = Speaker::watching(&[A, ME, B]);
    // It gave way to a claim with term 4.
    speaker.release(A, 4);
    speaker.pass(ms(100));
    assert_eq!(speaker.actions(), [ASK_HOLDER]);
    speaker.hold(B, 4);
    speaker.wire(HolderAnswer::Silent);
    assert_eq!(speaker.actions(), []);
    assert_eq!(speaker.machine.holder(G), Some((B, Term(4))));
}

#[test]
fn rule_6_a_candidate_that_may_live_unheard_makes_every_take_over_ask() {
    let mut speaker = Speaker::watching(&[A, ME, B]);
    speaker.member(B, Liveness::Dead);
    speaker.release(A, 2);
    assert_eq!(speaker.actions(), [ASK_HOLDER]);
}

#[test]
fn rule_6_the_silence_of_the_dead_is_too_old_after_a_turn() {
    let mut speaker = Speaker::watching(&[A, B, ME]);
    speaker.member(A, Liveness::Dead);
    speaker.pass(ms(100));
    assert_eq!(speaker.actions(), [ASK_A]);
    speaker.dead(A, false);
    speaker.pass(ms(100));
    assert_eq!(speaker.actions(), [ASK_HOLDER]);
}

#[test]
fn rule_6_a_question_that_the_driver_lost_is_asked_again() {
    let mut speaker = Speaker::active();
    speaker.group(&[ME]);
    speaker.pass(ms(999));
    assert_eq!(speaker.actions(), [ASK_HOLDER]);
    speaker.pass(ms(1));
    assert_eq!(speaker.actions(), [ASK_HOLDER]);
}

#[test]
fn rule_7_a_dead_holder_is_asked_and_its_group_taken_if_it_is_silent() {
    let mut speaker = Speaker::watching(&[A, ME, B]);
    speaker.member(A, Liveness::Dead);
    assert_eq!(speaker.actions(), [ASK_A]);
    assert!(!speaker.machine.announces(G));
    speaker.dead(A, false);
    assert_eq!(speaker.actions(), claimed(1));
    assert_eq!(speaker.moved(), Some(Cause::HolderDead));
}

#[test]
fn rule_7_if_gossip_hears_nobody_one_silence_is_not_enough() {
    let mut speaker = Speaker::watching(&[A, ME]);
    speaker.member(B, Liveness::Dead);
    speaker.member(A, Liveness::Dead);
    for _question in 0..3 {
        assert_eq!(speaker.actions(), [ASK_A]);
        assert!(!speaker.machine.announces(G));
        speaker.dead(A, false);
    }
    assert_eq!(speaker.moved(), Some(Cause::HolderDead));
    // An answer in between lets the count begin anew.
    let mut speaker = Speaker::watching(&[A, ME]);
    speaker.member(B, Liveness::Dead);
    speaker.member(A, Liveness::Dead);
    for answered in [false, false, true] {
        speaker.dead(A, answered);
    }
    speaker.pass(ms(1000));
    speaker.actions();
    speaker.dead(A, false);
    assert_eq!(speaker.actions(), [ASK_A]);
}

#[test]
fn rule_7_one_question_per_dead_node_serves_all_its_groups() {
    let mut speaker = Speaker::active();
    for group in 0..10_000 {
        speaker.machine.handle_hold(A, GroupId(group), Term(2), speaker.now);
        speaker.machine.set_group(GroupId(group), Speaker::candidacy(&[A, ME]), speaker.now);
    }
    speaker.member(A, Liveness::Dead);
    assert_eq!(speaker.actions().len(), 1);
    speaker.dead(A, false);
    let announced =
        speaker.actions().iter().filter(|action| matches!(action, Action::Announce { .. })).count();
    assert_eq!(announced, 10_000);
}

#[test]
fn rule_7_only_who_would_take_over_asks_and_the_next_one_later() {
    for (ranked, asks_after) in [(vec![A, B], None), (vec![A, B, ME], Some(ms(100)))] {
        let mut speaker = Speaker::watching(&ranked);
        speaker.member(A, Liveness::Dead);
        speaker.pass(ms(99));
        assert_eq!(speaker.actions(), []);
        speaker.pass(ms(10_000));
        assert_eq!(speaker.actions().first(), asks_after.map(|_| &ASK_A));
    }
}

#[test]
fn rule_7_a_holder_that_answers_keeps_its_group_and_is_asked_each_second() {
    let mut speaker = Speaker::watching(&[A, ME]);
    speaker.member(A, Liveness::Dead);
    for _second in 0..20 {
        assert_eq!(speaker.actions().iter().filter(|action| **action == ASK_A).count(), 1);
        speaker.dead(A, true);
        assert!(!speaker.machine.announces(G));
        speaker.pass(ms(1000));
    }
    speaker.dead(A, false);
    // It answered before, so it may live and have dropped just this group.
    assert_eq!(speaker.actions(), [ASK_A, ASK_HOLDER]);
    speaker.wire(HolderAnswer::Silent);
    assert_eq!(speaker.moved(), Some(Cause::HolderDead));
}

#[test]
fn rule_7_the_questions_to_a_doubted_holder_go_round_its_groups() {
    let mut speaker = Speaker::active();
    for group in 0..3 {
        speaker.machine.handle_hold(A, GroupId(group), Term(2), speaker.now);
        speaker.machine.set_group(GroupId(group), Speaker::candidacy(&[A, ME]), speaker.now);
    }
    speaker.member(A, Liveness::Dead);
    let mut asked = Vec::new();
    for _second in 0..4 {
        asked.extend(speaker.actions());
        speaker.dead(A, true);
        speaker.pass(ms(1000));
    }
    let expected = [0, 1, 2, 0].map(|group| Action::AskDead { node: A, group: GroupId(group) });
    assert_eq!(asked, expected);
}

#[test]
fn rule_7_a_holder_that_gossip_hears_again_is_left_alone() {
    let mut speaker = Speaker::watching(&[A, ME]);
    speaker.member(A, Liveness::Dead);
    speaker.member(A, Liveness::Alive);
    speaker.hold(A, 2);
    speaker.dead(A, false);
    speaker.pass(ms(10_000));
    assert_eq!(speaker.actions(), [ASK_A]);
    assert_eq!(speaker.machine.holder(G), Some((A, Term(2))));
}
