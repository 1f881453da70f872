//! See README.md.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use keryx_plan::bgp::{BgpPlan, RoutePlan};
use keryx_tests::wait;

use crate::Test;
use crate::scene::{LIMIT, Scene, wait_bird_routes};
use crate::speaker::{Speaker, peer, telling};

pub(crate) const TESTS: &[Test] = &[("drain::routes_are_marked_first_and_withdrawn_later", drained)];

const PREFIX: &str = "198.51.100.1/32";
const MARK: &str = "(65535,0)";

fn leaving(plan: &BgpPlan) -> BgpPlan {
    let leaves = |route: &Arc<RoutePlan>| Arc::new(RoutePlan { leaving: true, ..(**route).clone() });
    let routes = plan.routes.iter().map(|(prefix, route)| (*prefix, leaves(route)));
    BgpPlan { routes: routes.collect(), ..plan.clone() }
}

fn drained() -> Result<()> {
    let scene = Scene::start()?;
    let bird = scene.bird(include_str!("../ebgp/bird.conf"))?;
    let plan = telling(peer(scene.remote()), &[PREFIX]);
    let speaker = Speaker::start(&scene.node(), plan.clone())?;
    speaker.wait_established()?;
    let wait_marked = |marked: bool| {
        wait::until_within(LIMIT, "the mark as it should be", || {
            let known = wait_bird_routes(&bird, &[PREFIX])?;
            let communities = known[PREFIX].attributes.get("BGP.community");
            Ok((communities.is_some_and(|all| all.contains(MARK)) == marked).then_some(()))
        })
    };
    wait_marked(false)?;
    speaker.order(leaving(&plan));
    wait_marked(true)?;
    speaker.order(plan.clone());
    wait_marked(false)?;
    speaker.order(leaving(&plan));
    wait_marked(true)?;
    let marked = wait::now();
    wait_bird_routes(&bird, &[])?;
    ensure!(marked.elapsed() > Duration::from_secs(3), "withdrawn after {:?} already", marked.elapsed());
    speaker.wait_established().map(drop)
}
