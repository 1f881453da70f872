use proptest::prelude::*;

use super::*;

const OURS: [&str; 2] = ["Accepted", "Programmed"];

fn at(second: u8) -> Time {
    Time(format!("2026-01-01T00:00:{second:02}Z").parse().unwrap())
}

fn stored(type_: &str, status: &str, generation: Option<i64>) -> Condition {
    Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: "Old".to_owned(),
        message: "old".to_owned(),
        observed_generation: generation,
        last_transition_time: at(1),
    }
}

fn wanted(type_: &'static str) -> Wanted {
    Wanted::yes(type_, "New", "new")
}

#[test]
fn a_condition_that_is_not_stored_is_appended_with_the_time_of_now() {
    let merged = merge(&[], &[wanted("Accepted")], &OURS, 3, &at(9));
    let expected = Condition {
        reason: "New".into(),
        message: "new".into(),
        last_transition_time: at(9),
        ..stored("Accepted", "True", Some(3))
    };
    assert_eq!(merged, [expected]);
}

#[test]
fn the_transition_time_moves_with_the_status_alone() {
    for (status, since) in [("True", at(1)), ("False", at(9)), ("Unknown", at(9))] {
        let merged = merge(&[stored("Accepted", status, Some(2))], &[wanted("Accepted")], &OURS, 3, &at(9));
        assert_eq!(merged[0].last_transition_time, since, "{status}");
        assert_eq!((merged[0].reason.as_str(), merged[0].message.as_str()), ("New", "new"));
        assert_eq!(merged[0].observed_generation, Some(3));
    }
}

#[test]
fn the_defaults_of_the_crd_are_overwritten() {
    let merged = merge(&[stored("Accepted", "Unknown", None)], &[wanted("Accepted")], &OURS, 1, &at(9));
    assert_eq!((merged[0].status.as_str(), merged[0].observed_generation), ("True", Some(1)));
}

#[test]
fn a_newer_observed_generation_is_kept_even_if_no_longer_wanted() {
    let newer = [stored("Accepted", "False", Some(4)), stored("Programmed", "False", Some(4))];
    assert_eq!(merge(&newer, &[wanted("Accepted")], &OURS, 3, &at(9)), newer);
}

#[test]
fn foreign_conditions_stay_as_and_where_they_are_while_ours_go() {
    let before = [
        stored("a.example/One", "Unknown", None),
        stored("Programmed", "True", Some(2)),
        stored("Two", "False", Some(1)),
    ];
    let merged = merge(&before, &[wanted("Accepted")], &OURS, 3, &at(9));
    assert_eq!(merged[..2], [before[0].clone(), before[2].clone()]);
    assert_eq!(merged[2].type_, "Accepted");
}

#[test]
fn a_message_is_cut_to_what_the_schema_allows() {
    let long = Wanted::no("Accepted", "New", "ä".repeat(40_000));
    assert_eq!(merge(&[], &[long], &OURS, 1, &at(9))[0].message.chars().count(), 32768);
}

proptest! {
    #[test]
    fn merging_again_later_changes_nothing(
        types in prop::sample::subsequence(vec!["Accepted", "x.example/A", "Programmed", "B"], 0..=4).prop_shuffle(),
        generation in 0_i64..4,
        seen in prop::option::of(0_i64..4),
        ours in prop::sample::subsequence(vec!["Accepted", "Programmed"], 0..=2),
    ) {
        let before: Vec<Condition> = types.iter().map(|type_| stored(type_, "False", seen)).collect();
        let wanted: Vec<Wanted> = ours.iter().map(|type_| wanted(type_)).collect();
        let once = merge(&before, &wanted, &OURS, generation, &at(8));
        prop_assert_eq!(merge(&once, &wanted, &OURS, generation, &at(9)), once.clone());
        let foreign = |list: &[Condition]| -> Vec<Condition> {
            list.iter().filter(|condition| !OURS.contains(&condition.type_.as_str())).cloned().collect()
        };
        prop_assert_eq!(foreign(&once), foreign(&before));
    }
}
