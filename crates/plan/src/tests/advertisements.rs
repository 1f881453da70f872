//! Which nodes announce what, by which interface, as L2Advertisements say; one test for each rule of the module's table.

use std::collections::BTreeSet;
use std::sync::Arc;

use keryx_api::l2_advertisement::ConflictDetection;

use super::fixtures::*;
use crate::{Decision, GroupKey, Index, Reason};

const ANY: &str = r#"{}"#;
const RACK_1: &str = r#"{"nodeSelectors": [{"matchLabels": {"rack": "1"}}]}"#;

/// Nodes a and b in rack 1, c in rack 2; Service n/s, with endpoints on all three.
fn world() -> Index {
    let mut index = three_nodes();
    for (name, rack) in [("a", "1"), ("b", "1"), ("c", "2")] {
        label_node(&mut index, name, &[("rack", rack)]);
    }
    index.apply_service(&mk_service("n/s", &["192.0.2.1"]));
    index.apply_endpoint_slice(&mk_slice("n/s-1", "s", &ALL));
    index
}

const ALL: [(&str, State); 3] = [("a", State::Ready), ("b", State::Ready), ("c", State::Ready)];

fn label_node(index: &mut Index, name: &str, labels: &[(&str, &str)]) {
    let mut node = mk_node(name);
    node.metadata.labels = Some(mk_labels(labels));
    index.apply_node(&node);
}

fn advertise(index: &mut Index, name: &str, spec: &str) {
    index.apply_l2_advertisement(&mk_l2_advertisement(name, spec));
}

/// The nodes that may hold the group of Service n/s, by a plan that is brought up to date and not made anew.
fn candidates(index: &mut Index) -> BTreeSet<String> {
    index.update(&"a".into());
    let group = index.plan().groups.get(&GroupKey(service_key("n/s")));
    group.into_iter().flat_map(|group| &group.candidates).map(ToString::to_string).collect()
}

fn set<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

#[test]
fn without_any_every_node_is_a_candidate_and_with_one_those_that_it_selects() {
    let mut index = world();
    assert_eq!(candidates(&mut index), set(["a", "b", "c"]));
    advertise(&mut index, "x", RACK_1);
    assert_eq!(candidates(&mut index), set(["a", "b"]));
    assert_eq!(reason(&mut index, "c", "192.0.2.1"), Reason::NodeNotSelected);
    index.delete_l2_advertisement("x");
    assert_eq!(candidates(&mut index), set(["a", "b", "c"]));
}

#[test]
fn node_selectors_of_one_and_of_several_are_joined_by_or() {
    let mut index = world();
    advertise(&mut index, "x", RACK_1);
    advertise(&mut index, "y", r#"{"nodeSelectors": [{"matchLabels": {"rack": "2"}}]}"#);
    assert_eq!(candidates(&mut index), set(["a", "b", "c"]));
    index.delete_l2_advertisement("x");
    assert_eq!(candidates(&mut index), set(["c"]));
    let both = r#"{"nodeSelectors": [{"matchLabels": {"rack": "2"}}, {"matchLabels": {"rack": "1"}}]}"#;
    advertise(&mut index, "y", both);
    assert_eq!(candidates(&mut index), set(["a", "b", "c"]));
}

#[test]
fn a_label_of_a_node_that_changes_moves_it_in_or_out_and_one_that_no_selector_asks_for_costs_nothing() {
    let mut index = world();
    advertise(&mut index, "x", RACK_1);
    index.update(&"a".into());
    label_node(&mut index, "c", &[("rack", "2"), ("other", "1")]);
    assert_eq!(index.update(&"a".into()).groups_computed, 0);
    label_node(&mut index, "c", &[("rack", "1")]);
    assert_eq!(candidates(&mut index), set(["a", "b", "c"]));
}

#[test]
fn an_address_of_a_pool_that_none_is_about_is_not_announced() {
    let mut index = world();
    advertise(&mut index, "x", r#"{"ipAddressPools": ["other"]}"#);
    let vip = seen_from(&mut index, "a", "192.0.2.1");
    assert_eq!((vip.announcer, vip.decision), (None, Decision::Skip(Reason::NoAdvertisement)));
    assert!(index.plan().groups.is_empty());
    advertise(&mut index, "y", r#"{"ipAddressPools": ["third", "edge"]}"#);
    assert_eq!(candidates(&mut index), set(["a", "b", "c"]));
}

#[test]
fn a_pool_is_selected_by_name_or_by_labels_and_the_labels_may_come_later() {
    let mut index = world();
    let by_either =
        r#"{"ipAddressPools": ["other"], "ipAddressPoolSelectors": [{"matchLabels": {"zone": "1"}}]}"#;
    advertise(&mut index, "x", by_either);
    assert_eq!(reason(&mut index, "a", "192.0.2.1"), Reason::NoAdvertisement);
    index.apply_address_pool(&mk_address_pool("edge", &[("zone", "1")]));
    assert_eq!(candidates(&mut index), set(["a", "b", "c"]));
    index.apply_address_pool(&mk_address_pool("edge", &[("zone", "2")]));
    assert_eq!(reason(&mut index, "a", "192.0.2.1"), Reason::NoAdvertisement);
}

#[test]
fn service_selectors_choose_services_and_leave_gateways_out() {
    let mut index = world();
    let mut exposure = mk_exposure("n/g", &["192.0.2.9"]);
    add_clone_port(&mut exposure, 80, "n/s");
    index.apply_exposure("g", &exposure);
    advertise(&mut index, "x", r#"{"serviceSelectors": [{"matchLabels": {"app": "web"}}]}"#);
    assert_eq!(reason(&mut index, "a", "192.0.2.1"), Reason::NoAdvertisement);
    let mut service = mk_service("n/s", &["192.0.2.1"]);
    service.metadata.labels = Some(mk_labels(&[("app", "web"), ("tier", "front")]));
    index.apply_service(&service);
    assert_eq!(announcers(&mut index, "192.0.2.1").len(), 1);
    assert_eq!(reason(&mut index, "a", "192.0.2.9"), Reason::NoAdvertisement);
}

#[test]
fn interfaces_are_those_of_all_that_select_the_node_and_any_if_one_lists_none() {
    let mut index = world();
    let mut interfaces = |x: &str, y: &str, node: &str| {
        advertise(&mut index, "x", x);
        advertise(&mut index, "y", y);
        let interfaces = seen_from(&mut index, node, "192.0.2.1").interfaces;
        interfaces.map(|names| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>())
    };
    let eth1 = r#"{"nodeSelectors": [{"matchLabels": {"rack": "1"}}], "interfaces": ["eth1"]}"#;
    assert_eq!(
        interfaces(eth1, r#"{"interfaces": ["eth2", "eth3"]}"#, "a"),
        Some(set(["eth1", "eth2", "eth3"]))
    );
    assert_eq!(interfaces(eth1, r#"{"interfaces": ["eth2"]}"#, "c"), Some(set(["eth2"])));
    assert_eq!(interfaces(eth1, ANY, "a"), None);
    assert_eq!(interfaces(eth1, r#"{"ipAddressPools": ["other"]}"#, "a"), Some(set(["eth1"])));
}

#[test]
fn an_owner_may_be_limited_to_interfaces_and_an_advertisement_limits_it_further() {
    let mut index = world();
    let limit = |index: &mut Index, name: &str, interfaces: &str| {
        let mut service = mk_service(name, &["192.0.2.1"]);
        let condition = &mut service.status.as_mut().unwrap().conditions.as_mut().unwrap()[0];
        condition.message = format!("192.0.2.1 from pool edge{interfaces} shared by key k");
        index.apply_service(&service);
    };
    let seen = |index: &mut Index| {
        let interfaces = seen_from(index, "a", "192.0.2.1").interfaces;
        interfaces.map(|names| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>())
    };
    limit(&mut index, "n/s", " on interface eth1 eth2");
    assert_eq!(seen(&mut index), Some(set(["eth1", "eth2"])));
    advertise(&mut index, "x", r#"{"interfaces": ["eth2", "eth3"]}"#);
    assert_eq!(seen(&mut index), Some(set(["eth2"])));
    index.delete_l2_advertisement("x");
    // Of several owners each says where it may be announced.
    limit(&mut index, "n/t", " on interface eth3");
    assert_eq!(seen(&mut index), Some(set(["eth1", "eth2", "eth3"])));
    limit(&mut index, "n/t", "");
    assert_eq!(seen(&mut index), None);
}

#[test]
fn the_node_with_the_most_weight_comes_first_and_weights_are_added() {
    let mut index = world();
    let prefer = |weight: u32, rack: &str| {
        format!(
            r#"{{"preferredNodeSelectors": [{{"weight": {weight}, "preference": {{"matchLabels": {{"rack": "{rack}"}}}}}}]}}"#
        )
    };
    advertise(&mut index, "x", &prefer(10, "2"));
    assert_eq!(announcers(&mut index, "192.0.2.1"), ["c"]);
    advertise(&mut index, "y", &prefer(6, "1"));
    assert_eq!(announcers(&mut index, "192.0.2.1"), ["c"]);
    advertise(&mut index, "z", &prefer(5, "1"));
    assert!(["a", "b"].contains(&announcers(&mut index, "192.0.2.1")[0]));
    // Weight comes before an endpoint of the node's own, and after the number of ports.
    index.apply_endpoint_slice(&mk_slice("n/s-1", "s", &[("c", State::Ready)]));
    assert!(["a", "b"].contains(&announcers(&mut index, "192.0.2.1")[0]));
    index.apply_service(&set_local(mk_service("n/s", &["192.0.2.1"])));
    assert_eq!(announcers(&mut index, "192.0.2.1"), ["c"]);
}

#[test]
fn one_that_reverts_and_the_strictest_conflict_detection_win() {
    let mut index = world();
    let mut said = |x: &str, y: &str| {
        advertise(&mut index, "x", x);
        advertise(&mut index, "y", y);
        let detection = seen_from(&mut index, "a", "192.0.2.1").conflict_detection;
        (index.plan().groups.values().next().unwrap().revert, detection)
    };
    assert_eq!(said(ANY, ANY), (false, ConflictDetection::Fast));
    assert_eq!(said(ANY, r#"{"revert": true, "conflictDetection": "Off"}"#), (true, ConflictDetection::Fast));
    let off = r#"{"conflictDetection": "Off"}"#;
    assert_eq!(said(off, off), (false, ConflictDetection::Off));
    assert_eq!(said(off, r#"{"conflictDetection": "Full"}"#), (false, ConflictDetection::Full));
}

#[test]
fn what_is_said_about_endpoints_goes_before_the_owners_own_policy_and_who_restricts_wins() {
    let mut index = world();
    index.apply_endpoint_slice(&mk_slice("n/s-1", "s", &[("c", State::Ready)]));
    let (local, any_node) = (r#"{"announceFrom": "LocalEndpoints"}"#, r#"{"announceFrom": "AnyNode"}"#);
    advertise(&mut index, "x", local);
    assert_eq!(candidates(&mut index), set(["c"]));
    advertise(&mut index, "y", any_node);
    assert_eq!(candidates(&mut index), set(["c"]));
    advertise(&mut index, "w", any_node);
    assert_eq!(candidates(&mut index), set(["c"]));
    index.delete_l2_advertisement("w");
    index.delete_l2_advertisement("x");
    assert_eq!(candidates(&mut index), set(["a", "b", "c"]));

    index.apply_endpoint_slice(&mk_slice("n/s-1", "s", &[]));
    assert_eq!(reason(&mut index, "a", "192.0.2.1"), Reason::NoEndpoints);
    advertise(&mut index, "y", r#"{"withoutEndpoints": "Refuse"}"#);
    assert_eq!(announcers(&mut index, "192.0.2.1").len(), 1);
    advertise(&mut index, "z", r#"{"withoutEndpoints": "Withdraw"}"#);
    assert_eq!(reason(&mut index, "a", "192.0.2.1"), Reason::NoEndpoints);
}

#[test]
fn a_gateway_is_announced_from_any_node_if_its_advertisement_says_so() {
    let mut index = world();
    index.apply_service(&mk_clone("n/clone", &[]));
    index.apply_endpoint_slice(&mk_slice("n/clone-1", "clone", &[("c", State::Ready)]));
    let mut exposure = mk_exposure("n/g", &["192.0.2.9"]);
    add_clone_port(&mut exposure, 80, "n/clone");
    index.apply_exposure("g", &exposure);
    assert_eq!(reason(&mut index, "a", "192.0.2.9"), Reason::NoLocalEndpoint);
    advertise(
        &mut index,
        "x",
        r#"{"announceFrom": "AnyNode", "nodeSelectors": [{"matchLabels": {"rack": "1"}}]}"#,
    );
    assert!(["a", "b"].contains(&announcers(&mut index, "192.0.2.9")[0]));
}

#[test]
fn one_that_cannot_be_read_announces_nothing_and_harms_no_other() {
    let mut index = world();
    let bad = r#"{"nodeSelectors": [{"matchExpressions": [{"key": "rack", "operator": "Equals", "values": ["1"]}]}]}"#;
    advertise(&mut index, "x", bad);
    assert_eq!(reason(&mut index, "a", "192.0.2.1"), Reason::NoAdvertisement);
    advertise(&mut index, "y", RACK_1);
    assert_eq!(candidates(&mut index), set(["a", "b"]));
}

#[test]
fn addresses_of_one_group_from_two_pools_are_announced_where_each_may_be() {
    let mut index = world();
    let mut service = mk_service("n/s", &["192.0.2.1", "2001:db8::1"]);
    let condition = &mut service.status.as_mut().unwrap().conditions.as_mut().unwrap()[0];
    condition.message = "192.0.2.1 2001:db8::1 from pool four six".into();
    index.apply_service(&service);
    index.apply_endpoint_slice(&set_v6(mk_slice("n/s-2", "s", &ALL)));
    advertise(&mut index, "x", r#"{"ipAddressPools": ["four"]}"#);
    advertise(
        &mut index,
        "y",
        r#"{"ipAddressPools": ["six"], "nodeSelectors": [{"matchLabels": {"rack": "2"}}]}"#,
    );
    // Only c may announce both.
    assert_eq!(candidates(&mut index), set(["c"]));
    assert_eq!(announcers(&mut index, "2001:db8::1"), ["c"]);

    // Without c, what can be announced is.
    index.delete_node("c");
    let vip = seen_from(&mut index, "a", "2001:db8::1");
    assert!(matches!(vip.decision, Decision::Skip(Reason::HolderNotSelected { .. })), "{:?}", vip.decision);
    assert_eq!(announcers(&mut index, "192.0.2.1").len(), 1);
}

#[test]
fn an_address_that_several_hold_is_announced_if_one_is_about_any_of_them() {
    let mut index = three_nodes();
    for (name, app) in [("n/s", "web"), ("n/t", "dns")] {
        let mut service = set_sharing_key(mk_service(name, &["192.0.2.1"]), "k");
        service.metadata.labels = Some(mk_labels(&[("app", app)]));
        index.apply_service(&service);
        let (_, name) = name.split_once('/').unwrap();
        index.apply_endpoint_slice(&mk_slice(&format!("n/{name}-1"), name, &ALL));
    }
    advertise(&mut index, "x", r#"{"serviceSelectors": [{"matchLabels": {"app": "dns"}}]}"#);
    assert_eq!(announcers(&mut index, "192.0.2.1").len(), 1);
}

#[test]
fn the_explanation_names_the_advertisements_about_each_address() {
    let mut index = world();
    index.update(&"a".into());
    assert_eq!(index.explain(&service_key("n/s")).unwrap().advertisements, None);
    advertise(&mut index, "x", RACK_1);
    advertise(&mut index, "y", r#"{"ipAddressPools": ["other"]}"#);
    index.update(&"a".into());
    let explained = index.explain(&service_key("n/s")).unwrap().advertisements.unwrap();
    assert_eq!(explained[&ip("192.0.2.1")], [Arc::from("x")]);
}

#[test]
fn a_list_replaces_all() {
    let mut index = world();
    advertise(&mut index, "x", r#"{"ipAddressPools": ["other"]}"#);
    index.reset_l2_advertisements(&[mk_l2_advertisement("y", RACK_1)]);
    assert_eq!(candidates(&mut index), set(["a", "b"]));
    index.reset_l2_advertisements([]);
    assert_eq!(candidates(&mut index), set(["a", "b", "c"]));
}
