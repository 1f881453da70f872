//! Runs a cluster with a virtual clock and prints how long it takes to start, what it sends at rest, how fast a death
//! is known everywhere, and how many nodes are called dead that are not.
//!
//!     cargo run --release -p keryx-membership --example simulate -- --nodes 1000 --loss-permille 10 --rest-secs 10

#[path = "../src/tests/sim.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod sim;

use std::error::Error;
use std::time::{Duration, Instant};

use keryx_membership::members::Event;
use sim::{Sim, id};

struct Args {
    nodes: usize,
    loss_permille: u64,
    rest_secs: u64,
    kills: usize,
    seed: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = parse(std::env::args().skip(1))?;
    let mut sim = Sim::new(args.nodes, 1, args.seed);
    sim.network.loss_permille = args.loss_permille;
    (0..args.nodes).for_each(|node| sim.start_node(node));
    let all_know_all = |sim: &Sim| {
        sim.running()
            .all(|node| sim.members(node).is_some_and(|members| members.members().count() + 1 == args.nodes))
    };
    let mut joined_ms = 0;
    while !all_know_all(&sim) && joined_ms < 60_000 {
        sim.run_ms(10);
        joined_ms += 10;
    }
    let sent: u64 = (0..args.nodes).map(|node| sim.sent(node).0).sum();
    println!("all know all after {joined_ms} ms, {} octets sent by a node", sent / args.nodes as u64);

    sim.run_ms(2_000);
    let since = sim.now();
    let before: Vec<_> = (0..args.nodes).map(|node| sim.sent(node)).collect();
    sim.run_ms(args.rest_secs * 1_000);
    let secs = args.rest_secs.max(1);
    let octets: Vec<_> = (0..args.nodes).map(|node| (sim.sent(node).0 - before[node].0) / secs).collect();
    let datagrams: u64 = (0..args.nodes).map(|node| sim.sent(node).1 - before[node].1).sum();
    println!(
        "at rest for {secs} s: {} octets/s and {:.1} datagrams/s by a node, {} octets/s by the busiest",
        octets.iter().sum::<u64>() / args.nodes as u64,
        datagrams as f64 / args.nodes as f64 / secs as f64,
        octets.iter().max().unwrap_or(&0),
    );
    println!("false downs at rest: {}", sim.told_since(since, |event| matches!(event, Event::Down(_))));
    for kill in 0..args.kills.min(args.nodes.saturating_sub(2)) {
        // Spread over the phase of the heartbeats.
        sim.run_ms(1_000 + 17 * kill as u64 % 100);
        report_death(&mut sim, kill * args.nodes / args.kills);
    }
    Ok(())
}

fn report_death(sim: &mut Sim, dead: usize) {
    sim.kill(dead);
    let killed = sim.now();
    sim.run_ms(2_000);
    let knew = |node: usize| -> Option<Duration> {
        let down = sim.log(node).iter().find(|(at, event)| *at >= killed && *event == Event::Down(id(dead)));
        down.map(|(at, _): &(Instant, Event)| *at - killed)
    };
    let mut known: Vec<_> = sim.running().filter_map(knew).collect();
    known.sort_unstable();
    let others = sim.told_since(killed, |event| matches!(event, Event::Down(node) if *node != id(dead)));
    let ms = |at: usize| known.get(at).map_or(0, Duration::as_millis);
    println!(
        "node {dead} dead: known by {} of {}, first after {} ms, median {} ms, last {} ms; other downs: {others}",
        known.len(),
        sim.running().count(),
        ms(0),
        ms(known.len() / 2),
        ms(known.len().saturating_sub(1)),
    );
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Args, Box<dyn Error>> {
    let mut args = Args { nodes: 3, loss_permille: 0, rest_secs: 10, kills: 3, seed: 1 };
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a number"))?;
        match word.as_str() {
            "--nodes" => args.nodes = value.parse()?,
            "--loss-permille" => args.loss_permille = value.parse()?,
            "--rest-secs" => args.rest_secs = value.parse()?,
            "--kills" => args.kills = value.parse()?,
            "--seed" => args.seed = value.parse()?,
            _ => return Err(format!("{word} is not known").into()),
        }
    }
    Ok(args)
}
