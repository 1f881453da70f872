//! `make bench-ipam`: what the allocator costs, in time and memory, from 256 addresses to a million.
//! docs/reference/benchmarks.md tells the method.

mod clock;
mod memory;
mod peer;
mod report;
mod scene;

use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, ensure};
use keryx_ipam::{Allocator, Claim, OwnerId, Request};

use crate::clock::nanos;
use crate::report::{Figure, Limit, Report, Sample};
use crate::scene::{Holders, SCENES, Scene, shuffled};

/// Most that one call may take on average, in nanoseconds.
const LIMIT: Limit = Limit::Value(1000.0);
/// Most memory of a held address.
const ADDRESS_BYTES_MAX: f64 = 200.0;
/// Most that the last tenth of the allocations may cost, in units of the first.
const LAST_TENTH_RATIO_MAX: f64 = 2.0;
/// Below this a process' memory says nothing about one address.
const MEMORY_ADDRESSES_MIN: usize = 1 << 16;
/// How often every time is measured. The least counts: a limit on what code costs is meant, and whatever runs beside it on the
/// machine only adds to that.
const ROUNDS: usize = 3;
/// Calls that are prepared together, so that preparing them is not timed; few, so that what they ask is in a near cache, as what
/// a watch just brought is.
const BATCH: usize = 128;
/// Requests that are refused.
const REFUSED: usize = 1 << 14;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match &arguments[..] {
        [] => run().map(|report| {
            print!("{report}");
            let (within, of) = report.verdict();
            within == of
        }),
        [mode, name] if mode == memory::ARGUMENT => measure_memory(name).map(|()| true),
        _ => Err(anyhow!("bench-ipam takes no arguments")),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench ipam: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure_memory(name: &str) -> Result<()> {
    let scene = SCENES.iter().find(|scene| scene.name == name).context("there is no such scene")?;
    println!("{}", memory::measure(scene)?);
    Ok(())
}

fn run() -> Result<Report> {
    // One round after the other through all scenes, so that what disturbs for a while does not meet every round of a scene.
    let mut rounds = (0..ROUNDS)
        .map(|_| Ok(SCENES.iter().map(samples).collect::<Result<Vec<_>>>()?.into_iter().flatten()))
        .collect::<Result<Vec<_>>>()?;
    let of_next = || Figure::new(rounds.iter_mut().filter_map(Iterator::next).collect());
    let mut report = Report(std::iter::from_fn(of_next).collect());
    for scene in SCENES.iter().filter(|scene| scene.addresses() >= MEMORY_ADDRESSES_MIN) {
        report.0.extend(Figure::new(vec![memory_sample(scene)?]));
    }
    Ok(report)
}

/// All times of one scene, measured once.
fn samples(scene: &Scene) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    let mut call = |what: &str, value: f64, peer: Option<f64>, limit: Limit| {
        samples.push(Sample { name: format!("{}: {what}", scene.name), unit: "ns", value, peer, limit });
    };
    let holders = Holders::new(scene);
    let order = shuffled(scene.owners);
    let half = &order[..scene.owners / 2];
    let mut allocator = scene.allocator();

    let batches = allocate(&mut allocator, &holders, &(0..scene.owners).collect::<Vec<_>>())?;
    let has_peer = scene.sharers == 1 && scene.is_full && scene.pools().len() == 1;
    call("allocate", mean(&batches), has_peer.then(|| peer::scan_nanos(scene.owners)), LIMIT);
    if scene.is_full {
        let limit = if scene.tries_many() { Limit::None } else { LIMIT };
        call("refuse when exhausted", refuse(&mut allocator, &holders, scene)?, None, limit);
    }
    call("release, in any order", release(&mut allocator, &holders, half), None, LIMIT);
    let again = allocate(&mut allocator, &holders, half)?;
    call("allocate into the gaps", mean(&again), None, LIMIT);
    call("release all", release(&mut allocator, &holders, &order), None, LIMIT);
    ensure!(allocator.claims().next().is_none(), "something is still held");
    drop(allocator);

    let (observe, pools) = restore(scene, &holders, &order);
    call("restore, in any order", observe, None, Limit::None);
    call("change the pools, for each claim", pools, None, Limit::None);

    if batches.len() >= 10 {
        let tenth = batches.len() / 10;
        let (first, last) = (mean(&batches[..tenth]), mean(&batches[batches.len() - tenth..]));
        let name = format!("{}: last tenth of allocate, peer: first tenth", scene.name);
        let limit = Limit::Ratio(LAST_TENTH_RATIO_MAX);
        samples.push(Sample { name, unit: "ns", value: last, peer: Some(first), limit });
    }
    Ok(samples)
}

fn memory_sample(scene: &Scene) -> Result<Sample> {
    let limit = if scene.sharers == 1 { Limit::Value(ADDRESS_BYTES_MAX) } else { Limit::None };
    let name = format!("{}: memory of a held address", scene.name);
    Ok(Sample { name, unit: "B", value: memory::bytes_per_address(scene)?, peer: None, limit })
}

/// Nanoseconds and number of the calls of each batch.
type Batches = Vec<(f64, usize)>;

fn mean(batches: &[(f64, usize)]) -> f64 {
    let (nanos, calls) = batches.iter().fold((0.0, 0), |sum, batch| (sum.0 + batch.0, sum.1 + batch.1));
    nanos / calls as f64
}

fn allocate(allocator: &mut Allocator, holders: &Holders, numbers: &[usize]) -> Result<Batches> {
    let mut batches = Vec::new();
    for numbers in numbers.chunks(BATCH) {
        let requests: Vec<Request> = numbers.iter().map(|number| holders.request(*number)).collect();
        let (nanos, outcome) =
            nanos(|| requests.iter().try_for_each(|request| allocator.request(request, 0).map(drop)));
        outcome.map_err(|reason| anyhow!("{reason}"))?;
        batches.push((nanos, numbers.len()));
    }
    Ok(batches)
}

/// Requests of owners for which nothing is left; they wait, and go.
fn refuse(allocator: &mut Allocator, holders: &Holders, scene: &Scene) -> Result<f64> {
    let first = scene.owners;
    let requests: Vec<Request> = holders.requests(first..first + REFUSED).collect();
    let (nanos, refused) =
        nanos(|| requests.iter().filter(|request| allocator.request(request, 0).is_err()).count());
    ensure!(refused == REFUSED, "the pools are not exhausted");
    for request in &requests {
        allocator.release(&request.owner.id, 0);
    }
    Ok(nanos / REFUSED as f64)
}

fn release(allocator: &mut Allocator, holders: &Holders, numbers: &[usize]) -> f64 {
    let mut total = 0.0;
    for numbers in numbers.chunks(BATCH) {
        let owners: Vec<OwnerId> = numbers.iter().map(|number| holders.owner(*number).id).collect();
        total += nanos(|| owners.iter().for_each(|owner| drop(allocator.release(owner, 0)))).0;
    }
    total / numbers.len() as f64
}

/// Nanoseconds for each claim: to take it in from a ledger in any order, and to change the pools then.
fn restore(scene: &Scene, holders: &Holders, order: &[usize]) -> (f64, f64) {
    let mut full = scene.allocator();
    for request in holders.requests(0..scene.owners) {
        let _ = full.request(&request, 0);
    }
    let mut claims: Vec<Claim> = full.claims().collect();
    drop(full);
    let count = claims.len() as f64;
    claims = order.iter().filter_map(|number| claims.get(*number).cloned()).collect();
    let mut allocator = Allocator::default();
    let (observe, ()) = nanos(|| {
        allocator.set_pools(scene.pools());
        claims.into_iter().for_each(|claim| allocator.observe_shared(claim));
    });
    let mut fewer = scene.pools();
    fewer.truncate(fewer.len() - 1);
    let (change, ()) = nanos(|| {
        allocator.set_pools(fewer);
        allocator.set_pools(scene.pools());
    });
    (observe / count, change / count / 2.0)
}
