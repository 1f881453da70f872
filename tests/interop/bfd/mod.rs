//! See README.md.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use keryx_plan::bgp::{BfdPlan, PeerPlan};
use keryx_speaker::drivers::bfd::SessionState;
use keryx_tests::wait;

use crate::Test;
use crate::scene::{LIMIT, Scene, wait_bird_routes, wait_frr_routes};
use crate::speaker::{Speaker, peer, telling};

pub(crate) const TESTS: &[Test] = &[
    ("bfd::a_cut_path_ends_the_session_at_bird_and_here", cut),
    ("bfd::frr_comes_up_and_what_it_switches_off_ends_nothing", switched_off),
];

const PREFIX: &str = "198.51.100.1/32";

fn watched(scene: &Scene) -> PeerPlan {
    let fast = BfdPlan {
        receive_interval_millis: 50,
        transmit_interval_millis: 50,
        detect_multiplier: 3,
        passive: false,
        minimum_ttl: 254,
    };
    PeerPlan { bfd: Some(fast), ipv6: false, ..peer(scene.remote()) }
}

/// Claims 1, 2 and 4.
fn cut() -> Result<()> {
    let scene = Scene::start()?;
    let bird = scene.bird(include_str!("bird.conf"))?;
    let speaker = Speaker::start(&scene.node(), telling(watched(&scene), &[PREFIX]))?;
    speaker.wait_established()?;
    let is_up = |standing: &keryx_speaker::drivers::bgp::Standing| standing.bfd == Some(SessionState::Up);
    speaker.wait("BFD up", is_up)?;
    wait_bird_routes(&bird, &[PREFIX])?;
    wait::until_within(LIMIT, "BFD up at BIRD", || {
        Ok(bird.ask("show bfd sessions")?.contains(" Up ").then_some(()))
    })?;
    scene.node().unplug(0)?;
    let cut = wait::now();
    speaker.wait_error("BFD")?;
    wait_bird_routes(&bird, &[])?;
    let took = cut.elapsed();
    ensure!(took < Duration::from_secs(1), "noticed after {took:?}");
    scene.node().plug(0)?;
    speaker.wait_established()?;
    speaker.wait("BFD up", is_up)?;
    wait_bird_routes(&bird, &[PREFIX]).map(drop)
}

/// Claims 1 and 3.
fn switched_off() -> Result<()> {
    let scene = Scene::start()?;
    let frr = scene.frr(include_str!("bgpd.conf"), include_str!("bfdd.conf"))?;
    let speaker = Speaker::start(&scene.node(), telling(watched(&scene), &[PREFIX]))?;
    let before = speaker.wait_established()?;
    wait_frr_routes(&frr, "ipv4", &[PREFIX])?;
    speaker.wait("BFD up", |standing| standing.bfd == Some(SessionState::Up))?;
    let node = scene.node().address_v4().to_string();
    wait::until_within(LIMIT, "BFD up at FRR, with our intervals", || {
        let peers = frr.json("bfdd", "show bfd peers json")?;
        let all = peers.as_array().context("a list")?;
        let ours = all.iter().find(|peer| peer["peer"] == *node);
        let is_it = |peer: &serde_json::Value| {
            peer["status"] == "up"
                && peer["remote-transmit-interval"] == 50
                && peer["remote-detect-multiplier"] == 3
        };
        Ok(ours.filter(|peer| is_it(peer)).map(drop))
    })?;
    frr.configure("bfdd", &["bfd", "profile fast", "shutdown", "exit", "exit"])?;
    speaker.wait("BFD down", |standing| standing.bfd == Some(SessionState::Down))?;
    std::thread::sleep(Duration::from_secs(1));
    let after = speaker.standing()?;
    ensure!(after.agreed().is_some() && after.since == before.since, "{after:?}");
    frr.configure("bfdd", &["bfd", "profile fast", "no shutdown", "exit", "exit"])?;
    speaker.wait("BFD up", |standing| standing.bfd == Some(SessionState::Up)).map(drop)
}
