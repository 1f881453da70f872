//! See README.md.

use std::time::Duration;

use anyhow::{Result, ensure};
use keryx_plan::bgp::{GracefulRestart, PeerPlan};

use crate::Test;
use crate::scene::{Scene, wait_bird_routes};
use crate::speaker::{Speaker, peer, telling};

pub(crate) const TESTS: &[Test] = &[
    ("graceful_restart::the_router_keeps_the_routes_while_the_speaker_is_away", kept),
    ("graceful_restart::without_it_the_routes_go_with_the_speaker", gone),
];

const STAYS: &str = "198.51.100.1/32";
const GOES: &str = "198.51.100.2/32";

fn restarting(scene: &Scene) -> PeerPlan {
    let restart = GracefulRestart { restart_time_secs: 30, over_bfd_down: false };
    PeerPlan { graceful_restart: Some(restart), ipv6: false, ..peer(scene.remote()) }
}

/// Claim 1.
fn kept() -> Result<()> {
    let scene = Scene::start()?;
    let bird = scene.bird(&include_str!("bird.conf").replace("@GR@", "on"))?;
    let speaker = Speaker::start(&scene.node(), telling(restarting(&scene), &[STAYS, GOES]))?;
    let standing = speaker.wait_established()?;
    ensure!(
        standing.agreed().is_some_and(|agreed| agreed.capabilities.contains(&"GracefulRestart")),
        "{standing:?}"
    );
    wait_bird_routes(&bird, &[STAYS, GOES])?;
    drop(speaker);
    std::thread::sleep(Duration::from_secs(2));
    ensure!(!bird.state("n1")?.contains("Established"), "the session outlived the speaker");
    wait_bird_routes(&bird, &[STAYS, GOES])?;
    let speaker = Speaker::start(&scene.node(), telling(restarting(&scene), &[STAYS]))?;
    speaker.wait_established()?;
    wait_bird_routes(&bird, &[STAYS]).map(drop)
}

/// Claim 2.
fn gone() -> Result<()> {
    let scene = Scene::start()?;
    let bird = scene.bird(&include_str!("bird.conf").replace("@GR@", "off"))?;
    let plain = PeerPlan { ipv6: false, ..peer(scene.remote()) };
    let speaker = Speaker::start(&scene.node(), telling(plain, &[STAYS]))?;
    speaker.wait_established()?;
    wait_bird_routes(&bird, &[STAYS])?;
    drop(speaker);
    wait_bird_routes(&bird, &[]).map(drop)
}
