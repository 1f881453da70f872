//! See README.md.

use anyhow::{Result, ensure};
use keryx_plan::bgp::{BgpPlan, RouteAttributes};
use keryx_tests::wait;

use crate::Test;
use crate::scene::{LIMIT, Scene, attribute, frr_neighbour, wait_bird_routes, wait_frr_routes};
use crate::speaker::{Speaker, peer, telling, telling_with};

pub(crate) const TESTS: &[Test] = &[
    ("ebgp::bird_has_routes_of_both_families_with_all_that_is_said_of_them", bird),
    ("ebgp::bird_over_an_ipv6_session", bird_v6),
    ("ebgp::frr_has_the_same_asks_again_and_is_told_of_the_end", frr),
];

const V4: &str = "198.51.100.1/32";
const V6: &str = "2001:db8:1::1/128";

/// Claims 1 to 3.
fn bird() -> Result<()> {
    let scene = Scene::start()?;
    let bird = scene.bird(include_str!("bird.conf"))?;
    let said = RouteAttributes {
        med: Some(7),
        as_path_prepend: 2,
        communities: [64_512 << 16 | 100, 0xffff_ff01].into(),
        large_communities: [[64_512, 1, 2]].into(),
        extended_communities: [[0, 2, 0xfc, 0, 0, 0, 0, 9]].into(),
        ..RouteAttributes::default()
    };
    let routes =
        [(V4, said), (V6, RouteAttributes::default()), ("198.51.100.2/32", RouteAttributes::default())];
    let speaker = Speaker::start(&scene.node(), telling_with(peer(scene.remote()), &routes))?;
    let standing = speaker.wait_established()?;
    let known = wait_bird_routes(&bird, &[V4, "198.51.100.2/32", V6])?;
    ensure!(standing.prefixes == 3, "{standing:?}");
    ensure!(known[V4].next_hops == [std::net::IpAddr::from(scene.node().address_v4())], "{:?}", known[V4]);
    ensure!(known[V6].next_hops == [std::net::IpAddr::from(scene.node().address_v6())], "{:?}", known[V6]);
    ensure!(attribute(&known[V4], "BGP.as_path")? == "64512 64512 64512", "{:?}", known[V4]);
    ensure!(attribute(&known[V6], "BGP.as_path")? == "64512", "{:?}", known[V6]);
    ensure!(attribute(&known[V4], "BGP.med")? == "7", "{:?}", known[V4]);
    let communities = attribute(&known[V4], "BGP.community")?;
    ensure!(communities == "(64512,100) (65535,65281)", "{communities}");
    ensure!(attribute(&known[V4], "BGP.large_community")? == "(64512, 1, 2)", "{:?}", known[V4]);
    ensure!(attribute(&known[V4], "BGP.ext_community")? == "(rt, 64512, 9)", "{:?}", known[V4]);

    let updates = received_updates(&bird)?;
    let changed = RouteAttributes { med: Some(8), ..RouteAttributes::default() };
    let routes = [(V4, changed), (V6, RouteAttributes::default())];
    speaker.order(telling_with(peer(scene.remote()), &routes));
    let known = wait_bird_routes(&bird, &[V4, V6])?;
    wait::until_within(LIMIT, "the new MED", || {
        Ok((attribute(&wait_bird_routes(&bird, &[V4, V6])?[V4], "BGP.med")? == "8").then_some(()))
    })?;
    ensure!(attribute(&known[V6], "BGP.as_path")? == "64512", "{:?}", known[V6]);
    let further = received_updates(&bird)? - updates;
    ensure!(further == 2, "one UPDATE with a withdrawal and one with the change, not {further}");
    Ok(())
}

/// UPDATEs that BIRD has counted for both channels.
fn received_updates(bird: &keryx_lab::router::Bird) -> Result<u64> {
    let shown = bird.ask("show protocols all n1")?;
    let rows = shown.lines().filter(|line| {
        let line = line.trim_start();
        line.starts_with("Import updates:") || line.starts_with("Import withdraws:")
    });
    let first = |line: &str| line.split(':').nth(1)?.split_whitespace().next()?.parse::<u64>().ok();
    Ok(rows.filter_map(first).sum())
}

/// Claim 4.
fn bird_v6() -> Result<()> {
    let scene = Scene::start()?;
    let bird = scene.bird(include_str!("bird-v6.conf"))?;
    let speaker = Speaker::start(&scene.node(), telling(peer(scene.remote_v6()), &[V4, V6]))?;
    speaker.wait_established()?;
    let known = wait_bird_routes(&bird, &[V4, V6])?;
    ensure!(known[V4].next_hops == [std::net::IpAddr::from(scene.node().address_v4())], "{:?}", known[V4]);
    ensure!(known[V6].next_hops == [std::net::IpAddr::from(scene.node().address_v6())], "{:?}", known[V6]);
    Ok(())
}

/// Claims 1, 3, 5 and 6.
fn frr() -> Result<()> {
    let scene = Scene::start()?;
    let frr = scene.frr(include_str!("frr.conf"), "")?;
    let speaker = Speaker::start(&scene.node(), telling(peer(scene.remote()), &[V4, V6]))?;
    speaker.wait_established()?;
    let known = wait_frr_routes(&frr, "ipv4", &[V4])?;
    let next_hop = known[V4]["nexthops"][0]["ip"].as_str().unwrap_or_default().to_owned();
    ensure!(next_hop == scene.node().address_v4().to_string(), "{:?}", known[V4]);
    wait_frr_routes(&frr, "ipv6", &[V6])?;

    let node = scene.node().address_v4();
    let updates = || -> Result<u64> {
        let neighbour = frr_neighbour(&frr, node.into())?;
        Ok(neighbour["messageStats"]["updatesRecv"].as_u64().unwrap_or_default())
    };
    let before = updates()?;
    frr.ask("bgpd", &format!("clear bgp ipv4 unicast {node} in"))?;
    wait::until_within(LIMIT, "all routes again", || Ok((updates()? > before).then_some(())))?;

    speaker.order(BgpPlan::default());
    wait_frr_routes(&frr, "ipv4", &[])?;
    let neighbour = frr_neighbour(&frr, node.into())?;
    let why = neighbour["lastNotificationReason"].as_str().unwrap_or_default().to_owned();
    ensure!(why.contains("Peer De-configured") || why.contains("Peer Unconfigured"), "{why}: {neighbour}");
    Ok(())
}
