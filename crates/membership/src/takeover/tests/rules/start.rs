//! Rules 1, 2 and 16: starts, restarts of this speaker, stalls.

use super::*;

#[test]
fn rule_1_nothing_is_asked_or_claimed_before_the_sync() {
    let mut speaker = Speaker::starting();
    speaker.member(A, Liveness::Alive);
    speaker.group(&[ME, A]);
    speaker.hold(ME, 2);
    speaker.pass(ms(999));
    assert_eq!(speaker.actions(), []);
    assert!(!speaker.machine.is_active());
}

#[test]
fn rule_1_a_lone_speaker_comes_up_after_the_limit() {
    let mut speaker = Speaker::starting();
    speaker.group(&[ME]);
    speaker.pass(ms(1000));
    assert_eq!(speaker.actions(), [ASK_HOLDER]);
    speaker.wire(HolderAnswer::Silent);
    // It hears nobody, so it bids low.
    assert_eq!(speaker.actions(), claimed(1));
    assert_eq!(speaker.moved(), Some(Cause::NoHolder));
}

#[test]
fn rule_1_a_speaker_that_has_joined_nobody_ranks_by_the_plan_alone() {
    let mut speaker = Speaker::starting();
    speaker.group(&[A, B, ME]);
    speaker.pass(ms(1199));
    assert_eq!(speaker.actions(), []);
    speaker.pass(ms(1));
    assert_eq!(speaker.actions(), [ASK_HOLDER]);
}

#[test]
fn rule_2_a_restarted_speaker_goes_on_with_its_hold_and_term_and_moves_nothing() {
    let mut speaker = Speaker::starting();
    speaker.member(A, Liveness::Alive);
    speaker.group(&[A, ME]);
    speaker.hold(ME, 6);
    speaker.machine.handle_synced(speaker.now);
    assert_eq!(speaker.actions(), claimed(6));
    assert_eq!(speaker.events(), []);
}

#[test]
fn rule_2_a_remembered_hold_waits_for_the_plan() {
    let mut speaker = Speaker::starting();
    speaker.member(A, Liveness::Alive);
    speaker.hold(ME, 6);
    speaker.machine.handle_synced(speaker.now);
    assert_eq!(speaker.actions(), []);
    speaker.group(&[A, ME]);
    assert_eq!(speaker.actions(), claimed(6));
}

#[test]
fn rule_2_a_restarted_speaker_leaves_to_another_what_that_one_claims_whatever_the_term() {
    for (own, other) in [(2, 4), (4, 4), (6, 3)] {
        let mut speaker = Speaker::starting();
        speaker.member(A, Liveness::Alive);
        speaker.group(&[ME, A]);
        speaker.hold(ME, own);
        speaker.hold(A, other);
        speaker.machine.handle_synced(speaker.now);
        let above = Term(other.max(own + 1));
        assert_eq!(speaker.actions(), [Action::TellRelease { group: G, term: above }]);
        assert_eq!(speaker.machine.holder(G), Some((A, Term(other))));
    }
}

#[test]
fn rule_2_without_a_sync_the_segment_is_asked_before_a_hold_is_resumed() {
    for (answer, resumed) in [(HolderAnswer::Silent, true), (HolderAnswer::Member(A), false)] {
        let mut speaker = Speaker::starting();
        speaker.group(&[ME, A]);
        speaker.hold(ME, 6);
        speaker.pass(ms(1000));
        assert_eq!(speaker.actions(), [ASK_HOLDER]);
        speaker.wire(answer);
        assert_eq!(speaker.machine.announces(G), resumed);
        assert_eq!(
            speaker.actions()[0],
            if resumed { claimed(6)[0] } else { Action::TellRelease { group: G, term: Term(7) } }
        );
    }
}

#[test]
fn rule_16_a_stall_stops_all_answers_at_once_and_a_sync_brings_them_back() {
    let mut speaker = Speaker::holding(&[ME, A]);
    speaker.machine.handle_stall(ms(200), speaker.now);
    assert_eq!(speaker.actions(), [Action::Suspend]);
    assert!(!speaker.machine.announces(G));
    speaker.pass(ms(900));
    assert_eq!(speaker.actions(), []);
    speaker.machine.handle_synced(speaker.now);
    assert_eq!(speaker.actions(), claimed(2));
    assert_eq!(speaker.events(), []);
}

#[test]
fn rule_16_a_short_stall_changes_nothing() {
    let mut speaker = Speaker::holding(&[ME, A]);
    speaker.machine.handle_stall(ms(199), speaker.now);
    assert_eq!(speaker.actions(), []);
    assert!(speaker.machine.announces(G));
}

#[test]
fn rule_16_what_another_took_during_the_stall_stays_there() {
    let mut speaker = Speaker::holding(&[ME, A]);
    speaker.machine.handle_stall(ms(5000), speaker.now);
    speaker.hold(A, 1);
    speaker.machine.handle_synced(speaker.now);
    let actions = speaker.actions();
    assert_eq!(actions, [Action::Suspend, Action::TellRelease { group: G, term: Term(3) }]);
    assert!(!speaker.machine.announces(G));
}

#[test]
fn rule_16_a_node_that_hears_nobody_after_a_stall_asks_the_segment() {
    let mut speaker = Speaker::holding(&[ME, A]);
    speaker.machine.handle_stall(ms(5000), speaker.now);
    speaker.member(A, Liveness::Dead);
    speaker.member(B, Liveness::Dead);
    speaker.pass(ms(1000));
    assert_eq!(speaker.actions(), [Action::Suspend, ASK_HOLDER]);
    speaker.wire(HolderAnswer::Member(A));
    assert_eq!(speaker.actions(), [Action::TellRelease { group: G, term: Term(3) }]);
    assert_eq!(speaker.machine.holder(G).map(|(node, _)| node), Some(A));
}

#[test]
fn rule_16_a_doubt_from_before_the_stall_accuses_nobody() {
    let mut speaker = Speaker::watching(&[ME, A]);
    speaker.member(A, Liveness::Dead);
    assert_eq!(speaker.actions(), [ASK_A]);
    speaker.machine.handle_stall(ms(300), speaker.now);
    assert_eq!(speaker.actions(), [Action::Suspend]);
    // The answer went by while the process did not run.
    speaker.dead(A, false);
    speaker.machine.handle_synced(speaker.now);
    let actions = speaker.actions();
    assert!(!actions.contains(&claimed(4)[0]), "{actions:?}");
    assert!(!speaker.machine.announces(G));
}
