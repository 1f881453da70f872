//! What BGPPeers mean for a node; one test for each field that is resolved.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::fixtures::*;
use crate::Index;
use crate::bgp::{BfdPlan, Password, PeerPlan, Remote, RemoteAs};

const TOR: &str = r#""myASN": 64512, "peerASN": 64513, "peerAddress": "192.0.2.254""#;

/// Node a with a label and an annotation, and BGPPeer tor with these fields beside [`TOR`]'s.
fn world(more: &str) -> Index {
    let mut index = Index::new();
    let mut node = mk_node("a");
    node.metadata.labels = Some(mk_labels(&[("rack", "1"), ("asn", "64599")]));
    node.metadata.annotations = Some(mk_labels(&[("tor", "198.51.100.1")]));
    index.apply_node(&node);
    apply(&mut index, "tor", &format!("{{{TOR}{more}}}"));
    index
}

fn apply(index: &mut Index, name: &str, spec: &str) {
    index.apply_bgp_peer(&mk_bgp_peer(name, spec));
}

fn peer(index: &mut Index, name: &str) -> Option<Arc<PeerPlan>> {
    index.update(&"a".into());
    index.plan().bgp.peers.get(name).cloned()
}

fn unusable(index: &mut Index, name: &str) -> String {
    index.update(&"a".into());
    assert!(!index.plan().bgp.peers.contains_key(name));
    index.plan().bgp.unusable.get(name).unwrap().to_string()
}

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

#[test]
fn a_peer_has_metallbs_defaults() {
    let peer = peer(&mut world(""), "tor").unwrap();
    let expected = PeerPlan {
        remote: Remote::Address("192.0.2.254".parse().unwrap()),
        port: 179,
        local_as: number(64512),
        remote_as: RemoteAs::Number(number(64513)),
        source_address: None,
        router_id: None,
        hold_time_secs: 90,
        keepalive_time_secs: None,
        connect_time_secs: Some(120),
        dial: true,
        accept: false,
        ebgp_multi_hop: false,
        ttl_security: false,
        vrf: None,
        password: None,
        ipv4: true,
        ipv6: false,
        graceful_restart: None,
        bfd: None,
        admin_down: None,
    };
    assert_eq!(*peer, expected);
}

#[test]
fn a_node_has_the_peers_that_select_it() {
    let selecting = |rack| format!(r#", "nodeSelectors": [{{"matchLabels": {{"rack": "{rack}"}}}}]"#);
    assert!(peer(&mut world(&selecting("1")), "tor").is_some());
    let mut index = world(&selecting("2"));
    assert!(peer(&mut index, "tor").is_none());
    assert!(index.plan().bgp.unusable.is_empty(), "no session is wanted here");
}

#[test]
fn numbers_and_addresses_can_stand_at_the_node() {
    let mut index = world("");
    let spec = r#"{"myASNFrom": {"nodeLabel": "asn"}, "dynamicASN": "external", "peerAddressFrom": {"nodeAnnotation": "tor"}}"#;
    apply(&mut index, "rack", spec);
    let rack = peer(&mut index, "rack").unwrap();
    assert_eq!(rack.local_as, number(64599));
    assert_eq!(rack.remote, Remote::Address("198.51.100.1".parse().unwrap()));
    assert_eq!(rack.remote_as, RemoteAs::External);
    let mut node = mk_node("a");
    node.metadata.labels = Some(mk_labels(&[("asn", "x")]));
    index.apply_node(&node);
    assert_eq!(unusable(&mut index, "rack"), "myASN: 'x' cannot be read");
    index.apply_node(&mk_node("a"));
    assert_eq!(unusable(&mut index, "rack"), "the Node lacks the label asn, which myASN is to come from");
}

#[test]
fn a_router_on_an_interface_is_told_both_families_unless_they_are_listed() {
    let spec =
        |more: &str| format!(r#"{{"myASN": 64512, "dynamicASN": "external", "interface": "eth1"{more}}}"#);
    let mut index = world("");
    apply(&mut index, "leaf", &spec(""));
    let leaf = peer(&mut index, "leaf").unwrap();
    assert_eq!(leaf.remote, Remote::Interface("eth1".into()));
    assert_eq!((leaf.ipv4, leaf.ipv6), (true, true));
    // The plan is written to the node's disk and read again.
    let written = serde_json::to_string(&*leaf).unwrap();
    assert_eq!(serde_json::from_str::<PeerPlan>(&written).unwrap(), *leaf);
    apply(&mut index, "leaf", &spec(r#", "families": ["IPv6"]"#));
    let leaf = peer(&mut index, "leaf").unwrap();
    assert_eq!((leaf.ipv4, leaf.ipv6), (false, true));
}

#[test]
fn of_two_peers_on_one_interface_the_second_is_refused() {
    let spec = |name: &str, more: &str| {
        format!(r#"{{"myASN": 64512, "dynamicASN": "external", "interface": "{name}"{more}}}"#)
    };
    let mut index = world("");
    apply(&mut index, "leaf", &spec("eth1", ""));
    apply(&mut index, "other", &spec("eth2", ""));
    apply(&mut index, "second", &spec("eth1", r#", "vrf": "red""#));
    assert_eq!(unusable(&mut index, "second"), "BGPPeer leaf has the same interface; delete one of the two");
    assert!(peer(&mut index, "leaf").is_some() && peer(&mut index, "other").is_some());
    apply(&mut index, "second", &spec("192.0.2.1", ""));
    assert!(unusable(&mut index, "second").contains("is an address"));
}

#[test]
fn a_hold_time_follows_from_the_keepalive_time_and_the_other_way_round() {
    let times = |more: &str| {
        let peer = peer(&mut world(more), "tor").unwrap();
        (peer.hold_time_secs, peer.keepalive_time_secs)
    };
    assert_eq!(times(r#", "holdTime": "1m30s", "keepaliveTime": "10s""#), (90, Some(10)));
    assert_eq!(times(r#", "keepaliveTime": "10s""#), (30, Some(10)));
    assert_eq!(times(r#", "holdTime": "0s""#), (0, None));
    assert!(unusable(&mut world(r#", "holdTime": "2s""#), "tor").contains("at least 3s"));
    assert!(unusable(&mut world(r#", "holdTime": "20h""#), "tor").contains("no time that BGP can hold"));
}

#[test]
fn families_are_that_of_the_address_or_both() {
    let families = |spec: &str| {
        let mut index = world("");
        apply(&mut index, "it", &format!(r#"{{"myASN": 1, "peerASN": 2, {spec}}}"#));
        let peer = peer(&mut index, "it").unwrap();
        (peer.ipv4, peer.ipv6)
    };
    assert_eq!(families(r#""peerAddress": "192.0.2.1""#), (true, false));
    assert_eq!(families(r#""peerAddress": "2001:db8::1""#), (false, true));
    assert_eq!(families(r#""peerAddress": "192.0.2.1", "dualStackAddressFamily": true"#), (true, true));
    assert_eq!(families(r#""peerAddress": "192.0.2.1", "families": ["IPv6"]"#), (false, true));
}

#[test]
fn a_bfd_profile_is_resolved_and_missed() {
    let mut index = world(r#", "bfdProfile": "fast""#);
    assert_eq!(unusable(&mut index, "tor"), "there is no BFDProfile fast");
    index.apply_bfd_profile(&mk_bfd_profile("fast", r#"{"transmitInterval": 50, "passiveMode": true}"#));
    let expected = BfdPlan {
        receive_interval_millis: 300,
        transmit_interval_millis: 50,
        detect_multiplier: 3,
        passive: true,
        minimum_ttl: 254,
    };
    assert_eq!(peer(&mut index, "tor").unwrap().bfd, Some(expected));
}

#[test]
fn a_password_stands_in_the_object_or_in_a_secret() {
    let password = |more: &str| peer(&mut world(more), "tor").unwrap().password.clone();
    assert_eq!(password(r#", "password": "p""#), Some(Password::Inline("p".into())));
    assert_eq!(password(r#", "passwordSecret": {"name": "s"}"#), Some(Password::Secret("s".into())));
}

#[test]
fn what_else_is_said_is_taken_over() {
    let peer = peer(
        &mut world(
            r#", "localASN": 64600, "sourceAddress": "192.0.2.9", "peerPort": 1179, "routerID": "192.0.2.8",
            "connectTime": "5s", "ebgpMultiHop": true, "vrf": "red", "passive": true, "adminDown": true,
            "adminDownMessage": "maintenance", "enableGracefulRestart": true,
            "gracefulRestart": {"restartTime": "30s", "overBFDDown": true}"#,
        ),
        "tor",
    );
    let peer = peer.unwrap();
    assert_eq!((peer.local_as, peer.port), (number(64600), 1179));
    assert_eq!(peer.source_address, Some("192.0.2.9".parse().unwrap()));
    assert_eq!(peer.router_id, Some("192.0.2.8".parse().unwrap()));
    assert_eq!((peer.connect_time_secs, peer.ebgp_multi_hop), (Some(5), true));
    assert_eq!((peer.vrf.as_deref(), peer.dial, peer.accept), (Some("red"), false, true));
    assert_eq!(peer.admin_down.as_deref(), Some("maintenance"));
    let restart = peer.graceful_restart.unwrap();
    assert_eq!((restart.restart_time_secs, restart.over_bfd_down), (30, true));
}

#[test]
fn of_two_peers_at_one_address_the_first_by_name_has_the_session() {
    let mut index = world("");
    apply(&mut index, "zweiter", &format!("{{{TOR}}}"));
    assert_eq!(unusable(&mut index, "zweiter"), "BGPPeer tor has the same router; delete one of the two");
    apply(&mut index, "zweiter", &format!(r#"{{{TOR}, "vrf": "red"}}"#));
    assert!(peer(&mut index, "zweiter").is_some(), "in another VRF it is another router");
    assert!(peer(&mut index, "tor").is_some());
}

#[test]
fn one_broken_peer_harms_no_other_and_an_update_leaves_them_the_very_same() {
    let mut index = world("");
    let before = peer(&mut index, "tor").unwrap();
    apply(&mut index, "broken", r#"{"myASN": 1, "peerASN": 2, "peerAddress": "nowhere"}"#);
    assert_eq!(unusable(&mut index, "broken"), "peerAddress: 'nowhere' cannot be read");
    assert!(Arc::ptr_eq(&before, &peer(&mut index, "tor").unwrap()));
    index.delete_bgp_peer("tor");
    assert!(peer(&mut index, "tor").is_none());
}
