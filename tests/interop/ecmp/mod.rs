//! See README.md.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use keryx_lab::Host;
use keryx_tests::client::ip_route;
use keryx_tests::wait;

use crate::Test;
use crate::scene::{LIMIT, Scene};
use crate::speaker::{Speaker, peer, telling};

pub(crate) const TESTS: &[Test] =
    &[("ecmp::three_nodes_are_three_next_hops_and_one_that_withdraws_leaves_two", three)];

const ADDRESS: &str = "198.51.100.1/32";
const AGGREGATE: &str = "198.51.100.0/24";
/// From a change here to the router's kernel.
const SOON: Duration = Duration::from_secs(1);

/// Waits until the router's kernel sends a prefix to exactly these nodes.
fn wait_next_hops(router: &Host, prefix: &str, nodes: &[&Host], limit: Duration) -> Result<()> {
    let expected: BTreeSet<String> = nodes.iter().map(|node| node.address_v4().to_string()).collect();
    wait::until_within(limit, &format!("{prefix} by exactly {expected:?}"), || {
        let shown = ip_route(router, prefix)?;
        let words: Vec<&str> = shown.split_whitespace().collect();
        let hops = words.windows(2).filter(|pair| pair[0] == "via").map(|pair| pair[1].to_owned());
        Ok((hops.collect::<BTreeSet<_>>() == expected).then_some(()))
    })
}

/// Claims 1 to 3.
fn three() -> Result<()> {
    let scene = Scene::of(3, 1)?;
    let (nodes, router) = (scene.nodes(), scene.router());
    let sessions = nodes.iter().map(|node| {
        let named = include_str!("session.conf").replace("@NAME@", node.name());
        named.replace("@NODE@", &node.address_v4().to_string())
    });
    let bird = scene.bird(&(include_str!("bird.conf").to_owned() + &sessions.collect::<String>()))?;
    let plan = telling(peer(scene.remote()), &[ADDRESS, AGGREGATE]);
    let started = nodes.iter().map(|node| Speaker::start(node, plan.clone()));
    let mut speakers = started.collect::<Result<Vec<_>>>()?;
    let all: Vec<&Host> = nodes.iter().collect();
    for prefix in [ADDRESS, AGGREGATE] {
        wait_next_hops(&router, prefix, &all, LIMIT)?;
    }

    speakers[1].order(telling(peer(scene.remote()), &[AGGREGATE]));
    wait_next_hops(&router, ADDRESS, &[&nodes[0], &nodes[2]], SOON)?;
    wait_next_hops(&router, AGGREGATE, &all, SOON)?;
    for node in &nodes {
        ensure!(bird.state(node.name())?.contains("Established"), "{}", bird.state(node.name())?);
    }

    drop(speakers.pop());
    wait_next_hops(&router, ADDRESS, &[&nodes[0]], SOON)?;
    wait_next_hops(&router, AGGREGATE, &[&nodes[0], &nodes[1]], SOON)?;
    speakers.push(Speaker::start(&nodes[2], plan)?);
    wait_next_hops(&router, ADDRESS, &[&nodes[0], &nodes[2]], LIMIT)?;
    wait_next_hops(&router, AGGREGATE, &all, LIMIT)
}
