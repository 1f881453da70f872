//! What `keryx explain` is told about BGP.

use std::sync::Arc;

use super::fixtures::*;
use crate::bgp::{BgpAdvertised, BgpDecision, BgpExplanation, BgpStanding};
use crate::{Index, Reason};

const VIP: &str = "198.51.100.1";

/// Nodes a, b and c, of which a and b have peer p, and Service n/s with an endpoint on all; advertised by x.
fn world(spec: &str) -> Index {
    let mut index = three_nodes();
    for name in ["a", "b"] {
        let mut node = mk_node(name);
        node.metadata.labels = Some(mk_labels(&[("rack", "1")]));
        index.apply_node(&node);
    }
    let peer = r#"{"myASN": 64512, "peerASN": 64513, "peerAddress": "192.0.2.253",
        "nodeSelectors": [{"matchLabels": {"rack": "1"}}]}"#;
    index.apply_bgp_peer(&mk_bgp_peer("p", peer));
    index.apply_service(&mk_service("n/s", &[VIP]));
    let all = [("a", State::Ready), ("b", State::Ready), ("c", State::Ready)];
    index.apply_endpoint_slice(&mk_slice("n/s-1", "s", &all));
    advertise(&mut index, "x", spec);
    index
}

fn advertise(index: &mut Index, name: &str, spec: &str) {
    index.apply_bgp_advertisement(&mk_bgp_advertisement(name, spec));
}

fn explained(index: &mut Index, me: &str) -> Option<BgpExplanation> {
    index.update(&me.into());
    index.explain(&service_key("n/s")).unwrap().bgp
}

/// How one node stands, as seen from another that is no node.
fn standing(index: &mut Index, node: &str) -> BgpStanding {
    let nodes = explained(index, "").unwrap().nodes;
    nodes.into_iter().find(|standing| standing.node.as_str() == node).unwrap()
}

fn said(index: &mut Index, node: &str) -> Result<Vec<BgpAdvertised>, Reason> {
    standing(index, node).addresses.remove(&ip(VIP)).unwrap()
}

#[test]
fn without_an_advertisement_for_bgp_there_is_nothing_to_explain() {
    let mut index = world("{}");
    assert!(explained(&mut index, "a").is_some());
    index.delete_bgp_advertisement("x");
    assert_eq!(explained(&mut index, "a"), None);
}

#[test]
fn each_node_is_named_with_its_prefixes_peers_and_advertisements() {
    let mut index = world(r#"{"aggregationLength": 24}"#);
    advertise(&mut index, "y", r#"{"aggregationLength": 24, "peers": ["p"]}"#);
    advertise(&mut index, "z", r#"{"ipAddressPools": ["other"]}"#);
    let expected = BgpAdvertised {
        prefix: "198.51.100.0/24".parse().unwrap(),
        advertisements: [Arc::from("x"), Arc::from("y")].into(),
        peers: [Arc::from("p")].into(),
        left_out: [].into(),
        leaving: false,
    };
    assert_eq!(said(&mut index, "b"), Ok(vec![expected]));
    assert_eq!(said(&mut index, "c"), Err(Reason::NoBgpPeer));
    let explanation = explained(&mut index, "").unwrap();
    assert_eq!(explanation.advertisements[&ip(VIP)], [Arc::from("x"), Arc::from("y")]);
    let nodes: Vec<&str> = explanation.nodes.iter().map(|standing| standing.node.as_str()).collect();
    assert_eq!(nodes, ["a", "b", "c"]);
}

#[test]
fn the_explanation_of_a_node_is_what_its_own_plan_says() {
    let mut index = world(r#"{"aggregationLength": 24}"#);
    advertise(&mut index, "y", "{}");
    for me in ["a", "b", "c"] {
        let own = match seen_from(&mut index, me, VIP).bgp {
            BgpDecision::Advertise { because, .. } => because.iter().map(|(prefix, _)| *prefix).collect(),
            BgpDecision::Skip(_) => Vec::new(),
        };
        let explained = said(&mut index, me).unwrap_or_default();
        assert_eq!(explained.iter().map(|route| route.prefix).collect::<Vec<_>>(), own, "{me}");
    }
}

#[test]
fn a_speaker_that_is_not_ready_advertises_nothing_as_others_see_it_and_knows_better_itself() {
    let mut index = world("{}");
    let mut pod = mk_speaker("b");
    set_pod_ready(&mut pod, "False");
    index.apply_speaker_pod(&pod);
    assert_eq!(said(&mut index, "b"), Err(Reason::SpeakerNotReady));
    let own = explained(&mut index, "b").unwrap().nodes.remove(1);
    assert!(own.addresses[&ip(VIP)].is_ok());
}

#[test]
fn a_node_that_hands_over_is_said_to_leave() {
    let mut index = world("{}");
    let mut node = mk_node("a");
    node.metadata.labels = Some(mk_labels(&[("rack", "1")]));
    node.metadata.annotations = Some(mk_labels(&[(crate::ANNOTATION_DRAIN, "")]));
    index.apply_node(&node);
    assert!(said(&mut index, "a").unwrap()[0].leaving);
    assert!(!said(&mut index, "b").unwrap()[0].leaving);
}

#[test]
fn what_cannot_be_read_or_used_is_named_with_the_reason() {
    let mut index = world("{}");
    advertise(&mut index, "y", r#"{"communities": ["cheap"]}"#);
    let unreadable = explained(&mut index, "").unwrap().unreadable;
    assert_eq!(unreadable.keys().map(|name| &**name).collect::<Vec<_>>(), ["y"]);
    assert!(unreadable["y"].contains("no Community object gives the name 'cheap'"), "{unreadable:?}");

    let peer = r#"{"myASN": 64512, "peerASN": 64513, "peerAddress": "192.0.2.254", "bfdProfile": "fast"}"#;
    index.apply_bgp_peer(&mk_bgp_peer("q", peer));
    assert_eq!(&*standing(&mut index, "c").unusable["q"], "there is no BFDProfile fast");
}

#[test]
fn communities_that_do_not_fit_are_said_to_be_left_out() {
    let list = |first: u32| {
        let all: Vec<String> = (first..first + 64).map(|number| format!("\"large:1:1:{number}\"")).collect();
        format!(r#"{{"communities": [{}]}}"#, all.join(","))
    };
    let mut index = world(&list(0));
    advertise(&mut index, "y", &list(100));
    assert_eq!(said(&mut index, "a").unwrap()[0].left_out, [].into());
    advertise(&mut index, "z", &list(200));
    assert_eq!(said(&mut index, "a").unwrap()[0].left_out, [Arc::from("z")].into());
}
