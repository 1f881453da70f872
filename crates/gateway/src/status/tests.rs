use keryx_api::gateway_api::RouteKind;

use super::*;

const CONTROLLER: &str = "keryx.dev/gateway-controller";

fn at(second: u8) -> Time {
    Time(format!("2026-01-01T00:00:{second:02}Z").parse().unwrap())
}

fn foreign(type_: &str) -> Condition {
    Condition {
        type_: type_.to_owned(),
        status: "Unknown".to_owned(),
        reason: "Foreign".to_owned(),
        message: "left alone".to_owned(),
        observed_generation: Some(7),
        last_transition_time: at(1),
    }
}

fn outcome(addresses: &[&str]) -> Outcome {
    Outcome {
        conditions: vec![Wanted::yes(ACCEPTED, ACCEPTED, ""), Wanted::no(PROGRAMMED, "Pending", "")],
        listeners: ["web", "dns"]
            .map(|name| ListenerOutcome {
                name: name.to_owned(),
                supported_kinds: if name == "web" { vec![RouteKind::Tcp] } else { Vec::new() },
                attached_routes: 2,
                conditions: vec![Wanted::yes(ACCEPTED, ACCEPTED, "")],
            })
            .to_vec(),
        addresses: addresses.iter().map(|ip| ip.parse().unwrap()).collect(),
        routes: Vec::new(),
        clones: Vec::new(),
        anchor: None,
        exposure: None,
        needs_finalizer: false,
    }
}

fn parent_ref(name: &str, section: Option<&str>) -> ParentReference {
    ParentReference {
        name: name.to_owned(),
        section_name: section.map(str::to_owned),
        ..attach::with_defaults(&ParentReference::default())
    }
}

fn wanted(section: Option<&str>) -> ParentOutcome {
    ParentOutcome {
        parent_ref: parent_ref("edge", section),
        conditions: vec![Wanted::yes(ACCEPTED, ACCEPTED, "attached")],
    }
}

fn entry(controller: &str, name: &str, section: Option<&str>) -> RouteParentStatus {
    RouteParentStatus {
        parent_ref: parent_ref(name, section),
        controller_name: controller.to_owned(),
        conditions: vec![foreign("x.example/Note")],
        other: [("extra".to_owned(), true.into())].into(),
    }
}

/// Merges for Gateway `default/edge` and a route in namespace `default`.
fn merged(stored: &[RouteParentStatus], wanted: &[ParentOutcome]) -> RouteParents {
    route_parents(stored, "default", &ObjectKey::new("default", "edge"), wanted, CONTROLLER, 3, &at(9))
}

#[test]
fn a_gateways_status_has_typed_addresses_every_listener_and_supported_kinds_even_if_empty() {
    let written = gateway(&GatewayStatus::default(), &outcome(&["192.0.2.10", "2001:db8::10"]), 3, &at(9));
    insta::assert_yaml_snapshot!(written);
}

#[test]
fn writing_a_gateways_status_again_later_changes_nothing() {
    for addresses in [&["192.0.2.10"][..], &[]] {
        let once = gateway(&GatewayStatus::default(), &outcome(addresses), 3, &at(8));
        assert_eq!(gateway(&once, &outcome(addresses), 3, &at(9)), once);
    }
}

#[test]
fn addresses_that_are_gone_are_cleared_and_absent_ones_stay_absent() {
    let once = gateway(&GatewayStatus::default(), &outcome(&["192.0.2.10"]), 3, &at(8));
    assert_eq!(gateway(&once, &outcome(&[]), 3, &at(9)).addresses, Some(Vec::new()));
    assert_eq!(gateway(&GatewayStatus::default(), &outcome(&[]), 3, &at(9)).addresses, None);
}

#[test]
fn foreign_conditions_and_fields_of_a_gateway_survive_while_gone_listeners_go() {
    let listener = |name: &str| GatewayStatusListeners {
        name: name.to_owned(),
        attached_routes: 0,
        supported_kinds: None,
        conditions: vec![foreign("x.example/Listener"), foreign(CONFLICTED)],
    };
    let mut stored = GatewayStatus {
        attached_listener_sets: Some(4),
        conditions: Some(vec![foreign("x.example/Gateway")]),
        listeners: Some(vec![listener("gone"), listener("dns")]),
        ..GatewayStatus::default()
    };
    // An own type that is no longer wanted; of the listener's the observed generation is newer, so it stays.
    stored.listeners.as_mut().unwrap()[1].conditions[1].observed_generation = Some(2);
    let written = gateway(&stored, &outcome(&[]), 3, &at(9));
    assert_eq!(written.attached_listener_sets, Some(4));
    assert_eq!(written.conditions.as_ref().unwrap()[0], foreign("x.example/Gateway"));
    let listeners = written.listeners.unwrap();
    assert_eq!(listeners.iter().map(|listener| listener.name.as_str()).collect::<Vec<_>>(), ["web", "dns"]);
    let types: Vec<_> = listeners[1].conditions.iter().map(|condition| condition.type_.as_str()).collect();
    assert_eq!(types, ["x.example/Listener", ACCEPTED]);
    assert_eq!(listeners[1].conditions[0], foreign("x.example/Listener"));
}

#[test]
fn where_foreign_conditions_fill_the_list_none_is_evicted() {
    let full: Vec<Condition> = (0..8).map(|at| foreign(&format!("x.example/{at}"))).collect();
    let stored = GatewayStatus { conditions: Some(full.clone()), ..GatewayStatus::default() };
    assert_eq!(gateway(&stored, &outcome(&[]), 3, &at(9)).conditions, Some(full.clone()));
    let stored = GatewayStatus { conditions: Some(full[1..].to_vec()), ..GatewayStatus::default() };
    let written = gateway(&stored, &outcome(&[]), 3, &at(9)).conditions.unwrap();
    assert_eq!((written.len(), written[7].type_.as_str()), (8, ACCEPTED));
}

#[test]
fn a_class_keeps_its_features_and_foreign_conditions() {
    let stored = GatewayClassStatus {
        conditions: Some(vec![foreign("x.example/Class")]),
        supported_features: Some(Vec::new()),
    };
    let conditions = [Wanted::yes(ACCEPTED, ACCEPTED, "")];
    let written = gateway_class(&stored, &conditions, 3, &at(8));
    let types: Vec<_> =
        written.conditions.iter().flatten().map(|condition| condition.type_.as_str()).collect();
    assert_eq!(types, ["x.example/Class", ACCEPTED]);
    assert_eq!(written.supported_features, Some(Vec::new()));
    assert_eq!(gateway_class(&written, &conditions, 3, &at(9)), written);
}

#[test]
fn a_new_parent_is_appended_with_our_name_and_conditions() {
    let written = merged(&[], &[wanted(None)]);
    insta::assert_yaml_snapshot!(written.parents);
    assert_eq!(written.omitted, []);
}

#[test]
fn entries_of_others_and_for_other_gateways_stay_as_and_where_they_are() {
    let mut other_kind = entry(CONTROLLER, "edge", None);
    other_kind.parent_ref.kind = Some("ListenerSet".to_owned());
    let mut other_namespace = entry(CONTROLLER, "edge", None);
    other_namespace.parent_ref.namespace = Some("elsewhere".to_owned());
    let stored = [
        entry("x.example/controller", "edge", None),
        entry(CONTROLLER, "edge", Some("stale")),
        entry(CONTROLLER, "other", None),
        other_kind,
        entry(CONTROLLER, "edge", Some("web")),
        other_namespace,
    ];
    let parents = merged(&stored, &[wanted(Some("dns")), wanted(Some("web"))]).parents;
    assert_eq!(parents.len(), 6);
    assert_eq!([&parents[0], &parents[1], &parents[2]], [&stored[0], &stored[2], &stored[3]]);
    assert_eq!(parents[3].parent_ref.section_name.as_deref(), Some("web"));
    assert_eq!(parents[3].other, stored[4].other);
    assert_eq!(parents[3].conditions[0], foreign("x.example/Note"));
    assert_eq!(parents[3].conditions[1].type_, ACCEPTED);
    assert_eq!(parents[4], stored[5]);
    assert_eq!(parents[5].parent_ref.section_name.as_deref(), Some("dns"));
}

#[test]
fn an_entry_without_defaults_or_with_the_namespace_spelled_out_is_the_same() {
    let mut bare = entry(CONTROLLER, "edge", None);
    bare.parent_ref = ParentReference { name: "edge".to_owned(), ..ParentReference::default() };
    let mut spelled_out = entry(CONTROLLER, "edge", None);
    spelled_out.parent_ref.namespace = Some("default".to_owned());
    for stored in [vec![bare.clone()], vec![spelled_out.clone()], vec![bare, spelled_out]] {
        let parents = merged(&stored, &[wanted(None)]).parents;
        assert_eq!(parents.len(), 1);
        assert_eq!(parents[0].parent_ref, wanted(None).parent_ref);
    }
}

#[test]
fn without_wanted_entries_ours_for_the_gateway_go() {
    let stored = [entry(CONTROLLER, "edge", None), entry(CONTROLLER, "other", None)];
    assert_eq!(merged(&stored, &[]).parents, stored[1..]);
}

#[test]
fn writing_parents_again_later_changes_nothing() {
    let both = [wanted(None), wanted(Some("web"))];
    let once = merged(&[entry("x.example/controller", "edge", None)], &both).parents;
    let gateway = ObjectKey::new("default", "edge");
    let again = route_parents(&once, "default", &gateway, &both, CONTROLLER, 3, &at(10));
    assert_eq!(again.parents, once);
}

#[test]
fn where_foreign_entries_fill_the_list_none_is_evicted_and_ours_are_named() {
    let full = vec![entry("x.example/controller", "edge", None); 31];
    let written = merged(&full, &[wanted(Some("web")), wanted(Some("dns"))]);
    assert_eq!(written.parents.len(), 32);
    assert_eq!(written.parents[..31], full);
    assert_eq!(written.omitted, [parent_ref("edge", Some("dns"))]);
}
