use super::*;
use crate::schema;

#[test]
fn the_schema_is_as_pinned() {
    insta::assert_snapshot!(schema::outline(&schema::of(&definition())));
}

#[test]
fn the_columns_of_kubectl_are_as_pinned() {
    insta::assert_snapshot!(schema::columns(definition()));
}

#[test]
fn the_schema_is_one_that_the_api_server_takes() {
    assert_eq!(schema::check(&definition()), 0);
}

#[test]
fn the_names_are_those_of_the_house() {
    schema::check_names(&definition(), DEFINITION, "kspeaker");
}

#[test]
fn what_is_not_written_yet_is_nothing() {
    let status: SpeakerStatusStatus = serde_json::from_str("{}").unwrap();
    assert_eq!(status, SpeakerStatusStatus::default());
}
