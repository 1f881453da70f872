//! `make bench-scale`: what 10,000 Services cost. A controller starts while all of them wait, rests, starts again, and
//! hands over to another. The peer is the API server itself: what as many status patches cost alone, in the same run.
//! docs/reference/benchmarks.md tells the method. SCALE_SERVICES makes it smaller.

mod patches;
mod rounds;
mod sight;

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use keryx_benches::conclusion::conclude;
use keryx_benches::figures::{Figure, Limit, Report};
use keryx_benches::machine;
use keryx_lab::Role;
use keryx_tests::{Keryx, Space};

use crate::rounds::{HandOver, Rest, Restart, Round};

/// Room for every Service that may be asked for.
const RANGE_V4: &str = "10.64.0.0/16";
const SERVICES_MAX: u32 = 60_000;
const SERVICES: u32 = 10_000;
const BYTES_PER_MIB: f64 = 1_048_576.0;
/// Addresses in one block of the ledger.
const BLOCK: f64 = 256.0;

fn main() -> ExitCode {
    keryx_lab::init();
    conclude("scale", run())
}

/// Everything that was measured.
struct Measured {
    services: u32,
    /// Of the controller, and of the peer: controller, peer, controller, peer.
    rounds: [(Round, Round); 2],
    /// Peak memory at the end of the controller's rounds, in bytes.
    peaks: [u64; 2],
    rest: Rest,
    restart: Restart,
    hand_over: HandOver,
}

/// Measures everything. The lab is gone when this returns.
fn run() -> Result<Report> {
    let services = wanted()?;
    let mut notes = machine::before_the_lab()?;
    let keryx = Keryx::start_api(0)?;
    keryx.set_ranges(&[("cidr-global", RANGE_V4)])?;
    notes.push(format!("Kubernetes {}, {services} Services in one namespace", patches::kubernetes(&keryx)?));
    let space = Space::new(&keryx, "scale")?;
    say("creating the Services");
    space.create_crowd(services)?;
    let measured = measure(&space, services, &mut notes)?;
    notes.push(format!("load average at the end: {}", machine::load_average()?));
    drop(space);
    drop(keryx);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench/scale.csv");
    save(&file, &measured.rounds).with_context(|| format!("{} cannot be written", file.display()))?;
    Ok(Report { bench: "scale", notes, figures: figures(&measured) })
}

/// Controller, peer, controller, peer: what drifts during a run weighs on both.
fn measure(space: &Space<'_>, services: u32, notes: &mut Vec<String>) -> Result<Measured> {
    let count = services as usize;
    let keryx = space.keryx;
    say("round 1: the controller");
    let (first, controller) = noted(space, notes, "round 1, controller", || rounds::assign(space, count))?;
    let first_peak = controller.process.usage()?.peak_rss_bytes;
    say("at rest");
    let rest = rounds::rest(keryx, &controller)?;
    controller.stop()?;
    let statuses = patches::statuses(space)?;
    patches::wipe(space)?;
    say("round 1: the patches alone");
    let first_peer = noted(space, notes, "round 1, patches", || patches::repeat(space, &statuses))?;
    patches::wipe(space)?;
    say("round 2: the controller");
    let (second, controller) = noted(space, notes, "round 2, controller", || rounds::assign(space, count))?;
    let second_peak = controller.process.usage()?.peak_rss_bytes;
    controller.stop()?;
    say("restart");
    let (restart, controller) = rounds::restart(keryx)?;
    say("hand-over");
    let hand_over = rounds::hand_over(keryx, &controller)?;
    drop(controller);
    patches::wipe(space)?;
    say("round 2: the patches alone");
    let second_peer = noted(space, notes, "round 2, patches", || patches::repeat(space, &statuses))?;
    for (number, round) in [&first, &second].into_iter().enumerate() {
        notes.push(format!("round {}, requests: {}", number + 1, round.requests_text()));
    }
    let (rounds, peaks) = ([(first, first_peer), (second, second_peer)], [first_peak, second_peak]);
    Ok(Measured { services, rounds, peaks, rest, restart, hand_over })
}

/// Notes how busy the processors were meanwhile, and how much of that was the API server.
fn noted<T>(
    space: &Space<'_>,
    notes: &mut Vec<String>,
    what: &str,
    measure: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let api_server = space.keryx.lab.control_plane().process(Role::ApiServer);
    let (processors, before) = (machine::Use::from_now()?, api_server.usage()?);
    let measured = measure()?;
    let cpu = api_server.usage()?.cpu.saturating_sub(before.cpu).as_secs_f64();
    let busy = processors.percent()?;
    notes.push(format!("{what}: {busy:.0} % of the processors were busy; the API server used {cpu:.1} s"));
    Ok(measured)
}

fn figures(measured: &Measured) -> Vec<Figure> {
    let Measured { services, rounds, peaks, rest, restart, hand_over } = measured;
    let controllers = rounds.iter().map(|(controller, _)| controller);
    let peers = rounds.iter().map(|(_, peer)| peer);
    let mean = |sum: f64| sum / rounds.len() as f64;
    let most = |values: [usize; 2]| values.into_iter().max().unwrap_or_default() as f64;
    let patches_max = most(rounds.each_ref().map(|(round, _)| round.patches_max()));
    let blocks = (f64::from(*services) / BLOCK).ceil();
    let ledger = most(rounds.each_ref().map(|(round, _)| round.of("configmaps").count()));
    let events = most(rounds.each_ref().map(|(round, _)| round.of("events").count()));
    let mib = |bytes: u64| bytes as f64 / BYTES_PER_MIB;
    let peak = mib(peaks.iter().max().copied().unwrap_or_default());
    let restarted = mib(restart.usage.peak_rss_bytes);
    let figure =
        |name: &'static str, value, unit, limit| Figure { name: name.into(), value, unit, peer: None, limit };
    vec![
        Figure {
            peer: Some(mean(peers.map(Round::seconds).sum())),
            ..figure(
                "start to the last address, mean of 2 rounds",
                mean(controllers.clone().map(Round::seconds).sum()),
                "s",
                Limit::Ratio(1.3),
            )
        },
        figure(
            "start to the first address",
            mean(controllers.map(Round::seconds_to_first).sum()),
            "s",
            Limit::None,
        ),
        figure("patches of one Service, most", patches_max, "", Limit::AtMost(1.0)),
        figure("ledger writes per block", ledger / blocks, "", Limit::None),
        figure("events", events, "", Limit::AtMost(0.0)),
        figure("peak memory (VmHWM), most", peak, "MiB", Limit::AtMost(64.0)),
        figure("memory at rest (PSS)", mib(rest.usage.pss_bytes), "MiB", Limit::None),
        figure("processor time until at rest", rest.usage.cpu.as_secs_f64(), "s", Limit::None),
        figure("processor at rest, 20 s", rest.cpu_percent, "%", Limit::AtMost(0.1)),
        figure("writes at rest, 20 s, without the Lease", rest.writes as f64, "", Limit::AtMost(0.0)),
        figure("restart: start to ready", restart.seconds_to_ready, "s", Limit::AtMost(3.0)),
        figure("restart: peak memory", restarted, "MiB", Limit::AtMost(64.0)),
        figure("restart: writes without the Lease", restart.writes as f64, "", Limit::AtMost(0.0)),
        figure("hand-over: stop to the next address", hand_over.seconds_to_next, "s", Limit::AtMost(2.0)),
        figure("hand-over: writes not for the next", hand_over.writes as f64, "", Limit::AtMost(0.0)),
    ]
}

/// One row for each Service and round.
fn save(file: &Path, rounds: &[(Round, Round)]) -> Result<()> {
    let mut text = "round,side,name,began_nanos,seen_nanos\n".to_owned();
    for (number, (controller, peer)) in rounds.iter().enumerate() {
        for (side, round) in [("controller", controller), ("patches", peer)] {
            for (name, seen) in &round.seen {
                let _infallible = writeln!(text, "{},{side},{name},{},{seen}", number + 1, round.began);
            }
        }
    }
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    Ok(std::fs::write(file, text)?)
}

/// How many Services.
fn wanted() -> Result<u32> {
    let Ok(text) = std::env::var("SCALE_SERVICES") else { return Ok(SERVICES) };
    let wanted = text.parse().with_context(|| format!("SCALE_SERVICES={text} is no number"))?;
    ensure!((1..=SERVICES_MAX).contains(&wanted), "SCALE_SERVICES={wanted}; it is 1 to {SERVICES_MAX}");
    Ok(wanted)
}

fn say(text: &str) {
    eprintln!("bench: {text}");
}
