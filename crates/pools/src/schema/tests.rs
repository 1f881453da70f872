use serde_json::json;

use super::*;
use crate::document::spec_schema;

fn lines(spec: Value) -> Vec<String> {
    problems(&spec_schema(), "spec", &spec).iter().map(ToString::to_string).collect()
}

#[test]
fn a_right_spec_has_no_problem() {
    let spec = json!({
        "addresses": ["192.0.2.1"],
        "serviceAllocation": {"namespaceSelectors": [{"matchLabels": {"any.thing/goes": "x"}}]},
        "gatewayAllocation": null,
    });
    assert_eq!(lines(spec), Vec::<String>::new());
}

#[test]
fn each_wrong_field_is_named_with_what_may_stand_there() {
    let many: Vec<String> = (0..257).map(|number| format!("2001:db8::{number:x}")).collect();
    let cases = [
        (
            json!({"addresses": ["192.0.2.1"], "autoAsign": false}),
            "spec.autoAsign: unknown field; did you mean autoAssign?",
        ),
        (
            json!({"addresses": ["192.0.2.1"], "avoidbuggyips": true}),
            "spec.avoidbuggyips: unknown field; did you mean avoidBuggyIPs?",
        ),
        (
            json!({"addresses": ["192.0.2.1"], "cidr": "x"}),
            "spec.cidr: unknown field; known are addresses, autoAssign, avoidBuggyIPs, gatewayAllocation, order, reserved, \
             reuseAfter, serviceAllocation",
        ),
        (json!({}), "spec.addresses is missing"),
        (json!({"addresses": []}), "an entry of spec.addresses is missing"),
        (json!({"addresses": "192.0.2.1"}), "spec.addresses: \"192.0.2.1\" is no array"),
        (json!({"addresses": [1]}), "spec.addresses[0]: 1 is no string; put it in quotes"),
        (
            json!({"addresses": ["192.0.2.1"], "order": "Random"}),
            "spec.order: \"Random\" is none of Lowest, Highest",
        ),
        (
            json!({"addresses": ["192.0.2.1"], "serviceAllocation": {"priority": -1}}),
            "spec.serviceAllocation.priority is -1, and must be at least 0",
        ),
        (
            json!({"addresses": ["192.0.2.1", "192.0.2.1"]}),
            "spec.addresses[1]: \"192.0.2.1\" stands there twice; remove one of them",
        ),
        (json!({"addresses": many}), "spec.addresses has 257 entries, and may have 256"),
        (json!({"addresses": ["1".repeat(97)]}), "spec.addresses[0] has 97 characters, and may have 96"),
    ];
    for (spec, text) in cases {
        assert_eq!(lines(spec.clone()), [text], "{spec}");
    }
}
