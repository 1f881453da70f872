//! See README.md.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use keryx_tests::wait;

use crate::Test;
use crate::scene::{LIMIT, Scene, wait_bird_routes};
use crate::speaker::{Speaker, peer, telling};

pub(crate) const TESTS: &[Test] = &[("flood::a_hundred_thousand_routes_are_read_and_dropped", flooded)];

const PREFIX: &str = "198.51.100.1/32";
const ROUTES: u32 = 100_000;

fn flooded() -> Result<()> {
    let scene = Scene::start()?;
    let mut config =
        include_str!("../ebgp/bird.conf").replace("export none;", "export where source = RTS_STATIC;");
    config.push_str("protocol static {\n  ipv4;\n");
    for number in 0..ROUTES {
        let _ =
            writeln!(config, "  route {}/32 blackhole;", std::net::Ipv4Addr::from_bits(0x0b00_0000 + number));
    }
    config.push_str("}\n");
    let bird = scene.bird(&config)?;
    let speaker = Speaker::start(&scene.node(), telling(peer(scene.remote()), &[PREFIX]))?;
    let before = speaker.wait_established()?;
    wait::until_within(LIMIT, "all routes to be sent", || {
        let shown = bird.ask("show protocols all n1")?;
        Ok(shown
            .lines()
            .any(|line| line.contains("Export updates:") && line.contains("100000"))
            .then_some(()))
    })?;
    speaker.order(telling(peer(scene.remote()), &[PREFIX, "198.51.100.2/32"]));
    wait_bird_routes(&bird, &[PREFIX, "198.51.100.2/32"])?;
    let after = speaker.standing()?;
    ensure!(after.agreed().is_some() && after.since == before.since, "{after:?}");
    Ok(())
}
