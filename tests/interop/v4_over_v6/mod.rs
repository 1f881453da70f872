//! See README.md.

use std::net::IpAddr;

use anyhow::{Result, ensure};
use keryx_lab::capture::{BgpMessage, Capture};
use keryx_lab::router::Bird;
use keryx_tests::client::ip_route;
use keryx_tests::wait;

use crate::Test;
use crate::scene::{LIMIT, Scene, wait_bird_routes};
use crate::speaker::{Speaker, peer, telling};

pub(crate) const TESTS: &[Test] = &[
    ("v4_over_v6::the_routers_kernel_sends_ipv4_to_an_ipv6_next_hop", taken),
    ("v4_over_v6::a_router_that_takes_no_such_next_hop_is_told_no_ipv4", not_taken),
];

const V4: &str = "198.51.100.1/32";
const V6: &str = "2001:db8:1::1/128";
const V6_LATER: &str = "2001:db8:1::2/128";
/// The IPv4 prefix as it stands in an UPDATE.
const V4_OCTETS: &[u8] = &[32, 198, 51, 100, 1];

fn start(scene: &Scene, extended: &str) -> Result<(Bird, Speaker)> {
    let bird = scene.bird(&include_str!("bird.conf").replace("@EXTENDED@", extended))?;
    let internal_ips = vec![scene.node().address_v6().into()];
    let plan = telling(peer(scene.remote_v6()), &[V4, V6]);
    let speaker = Speaker::start_with(&scene.node(), internal_ips, plan)?;
    speaker.wait_established()?;
    Ok((bird, speaker))
}

/// Claim 1.
fn taken() -> Result<()> {
    let scene = Scene::start()?;
    let (bird, _speaker) = start(&scene, "on")?;
    let known = wait_bird_routes(&bird, &[V4, V6])?;
    let node = scene.node().address_v6();
    ensure!(known[V4].next_hops == [IpAddr::from(node)], "{:?}", known[V4]);
    let expected = format!("via inet6 {node}");
    wait::until_within(LIMIT, &format!("'{expected}' in the router's kernel"), || {
        Ok(ip_route(&scene.router(), "198.51.100.1")?.contains(&expected).then_some(()))
    })
}

/// Claim 2.
fn not_taken() -> Result<()> {
    let scene = Scene::start()?;
    let capture = Capture::start(&scene.node().namespace(), "eth0")?;
    let (bird, speaker) = start(&scene, "off")?;
    wait_bird_routes(&bird, &[V6])?;
    // What is said in vain would be said before a later change.
    speaker.order(telling(peer(scene.remote_v6()), &[V4, V6, V6_LATER]));
    wait_bird_routes(&bird, &[V6, V6_LATER])?;
    let says_v4 = |message: &BgpMessage| message.octets.windows(5).any(|window| window == V4_OCTETS);
    ensure!(!capture.bgp_messages().iter().any(says_v4), "an IPv4 route was told");
    ensure!(capture.missed() == 0, "{} frames are missing", capture.missed());
    ensure!(speaker.standing()?.agreed().is_some(), "{:?}", speaker.standing());
    Ok(())
}
