use serde_json::json;

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
fn the_names_are_those_of_the_house() {
    schema::check_names(&definition(), DEFINITION, "kbfd");
}

#[test]
fn the_schema_is_one_that_the_api_server_takes() {
    assert_eq!(schema::check(&definition()), 0);
}

#[test]
fn a_profile_of_metallb_is_read_and_an_empty_one_has_its_defaults() {
    let metallb = json!({
        "receiveInterval": 35, "transmitInterval": 35, "detectMultiplier": 37, "echoInterval": 38, "echoMode": true,
        "passiveMode": true, "minimumTtl": 10,
    });
    let spec: BFDProfileSpec = serde_json::from_value(metallb.clone()).unwrap();
    assert_eq!(serde_json::to_value(spec).unwrap(), metallb);
    let spec: BFDProfileSpec = serde_json::from_value(json!({})).unwrap();
    assert_eq!(spec, BFDProfileSpec::default());
    assert_eq!((spec.receive_interval, spec.transmit_interval, spec.detect_multiplier), (300, 300, 3));
}
