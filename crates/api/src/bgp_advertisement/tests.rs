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
    schema::check_names(&definition(), DEFINITION, "kbgpadv");
}

#[test]
fn the_schema_is_one_that_the_api_server_takes() {
    assert_eq!(schema::check(&definition()), 0);
}

#[test]
fn an_advertisement_of_metallb_is_read_as_it_is() {
    let metallb = json!({
        "aggregationLength": 30, "aggregationLengthV6": 124, "localPref": 110, "communities": ["64512:1", "cheap"],
        "ipAddressPools": ["edge"], "ipAddressPoolSelectors": [{"matchLabels": {"zone": "a"}}],
        "nodeSelectors": [{"matchLabels": {"rack": "1"}}], "serviceSelectors": [{"matchLabels": {"app": "web"}}],
        "peers": ["tor"],
    });
    let spec: BGPAdvertisementSpec = serde_json::from_value(metallb.clone()).unwrap();
    assert_eq!(serde_json::to_value(&spec).unwrap(), metallb);
    let selectors = spec.selectors().unwrap();
    assert_eq!((selectors.pools.len(), selectors.nodes.len(), selectors.services.len()), (1, 1, 1));
}

#[test]
fn an_empty_one_has_defaults_and_a_selector_that_cannot_be_read_is_named() {
    let spec: BGPAdvertisementSpec = serde_json::from_value(json!({})).unwrap();
    assert_eq!(spec, BGPAdvertisementSpec::default());
    let bad = json!([{"matchExpressions": [{"key": "a", "operator": "Equals", "values": ["b"]}]}]);
    for field in ["nodeSelectors", "serviceSelectors", "ipAddressPoolSelectors"] {
        let spec: BGPAdvertisementSpec = serde_json::from_value(json!({ field: bad })).unwrap();
        assert_eq!(spec.selectors().unwrap_err().field, format!("spec.{field}[0]"));
    }
}
