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
    schema::check_names(&definition(), DEFINITION, "kpool");
}

#[test]
fn the_schema_is_one_that_the_api_server_takes() {
    assert_eq!(schema::check(&definition()), 3, "addresses, reserved and reuseAfter have rules");
}

#[test]
fn a_pool_with_addresses_alone_has_the_defaults_of_metallb() {
    let spec: IPAddressPoolSpec = serde_json::from_value(json!({"addresses": ["192.0.2.0/28"]})).unwrap();
    assert!(spec.auto_assign);
    assert!(!spec.avoid_buggy_ips);
    assert_eq!(spec.order, PoolOrder::Lowest);
    assert_eq!((spec.reuse_after, spec.service_allocation, spec.gateway_allocation), (None, None, None));
}

#[test]
fn a_pool_of_metallb_is_read_as_it_is() {
    let metallb = json!({
        "addresses": ["192.0.2.10-192.0.2.20", "2001:db8::/124"],
        "autoAssign": false,
        "avoidBuggyIPs": true,
        "serviceAllocation": {
            "priority": 50,
            "namespaces": ["a"],
            "namespaceSelectors": [{"matchLabels": {"team": "b"}}],
            "serviceSelectors": [{"matchExpressions": [{"key": "app", "operator": "In", "values": ["x"]}]}],
        },
    });
    let spec: IPAddressPoolSpec = serde_json::from_value(metallb.clone()).unwrap();
    let mut again = serde_json::to_value(&spec).unwrap();
    assert_eq!(again.as_object_mut().unwrap().remove("order"), Some(json!("Lowest")));
    assert_eq!(again, metallb);
}
