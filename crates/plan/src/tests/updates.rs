//! What an update costs and says.

use std::sync::Arc;

use super::fixtures::*;
use crate::{Changes, GroupKey, Index};

const VIP: &str = "192.0.2.10";

/// Hundred Services web-0 to web-99 with 192.0.2.0 to 192.0.2.99, all with an endpoint on node a, planned for node a.
fn hundred_services() -> Index {
    let mut index = three_nodes();
    for number in 0..100 {
        let name = format!("web-{number}");
        index.apply_service(&mk_service(&format!("default/{name}"), &[&format!("192.0.2.{number}")]));
        index.apply_endpoint_slice(&mk_slice(&format!("default/{name}-1"), &name, &[("a", State::Ready)]));
    }
    let changes = index.update(&"a".into());
    assert_eq!((changes.vips.len(), changes.guard.len(), changes.groups_computed), (100, 100, 100));
    index
}

#[test]
fn a_change_computes_only_the_group_that_it_touches() {
    let mut index = hundred_services();
    index.apply_endpoint_slice(&mk_slice("default/web-10-1", "web-10", &[("b", State::Ready)]));
    let changes = index.update(&"a".into());
    let group = GroupKey(service_key("default/web-10"));
    let expected =
        Changes { vips: [ip(VIP)].into(), groups: [group].into(), groups_computed: 1, ..Changes::default() };
    assert_eq!(changes, expected);
}

#[test]
fn nothing_is_computed_for_what_changes_nothing() {
    let mut index = hundred_services();
    // The same objects again, a Service of no group, and a node whose heartbeat moved.
    index.apply_service(&mk_service("default/web-10", &[VIP]));
    index.apply_endpoint_slice(&mk_slice("default/web-10-1", "web-10", &[("a", State::Ready)]));
    index.apply_endpoint_slice(&mk_slice("default/internal-1", "internal", &[("a", State::Ready)]));
    let mut node = mk_node("b");
    set_node_condition(&mut node, "MemoryPressure", "True");
    index.apply_node(&node);
    index.apply_speaker_pod(&mk_speaker("b"));
    index.delete_service("default", "unheard-of");
    assert_eq!(index.update(&"a".into()), Changes::default());
}

#[test]
fn a_change_of_a_node_or_of_the_point_of_view_computes_all_groups() {
    let mut index = hundred_services();
    index.delete_speaker_pod("keryx-system", "speaker-b");
    let changes = index.update(&"a".into());
    assert!(changes.vips.is_empty(), "a is first before and after");
    assert_eq!((changes.groups.len(), changes.groups_computed), (100, 100), "b is no candidate any more");
    let changes = index.update(&"b".into());
    assert_eq!((changes.vips.len(), changes.groups_computed), (100, 100));
}

#[test]
fn a_clone_that_a_gateway_left_touches_it_no_more() {
    let mut index = three_nodes();
    let slice = |node| mk_slice("apps/old-1", "old", &[(node, State::Ready)]);
    for (clone, groups_computed) in [("apps/old", 1), ("apps/new", 0)] {
        let mut exposure = mk_exposure("default/gw", &[VIP]);
        add_clone_port(&mut exposure, 80, clone);
        index.apply_exposure("gw", &exposure);
        index.apply_endpoint_slice(&slice("a"));
        index.update(&"a".into());
        index.apply_endpoint_slice(&slice("b"));
        assert_eq!(index.update(&"a".into()).groups_computed, groups_computed, "{clone}");
    }
}

#[test]
fn a_new_port_is_told_to_the_guard() {
    let mut index = hundred_services();
    let ports = vec![mk_port("", "TCP", 80), mk_port("admin", "TCP", 81)];
    index.apply_service(&set_ports(mk_service("default/web-10", &[VIP]), ports));
    let changes = index.update(&"a".into());
    assert_eq!((changes.vips.len(), changes.guard.len()), (0, 1));
}

#[test]
fn an_address_that_passes_to_another_owner_is_one_change() {
    let mut index = hundred_services();
    index.apply_service(&set_created(mk_service("default/older", &[VIP]), 1));
    let changes = index.update(&"a".into());
    assert_eq!((changes.vips.len(), changes.refused.len(), changes.groups_computed), (1, 1, 2));
    assert_eq!(changes.guard.len(), 0, "both have the same port");
    assert_eq!(index.plan().vips.len(), 100);
}

#[test]
fn a_reset_forgets_what_it_does_not_name() {
    let mut index = hundred_services();
    index.apply_exposure("gw", &mk_exposure("default/gw", &["192.0.2.200"]));
    index.update(&"a".into());

    index.reset_exposures([]);
    assert_eq!(index.update(&"a".into()).vips, [ip("192.0.2.200")].into());
    index.reset_endpoint_slices([&mk_slice("default/web-10-1", "web-10", &[("a", State::Ready)])]);
    assert_eq!(index.update(&"a".into()).vips.len(), 99, "web-10 keeps its endpoint");
    index.reset_services([&mk_service("default/web-10", &[VIP])]);
    index.update(&"a".into());
    assert_eq!(index.plan().vips.keys().collect::<Vec<_>>(), [&ip(VIP)]);
    index.reset_speaker_pods([&mk_speaker("b")]);
    assert_eq!(announcers(&mut index, VIP), ["b"]);
    index.reset_nodes([&mk_node("c")]);
    assert_eq!(announcers(&mut index, VIP), [""; 0]);
    index.reset_services([]);
    index.update(&"a".into());
    assert_eq!(**index.plan(), crate::Plan::default());
}

#[test]
fn what_an_update_leaves_as_it_was_stays_the_very_same() {
    let mut index = three_nodes();
    for (name, address) in [("n/s", "192.0.2.1"), ("n/t", "192.0.2.2")] {
        index.apply_service(&mk_service(name, &[address]));
        let service = name.trim_start_matches("n/");
        index.apply_endpoint_slice(&mk_slice(&format!("{name}-1"), service, &[("a", State::Ready)]));
    }
    index.update(&"a".into());
    let before = index.plan().clone();
    // A Node that is drained touches every group; only what follows from it changes.
    let mut node = mk_node("c");
    node.metadata.annotations = Some(mk_labels(&[(crate::ANNOTATION_DRAIN, "")]));
    index.apply_node(&node);
    index.apply_service(&mk_service("n/t", &["192.0.2.3"]));
    assert_eq!(index.update(&"a".into()).groups_computed, 2);
    let after = index.plan();
    assert!(Arc::ptr_eq(&before.vips[&ip("192.0.2.1")], &after.vips[&ip("192.0.2.1")]));
    assert!(Arc::ptr_eq(&before.guard.vips[&ip("192.0.2.1")], &after.guard.vips[&ip("192.0.2.1")]));
    let group = crate::GroupKey(service_key("n/s"));
    assert_ne!(before.groups[&group], after.groups[&group], "the candidates are others");
    assert!(!after.vips.contains_key(&ip("192.0.2.2")));
}
