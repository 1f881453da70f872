//! See README.md.

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use keryx_lab::router::GoBgp;
use keryx_plan::bgp::{BgpPlan, RouteAttributes};
use keryx_tests::wait;
use serde_json::{Value, json};

use crate::Test;
use crate::scene::{LIMIT, Scene};
use crate::speaker::{Speaker, peer, telling, telling_with};

pub(crate) const TESTS: &[Test] = &[
    ("gobgp::routes_come_with_all_that_is_said_of_them_and_go", over_ipv4),
    ("gobgp::over_an_ipv6_session", over_ipv6),
];

const V4: &str = "198.51.100.1/32";
const OTHER: &str = "198.51.100.2/32";
const V6: &str = "2001:db8:1::1/128";

fn start(scene: &Scene, node: IpAddr) -> Result<GoBgp> {
    scene.gobgp(&include_str!("gobgpd.toml").replace("@NODE@", &node.to_string()))
}

/// The attributes of all routes, by prefix: each by its type in the registry of path attributes.
fn routes(gobgp: &GoBgp) -> Result<BTreeMap<String, BTreeMap<u64, Value>>> {
    let mut all = BTreeMap::new();
    for family in ["ipv4", "ipv6"] {
        let table = gobgp.json(&["global", "rib", "-a", family])?;
        for (prefix, paths) in table.as_object().into_iter().flatten() {
            let attributes = paths[0]["attrs"].as_array().context("no attributes")?;
            let by_type = attributes
                .iter()
                .map(|attribute| (attribute["type"].as_u64().unwrap_or_default(), attribute));
            all.insert(
                prefix.clone(),
                by_type.map(|(number, attribute)| (number, attribute.clone())).collect(),
            );
        }
    }
    Ok(all)
}

/// Waits until GoBGP has exactly these routes.
fn wait_routes(gobgp: &GoBgp, prefixes: &[&str]) -> Result<BTreeMap<String, BTreeMap<u64, Value>>> {
    let found = wait::until_within(LIMIT, &format!("exactly {prefixes:?} in GoBGP's table"), || {
        let routes = routes(gobgp)?;
        Ok(routes.keys().map(String::as_str).eq(prefixes.iter().copied()).then_some(routes))
    });
    found.with_context(|| format!("GoBGP has {:?}", routes(gobgp)))
}

/// Claims 1 to 4.
fn over_ipv4() -> Result<()> {
    let scene = Scene::start()?;
    let (node, remote) = (scene.node(), scene.remote());
    let gobgp = start(&scene, node.address_v4().into())?;
    let said = RouteAttributes {
        as_path_prepend: 1,
        communities: [64_512 << 16 | 100, 0xffff_ff01].into(),
        extended_communities: [[0, 2, 0xfc, 0, 0, 0, 0, 9]].into(),
        large_communities: [[64_512, 1, 2]].into(),
        ..RouteAttributes::default()
    };
    let plain = RouteAttributes::default();
    let routes = [(V4, said.clone()), (OTHER, plain.clone()), (V6, plain.clone())];
    let speaker = Speaker::start(&node, telling_with(peer(remote), &routes))?;
    let before = speaker.wait_established()?;
    let known = wait_routes(&gobgp, &[V4, OTHER, V6])?;
    ensure!(known[V4][&3]["nexthop"] == json!(node.address_v4()), "{:?}", known[V4]);
    ensure!(known[V6][&14]["nexthop"] == json!(node.address_v6()), "{:?}", known[V6]);
    ensure!(known[V4][&2]["as_paths"][0]["asns"] == json!([64_512, 64_512]), "{:?}", known[V4]);
    ensure!(
        known[V4][&8]["communities"] == json!([64_512_u32 << 16 | 100, 0xffff_ff01_u32]),
        "{:?}",
        known[V4]
    );
    ensure!(known[V4][&16]["value"][0]["value"] == "64512:9", "{:?}", known[V4]);
    let large = json!([{ "ASN": 64_512, "LocalData1": 1, "LocalData2": 2 }]);
    ensure!(known[V4][&32]["value"] == large, "{:?}", known[V4]);
    ensure!(!known[OTHER].contains_key(&8), "{:?}", known[OTHER]);

    speaker.order(telling_with(peer(remote), &[(V4, said), (V6, plain)]));
    wait_routes(&gobgp, &[V4, V6])?;
    ensure!(speaker.standing()?.since == before.since, "{:?}", speaker.standing());

    speaker.order(BgpPlan::default());
    wait_routes(&gobgp, &[]).map(drop)
}

/// Claim 1.
fn over_ipv6() -> Result<()> {
    let scene = Scene::start()?;
    let node = scene.node();
    let gobgp = start(&scene, node.address_v6().into())?;
    let speaker = Speaker::start(&node, telling(peer(scene.remote_v6()), &[V4, V6]))?;
    speaker.wait_established()?;
    let known = wait_routes(&gobgp, &[V4, V6])?;
    ensure!(known[V4][&3]["nexthop"] == json!(node.address_v4()), "{:?}", known[V4]);
    ensure!(known[V6][&14]["nexthop"] == json!(node.address_v6()), "{:?}", known[V6]);
    Ok(())
}
