//! The kinds by which BGP is set up: what the API server refuses, and what the controller says of what it takes.

use std::path::Path;

use anyhow::{Result, ensure};
use keryx_tests::Keryx;
use keryx_tests::object::Object;
use serde_json::{Value, json};

use crate::Test;

pub(crate) const TESTS: &[Test] = &[
    ("bgp::each_rule_of_a_peer_refuses_what_breaks_it_in_its_own_words", refused),
    ("bgp::what_metallb_has_is_taken", taken),
    ("bgp::the_examples_are_taken", examples),
    ("bgp::conditions_come_and_go_with_what_is_named", conditions),
];

fn peer(keryx: &Keryx, spec: Value) -> Result<Object<'_>> {
    Object::apply(keryx, "BGPPeer", "bgp-api", spec)
}

/// A spec that is right, but for these fields: null takes one out.
fn changed(fields: Value) -> Value {
    let mut spec = json!({ "myASN": 64512, "peerASN": 64513, "peerAddress": "192.0.2.1" });
    for (name, value) in fields.as_object().into_iter().flatten() {
        spec[name] = value.clone();
    }
    spec
}

fn refused(keryx: &Keryx) -> Result<()> {
    let rows = [
        (json!({ "myASN": 0 }), "myASN"),
        (json!({ "myASN": null }), "exactly one of myASN and myASNFrom"),
        (json!({ "myASNFrom": { "nodeLabel": "a" } }), "exactly one of myASN and myASNFrom"),
        (json!({ "dynamicASN": "external" }), "exactly one of peerASN, peerASNFrom and dynamicASN"),
        (json!({ "peerASN": null }), "exactly one of peerASN, peerASNFrom and dynamicASN"),
        (json!({ "interface": "eth0" }), "exactly one of peerAddress, peerAddressFrom and interface"),
        (json!({ "peerAddress": "tor" }), "peerAddress is to be an IP address"),
        (json!({ "sourceAddress": "me" }), "sourceAddress is to be an IP address"),
        (json!({ "routerID": "0.0.0.0" }), "form of an IPv4 address other than 0.0.0.0"),
        (json!({ "routerID": "2001:db8::1" }), "routerID"),
        (
            json!({ "password": "p", "passwordSecret": { "name": "s" } }),
            "at most one of password and passwordSecret",
        ),
        (json!({ "ttlSecurity": true, "ebgpMultiHop": true }), "excludes ebgpMultiHop"),
        (json!({ "holdTime": "1m30" }), "write hours, minutes and seconds"),
        (json!({ "holdTime": "2s" }), "holdTime is to be 0s, or 3s to 65535s"),
        (json!({ "holdTime": "9s", "keepaliveTime": "10s" }), "no longer than holdTime"),
        (json!({ "connectTime": "0s" }), "connectTime is to be 1s to 65535s"),
        (json!({ "gracefulRestart": { "restartTime": "2h" } }), "restartTime is to be 1s to 4095s"),
        (json!({ "peerPort": 0 }), "peerPort"),
    ];
    for (fields, words) in rows {
        let Err(error) = peer(keryx, changed(fields.clone())) else {
            anyhow::bail!("{fields} was taken");
        };
        let said = format!("{error:#}");
        ensure!(said.contains(words), "{fields}: {said}");
    }
    Ok(())
}

fn taken(keryx: &Keryx) -> Result<()> {
    let metallb = changed(json!({
        "sourceAddress": "192.0.2.2", "peerPort": 180, "holdTime": "30s", "keepaliveTime": "10s", "connectTime": "10s",
        "routerID": "192.0.2.3", "nodeSelectors": [{ "matchLabels": { "rack": "1" } }], "password": "secret",
        "bfdProfile": "fast", "enableGracefulRestart": true, "ebgpMultiHop": true, "vrf": "red", "disableMP": true,
        "dualStackAddressFamily": true,
    }));
    drop(peer(keryx, metallb)?);
    drop(peer(keryx, json!({ "myASN": 1, "dynamicASN": "internal", "interface": "eth0" }))?);
    let advertisement = json!({
        "aggregationLength": 32, "aggregationLengthV6": 128, "localPref": 4_294_967_295_u32, "communities": ["65535:65282"],
        "ipAddressPools": ["bgp"], "peers": ["tor"],
    });
    drop(Object::apply(keryx, "BGPAdvertisement", "bgp-api", advertisement)?);
    for spec in [json!({}), json!({ "echoMode": true, "minimumTtl": 1 })] {
        drop(Object::apply(keryx, "BFDProfile", "bgp-api", spec)?);
    }
    let bare = json!({
        "apiVersion": "keryx.dev/v1alpha1", "kind": "BGPAdvertisement",
        "metadata": { "name": "bgp-bare", "namespace": keryx_tests::keryx::NAMESPACE },
    });
    keryx.lab.apply(&bare.to_string())?;
    keryx
        .lab
        .kubectl(&["-n", keryx_tests::keryx::NAMESPACE, "delete", "bgpadvertisement", "bgp-bare"])
        .map(drop)
}

fn examples(keryx: &Keryx) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/examples");
    let mut applied = 0;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("bgp-")) {
            continue;
        }
        let example = std::fs::read_to_string(&path)?;
        keryx.lab.apply(&example)?;
        keryx.lab.kubectl(&["delete", "-f", &path.to_string_lossy()])?;
        applied += 1;
    }
    ensure!(applied > 0, "there is no example");
    Ok(())
}

fn conditions(keryx: &Keryx) -> Result<()> {
    let _controller = keryx.run_controller(0)?;
    let watched = peer(keryx, changed(json!({ "bfdProfile": "bgp-api" })))?;
    let spec = json!({ "peers": ["bgp-api", "bgp-gone"], "communities": ["bgp-alias"] });
    let advertisement = Object::apply(keryx, "BGPAdvertisement", "bgp-api", spec)?;
    let (reason, message) = watched.condition("ResolvedRefs", "False")?;
    ensure!(reason == "ProfileNotFound" && message.contains("bgp-api"), "{reason}: {message}");
    let (reason, message) = advertisement.condition("Ready", "False")?;
    ensure!(reason == "Invalid" && message.contains("'bgp-alias'"), "{reason}: {message}");
    let (reason, message) = advertisement.condition("ResolvedRefs", "False")?;
    ensure!(reason == "PeerNotFound" && message.contains("bgp-gone"), "{reason}: {message}");

    let _profile = Object::apply(keryx, "BFDProfile", "bgp-api", json!({}))?;
    watched.condition("ResolvedRefs", "True")?;
    let alias = json!({ "communities": [{ "name": "bgp-alias", "value": "1:1" }] });
    let community = Object::apply(keryx, "Community", "bgp-api", alias)?;
    advertisement.condition("Ready", "True")?;
    community.condition("Ready", "True")?;
    drop(community);
    advertisement.condition("Ready", "False").map(drop)
}
