//! `make bench-layer2`: what a speaker with 10,000 VIPs costs and how it answers: its memory, the time until a new process has
//! all of them on the wire, and ARP answers. docs/reference/benchmarks.md tells the method. VIPS makes it smaller.

mod wire;

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use keryx_benches::conclusion::conclude;
use keryx_benches::figures::{Figure, Limit, Report};
use keryx_benches::machine;
use keryx_lab::Lab;
use keryx_lab::probe::{ArpLoad, arp_load};
use keryx_tests::{Keryx, Space, wait};

/// Room for every VIP that may be asked for.
const RANGE_V4: &str = "10.64.0.0/16";
const VIPS: u32 = 10_000;
const VIPS_MAX: u32 = 60_000;
/// How long Services may wait for their addresses, and those for their announcement.
const PATIENCE: Duration = Duration::from_secs(300);
/// A speaker to which nothing has happened for so long is at rest.
const REST: Duration = Duration::from_secs(20);
/// How long is asked, and how often in a second where a limit holds.
const ASK: Duration = Duration::from_secs(5);
const ASK_PER_SEC: u32 = 10_000;
/// From the start of a new process to the last VIP on the wire.
const RESTART_MAX_SECS: f64 = 1.5;
const BYTES_PER_MIB: f64 = 1_048_576.0;

fn main() -> ExitCode {
    keryx_lab::init();
    conclude("layer2", run())
}

/// Everything that was measured.
struct Measured {
    /// Memory without and with VIPs, in bytes.
    memory: [u64; 2],
    paced: ArpLoad,
    flood: ArpLoad,
    /// Processor time of the speaker during the flood.
    flood_cpu: Duration,
    /// From the start of a new process to the last VIP's first announcement.
    restart: Duration,
}

/// Measures everything. The lab is gone when this returns.
fn run() -> Result<Report> {
    let vips = wanted()?;
    let mut notes = machine::before_the_lab()?;
    let keryx = Keryx { lab: Lab::builder().nodes(1).clients(1).start()? };
    keryx.install()?;
    keryx.set_ranges(&[("cidr-global", RANGE_V4)])?;
    let measured = measure(&keryx, vips)?;
    let Measured { paced, flood, flood_cpu, .. } = &measured;
    notes.push(format!("{vips} VIPs on one node; {}, {}", told(paced, "paced"), told(flood, "flood")));
    notes.push(format!("the speaker used {:.2} s of processor time in the flood", flood_cpu.as_secs_f64()));
    notes.push(format!("load average at the end: {}", machine::load_average()?));
    Ok(Report { bench: "layer2", notes, figures: figures(&measured) })
}

fn measure(keryx: &Keryx, vips: u32) -> Result<Measured> {
    let node = keryx.lab.node(1);
    std::thread::sleep(REST);
    let empty = keryx.speaker_usage(&node)?.pss_bytes;
    let space = Space::new(keryx, "layer2")?;
    say("creating the Services");
    space.create_crowd(vips)?;
    space.create_crowd_endpoints(vips, node.name())?;
    let addresses = space.crowd_addresses(vips, PATIENCE)?;
    let targets: Vec<Ipv4Addr> =
        addresses.values().map(|address| address.parse()).collect::<Result<_, _>>()?;
    say("waiting until all are announced");
    wait::until_within(PATIENCE, "every VIP to be announced", || {
        let announced = keryx.speaker_metric(&node, "keryx_speaker_vips_announced ")?;
        Ok((announced >= f64::from(vips)).then_some(()))
    })?;
    std::thread::sleep(REST);
    let full = keryx.speaker_usage(&node)?.pss_bytes;
    let ask = |per_sec| arp_load(&keryx.lab.client_host(1).namespace(), "eth0", &targets, per_sec, ASK);
    say("asking at a pace");
    let paced = ask(Some(ASK_PER_SEC))?;
    say("asking without pause");
    let before = keryx.speaker_usage(&node)?.cpu;
    let flood = ask(None)?;
    let flood_cpu = keryx.speaker_usage(&node)?.cpu.saturating_sub(before);
    std::thread::sleep(REST);
    say("restarting the speaker");
    let restart = wire::restart(keryx, &node, &targets)?;
    if restart.as_secs_f64() > RESTART_MAX_SECS {
        eprintln!("bench: the restart took {restart:?}{}", keryx.pods());
    }
    Ok(Measured { memory: [empty, full], paced, flood, flood_cpu, restart })
}

fn figures(measured: &Measured) -> Vec<Figure> {
    let Measured { memory: [empty, full], paced, flood, flood_cpu, restart } = measured;
    let figure =
        |name: &'static str, value, unit, limit| Figure { name: name.into(), value, unit, peer: None, limit };
    let mib = |bytes: u64| bytes as f64 / BYTES_PER_MIB;
    let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
    let lost = f64::from(paced.sent.saturating_sub(paced.answered));
    vec![
        figure("memory at rest (PSS)", mib(*empty), "MiB", Limit::AtMost(15.0)),
        figure("memory with all VIPs (PSS)", mib(*full), "MiB", Limit::AtMost(40.0)),
        figure(
            "start to the last VIP on the wire",
            restart.as_secs_f64(),
            "s",
            Limit::AtMost(RESTART_MAX_SECS),
        ),
        figure("answer at 10,000/s, median", micros(paced.percentile(50)), "us", Limit::None),
        figure("answer at 10,000/s, p99", micros(paced.percentile(99)), "us", Limit::AtMost(100.0)),
        figure("requests at 10,000/s without answer", lost, "", Limit::AtMost(0.0)),
        // 200,000 answers in a second of one processor.
        figure(
            "processor time for an answer",
            micros(*flood_cpu) / f64::from(flood.answered),
            "us",
            Limit::AtMost(5.0),
        ),
        figure(
            "answers a second in the flood",
            f64::from(flood.answered) / flood.elapsed.as_secs_f64(),
            "",
            Limit::None,
        ),
    ]
}

fn told(load: &ArpLoad, how: &str) -> String {
    let per_sec = f64::from(load.sent) / load.elapsed.as_secs_f64();
    format!("{how}: {} requests, {per_sec:.0} a second, {} answers", load.sent, load.answered)
}

fn say(what: &str) {
    eprintln!("bench: {what}");
}

fn wanted() -> Result<u32> {
    let Some(text) = std::env::var_os("VIPS").filter(|text| !text.is_empty()) else { return Ok(VIPS) };
    let vips = text.to_str().and_then(|text| text.parse().ok()).filter(|vips| (1..=VIPS_MAX).contains(vips));
    vips.with_context(|| format!("VIPS must be a number from 1 to {VIPS_MAX}"))
}
