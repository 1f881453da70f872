//! See README.md.

use std::time::Duration;

use anyhow::{Result, ensure};
use keryx_plan::bgp::{Password, PeerPlan};
use keryx_speaker::drivers::bgp::State;

use crate::Test;
use crate::scene::{Scene, frr_routes, wait_bird_routes, wait_frr_routes};
use crate::speaker::{Speaker, peer, telling};

pub(crate) const TESTS: &[Test] = &[
    ("md5::the_password_of_a_secret_opens_the_session_and_another_one_does_not", secret),
    ("md5::a_password_that_comes_or_goes_begins_the_session_anew", come_and_gone),
    ("md5::a_password_that_is_changed_holds_for_the_session_that_stands", rotated),
];

const PREFIX: &str = "198.51.100.1/32";

/// Claims 1 to 3.
fn secret() -> Result<()> {
    let scene = Scene::start()?;
    let bird = scene.bird(&include_str!("bird.conf").replace("@PASSWORD@", "right"))?;
    let signed = PeerPlan { password: Some(Password::Secret("tor".into())), ..peer(scene.remote()) };
    let speaker = Speaker::start(&scene.node(), telling(signed, &[PREFIX]))?;
    speaker.wait_error("the Secrets could not be read yet")?;
    speaker.set_passwords(&[("other", "right")]);
    let standing = speaker.wait_error("there is no Secret tor")?;
    ensure!(standing.state == State::Idle, "{standing:?}");
    speaker.set_passwords(&[("tor", "wrong")]);
    speaker.wait_error("with another password than ours")?;
    speaker.set_passwords(&[("tor", "right")]);
    speaker.wait_established()?;
    wait_bird_routes(&bird, &[PREFIX]).map(drop)
}

/// Claim 4. Routers begin anew when their own password is changed, so ours alone is changed, and changed back.
fn rotated() -> Result<()> {
    let scene = Scene::start()?;
    let frr = scene.frr(include_str!("frr.conf"), "")?;
    let signed = PeerPlan {
        password: Some(Password::Secret("tor".into())),
        hold_time_secs: 30,
        keepalive_time_secs: Some(1),
        ..peer(scene.remote())
    };
    let speaker = Speaker::start(&scene.node(), telling(signed.clone(), &[PREFIX]))?;
    speaker.set_passwords(&[("tor", "first")]);
    let before = speaker.wait_established()?;
    wait_frr_routes(&frr, "ipv4", &[PREFIX])?;
    speaker.set_passwords(&[("tor", "second")]);
    std::thread::sleep(Duration::from_millis(200));
    speaker.order(telling(signed, &[PREFIX, "198.51.100.2/32"]));
    std::thread::sleep(Duration::from_secs(2));
    let known = frr_routes(&frr, "ipv4")?;
    ensure!(known.len() == 1, "what is signed with another password came through: {known:?}");
    speaker.set_passwords(&[("tor", "first")]);
    wait_frr_routes(&frr, "ipv4", &[PREFIX, "198.51.100.2/32"])?;
    let after = speaker.standing()?;
    ensure!(after.since == before.since, "the session ended meanwhile: {after:?}");
    Ok(())
}

/// Claim 5.
fn come_and_gone() -> Result<()> {
    let scene = Scene::start()?;
    let bird = scene.bird(include_str!("../ebgp/bird.conf"))?;
    let open = peer(scene.remote());
    let signed = PeerPlan { password: Some(Password::Inline("right".into())), ..open.clone() };
    let speaker = Speaker::start(&scene.node(), telling(open.clone(), &[PREFIX]))?;
    speaker.wait_established()?;
    // Long before the hold time of 90 s.
    speaker.order(telling(signed, &[PREFIX]));
    speaker.wait("no session", |standing| standing.agreed().is_none())?;
    wait_bird_routes(&bird, &[])?;
    speaker.order(telling(open, &[PREFIX]));
    speaker.wait_established()?;
    wait_bird_routes(&bird, &[PREFIX]).map(drop)
}
