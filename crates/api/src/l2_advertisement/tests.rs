use serde_json::json;

use super::*;
use crate::schema;

fn spec(value: serde_json::Value) -> L2AdvertisementSpec {
    serde_json::from_value(value).unwrap()
}

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
    schema::check_names(&definition(), DEFINITION, "kl2adv");
}

#[test]
fn an_advertisement_of_metallb_is_read_as_it_is() {
    let metallb = json!({
        "ipAddressPools": ["edge"],
        "ipAddressPoolSelectors": [{"matchLabels": {"zone": "a"}}],
        "nodeSelectors": [{"matchExpressions": [{"key": "rack", "operator": "In", "values": ["1"]}]}],
        "interfaces": ["eth1"],
        "serviceSelectors": [{"matchLabels": {"app": "web"}}],
        "preferredNodeSelectors": [{"weight": 10, "preference": {"matchLabels": {"fast": "yes"}}}],
    });
    let mut again = serde_json::to_value(spec(metallb.clone())).unwrap();
    assert_eq!(again.as_object_mut().unwrap().remove("conflictDetection"), Some(json!("Fast")));
    assert_eq!(again, metallb);
}

#[test]
fn an_empty_one_has_defaults() {
    let spec = spec(json!({}));
    assert_eq!(spec, L2AdvertisementSpec::default());
    assert_eq!(spec.conflict_detection, ConflictDetection::Fast);
    assert!(!spec.revert);
}

#[test]
fn of_two_ways_of_conflict_detection_the_stricter_is_the_greater() {
    use ConflictDetection::{Fast, Full, Off};
    assert_eq!([Full, Off, Fast].into_iter().max(), Some(Full));
    assert_eq!([Fast, Off].into_iter().max(), Some(Fast));
}

#[test]
fn a_selector_that_cannot_be_read_is_named() {
    let bad = json!({"matchExpressions": [{"key": "a", "operator": "Equals", "values": ["b"]}]});
    let good = json!({"matchLabels": {"a": "b"}});
    let rows = [
        ("spec.nodeSelectors[1]", json!({"nodeSelectors": [good, bad]})),
        ("spec.serviceSelectors[0]", json!({"serviceSelectors": [bad]})),
        ("spec.ipAddressPoolSelectors[0]", json!({"ipAddressPoolSelectors": [bad]})),
        (
            "spec.preferredNodeSelectors[0].preference",
            json!({"preferredNodeSelectors": [{"weight": 1, "preference": bad}]}),
        ),
    ];
    for (field, value) in rows {
        let error = spec(value).selectors().unwrap_err();
        assert_eq!(error.field, field);
        assert!(error.to_string().contains("operators are In, NotIn"), "{error}");
    }
    let selectors = spec(json!({"nodeSelectors": [good], "preferredNodeSelectors": []})).selectors().unwrap();
    assert_eq!((selectors.nodes.len(), selectors.pools.len()), (1, 0));
}
