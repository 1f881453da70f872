//! What tests look at in the schema of any of the kinds.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

use crate::names;

/// The schema of the only version of a kind.
pub(crate) fn of(definition: &CustomResourceDefinition) -> Value {
    let definition = serde_json::to_value(definition).unwrap();
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// The columns of `kubectl get`, one a line.
pub(crate) fn columns(definition: CustomResourceDefinition) -> String {
    let columns = definition.spec.versions.into_iter().next().unwrap().additional_printer_columns.unwrap();
    let columns = columns
        .iter()
        .map(|column| format!("{} {} {}", column.name, column.json_path, column.priority.unwrap_or(0)));
    columns.collect::<Vec<_>>().join("\n")
}

/// Every schema below `schema`, with its path.
pub(crate) fn walk(path: &str, schema: &Value, visit: &mut impl FnMut(&str, &Value)) {
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
pub(crate) fn outline(schema: &Value) -> String {
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

/// What the API server demands of every schema, and what the house demands: every field of the spec says what it means.
/// Gives the number of places with rules of their own.
pub(crate) fn check(definition: &CustomResourceDefinition) -> usize {
    let schema = of(definition);
    let mut rules = 0;
    walk("", &schema, &mut |path, schema| {
        assert!(schema["type"].is_string(), "{path} has no type: {schema}");
        for forbidden in ["$ref", "definitions", "oneOf", "anyOf", "allOf", "not"] {
            assert!(schema[forbidden].is_null(), "{path} has {forbidden}");
        }
        // What a rule is evaluated on is bounded.
        if schema["x-kubernetes-validations"].is_array() {
            rules += 1;
            assert!(schema["maxLength"].is_u64(), "{path}");
        }
        if schema["items"]["x-kubernetes-validations"].is_array() {
            assert!(schema["maxItems"].is_u64(), "{path}");
        }
    });
    walk("", &schema["properties"]["spec"], &mut |path, schema| {
        let inside_a_selector = path.contains("Selectors[]") || path.contains("preference.");
        let is_an_item = path.ends_with("[]") || path.is_empty();
        assert!(inside_a_selector || is_an_item || schema["description"].is_string(), "{path}");
    });
    rules
}

/// Group, scope, category and short name are as the house has them.
pub(crate) fn check_names(definition: &CustomResourceDefinition, name: &str, short: &str) {
    assert_eq!(definition.metadata.name.as_deref(), Some(name));
    assert_eq!((&*definition.spec.group, &*definition.spec.scope), (names::GROUP, "Namespaced"));
    assert_eq!(definition.spec.names.short_names, Some(vec![short.to_owned()]));
    assert_eq!(definition.spec.names.categories, Some(vec!["keryx".to_owned()]));
}
