//! See README.md.

use anyhow::{Result, ensure};
use keryx_lab::Signal;
use keryx_plan::bgp::{PeerPlan, RemoteAs};
use keryx_speaker::drivers::bgp::State;
use keryx_tests::wait;

use crate::Test;
use crate::scene::{LIMIT, Scene, frr_neighbour, wait_bird_routes};
use crate::speaker::{Speaker, asn, peer, telling};

pub(crate) const TESTS: &[Test] = &[
    ("refusals::a_router_of_another_as_is_refused_by_name", wrong_as),
    ("refusals::a_router_that_falls_silent_is_given_up_after_the_hold_time", silent),
    ("refusals::a_shutdown_carries_the_operators_words", shutdown),
    ("refusals::a_router_that_comes_back_has_its_session_again", restarted),
];

const PREFIX: &str = "198.51.100.1/32";
const BIRD: &str = include_str!("../ebgp/bird.conf");
const FRR: &str = include_str!("../ebgp/frr.conf");

/// Claim 1.
fn wrong_as() -> Result<()> {
    let scene = Scene::start()?;
    let bird = scene.bird(BIRD)?;
    let other = PeerPlan { remote_as: RemoteAs::Number(asn(65_000)), ..peer(scene.remote()) };
    let speaker = Speaker::start(&scene.node(), telling(other, &[PREFIX]))?;
    speaker.wait_error("Bad Peer AS")?;
    let state = bird.state("n1")?;
    ensure!(state.contains("Bad peer AS"), "BIRD says: {state}");
    Ok(())
}

/// Claim 2.
fn silent() -> Result<()> {
    let scene = Scene::start()?;
    let bird = scene.bird(BIRD)?;
    let short = PeerPlan { hold_time_secs: 3, ..peer(scene.remote()) };
    let speaker = Speaker::start(&scene.node(), telling(short, &[PREFIX]))?;
    let standing = speaker.wait_established()?;
    ensure!(standing.agreed().is_some_and(|agreed| agreed.hold_time_secs == 3), "{standing:?}");
    bird.process().signal(Signal::SIGSTOP)?;
    speaker.wait_error("Hold Timer Expired")?;
    bird.process().signal(Signal::SIGCONT)?;
    speaker.wait_established()?;
    wait_bird_routes(&bird, &[PREFIX]).map(drop)
}

/// Claim 3.
fn shutdown() -> Result<()> {
    let scene = Scene::start()?;
    let frr = scene.frr(FRR, "")?;
    let speaker = Speaker::start(&scene.node(), telling(peer(scene.remote()), &[PREFIX]))?;
    speaker.wait_established()?;
    let down = PeerPlan { admin_down: Some("new cables".into()), ..peer(scene.remote()) };
    speaker.order(telling(down, &[PREFIX]));
    let standing = speaker.wait_error("administratively down")?;
    ensure!(standing.state == State::Idle, "{standing:?}");
    let node = scene.node().address_v4();
    wait::until_within(LIMIT, "the words at the router", || {
        let neighbour = frr_neighbour(&frr, node.into())?.to_string();
        Ok((neighbour.contains("Administrative Shutdown") && neighbour.contains("new cables")).then_some(()))
    })?;
    speaker.order(telling(peer(scene.remote()), &[PREFIX]));
    speaker.wait_established().map(drop)
}

/// Claim 4.
fn restarted() -> Result<()> {
    let scene = Scene::start()?;
    let bird = scene.bird(BIRD)?;
    let speaker = Speaker::start(&scene.node(), telling(peer(scene.remote()), &[PREFIX]))?;
    speaker.wait_established()?;
    drop(bird);
    speaker.wait("no session", |standing| standing.agreed().is_none())?;
    let bird = scene.bird(BIRD)?;
    speaker.wait_established()?;
    wait_bird_routes(&bird, &[PREFIX]).map(drop)
}
