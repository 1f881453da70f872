//! Which nodes are eligible.

use k8s_openapi::api::core::v1::{Node, NodeSpec, Pod, Taint};
use keryx_api::names::LABEL_EXCLUDE_NODE;

use super::fixtures::*;
use crate::{ANNOTATION_DRAIN, Index, Reason};

const VIP: &str = "192.0.2.10";

/// An index where only node a can serve the VIP.
fn with_local_endpoint_on_a() -> Index {
    let mut index = three_nodes();
    index.apply_service(&set_local(mk_service("default/web", &[VIP])));
    index.apply_endpoint_slice(&mk_slice("default/web-1", "web", &[("a", State::Ready)]));
    assert_eq!(announcers(&mut index, VIP), ["a"]);
    index
}

#[test]
fn a_node_loses_its_vips_for_these_reasons_and_gets_them_back() {
    type Change = fn(&mut Node);
    let rows: &[(Change, Reason)] = &[
        (
            |node| node.metadata.labels = Some([(LABEL_EXCLUDE_NODE.into(), "false".into())].into()),
            Reason::NodeExcluded,
        ),
        (
            |node| node.metadata.annotations = Some([(ANNOTATION_DRAIN.into(), String::new())].into()),
            Reason::NodeDraining,
        ),
        (|node| set_node_condition(node, "NetworkUnavailable", "True"), Reason::NodeNetworkUnavailable),
        (
            |node| set_taint(node, "karpenter.sh/disrupted"),
            Reason::NodeTainted { taint: "karpenter.sh/disrupted".to_owned() },
        ),
        (
            |node| {
                set_node_condition(node, "Ready", "False");
                let conditions = node.status.as_mut().unwrap().conditions.as_mut().unwrap();
                conditions[0].message = Some("container runtime is up, node is shutting down".to_owned());
            },
            Reason::NodeShuttingDown,
        ),
    ];
    for (change, expected) in rows {
        let mut index = with_local_endpoint_on_a();
        let mut node = mk_node("a");
        change(&mut node);
        index.apply_node(&node);
        assert_eq!(announcers(&mut index, VIP), [""; 0], "{expected:?}");
        let (ranked, others) = ranking(&mut index, &service_key("default/web"));
        assert!(ranked.is_empty());
        assert!(others.contains(&("a".into(), expected.clone())), "{others:?}");
        index.apply_node(&mk_node("a"));
        assert_eq!(announcers(&mut index, VIP), ["a"]);
    }
}

#[test]
fn cordon_other_taints_an_available_network_and_a_kubelet_that_is_not_ready_are_no_reason() {
    let mut index = with_local_endpoint_on_a();
    let mut node = mk_node("a");
    set_node_condition(&mut node, "NetworkUnavailable", "False");
    set_taint(&mut node, "dedicated");
    node.spec.as_mut().unwrap().unschedulable = Some(true);
    for ready in ["Unknown", "False"] {
        set_node_condition(&mut node, "Ready", ready);
        index.apply_node(&node);
        assert_eq!(announcers(&mut index, VIP), ["a"]);
    }
    node.status = None;
    index.apply_node(&node);
    assert_eq!(announcers(&mut index, VIP), ["a"]);
}

fn set_taint(node: &mut Node, key: &str) {
    let taint = Taint { key: key.into(), effect: "NoSchedule".into(), ..Taint::default() };
    node.spec = Some(NodeSpec { taints: Some(vec![taint]), ..NodeSpec::default() });
}

#[test]
fn a_node_needs_a_speaker_that_is_ready_and_stays() {
    type Change = fn(&mut Pod);
    let rows: &[Change] = &[
        |pod| set_pod_ready(pod, "False"),
        |pod| pod.status = None,
        |pod| pod.metadata.deletion_timestamp = Some(time(2_000)),
        |pod| pod.spec.as_mut().unwrap().node_name = None,
        |pod| pod.spec.as_mut().unwrap().node_name = Some("b".into()),
    ];
    for (row, change) in rows.iter().enumerate() {
        let mut index = with_local_endpoint_on_a();
        let mut pod = mk_speaker("a");
        change(&mut pod);
        index.apply_speaker_pod(&pod);
        assert_eq!(announcers(&mut index, VIP), [""; 0], "row {row}");
        let (_, others) = ranking(&mut index, &service_key("default/web"));
        assert!(others.contains(&("a".into(), Reason::SpeakerNotReady)), "row {row}: {others:?}");
    }
    // While a rollout replaces the Pod, one of the two is enough.
    let mut index = with_local_endpoint_on_a();
    let mut leaving = mk_speaker("a");
    leaving.metadata.name = Some("speaker-a-old".into());
    leaving.metadata.deletion_timestamp = Some(time(2_000));
    index.apply_speaker_pod(&leaving);
    assert_eq!(announcers(&mut index, VIP), ["a"]);
    index.delete_speaker_pod("keryx-system", "speaker-a");
    assert_eq!(announcers(&mut index, VIP), [""; 0]);
}
