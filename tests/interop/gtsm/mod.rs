//! See README.md.

use std::time::Duration;

use anyhow::{Result, ensure};
use keryx_plan::bgp::PeerPlan;

use crate::Test;
use crate::scene::{Scene, wait_bird_routes};
use crate::speaker::{Speaker, peer, telling};

pub(crate) const TESTS: &[Test] = &[
    ("gtsm::with_it_on_both_sides_the_session_stands", both),
    ("gtsm::with_it_on_one_side_alone_it_does_not", one),
];

const PREFIX: &str = "198.51.100.1/32";

fn secure(scene: &Scene) -> PeerPlan {
    PeerPlan { ttl_security: true, ..peer(scene.remote()) }
}

fn both() -> Result<()> {
    let scene = Scene::start()?;
    let bird = scene.bird(&include_str!("bird.conf").replace("@SECURITY@", "on"))?;
    let speaker = Speaker::start(&scene.node(), telling(secure(&scene), &[PREFIX]))?;
    speaker.wait_established()?;
    wait_bird_routes(&bird, &[PREFIX]).map(drop)
}

fn one() -> Result<()> {
    let scene = Scene::start()?;
    let bird = scene.bird(&include_str!("bird.conf").replace("@SECURITY@", "off"))?;
    let speaker = Speaker::start(&scene.node(), telling(secure(&scene), &[PREFIX]))?;
    // What BIRD says has a TTL of 1, and the kernel drops it.
    std::thread::sleep(Duration::from_secs(3));
    ensure!(speaker.standing()?.agreed().is_none(), "{:?}", speaker.standing());
    ensure!(!bird.state("n1")?.contains("Established"), "{}", bird.state("n1")?);
    Ok(())
}
