//! What the definitions of Keryx' own kinds have in common.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, ValidationRule,
};

/// Adds rules about the spec as a whole, each with what a user reads who breaks it.
pub(crate) fn with_rules(
    mut definition: CustomResourceDefinition,
    rules: &[(&str, &str)],
) -> CustomResourceDefinition {
    let rule = |(rule, message): &(&str, &str)| ValidationRule {
        rule: (*rule).to_owned(),
        message: Some((*message).to_owned()),
        ..ValidationRule::default()
    };
    for schema in schemas(&mut definition) {
        if let Some(spec) = spec(schema) {
            spec.x_kubernetes_validations = Some(rules.iter().map(rule).collect());
        }
    }
    definition
}

/// An object without a `spec`, as many have for MetalLB, is given an empty one.
pub(crate) fn with_empty_spec(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    for schema in schemas(&mut definition) {
        schema.required = None;
        if let Some(spec) = spec(schema) {
            spec.default = Some(JSON(serde_json::json!({})));
        }
    }
    definition
}

fn schemas(definition: &mut CustomResourceDefinition) -> impl Iterator<Item = &mut JSONSchemaProps> {
    definition
        .spec
        .versions
        .iter_mut()
        .filter_map(|version| version.schema.as_mut()?.open_api_v3_schema.as_mut())
}

fn spec(schema: &mut JSONSchemaProps) -> Option<&mut JSONSchemaProps> {
    schema.properties.as_mut()?.get_mut("spec")
}
