use super::*;
use crate::{names, schema};

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
    let definition = definition();
    assert_eq!(definition.metadata.name.as_deref(), Some(DEFINITION));
    assert_eq!(definition.spec.group, names::GROUP);
    assert_eq!(definition.spec.scope, "Namespaced");
    assert_eq!(definition.spec.names.short_names, Some(vec!["kspeaker".to_owned()]));
}

#[test]
fn what_is_not_written_yet_is_nothing() {
    let status: SpeakerStatusStatus = serde_json::from_str("{}").unwrap();
    assert_eq!(status, SpeakerStatusStatus::default());
}
