//! `make bench-bgp`: what many prefixes cost, from an address to the UPDATE that announces it, and what a client behind a router misses
//! when nodes and speakers fail. docs/reference/benchmarks.md tells the method. ROUNDS sets the rounds of each failure, PART leaves the
//! other parts out.

mod arrival;
mod failure;
mod feed;
mod gobgp;
mod memory;
mod router;
mod sides;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use keryx_benches::conclusion::conclude;
use keryx_benches::figures::{Figure, Limit, Report};
use keryx_benches::machine;
use keryx_benches::metallb::MetalLb;
use keryx_benches::rounds::wanted;
use keryx_benches::side::Side;
use keryx_tests::Keryx;

use crate::arrival::Arrivals;
use crate::failure::Outages;

/// Rounds of each failure, unless told otherwise.
const ROUNDS: u32 = 10;
/// Most that an UPDATE may come after the status that it announces, in milliseconds.
const UPDATE_MAX_MS: f64 = 5.0;
/// Most that a client may miss, of what it misses with BIRD on the nodes.
const OUTAGE_RATIO_MAX: f64 = 1.1;

fn main() -> ExitCode {
    keryx_lab::init();
    conclude("bgp", run())
}

/// What is measured in one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Processor time and octets of many prefixes.
    Feed,
    /// Memory of many prefixes.
    Memory,
    /// Arrivals and failures.
    Sessions,
}

impl Part {
    const ALL: [Self; 3] = [Self::Feed, Self::Memory, Self::Sessions];

    fn name(self) -> &'static str {
        match self {
            Self::Feed => "feed",
            Self::Memory => "memory",
            Self::Sessions => "sessions",
        }
    }
}

/// The part that PART names, or all.
fn parts() -> Result<Vec<Part>> {
    let Some(name) = std::env::var_os("PART").filter(|name| !name.is_empty()) else {
        return Ok(Part::ALL.to_vec());
    };
    let part = Part::ALL.into_iter().find(|part| part.name() == name);
    let names = Part::ALL.map(Part::name).join(", ");
    Ok(vec![part.with_context(|| format!("PART must be one of {names}"))?])
}

/// Measures what is wanted. The labs are gone when this returns.
fn run() -> Result<Report> {
    let (rounds, parts) = (wanted("ROUNDS", ROUNDS)?, parts()?);
    let mut notes = machine::before_the_lab()?;
    let mut figures = Vec::new();
    for part in parts {
        match part {
            Part::Feed => {
                say("many prefixes: processor time and octets");
                let feeds = feed::measure()?;
                notes.extend(feeds.notes());
                figures.extend(feeds.figures());
            }
            Part::Memory => {
                say("many prefixes: memory");
                figures.extend(memory::measure()?.figures());
            }
            Part::Sessions => figures.extend(sessions(rounds, &mut notes)?),
        }
    }
    notes.push(format!("load average at the end: {}", machine::load_average()?));
    Ok(Report { bench: "bgp", notes, figures })
}

/// Measures arrivals and failures.
fn sessions(rounds: u32, notes: &mut Vec<String>) -> Result<Vec<Figure>> {
    let metallb = MetalLb::from_environment()?;
    let keryx = Keryx::start()?;
    let (own, unplugged, killed, rolled) = {
        let keryx = sides::Keryx::start(&keryx)?;
        say("Keryx: from the address to the UPDATE");
        let own = arrival::measure(keryx.lab, &Side::KERYX)?;
        say("Keryx: failures");
        let unplugged = failure::unplugged(keryx.lab, &keryx.bird, &Side::KERYX.service_spec(), rounds)?;
        keryx.keep_routes()?;
        (own, unplugged, failure::killed(&keryx, rounds)?, failure::rolled(&keryx, rounds)?)
    };
    Side::KERYX.park(&keryx)?;
    let theirs = metallb.as_ref().map(|metallb| {
        say("MetalLB: from the address to the UPDATE");
        let _bird = sides::metallb(&keryx, metallb)?;
        let theirs = arrival::measure(&keryx, &Side::METALLB)?;
        Side::METALLB.park(&keryx)?;
        anyhow::Ok(theirs)
    });
    let theirs = theirs.transpose()?;
    say("GoBGP on a node: from the command to the UPDATE");
    let gobgp_ms = gobgp::median_ms(&keryx)?;
    say("BIRD on the nodes: failures");
    let bird = {
        let birds = sides::Birds::start(&keryx)?;
        failure::unplugged(&keryx, &birds.router, &birds.service_spec(), rounds)?
    };
    for (name, outages) in [("Keryx", &unplugged), ("BIRD", &bird), ("killed", &killed), ("rolled", &rolled)]
    {
        notes.push(format!("{name}: {}", outages.listed()));
    }
    let mut figures = figures(&own, theirs.as_ref(), [&unplugged, &bird, &killed, &rolled]);
    figures.push(Figure {
        name: "address to the first UPDATE, p50 (GoBGP, from a command)".into(),
        value: own.first_ms(50),
        unit: "ms",
        peer: Some(gobgp_ms),
        limit: Limit::None,
    });
    Ok(figures)
}

/// What is taken from the arrivals of one side, in milliseconds.
type Take = fn(&Arrivals) -> f64;

fn figures(own: &Arrivals, theirs: Option<&Arrivals>, outages: [&Outages; 4]) -> Vec<Figure> {
    let [unplugged, bird, killed, rolled] = outages;
    let figure =
        |name: &'static str, value, unit, peer, limit| Figure { name: name.into(), value, unit, peer, limit };
    let of = |take: Take| (take(own), theirs.map(take));
    let mut figures = Vec::new();
    let rows: [(&str, Take, Limit); 6] = [
        ("address to the first UPDATE, p50 (MetalLB)", |of| of.first_ms(50), Limit::AtMost(UPDATE_MAX_MS)),
        ("address to the first UPDATE, p99 (MetalLB)", |of| of.first_ms(99), Limit::None),
        ("address to the UPDATE of all 3 nodes, p50 (MetalLB)", |of| of.all_ms(50), Limit::None),
        ("address to the UPDATE of all 3 nodes, p99 (MetalLB)", |of| of.all_ms(99), Limit::None),
        ("create to the first UPDATE, p50 (MetalLB)", |of| of.created_ms(50), Limit::None),
        ("create to the first UPDATE, p99 (MetalLB)", |of| of.created_ms(99), Limit::None),
    ];
    for (name, take, limit) in rows {
        let (value, peer) = of(take);
        figures.push(figure(name, value, "ms", peer, limit));
    }
    let ratio = Limit::Ratio(OUTAGE_RATIO_MAX);
    figures.extend([
        figure("node unplugged, outage, p50 (BIRD)", unplugged.p50_ms(), "ms", Some(bird.p50_ms()), ratio),
        figure(
            "node unplugged, outage, max (BIRD)",
            unplugged.max_ms(),
            "ms",
            Some(bird.max_ms()),
            Limit::None,
        ),
        figure("speaker SIGKILL, graceful restart, lost", killed.lost(), "", None, Limit::AtMost(0.0)),
        figure("rolling update, graceful restart, lost", rolled.lost(), "", None, Limit::AtMost(0.0)),
    ]);
    figures
}

pub(crate) fn say(text: &str) {
    eprintln!("bench: {text}");
}
