use serde_json::{Value, json};

use super::*;
use crate::names;

fn schema() -> Value {
    let definition = serde_json::to_value(definition()).unwrap();
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// Every schema below `schema`, with its path.
fn walk(path: &str, schema: &Value, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, visit);
    }
    if schema["items"].is_object() {
        walk(&format!("{path}[]"), &schema["items"], visit);
    }
    if schema["additionalProperties"].is_object() {
        walk(&format!("{path}{{}}"), &schema["additionalProperties"], visit);
    }
}

/// One line for each field: everything but its description and its properties.
fn outline(schema: &Value) -> String {
    let mut lines = String::new();
    walk("", schema, &mut |path, schema| {
        if path.contains("Selectors[]") || path.contains("conditions[]") {
            return;
        }
        let left_out = ["description", "properties", "items", "title"];
        let facts: serde_json::Map<String, Value> = schema.as_object().unwrap().clone();
        let facts = facts.into_iter().filter(|(name, _)| !left_out.contains(&name.as_str()));
        let facts: Vec<String> = facts.map(|(name, value)| format!("{name}={value}")).collect();
        lines.push_str(&format!("{path}: {}\n", facts.join(" ")));
    });
    lines
}

#[test]
fn the_schema_is_as_pinned() {
    insta::assert_snapshot!(outline(&schema()));
}

#[test]
fn the_columns_of_kubectl_are_as_pinned() {
    let columns = definition().spec.versions.remove(0).additional_printer_columns.unwrap();
    let columns: Vec<String> = columns
        .iter()
        .map(|column| format!("{} {} {}", column.name, column.json_path, column.priority.unwrap_or(0)))
        .collect();
    insta::assert_snapshot!(columns.join("\n"));
}

#[test]
fn the_names_are_those_of_the_house() {
    let spec = definition().spec;
    assert_eq!(spec.group, names::GROUP);
    assert_eq!(spec.scope, "Namespaced");
    assert_eq!(spec.names.short_names, Some(vec!["kpool".to_owned()]));
    assert_eq!(spec.names.categories, Some(vec!["keryx".to_owned()]));
}

#[test]
fn the_schema_is_structural() {
    walk("", &schema(), &mut |path, schema| {
        assert!(schema["type"].is_string(), "{path} has no type: {schema}");
        for forbidden in ["$ref", "definitions", "oneOf", "anyOf", "allOf", "not"] {
            assert!(schema[forbidden].is_null(), "{path} has {forbidden}");
        }
    });
}

#[test]
fn what_a_rule_is_evaluated_on_is_bounded() {
    let mut rules = 0;
    walk("", &schema(), &mut |path, schema| {
        if schema["x-kubernetes-validations"].is_array() {
            rules += 1;
            assert!(schema["maxLength"].is_u64(), "{path}");
        }
        if schema["items"]["x-kubernetes-validations"].is_array() {
            assert!(schema["maxItems"].is_u64(), "{path}");
        }
    });
    assert_eq!(rules, 3, "addresses, reserved and reuseAfter have rules");
}

#[test]
fn every_field_of_the_spec_says_what_it_means() {
    walk("", &schema()["properties"]["spec"], &mut |path, schema| {
        let inside_a_selector = path.contains("Selectors[]");
        let is_an_item = path.ends_with("[]") || path.is_empty();
        assert!(inside_a_selector || is_an_item || schema["description"].is_string(), "{path}");
    });
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
