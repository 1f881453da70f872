//! See README.md.

use anyhow::{Context as _, Result, ensure};
use keryx_lab::capture::{BgpKind, BgpMessage, Capture, Direction};
use keryx_lab::router::Frr;

use crate::Test;
use crate::scene::{LIMIT, Scene, wait_bird_routes, wait_frr_routes};
use crate::speaker::{Speaker, peer, telling};

pub(crate) const TESTS: &[Test] = &[
    ("refresh::a_family_that_is_asked_for_is_said_again_and_no_other", one_family),
    ("refresh::a_table_that_is_asked_for_again_does_not_change", whole_table),
];

const V4: &str = "198.51.100.1/32";
const V6: &str = "2001:db8:1::1/128";
/// The prefixes as they stand in an UPDATE.
const V4_OCTETS: &[u8] = &[32, 198, 51, 100, 1];
const V6_OCTETS: &[u8] = &[128, 0x20, 0x01, 0x0d, 0xb8, 0, 1];
/// The bodies of requests for one family.
const ASKS_V4: &[u8] = &[0, 1, 0, 1];
const ASKS_V6: &[u8] = &[0, 2, 0, 1];

/// True for an UPDATE from the node that has these octets in it.
fn says(message: &BgpMessage, octets: &[u8]) -> bool {
    message.kind == BgpKind::Update
        && message.direction == Direction::Sent
        && message.octets.windows(octets.len()).any(|window| window == octets)
}

/// True for a request for a family.
fn asks(message: &BgpMessage, family: &[u8]) -> bool {
    message.kind == BgpKind::RouteRefresh && message.octets.ends_with(family)
}

/// Claim 1.
fn one_family() -> Result<()> {
    let scene = Scene::start()?;
    let frr: Frr = scene.frr(include_str!("../ebgp/frr.conf"), "")?;
    let speaker = Speaker::start(&scene.node(), telling(peer(scene.remote()), &[V4, V6]))?;
    let before = speaker.wait_established()?;
    wait_frr_routes(&frr, "ipv4", &[V4])?;
    wait_frr_routes(&frr, "ipv6", &[V6])?;
    let capture = Capture::start(&scene.node().namespace(), "eth0")?;
    frr.ask("bgpd", &format!("clear bgp ipv6 unicast {} in", scene.node().address_v4()))?;
    capture.wait_for_bgp(|message| asks(message, ASKS_V6), LIMIT).context("no ROUTE-REFRESH came")?;
    capture.wait_for_bgp(|message| says(message, V6_OCTETS), LIMIT).context("IPv6 was not said again")?;
    // The other way round; what came meanwhile of the first would stand before the second request.
    frr.ask("bgpd", &format!("clear bgp ipv4 unicast {} in", scene.node().address_v4()))?;
    capture.wait_for_bgp(|message| says(message, V4_OCTETS), LIMIT).context("IPv4 was not said again")?;
    let seen = capture.bgp_messages();
    let second = seen.iter().position(|message| asks(message, ASKS_V4)).context("no second request")?;
    let (first, second) = seen.split_at(second);
    ensure!(capture.missed() == 0, "{} frames are missing", capture.missed());
    ensure!(!first.iter().any(|message| says(message, V4_OCTETS)), "IPv4 was said for IPv6");
    ensure!(!second.iter().any(|message| says(message, V6_OCTETS)), "IPv6 was said for IPv4");
    ensure!(speaker.standing()?.since == before.since, "{:?}", speaker.standing());
    Ok(())
}

/// Claim 2.
fn whole_table() -> Result<()> {
    let scene = Scene::start()?;
    let bird = scene.bird(include_str!("bird.conf"))?;
    let speaker = Speaker::start(&scene.node(), telling(peer(scene.remote()), &[V4, V6]))?;
    let before = speaker.wait_established()?;
    let known = wait_bird_routes(&bird, &[V4, V6])?;
    let capture = Capture::start(&scene.node().namespace(), "eth0")?;
    bird.ask("reload in n1")?;
    for prefix in [V4_OCTETS, V6_OCTETS] {
        capture.wait_for_bgp(|message| says(message, prefix), LIMIT).context("a route was not said again")?;
    }
    let again = wait_bird_routes(&bird, &[V4, V6])?;
    ensure!(known == again, "{known:?} became {again:?}");
    ensure!(speaker.standing()?.since == before.since, "{:?}", speaker.standing());
    Ok(())
}
