//! Why not: refusals and the reasons that stand in a plan.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Service;

use super::fixtures::*;
use crate::{Index, NodeName, OwnerKey, Reason, StatusPart};
use keryx_api::ledger::OwnerKind;

const VIP: &str = "192.0.2.10";
const OTHER: &str = "192.0.2.11";

#[test]
fn an_address_counts_only_if_ingress_and_mark_both_name_it() {
    let group = service_key("default/web");
    let no_condition = Some(Reason::NotAssigned { missing_from: StatusPart::Condition });
    type Change = fn(&mut Service);
    let rows: &[(&str, Change, Option<Reason>)] = &[
        ("both", |_| {}, None),
        ("no mark", |service| set_status(service, &[VIP], &[]), no_condition.clone()),
        ("mark of another address", |service| set_status(service, &[VIP], &[OTHER]), no_condition.clone()),
        (
            "no ingress",
            |service| set_status(service, &[], &[VIP]),
            Some(Reason::NotAssigned { missing_from: StatusPart::Ingress }),
        ),
        ("mark not True", |service| condition(service).status = "False".into(), no_condition.clone()),
        ("mark unreadable", |service| condition(service).message = VIP.into(), no_condition.clone()),
        ("condition of others", |service| condition(service).type_ = "Ready".into(), no_condition),
    ];
    for (name, change, expected) in rows {
        let mut service = mk_service("default/web", &[VIP]);
        change(&mut service);
        let mut index = three_nodes();
        index.apply_service(&service);
        index.apply_endpoint_slice(&mk_slice("default/web-1", "web", &[("a", State::Ready)]));
        assert_eq!(refusal(&mut index, &group, VIP), *expected, "{name}");
        assert_eq!(index.plan().vips.contains_key(&ip(VIP)), expected.is_none(), "{name}");
        assert_eq!(index.plan().guard.vips.contains_key(&ip(VIP)), expected.is_none(), "{name}");
    }
}

fn condition(service: &mut Service) -> &mut k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition {
    &mut service.status.as_mut().unwrap().conditions.as_mut().unwrap()[0]
}

#[test]
fn a_service_of_another_type_holds_nothing() {
    let mut service = mk_service("default/web", &[VIP]);
    let mut index = three_nodes();
    index.apply_service(&service);
    index.update(&"a".into());
    assert!(index.plan().vips.contains_key(&ip(VIP)));
    service.spec.as_mut().unwrap().type_ = Some("ClusterIP".into());
    index.apply_service(&service);
    index.update(&"a".into());
    assert_eq!(**index.plan(), crate::Plan::default());
}

#[test]
fn of_two_services_with_one_address_the_older_keeps_it() {
    // Names and ages; the first keeps the address.
    let rows = [
        [("default/z", Some(1)), ("default/a", Some(2))],
        [("default/a", Some(1)), ("default/b", Some(1))],
        [("a/z", Some(1)), ("b/a", Some(1))],
        [("default/z", Some(2)), ("default/a", None)],
    ];
    for [(keeper, keeper_secs), (loser, loser_secs)] in rows {
        for reversed in [false, true] {
            let mut services = [(keeper, keeper_secs), (loser, loser_secs)].map(|(name, secs)| {
                let mut service = mk_service(name, &[VIP]);
                service.metadata.creation_timestamp = secs.map(time);
                service
            });
            if reversed {
                services.reverse();
            }
            let mut index = three_nodes();
            for service in &services {
                index.apply_service(service);
                index.update(&"a".into());
            }
            let other = owner(OwnerKind::Service, keeper);
            assert_eq!(*seen_from(&mut index, "a", VIP).owners, *std::slice::from_ref(&other));
            let expected = Some(Reason::DuplicateClaim { other: Box::new(other) });
            assert_eq!(refusal(&mut index, &service_key(loser), VIP), expected);
            assert_eq!(refusal(&mut index, &service_key(keeper), VIP), None);
            // The loser gets it as soon as the keeper is gone.
            let (namespace, name) = keeper.split_once('/').unwrap();
            index.delete_service(namespace, name);
            assert_eq!(seen_from(&mut index, "a", VIP).owners[..], [owner(OwnerKind::Service, loser)]);
            assert_eq!(refusal(&mut index, &service_key(loser), VIP), None);
        }
    }
}

#[test]
fn a_gateway_keeps_its_address_against_services_and_later_exposures() {
    let mut index = three_nodes();
    index.apply_service(&set_created(mk_service("default/old", &[VIP, OTHER]), 1));
    index.update(&"a".into());
    index.apply_exposure("keryx-exposure-b", &mk_exposure("default/second", &[VIP]));
    index.apply_exposure("keryx-exposure-a", &mk_exposure("default/first", &[VIP]));
    let first = owner(OwnerKind::Gateway, "default/first");
    assert_eq!(*seen_from(&mut index, "a", VIP).owners, *std::slice::from_ref(&first));
    let expected = Some(Reason::DuplicateClaim { other: Box::new(first) });
    assert_eq!(refusal(&mut index, &service_key("default/old"), VIP), expected);
    assert_eq!(refusal(&mut index, &OwnerKey::Exposure("keryx-exposure-b".into()), VIP), expected);
    // The Service's other address is not in dispute.
    assert_eq!(seen_from(&mut index, "a", OTHER).owners[..], [owner(OwnerKind::Service, "default/old")]);
    // A refusal names the keeper as it is now.
    index.apply_exposure("keryx-exposure-a", &mk_exposure("default/renamed", &[VIP]));
    let other = owner(OwnerKind::Gateway, "default/renamed");
    let expected = Some(Reason::DuplicateClaim { other: Box::new(other) });
    assert_eq!(refusal(&mut index, &service_key("default/old"), VIP), expected);
}

#[test]
fn a_refused_address_does_not_count_for_its_group() {
    // The group has endpoints for IPv6 only, and its IPv6 address is another's.
    let mut index = three_nodes();
    index.apply_service(&set_created(mk_service("default/keeper", &["2001:db8::10"]), 1));
    index.apply_service(&mk_service("default/web", &[VIP, "2001:db8::10"]));
    index.apply_endpoint_slice(&set_v6(mk_slice("default/web-6", "web", &[("a", State::Ready)])));
    index.update(&"a".into());
    let ports = index.explain(&service_key("default/web")).unwrap().ports;
    assert_eq!(ports.len(), 1);
    assert_eq!(reason(&mut index, "a", VIP), Reason::NoEndpoints);
}

#[test]
fn an_address_of_a_node_is_never_a_vip() {
    let mut index = three_nodes();
    index.apply_service(&mk_service("default/web", &[VIP]));
    index.apply_endpoint_slice(&mk_slice("default/web-1", "web", &[("a", State::Ready)]));
    assert_eq!(announcers(&mut index, VIP), ["a"]);
    index.update(&"a".into());
    let mut node = mk_node("b");
    set_node_address(&mut node, VIP);
    index.apply_node(&node);
    let expected = Some(Reason::NodeAddress { node: "b".into() });
    assert_eq!(refusal(&mut index, &service_key("default/web"), VIP), expected);
    assert!(index.plan().vips.is_empty() && index.plan().guard.vips.is_empty());
    index.delete_node("b");
    assert_eq!(announcers(&mut index, VIP), ["a"]);
}

#[test]
fn without_an_announcer_every_node_gives_the_same_reason() {
    let mut index = Index::new();
    index.apply_service(&mk_service("default/web", &[VIP]));
    for me in ["a", "b"] {
        assert_eq!(reason(&mut index, me, VIP), Reason::NoEndpoints);
    }
    index.apply_endpoint_slice(&mk_slice("default/web-1", "web", &[("a", State::Ready)]));
    for me in ["a", "b"] {
        assert_eq!(reason(&mut index, me, VIP), Reason::NoEligibleNode);
    }
    index.apply_node(&mk_node("b"));
    index.apply_speaker_pod(&mk_speaker("b"));
    index.apply_service(&set_local(mk_service("default/web", &[VIP])));
    for me in ["a", "b"] {
        assert_eq!(reason(&mut index, me, VIP), Reason::NoEndpointOnEligibleNode);
    }
}

#[test]
fn with_an_announcer_each_other_node_gives_its_own_reason() {
    let mut index = three_nodes();
    index.apply_service(&mk_service("default/web", &[VIP]));
    index.apply_endpoint_slice(&mk_slice("default/web-1", "web", &[("a", State::Ready)]));
    index.apply_node(&mk_node("without-speaker"));
    let holder: NodeName = "a".into();
    for (me, expected) in [
        ("b", Reason::HolderIs { node: holder.clone() }),
        ("without-speaker", Reason::SpeakerNotReady),
        ("unheard-of", Reason::NodeUnknown),
    ] {
        assert_eq!(reason(&mut index, me, VIP), expected);
        assert_eq!(seen_from(&mut index, me, VIP).announcer, Some(holder.clone()));
    }
}

#[test]
fn every_reason_has_a_code_of_its_own_and_a_text_that_names_its_details() {
    let node = || NodeName::from("node-7");
    let rows = [
        (Reason::NotAssigned { missing_from: StatusPart::Ingress }, "status.loadBalancer.ingress"),
        (Reason::NotAssigned { missing_from: StatusPart::Condition }, "keryx.dev/Assigned"),
        (
            Reason::DuplicateClaim { other: Box::new(owner(OwnerKind::Gateway, "default/gw")) },
            "Gateway default/gw",
        ),
        (Reason::NodeAddress { node: node() }, "node-7"),
        (Reason::NoEndpoints, "withoutEndpoints: Refuse"),
        (Reason::NoEligibleNode, "no node"),
        (Reason::NoEndpointOnEligibleNode, "externalTrafficPolicy: Local"),
        (Reason::HolderLacksEndpoint { node: node() }, "node-7"),
        (Reason::NoLocalEndpoint, "announceFrom: LocalEndpoints"),
        (Reason::CoversFewerPorts { covered: 2, best: 3 }, "2 of the ports, another 3"),
        (Reason::HolderIs { node: node() }, "node-7"),
        (Reason::NodeUnknown, "--node-name"),
        (Reason::NodeExcluded, keryx_api::names::LABEL_EXCLUDE_NODE),
        (Reason::NodeDraining, crate::ANNOTATION_DRAIN),
        (Reason::NodeNetworkUnavailable, "NetworkUnavailable"),
        (Reason::NodeTainted { taint: "example.com/going".to_owned() }, "example.com/going"),
        (Reason::NodeShuttingDown, "shutting down"),
        (Reason::SpeakerNotReady, "keryx-speaker"),
    ];
    for (reason, detail) in &rows {
        assert!(reason.to_string().contains(detail), "{reason}");
        assert!(format!("{reason:?}").starts_with(reason.code()), "{reason:?}");
    }
    let codes: BTreeSet<&str> = rows.iter().map(|(reason, _)| reason.code()).collect();
    assert_eq!(codes.len(), rows.len() - 1, "NotAssigned stands twice");
}
