//! `make bench-failover`: for how long a client on the segment has no answer when nodes, cables and speakers fail, and for
//! how long two nodes answer. docs/reference/benchmarks.md tells the method. ROUNDS sets the rounds of each event.

mod events;
mod overlap;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use keryx_benches::conclusion::conclude;
use keryx_benches::figures::{Figure, Limit, Report};
use keryx_benches::machine;
use keryx_tests::Keryx;
use keryx_tests::outage::Outage;

use crate::events::{EVENTS, Event, Scene};

/// Rounds of each event, unless told otherwise.
const ROUNDS: u32 = 20;
/// No more, so that a run ends.
const ROUNDS_MAX: u32 = 200;
/// Two announcers at most so long after any event, in milliseconds.
const OVERLAP_MAX_MS: f64 = 200.0;

fn main() -> ExitCode {
    keryx_lab::init();
    conclude("failover", run())
}

/// What the rounds of one event have shown.
#[derive(Debug, Default)]
struct Rounds {
    outages: Vec<Duration>,
    silences: Vec<Duration>,
    overlaps: Vec<Duration>,
}

/// Measures everything. The lab is gone when this returns.
fn run() -> Result<Report> {
    let rounds = wanted()?;
    let mut notes = machine::before_the_lab()?;
    let keryx = Keryx::start()?;
    let scene = Scene::new(&keryx)?;
    let mut figures = Vec::new();
    let mut overlaps = Vec::new();
    for event in &EVENTS {
        eprintln!("bench: {}", event.name);
        let measured = measure(&scene, event, rounds)?;
        notes.push(format!("{}, outages in ms: {}", event.name, listed(&measured.outages)));
        notes.push(format!("  longest waits for any answer, in ms: {}", listed(&measured.silences)));
        notes.push(format!("  two announcers, in ms: {}", listed(&measured.overlaps)));
        figures.extend(rows(event, &measured.outages));
        overlaps.extend(measured.overlaps);
    }
    figures.push(Figure {
        name: "two announcers on the wire, longest",
        value: millis(overlaps.iter().max().copied().unwrap_or_default()),
        unit: "ms",
        peer: None,
        limit: Limit::AtMost(OVERLAP_MAX_MS),
    });
    notes.push(format!("load average at the end: {}", machine::load_average()?));
    Ok(Report { bench: "failover", notes, figures })
}

fn measure(scene: &Scene<'_>, event: &Event, rounds: u32) -> Result<Rounds> {
    let mut measured = Rounds::default();
    for round in 0..rounds {
        let (outage, overlap) =
            scene.round(event).with_context(|| format!("{}, round {round}", event.name))?;
        let Outage { unanswered, silence } = outage;
        if millis(unanswered) > event.most_ms {
            eprintln!("bench: round {round} took {:.0} ms{}", millis(unanswered), scene.logs());
        }
        measured.outages.push(unanswered);
        measured.silences.push(silence);
        measured.overlaps.push(overlap);
    }
    Ok(measured)
}

fn rows(event: &Event, outages: &[Duration]) -> [Figure; 2] {
    let mut sorted = outages.to_vec();
    sorted.sort_unstable();
    let at = |place: usize| millis(sorted.get(place).copied().unwrap_or_default());
    let row = |name, value, limit| Figure { name, value, unit: "ms", peer: None, limit };
    [
        row(event.name, at(sorted.len() / 2), Limit::None),
        row(event.name_of_max, at(sorted.len().saturating_sub(1)), Limit::AtMost(event.most_ms)),
    ]
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn listed(outages: &[Duration]) -> String {
    outages.iter().map(|outage| format!("{:.0}", millis(*outage))).collect::<Vec<_>>().join(" ")
}

fn wanted() -> Result<u32> {
    let Some(text) = std::env::var_os("ROUNDS").filter(|text| !text.is_empty()) else { return Ok(ROUNDS) };
    let rounds =
        text.to_str().and_then(|text| text.parse().ok()).filter(|rounds| (1..=ROUNDS_MAX).contains(rounds));
    rounds.with_context(|| format!("ROUNDS must be a number from 1 to {ROUNDS_MAX}"))
}
