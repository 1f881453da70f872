//! See README.md.

use std::time::Duration;

use anyhow::{Result, ensure};
use keryx_lab::Host;
use keryx_plan::bgp::PeerPlan;

use crate::Test;
use crate::scene::{Scene, wait_bird_routes};
use crate::speaker::{Speaker, peer, telling};

pub(crate) const TESTS: &[Test] = &[
    ("multihop::a_router_behind_another_is_reached_if_that_is_wanted", wanted),
    ("multihop::and_otherwise_it_is_not", unwanted),
];

const PREFIX: &str = "198.51.100.1/32";
const ROUTER: &str = "203.0.113.1";

/// The node, the router and what stands between them.
fn start() -> Result<Scene> {
    let scene = Scene::of(1, 2)?;
    let (node, router, between) = (scene.node(), scene.router(), scene.second_client());
    let way = between.address_v4().to_string();
    let node_address = format!("{}/32", node.address_v4());
    between.namespace().run(|| std::fs::write("/proc/sys/net/ipv4/ip_forward", "1"))?;
    ip(&between, &["route", "add", ROUTER, "via", &router.address_v4().to_string()])?;
    ip(&router, &["address", "add", ROUTER, "dev", "lo"])?;
    ip(&router, &["route", "add", &node_address, "via", &way])?;
    ip(&node, &["route", "add", ROUTER, "via", &way])?;
    Ok(scene)
}

fn ip(host: &Host, arguments: &[&str]) -> Result<()> {
    let output = host.command("ip").args(arguments).output()?;
    ensure!(output.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Claim 1.
fn wanted() -> Result<()> {
    let scene = start()?;
    let bird = scene.bird(include_str!("bird.conf"))?;
    let far = PeerPlan { ebgp_multi_hop: true, ..peer(ROUTER.parse()?) };
    let speaker = Speaker::start(&scene.node(), telling(far, &[PREFIX]))?;
    speaker.wait_established()?;
    wait_bird_routes(&bird, &[PREFIX]).map(drop)
}

/// Claim 2.
fn unwanted() -> Result<()> {
    let scene = start()?;
    let bird = scene.bird(include_str!("bird.conf"))?;
    let speaker = Speaker::start(&scene.node(), telling(peer(ROUTER.parse()?), &[PREFIX]))?;
    std::thread::sleep(Duration::from_secs(3));
    ensure!(speaker.standing()?.agreed().is_none(), "{:?}", speaker.standing());
    ensure!(!bird.state("n1")?.contains("Established"), "{}", bird.state("n1")?);
    Ok(())
}
