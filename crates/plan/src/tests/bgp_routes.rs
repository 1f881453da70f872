//! Which prefixes a node advertises, to whom and how; one test for each rule of the module's table.

use std::collections::BTreeMap;
use std::sync::Arc;

use keryx_api::exposure::WithoutEndpoints;

use super::fixtures::*;
use crate::bgp::{BgpDecision, RouteAttributes, RoutePlan};
use crate::{Decision, Index, Reason};

const PEER_P: &str = r#"{"myASN": 64512, "peerASN": 64513, "peerAddress": "192.0.2.253"}"#;
const PEER_Q: &str =
    r#"{"myASN": 64512, "peerASN": 64513, "peerAddress": "192.0.2.254", "dualStackAddressFamily": true}"#;
const ALL: [(&str, State); 3] = [("a", State::Ready), ("b", State::Ready), ("c", State::Ready)];

/// Three nodes with peers p, which is offered IPv4, and q, which is offered both families, and Service n/s with endpoints on all; nothing is advertised yet.
fn world() -> Index {
    let mut index = three_nodes();
    index.apply_bgp_peer(&mk_bgp_peer("p", PEER_P));
    index.apply_bgp_peer(&mk_bgp_peer("q", PEER_Q));
    index.apply_service(&mk_service("n/s", &["198.51.100.1"]));
    index.apply_endpoint_slice(&mk_slice("n/s-1", "s", &ALL));
    index
}

/// The same, with this advertisement.
fn advertising(spec: &str) -> Index {
    let mut index = world();
    advertise(&mut index, "x", spec);
    index
}

fn advertise(index: &mut Index, name: &str, spec: &str) {
    index.apply_bgp_advertisement(&mk_bgp_advertisement(name, spec));
}

fn routes(index: &mut Index, me: &str) -> BTreeMap<String, Arc<RoutePlan>> {
    index.update(&me.into());
    let routes = &index.plan().bgp.routes;
    routes.iter().map(|(prefix, route)| (prefix.to_string(), Arc::clone(route))).collect()
}

fn prefixes(index: &mut Index, me: &str) -> Vec<String> {
    routes(index, me).into_keys().collect()
}

/// What peer p is told of the Service's address by node a.
fn told(index: &mut Index) -> RouteAttributes {
    (*routes(index, "a")["198.51.100.1/32"].to["p"]).clone()
}

/// Why a node does not advertise the Service's address.
fn why_not(index: &mut Index, me: &str) -> Reason {
    match seen_from(index, me, "198.51.100.1").bgp {
        BgpDecision::Skip(reason) => reason,
        advertised @ BgpDecision::Advertise { .. } => panic!("{advertised:?}"),
    }
}

#[test]
fn without_an_advertisement_nothing_is_said_by_bgp() {
    let mut index = world();
    assert_eq!(prefixes(&mut index, "a"), [""; 0]);
    assert_eq!(why_not(&mut index, "a"), Reason::NoBgpAdvertisement);
    advertise(&mut index, "x", "{}");
    assert_eq!(prefixes(&mut index, "a"), ["198.51.100.1/32"]);
    index.delete_bgp_advertisement("x");
    assert_eq!(prefixes(&mut index, "a"), [""; 0]);
}

#[test]
fn with_an_advertisement_of_either_kind_layer_2_follows_those_for_layer_2_alone() {
    let mut index = advertising(r#"{"ipAddressPools": ["other"]}"#);
    assert_eq!(reason(&mut index, "a", "198.51.100.1"), Reason::NoAdvertisement);
    index.apply_l2_advertisement(&mk_l2_advertisement("y", "{}"));
    let announced =
        |index: &mut Index, me| seen_from(index, me, "198.51.100.1").decision == Decision::Announce;
    assert!(["a", "b", "c"].iter().any(|me| announced(&mut index, me)));
    advertise(&mut index, "x", "{}");
    assert_eq!(prefixes(&mut index, "a"), ["198.51.100.1/32"], "both at once");
}

#[test]
fn an_advertisement_is_about_pools_and_services_and_selects_nodes() {
    let mut node = mk_node("b");
    node.metadata.labels = Some(mk_labels(&[("rack", "1")]));
    let mut index = advertising(r#"{"nodeSelectors": [{"matchLabels": {"rack": "1"}}]}"#);
    index.apply_node(&node);
    assert_eq!(prefixes(&mut index, "b"), ["198.51.100.1/32"]);
    assert_eq!(why_not(&mut index, "a"), Reason::NotInBgpAdvertisement);
    let mut index = advertising(r#"{"serviceSelectors": [{"matchLabels": {"app": "other"}}]}"#);
    assert_eq!(why_not(&mut index, "a"), Reason::NoBgpAdvertisement);
    let mut index = advertising(r#"{"ipAddressPools": ["edge"]}"#);
    assert_eq!(prefixes(&mut index, "a"), ["198.51.100.1/32"], "the fixtures' pool");
    advertise(&mut index, "x", r#"{"ipAddressPools": ["core"]}"#);
    assert_eq!(why_not(&mut index, "a"), Reason::NoBgpAdvertisement);
}

#[test]
fn every_node_advertises_under_cluster_and_those_with_an_endpoint_under_local() {
    let mut index = advertising("{}");
    index.apply_endpoint_slice(&mk_slice("n/s-1", "s", &[("b", State::Ready)]));
    for me in ["a", "b", "c"] {
        assert_eq!(prefixes(&mut index, me), ["198.51.100.1/32"], "{me}");
    }
    index.apply_service(&set_local(mk_service("n/s", &["198.51.100.1"])));
    assert_eq!(prefixes(&mut index, "b"), ["198.51.100.1/32"]);
    assert_eq!(why_not(&mut index, "a"), Reason::NoLocalEndpoint);
}

#[test]
fn under_local_a_node_must_serve_every_port_that_any_node_serves() {
    let mut index = advertising("{}");
    let ports = vec![mk_port("web", "TCP", 80), mk_port("dns", "UDP", 53)];
    index.apply_service(&set_local(set_ports(mk_service("n/s", &["198.51.100.1"]), ports)));
    let slice = |name: &str, port, protocol, nodes: &[(&str, State)]| {
        set_slice_ports(mk_slice(name, "s", nodes), vec![mk_slice_port(port, protocol)])
    };
    index.apply_endpoint_slice(&slice("n/s-1", "web", "TCP", &[("a", State::Ready), ("b", State::Ready)]));
    assert_eq!(prefixes(&mut index, "b"), ["198.51.100.1/32"], "no node serves the other port");
    index.apply_endpoint_slice(&slice("n/s-2", "dns", "UDP", &[("a", State::Ready)]));
    assert_eq!(prefixes(&mut index, "a"), ["198.51.100.1/32"]);
    assert_eq!(why_not(&mut index, "b"), Reason::ServesFewerPorts { covered: 1, of: 2 });
}

#[test]
fn an_address_without_endpoints_is_withdrawn_unless_it_is_to_refuse() {
    let mut index = advertising("{}");
    index.delete_endpoint_slice("n", "s-1");
    assert_eq!(why_not(&mut index, "a"), Reason::NoEndpoints);
    advertise(&mut index, "x", r#"{"withoutEndpoints": "Refuse"}"#);
    assert_eq!(prefixes(&mut index, "a"), ["198.51.100.1/32"]);
    advertise(&mut index, "y", r#"{"withoutEndpoints": "Withdraw"}"#);
    assert_eq!(why_not(&mut index, "a"), Reason::NoEndpoints, "who restricts wins");
}

#[test]
fn a_gateway_is_advertised_from_nodes_with_an_endpoint_unless_any_will_do() {
    let mut index = advertising("{}");
    let mut exposure = mk_exposure("n/g", &["198.51.100.9"]);
    add_clone_port(&mut exposure, 80, "n/clone");
    index.apply_exposure("g", &exposure);
    index.apply_service(&mk_clone("n/clone", &[]));
    index.apply_endpoint_slice(&mk_slice("n/clone-1", "clone", &[("b", State::Ready)]));
    let advertises = |index: &mut Index, me| prefixes(index, me).contains(&"198.51.100.9/32".to_owned());
    assert!(advertises(&mut index, "b"));
    assert!(!advertises(&mut index, "a"));
    advertise(&mut index, "x", r#"{"announceFrom": "AnyNode"}"#);
    assert!(advertises(&mut index, "a"));
    advertise(&mut index, "y", r#"{"announceFrom": "LocalEndpoints"}"#);
    assert!(!advertises(&mut index, "a"), "who restricts wins");
    index.delete_bgp_advertisement("y");
    advertise(&mut index, "x", "{}");
    index.apply_endpoint_slice(&mk_slice("n/clone-1", "clone", &[("", State::Ready)]));
    assert!(advertises(&mut index, "a"), "an endpoint without a node name may be anywhere");
    index.delete_endpoint_slice("n", "clone-1");
    exposure.announce.without_endpoints = WithoutEndpoints::Refuse;
    index.apply_exposure("g", &exposure);
    assert!(advertises(&mut index, "a"), "the Gateway's own policy");
}

#[test]
fn a_node_that_hands_over_says_so_and_one_without_network_says_nothing() {
    let mut index = advertising("{}");
    let mut node = mk_node("a");
    node.metadata.annotations = Some(mk_labels(&[("keryx.dev/drain", "")]));
    index.apply_node(&node);
    assert!(routes(&mut index, "a")["198.51.100.1/32"].leaving);
    assert!(!routes(&mut index, "b")["198.51.100.1/32"].leaving);
    let mut node = mk_node("a");
    set_node_condition(&mut node, "NetworkUnavailable", "True");
    index.apply_node(&node);
    assert_eq!(why_not(&mut index, "a"), Reason::NodeNetworkUnavailable);
    let mut speaker = mk_speaker("b");
    set_pod_ready(&mut speaker, "False");
    index.apply_speaker_pod(&speaker);
    assert_eq!(prefixes(&mut index, "b"), ["198.51.100.1/32"], "who decides for itself is alive");
}

#[test]
fn an_advertisement_names_its_peers_and_a_node_without_any_of_them_says_why() {
    let mut index = advertising(r#"{"peers": ["q"]}"#);
    let told: Vec<Arc<str>> = routes(&mut index, "a")["198.51.100.1/32"].to.keys().cloned().collect();
    assert_eq!(told, [Arc::from("q")]);
    index.delete_bgp_peer("q");
    assert_eq!(why_not(&mut index, "a"), Reason::NoBgpPeer);
}

#[test]
fn a_peer_is_told_of_the_families_that_it_is_offered() {
    let mut index = advertising("{}");
    index.apply_service(&mk_service("n/s", &["198.51.100.1", "2001:db8::1"]));
    index.apply_endpoint_slice(&set_v6(mk_slice("n/s-6", "s", &ALL)));
    let told = |index: &mut Index, prefix: &str| -> Vec<String> {
        let route = routes(index, "a").remove(prefix);
        route
            .into_iter()
            .flat_map(|route| route.to.keys().map(ToString::to_string).collect::<Vec<_>>())
            .collect()
    };
    assert_eq!(told(&mut index, "198.51.100.1/32"), ["p", "q"]);
    assert_eq!(told(&mut index, "2001:db8::1/128"), ["q"]);
    index.delete_bgp_peer("q");
    assert_eq!(told(&mut index, "2001:db8::1/128"), [""; 0]);
    let bgp = seen_from(&mut index, "a", "2001:db8::1").bgp;
    assert_eq!(bgp, BgpDecision::Skip(Reason::NoBgpPeer));
}

#[test]
fn an_aggregate_stands_while_one_address_within_is_advertised() {
    let mut index = advertising(r#"{"aggregationLength": 24, "aggregationLengthV6": 64}"#);
    index.apply_service(&mk_service("n/s", &["198.51.100.1", "2001:db8::1"]));
    index.apply_endpoint_slice(&set_v6(mk_slice("n/s-6", "s", &ALL)));
    index.apply_service(&mk_service("n/t", &["198.51.100.2"]));
    index.apply_endpoint_slice(&mk_slice("n/t-1", "t", &ALL));
    assert_eq!(prefixes(&mut index, "a"), ["198.51.100.0/24", "2001:db8::/64"]);
    index.delete_service("n", "s");
    assert_eq!(prefixes(&mut index, "a"), ["198.51.100.0/24"]);
    let before = Arc::clone(&routes(&mut index, "a")["198.51.100.0/24"]);
    index.apply_service(&mk_service("n/u", &["198.51.100.3"]));
    index.apply_endpoint_slice(&mk_slice("n/u-1", "u", &ALL));
    let changes = index.update(&"a".into());
    assert!(changes.bgp_routes.is_empty(), "one more address changes nothing");
    assert!(Arc::ptr_eq(&before, &routes(&mut index, "a")["198.51.100.0/24"]));
    index.delete_service("n", "t");
    index.delete_service("n", "u");
    assert_eq!(prefixes(&mut index, "a"), [""; 0]);
}

#[test]
fn what_several_say_of_one_prefix_is_merged() {
    let mut index =
        advertising(r#"{"communities": ["64512:1"], "localPref": 90, "med": 20, "asPathPrepend": 3}"#);
    let first = told(&mut index);
    assert_eq!((first.local_pref, first.med, first.as_path_prepend), (Some(90), Some(20), 3));
    advertise(
        &mut index,
        "y",
        r#"{"communities": ["64512:2", "large:1:2:3"], "med": 10, "asPathPrepend": 1}"#,
    );
    let both = told(&mut index);
    assert_eq!(both.communities, [64512 << 16 | 1, 64512 << 16 | 2].into());
    assert_eq!(both.large_communities, [[1, 2, 3]].into());
    assert_eq!(
        (both.local_pref, both.med, both.as_path_prepend),
        (None, Some(10), 1),
        "a missing preference is 100"
    );
    advertise(&mut index, "y", r#"{"localPref": 110}"#);
    assert_eq!(told(&mut index).local_pref, Some(110));
    advertise(&mut index, "y", r#"{"peers": ["q"], "communities": ["64512:2"]}"#);
    assert_eq!(told(&mut index), first, "it is for another peer");
}

#[test]
fn communities_are_merged_until_they_fill_a_message() {
    let list = |first: u32| {
        let all: Vec<String> = (first..first + 64).map(|number| format!("\"large:1:1:{number}\"")).collect();
        format!(r#"{{"communities": [{}]}}"#, all.join(","))
    };
    let mut index = advertising(&list(0));
    advertise(&mut index, "y", &list(100));
    assert_eq!(told(&mut index).large_communities.len(), 128);
    advertise(&mut index, "z", &list(200));
    assert_eq!(told(&mut index).large_communities.len(), 128, "12 x 192 octets are too many");
    // 12 x 128 octets, and 8 for each extended one: 2,040 and 2,048, of which four are kept for GRACEFUL_SHUTDOWN.
    let targets = |count: u32| {
        let all: Vec<String> = (0..count).map(|number| format!("\"rt:64512:{number}\"")).collect();
        format!(r#"{{"communities": [{}], "med": 7}}"#, all.join(","))
    };
    advertise(&mut index, "z", &targets(63));
    assert_eq!(told(&mut index).extended_communities.len(), 63);
    advertise(&mut index, "z", &targets(64));
    let told = told(&mut index);
    assert_eq!((told.extended_communities.len(), told.large_communities.len()), (0, 128));
    assert_eq!(told.med, Some(7), "what else it says counts");
}

#[test]
fn a_community_may_have_a_name_and_one_without_meaning_keeps_its_advertisement_out() {
    let mut index = advertising(r#"{"communities": ["cheap"]}"#);
    assert_eq!(why_not(&mut index, "a"), Reason::NoBgpAdvertisement);
    index.apply_community(&mk_community("names", &[("cheap", "64512:7")]));
    assert_eq!(told(&mut index).communities, [64512 << 16 | 7].into());
    index.apply_community(&mk_community("others", &[("cheap", "64512:8")]));
    assert_eq!(why_not(&mut index, "a"), Reason::NoBgpAdvertisement, "the name is given twice");
    index.delete_community("names");
    assert_eq!(told(&mut index).communities, [64512 << 16 | 8].into());
}

#[test]
fn routes_of_one_kind_share_what_is_told() {
    let mut index = advertising("{}");
    index.apply_service(&mk_service("n/t", &["198.51.100.2"]));
    index.apply_endpoint_slice(&mk_slice("n/t-1", "t", &ALL));
    let routes = routes(&mut index, "a");
    assert!(Arc::ptr_eq(&routes["198.51.100.1/32"].to, &routes["198.51.100.2/32"].to));
    assert!(Arc::ptr_eq(&routes["198.51.100.1/32"].to["p"], &routes["198.51.100.1/32"].to["q"]));
}
