//! See README.md.

use anyhow::{Result, ensure};
use keryx_plan::bgp::{Password, PeerPlan};

use crate::Test;
use crate::scene::{Scene, wait_bird_routes};
use crate::speaker::{Speaker, peer, telling};

pub(crate) const TESTS: &[Test] = &[
    ("passive::a_router_dials_and_the_session_stands", dialled),
    ("passive::a_router_that_nobody_expects_is_turned_away", unexpected),
    ("passive::a_port_that_cannot_be_had_is_said_and_tried_again", occupied),
];

const PREFIX: &str = "198.51.100.1/32";

fn waiting(scene: &Scene) -> PeerPlan {
    PeerPlan {
        dial: false,
        accept: true,
        password: Some(Password::Inline("right".into())),
        ..peer(scene.remote())
    }
}

/// Claims 1 and 3.
fn dialled() -> Result<()> {
    let scene = Scene::start()?;
    let config = include_str!("../md5/bird.conf");
    let speaker = Speaker::start(&scene.node(), telling(waiting(&scene), &[PREFIX]))?;
    let bird = scene.bird(&config.replace("@PASSWORD@", "wrong"))?;
    std::thread::sleep(std::time::Duration::from_secs(2));
    ensure!(speaker.standing()?.agreed().is_none(), "with the wrong password");
    bird.configure(&scene.filled(&config.replace("@PASSWORD@", "right")))?;
    speaker.wait_established()?;
    wait_bird_routes(&bird, &[PREFIX]).map(drop)
}

/// Claim 2.
fn unexpected() -> Result<()> {
    let scene = Scene::start()?;
    let expected = PeerPlan { dial: false, accept: true, ..peer("10.98.0.77".parse()?) };
    let _speaker = Speaker::start(&scene.node(), telling(expected, &[PREFIX]))?;
    let config = include_str!("../ebgp/bird.conf");
    let bird = scene.bird(config)?;
    keryx_tests::wait::until_within(crate::scene::LIMIT, "BIRD's connection to be closed", || {
        let state = bird.state("n1")?;
        Ok((state.contains("closed") || state.contains("reset")).then_some(()))
    })
}

/// Claim 4.
fn occupied() -> Result<()> {
    let scene = Scene::start()?;
    let occupant = scene.node().namespace().run(|| std::net::TcpListener::bind(("0.0.0.0", 179)))?;
    let plan = PeerPlan { password: None, ..waiting(&scene) };
    let speaker = Speaker::start(&scene.node(), telling(plan, &[PREFIX]))?;
    speaker.wait_error("no peer can dial this node")?;
    let _bird = scene.bird(include_str!("../ebgp/bird.conf"))?;
    drop(occupant);
    speaker.wait_established().map(drop)
}
