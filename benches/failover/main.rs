//! `make bench-failover`: for how long a client on the segment has no answer when nodes, cables and speakers fail, and for
//! how long two nodes answer. docs/reference/benchmarks.md tells the method. ROUNDS sets the rounds of each event,
//! PEER_ROUNDS those of each peer.

mod contender;
mod events;
mod keepalived;
mod overlap;
mod scene;
mod table;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use keryx_benches::conclusion::conclude;
use keryx_benches::figures::Report;
use keryx_benches::machine;
use keryx_benches::rounds::wanted;
use keryx_tests::Keryx;

use crate::contender::{Contender, Peers};
use crate::events::{EVENTS, Event};
use crate::scene::Scene;
use crate::table::{Rounds, figures, millis};

/// Rounds of each event, unless told otherwise.
const ROUNDS: u32 = 20;
/// The same with a peer, whose rounds take several times as long.
const PEER_ROUNDS: u32 = 5;

fn main() -> ExitCode {
    keryx_lab::init();
    conclude("failover", run())
}

/// Measures everything. The lab is gone when this returns.
fn run() -> Result<Report> {
    let (rounds, peer_rounds) = (wanted("ROUNDS", ROUNDS)?, wanted("PEER_ROUNDS", PEER_ROUNDS)?);
    let peers = Peers::from_environment()?;
    let mut notes = machine::before_the_lab()?;
    let keryx = Keryx::start()?;
    let of_keryx = measure_all(&keryx, &Contender::Keryx, rounds)?;
    let of_peers = peers.each(&keryx, |peer| measure_all(&keryx, peer, peer_rounds))?;
    for (name, measured) in [(Contender::Keryx.name(), &of_keryx)]
        .into_iter()
        .chain(of_peers.iter().map(|(name, of)| (*name, of)))
    {
        for (event, rounds) in EVENTS.iter().zip(measured) {
            notes.extend(rounds.iter().flat_map(|rounds| rounds.notes(name, event)));
        }
    }
    notes.push(format!("load average at the end: {}", machine::load_average()?));
    Ok(Report { bench: "failover", notes, figures: figures(&of_keryx, &of_peers) })
}

/// Every event, as far as it concerns the contender.
fn measure_all(keryx: &Keryx, contender: &Contender, rounds: u32) -> Result<Vec<Option<Rounds>>> {
    let scene = Scene::new(keryx, contender)?;
    let measure = |event: &Event| {
        eprintln!("bench: {}: {}", contender.name(), event.name);
        event.concerns(contender).then(|| measure(&scene, event, rounds)).transpose()
    };
    let measured = EVENTS.iter().map(measure).collect::<Result<Vec<_>>>();
    measured.with_context(|| format!("with {}", contender.name()))
}

fn measure(scene: &Scene<'_>, event: &Event, rounds: u32) -> Result<Rounds> {
    let mut measured = Rounds::default();
    for number in 0..rounds {
        let round = match scene.round(event) {
            Ok(round) => round,
            // What a peer does not recover from is told, and is no reason to lose what was measured.
            Err(error) if !scene.is_keryx() => {
                measured.fail(format!("round {number}: {error:#}"));
                break;
            }
            Err(error) => return Err(error.context(format!("{}, round {number}", event.name))),
        };
        let worst = millis(round.outage.unanswered);
        if scene.is_keryx() && worst > event.most_ms {
            eprintln!("bench: round {number} took {worst:.0} ms{}", scene.logs());
        }
        measured.push(&round);
    }
    Ok(measured)
}
