use insta::assert_snapshot;
use keryx_api::gateway_api::{GatewayClassParametersRef, GatewayClassSpec};

use super::*;

fn class(parameters: bool) -> GatewayClass {
    let reference = GatewayClassParametersRef {
        group: "example.com".to_owned(),
        kind: "Parameters".to_owned(),
        name: "fast".to_owned(),
        namespace: None,
    };
    let spec =
        GatewayClassSpec { parameters_ref: parameters.then_some(reference), ..GatewayClassSpec::default() };
    GatewayClass { spec, ..GatewayClass::default() }
}

#[test]
fn every_condition_of_a_class_is_as_pinned() {
    let mut report = String::new();
    for (name, parameters, bundle) in [
        ("supported", false, Some("v1.7.0")),
        ("with parameters", true, Some("v1.6.3")),
        ("too old", false, Some("v1.5.1")),
        ("no annotation", false, None),
    ] {
        let conditions: Vec<String> =
            decide(&class(parameters), bundle).iter().map(|c| format!("  {c}\n")).collect();
        report += &format!("{name}\n{}", conditions.concat());
    }
    assert_snapshot!(report);
}

#[test]
fn the_releases_1_6_and_1_7_are_supported_and_no_others() {
    for (bundle, supported) in [
        ("v1.6.0", true),
        ("v1.6.3", true),
        ("v1.7.0", true),
        ("v1.7.1-rc.1", true),
        ("v1.5.1", false),
        ("v1.8.0", false),
        ("v1.70.0", false),
        ("v1.7", false),
        ("1.7.0", false),
        ("main", false),
        ("", false),
    ] {
        let conditions = decide(&class(false), Some(bundle));
        assert_eq!(conditions[1].status, supported, "{bundle:?}");
        assert!(is_accepted(&conditions), "{bundle:?}");
    }
}

#[test]
fn a_class_with_parameters_is_not_accepted() {
    assert!(!is_accepted(&decide(&class(true), Some("v1.7.0"))));
}
