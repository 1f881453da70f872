//! See README.md.

use anyhow::{Result, ensure};
use keryx_plan::bgp::{PeerPlan, RemoteAs, RouteAttributes};

use crate::Test;
use crate::scene::{Scene, attribute, wait_bird_routes};
use crate::speaker::{Speaker, peer, telling_with};

pub(crate) const TESTS: &[Test] = &[("ibgp::a_preference_is_told_and_no_path", internal)];

const PLAIN: &str = "198.51.100.1/32";
const PREFERRED: &str = "198.51.100.2/32";

fn internal() -> Result<()> {
    let scene = Scene::start()?;
    let bird = scene.bird(include_str!("bird.conf"))?;
    let preferred =
        RouteAttributes { local_pref: Some(200), as_path_prepend: 3, ..RouteAttributes::default() };
    let routes = [(PLAIN, RouteAttributes::default()), (PREFERRED, preferred)];
    let internal = PeerPlan { remote_as: RemoteAs::Internal, ..peer(scene.remote()) };
    let speaker = Speaker::start(&scene.node(), telling_with(internal, &routes))?;
    speaker.wait_established()?;
    let known = wait_bird_routes(&bird, &[PLAIN, PREFERRED])?;
    ensure!(attribute(&known[PLAIN], "BGP.local_pref")? == "100", "{:?}", known[PLAIN]);
    ensure!(attribute(&known[PREFERRED], "BGP.local_pref")? == "200", "{:?}", known[PREFERRED]);
    ensure!(attribute(&known[PREFERRED], "BGP.as_path")?.is_empty(), "{:?}", known[PREFERRED]);
    Ok(())
}
