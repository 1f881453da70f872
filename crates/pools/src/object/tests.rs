use keryx_api::ip_address_pool::IPAddressPool;
use keryx_ipam::{Family, PoolSource};
use serde_json::{Value, json};

use super::*;

fn object(spec: Value) -> IPAddressPool {
    serde_json::from_value(json!({
        "apiVersion": "keryx.dev/v1alpha1", "kind": "IPAddressPool", "metadata": {"name": "edge"}, "spec": spec,
    }))
    .unwrap()
}

#[test]
fn every_field_reaches_the_pool() {
    let pool = pool(&object(json!({
        "addresses": ["192.0.2.0/28"],
        "autoAssign": false,
        "avoidBuggyIPs": true,
        "reserved": ["192.0.2.1"],
        "order": "Highest",
        "reuseAfter": "10m",
        "serviceAllocation": {
            "priority": 7,
            "namespaces": ["a"],
            "namespaceSelectors": [{"matchLabels": {"team": "b"}}],
            "serviceSelectors": [{"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["x"]}]}],
        },
        "gatewayAllocation": {"gatewaySelectors": [{}]},
    })));
    assert_eq!(pool.problem, None);
    assert_eq!(&*pool.name, "edge");
    // 16 addresses without .0 and the reserved one.
    assert_eq!(pool.capacity(Family::V4), 14);
    assert_eq!((pool.auto_assign, pool.order, pool.reuse_after_secs), (false, Order::Highest, Some(600)));
    let PoolSource::Object(access) = pool.source else { panic!("not an object") };
    let services = access.services.unwrap();
    assert_eq!((services.priority, services.namespaces), (7, vec!["a".to_owned()]));
    assert_eq!(services.namespace_selectors[0].match_labels["team"], "b");
    assert_eq!(services.owner_selectors[0].match_expressions[0].operator, Operator::NotIn);
    assert_eq!(access.gateways.unwrap().owner_selectors, [Selector::default()]);
}

#[test]
fn what_has_no_meaning_is_named_with_its_field_and_leaves_no_addresses() {
    let selector = json!([{"matchExpressions": [{"key": "app", "operator": "Is", "values": ["x"]}]}]);
    let cases = [
        (
            json!({"addresses": ["192.0.2.1"], "reuseAfter": "1d"}),
            "spec.reuseAfter is wrong: '1d' cannot be read",
        ),
        (
            json!({"addresses": ["192.0.2.1"], "serviceAllocation": {"serviceSelectors": selector}}),
            "spec.serviceAllocation.serviceSelectors[0].matchExpressions[0].operator is wrong: 'Is' cannot be read",
        ),
        (
            json!({"addresses": ["192.0.2.1"], "gatewayAllocation": {"namespaceSelectors": selector}}),
            "spec.gatewayAllocation.namespaceSelectors[0].matchExpressions[0].operator is wrong: 'Is' cannot be read",
        ),
        (json!({"addresses": ["192.0.2.300"]}), "spec.addresses[0] is wrong"),
    ];
    for (spec, beginning) in cases {
        let pool = pool(&object(spec));
        assert_eq!(pool.capacity(Family::V4), 0);
        let problem = pool.problem.unwrap().to_string();
        assert!(problem.starts_with(beginning), "{problem}");
    }
}

#[test]
fn a_selector_that_is_not_understood_closes_the_pool() {
    let selector = json!([{"matchExpressions": [{"key": "app", "operator": "Is", "values": ["x"]}]}]);
    let object =
        object(json!({"addresses": ["192.0.2.1"], "serviceAllocation": {"serviceSelectors": selector}}));
    let PoolSource::Object(access) = pool(&object).source else { panic!("not an object") };
    let selector = &access.services.unwrap().owner_selectors[0];
    assert!(!selector.matches(&[("app".to_owned(), "x".to_owned())].into()));
}

#[test]
fn durations_are_those_of_gateway_api() {
    for (text, seconds) in
        [("10m", 600), ("24h", 86_400), ("1h30m", 5400), ("0s", 0), ("1500ms", 2), ("1h1m1s1ms", 3662)]
    {
        assert_eq!(duration_secs(text), Some(seconds), "{text}");
    }
    for text in ["", "10", "m", "1.5h", "-1s", "100000s", "1d", "1s 1s", "1s1s1s1s1s"] {
        assert_eq!(duration_secs(text), None, "{text}");
    }
}
