//! `make bench-latency`: how long it takes from a Service's creation to its address and to the first frame that
//! announces it, and from a Gateway's creation to the first connection that is answered. Beside Keryx, in the same lab
//! and the same run, MetalLB is measured where `METALLB_BIN` gives its programs. docs/reference/benchmarks.md tells
//! the method.

mod arm;
mod figures;
mod gateways;
mod samples;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use keryx_benches::conclusion::conclude;
use keryx_benches::machine;
use keryx_benches::metallb::MetalLb;
use keryx_tests::Keryx;

use crate::figures::Report;
use crate::samples::Samples;
use keryx_benches::side::Side;

/// The addresses that either side gives out: of the lab's first segment, those that no node and no client has.
const RANGE_V4: &str = "10.98.0.141-10.98.0.254";
/// Services that are measured in each arm; two arms of a side together make its 200.
const SERVICES_PER_ARM: usize = 100;
/// Services that are made before those of an arm, and left out.
const WARM_UP: usize = 5;

fn main() -> ExitCode {
    keryx_lab::init();
    conclude("latency", run())
}

/// Measures everything. The lab is gone when this returns.
fn run() -> Result<Report> {
    let peer = MetalLb::from_environment()?;
    let mut notes = machine::before_the_lab()?;
    let keryx = Keryx::start()?;
    keryx.set_ranges(&[("range-global", RANGE_V4)])?;

    let mut samples = Samples::default();
    let sides = arms(&keryx, peer.as_ref())?;
    notes.push(versions(&keryx, peer.as_ref())?);
    for (number, side) in sides.iter().enumerate() {
        let arm = number + 1;
        say(&format!("arm {arm} of {}: {}", sides.len(), side.name));
        let processors = machine::Use::from_now()?;
        samples.services.extend(arm::measure(&keryx, side, arm)?);
        let busy = processors.percent()?;
        notes.push(format!("arm {arm}, {}: {busy:.0} % of the processors were busy", side.name));
        if sides.get(arm).is_some_and(|next| next.name != side.name) {
            side.park(&keryx)?;
        }
    }
    say("Gateways");
    samples.gateways = gateways::measure(&keryx)?;
    // An arm with others fails.
    notes.push("addresses given twice or announced by two nodes: 0".to_owned());
    notes.push(format!("load average at the end: {}", machine::load_average()?));
    drop(keryx);

    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench/latency.csv");
    samples.save(&file).with_context(|| format!("{} cannot be written", file.display()))?;
    Ok(Report::new(&samples, notes))
}

/// Keryx, the peer, the peer, Keryx: what drifts during a run weighs on both alike. The first side runs, the other is
/// parked.
fn arms(keryx: &Keryx, peer: Option<&MetalLb>) -> Result<Vec<Side>> {
    let Some(peer) = peer else { return Ok(vec![Side::KERYX; 2]) };
    peer.install(keryx, RANGE_V4, &[MetalLb::layer2()])?;
    Side::METALLB.park(keryx)?;
    Ok(vec![Side::KERYX, Side::METALLB, Side::METALLB, Side::KERYX])
}

/// What is compared, and on what.
fn versions(keryx: &Keryx, peer: Option<&MetalLb>) -> Result<String> {
    let kubelet = "jsonpath={.items[0].status.nodeInfo.kubeletVersion}";
    let kubernetes = keryx.lab.kubectl(&["get", "nodes", "-o", kubelet])?;
    let theirs = peer.map(|_| Side::METALLB.images(keryx)).transpose()?;
    let theirs = theirs.unwrap_or_else(|| "no peer".to_owned());
    Ok(format!("Kubernetes {kubernetes}; {}; {theirs}", Side::KERYX.images(keryx)?))
}

fn say(text: &str) {
    eprintln!("bench: {text}");
}
