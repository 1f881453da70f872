//! See README.md.

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use keryx_lab::Host;
use keryx_plan::bgp::{BfdPlan, PeerPlan, Remote, RemoteAs};
use keryx_speaker::drivers::bfd::SessionState;
use keryx_speaker::drivers::bgp::{Standing, State};
use keryx_tests::wait;

use crate::Test;
use crate::scene::{LIMIT, Scene, wait_bird_routes, wait_frr_routes};
use crate::speaker::{Speaker, peer, telling};

pub(crate) const TESTS: &[Test] = &[
    ("unnumbered::frr_is_found_by_the_name_of_an_interface_and_bfd_watches_the_path", with_frr),
    ("unnumbered::bird_is_found_and_found_again_with_another_link_local_address", with_bird),
];

const V4: &str = "198.51.100.1/32";
const V6: &str = "2001:db8:1::1/128";
/// Another link-local address of the router.
const OTHER: &str = "fe80::b";

fn by_interface(scene: &Scene) -> PeerPlan {
    let remote = Remote::Interface(Arc::from("eth0"));
    PeerPlan { remote, remote_as: RemoteAs::External, ..peer(scene.remote_v6()) }
}

/// What `ip` says on the router.
fn ip(router: &Host, arguments: &[&str]) -> Result<String> {
    let output = router.command("ip").args(arguments).output()?;
    ensure!(output.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The router's kernel sends to both prefixes by the address that the node has on the link.
fn wait_used(router: &Host, speaker_address: &str) -> Result<()> {
    for (family, destination) in [("-4", "198.51.100.1"), ("-6", "2001:db8:1::1")] {
        let route = || ip(router, &[family, "route", "show", destination]);
        wait::until_within(LIMIT, &format!("a route to {destination} in the router's kernel"), || {
            let route = route()?;
            Ok((route.contains(speaker_address) && route.contains("dev eth0")).then_some(()))
        })
        .with_context(|| format!("it has {:?}", route()))?;
    }
    Ok(())
}

/// Claims 1, 2 and 3.
fn with_frr() -> Result<()> {
    let scene = Scene::start()?;
    let fast = BfdPlan {
        receive_interval_millis: 50,
        transmit_interval_millis: 50,
        detect_multiplier: 3,
        passive: false,
        minimum_ttl: 254,
    };
    let plan = telling(PeerPlan { bfd: Some(fast), ..by_interface(&scene) }, &[V4, V6]);
    let speaker = Speaker::start(&scene.node(), plan)?;
    let waiting = speaker.wait_error("no router heard on eth0")?;
    ensure!(waiting.state == State::Active && waiting.address.is_none(), "{waiting:?}");
    let frr = scene.frr(include_str!("frr.conf"), include_str!("bfdd.conf"))?;
    let standing = speaker.wait_established()?;
    ensure!(standing.interface.as_deref() == Some("eth0"), "{standing:?}");
    wait_frr_routes(&frr, "ipv4", &[V4])?;
    wait_frr_routes(&frr, "ipv6", &[V6])?;
    wait_used(&scene.router(), "fe80::")?;
    speaker.wait("BFD up", |standing| standing.bfd == Some(SessionState::Up))?;
    scene.node().unplug(0)?;
    speaker.wait_error("BFD").map(drop)
}

/// Claims 4 and 5.
fn with_bird() -> Result<()> {
    let scene = Scene::start()?;
    let config = include_str!("bird.conf");
    let bird = scene.bird(config)?;
    let speaker = Speaker::start(&scene.node(), telling(by_interface(&scene), &[V4, V6]))?;
    let before = speaker.wait_established()?;
    wait_bird_routes(&bird, &[V4, V6])?;
    wait_used(&scene.router(), "fe80::")?;
    drop(bird);
    let old = before.address.context("an address")?;
    ip(&scene.router(), &["address", "add", &format!("{OTHER}/64"), "dev", "eth0", "nodad"])?;
    ip(&scene.router(), &["address", "del", &format!("{old}/64"), "dev", "eth0"])?;
    let bird = scene.bird(config)?;
    let other: IpAddr = OTHER.parse()?;
    let is_there = |standing: &Standing| standing.agreed().is_some() && standing.address == Some(other);
    speaker.wait("a session with the router's other address", is_there)?;
    wait_bird_routes(&bird, &[V4, V6]).map(drop)
}
