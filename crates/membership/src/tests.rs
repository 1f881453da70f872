//! What whole clusters do. Figures are printed; `cargo test -p keryx-membership -- --nocapture` shows them.

mod chaos;
mod liveness;
mod network;
pub(crate) mod sim;
mod spread;

use std::time::Duration;

use self::sim::{Sim, id};
use crate::members::Event;

/// How long after the latest `since` each other running node called `dead` down. Panics if one did not.
fn known_down(sim: &Sim, dead: usize, since: std::time::Instant) -> Vec<Duration> {
    let knew = |node: usize| {
        let mut log = sim.log(node).iter();
        let down = log.find(|(at, event)| *at >= since && *event == Event::Down(id(dead)));
        down.unwrap_or_else(|| panic!("node {node} does not know that {dead} is dead")).0 - since
    };
    let mut known: Vec<_> = sim.running().filter(|node| *node != dead).map(knew).collect();
    known.sort_unstable();
    known
}

/// Downs that any running node told since then.
fn downs(sim: &Sim, since: std::time::Instant) -> usize {
    sim.told_since(since, |event| matches!(event, Event::Down(_)))
}
