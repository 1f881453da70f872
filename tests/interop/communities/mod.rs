//! See README.md.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use keryx_lab::router::Frr;
use keryx_plan::bgp::RouteAttributes;
use keryx_tests::wait;
use serde_json::Value;

use crate::Test;
use crate::scene::{LIMIT, Scene, attribute, wait_bird_routes, wait_frr_routes};
use crate::speaker::{Speaker, peer, telling_with};

pub(crate) const TESTS: &[Test] = &[
    ("communities::frr_has_all_kinds_by_their_names", frr),
    ("communities::bird_has_all_kinds_by_their_numbers", bird),
];

const MARKED: &str = "198.51.100.1/32";
const PLAIN: &str = "198.51.100.2/32";

/// 64512:100, and by their names BLACKHOLE, NO_EXPORT and NO_ADVERTISE; a route target; a large one.
fn marks() -> RouteAttributes {
    RouteAttributes {
        communities: [64_512 << 16 | 100, 0xffff_029a, 0xffff_ff01, 0xffff_ff02].into(),
        extended_communities: [[0, 2, 0xfc, 0, 0, 0, 0, 9]].into(),
        large_communities: [[64_512, 1, 2]].into(),
        ..RouteAttributes::default()
    }
}

/// What FRR says of one kind of communities of a route; empty if there are none.
fn said(frr: &Frr, prefix: &str, kind: &str) -> Result<String> {
    let shown: Value = frr.json("bgpd", &format!("show bgp ipv4 unicast {prefix} json"))?;
    let path = shown["paths"].get(0).with_context(|| format!("no path in {shown}"))?;
    Ok(path[kind]["string"].as_str().unwrap_or_default().to_owned())
}

/// Claims 1 and 2.
fn frr() -> Result<()> {
    let scene = Scene::start()?;
    let frr = scene.frr(include_str!("../ebgp/frr.conf"), "")?;
    let routes = [(MARKED, marks()), (PLAIN, RouteAttributes::default())];
    let speaker = Speaker::start(&scene.node(), telling_with(peer(scene.remote()), &routes))?;
    speaker.wait_established()?;
    wait_frr_routes(&frr, "ipv4", &[MARKED, PLAIN])?;
    let plain = said(&frr, MARKED, "community")?;
    ensure!(plain == "64512:100 blackhole no-export no-advertise", "{plain}");
    ensure!(
        said(&frr, MARKED, "extendedCommunity")? == "RT:64512:9",
        "{}",
        said(&frr, MARKED, "extendedCommunity")?
    );
    ensure!(
        said(&frr, MARKED, "largeCommunity")? == "64512:1:2",
        "{}",
        said(&frr, MARKED, "largeCommunity")?
    );
    for kind in ["community", "extendedCommunity", "largeCommunity"] {
        ensure!(said(&frr, PLAIN, kind)?.is_empty(), "{}", said(&frr, PLAIN, kind)?);
    }
    speaker
        .order(telling_with(peer(scene.remote()), &[(MARKED, RouteAttributes::default()), (PLAIN, marks())]));
    wait::until_within(LIMIT, "the communities to change places", || {
        let changed = said(&frr, MARKED, "community")?.is_empty() && said(&frr, PLAIN, "community")? == plain;
        Ok(changed.then_some(()))
    })
}

/// Claim 1.
fn bird() -> Result<()> {
    let scene = Scene::start()?;
    let bird = scene.bird(include_str!("../ebgp/bird.conf"))?;
    let speaker = Speaker::start(&scene.node(), telling_with(peer(scene.remote()), &[(MARKED, marks())]))?;
    speaker.wait_established()?;
    let known = wait_bird_routes(&bird, &[MARKED])?;
    let plain: BTreeSet<&str> = attribute(&known[MARKED], "BGP.community")?.split(' ').collect();
    let expected = ["(64512,100)", "(65535,666)", "(65535,65281)", "(65535,65282)"];
    ensure!(plain == BTreeSet::from(expected), "{plain:?}");
    ensure!(attribute(&known[MARKED], "BGP.ext_community")? == "(rt, 64512, 9)", "{:?}", known[MARKED]);
    ensure!(attribute(&known[MARKED], "BGP.large_community")? == "(64512, 1, 2)", "{:?}", known[MARKED]);
    Ok(())
}
