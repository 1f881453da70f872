//! What the controller does: it starts with Services that wait, rests, starts again, hands over.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use keryx_lab::capture::wall_nanos;
use keryx_lab::{Request, Requests, Signal, Usage};
use keryx_tests::controller::writes;
use keryx_tests::{Controller, Keryx, Space, wait};

use crate::sight::{Sights, Watcher};

/// Longest wait for all Services.
pub(crate) const ALL: Duration = Duration::from_secs(900);
/// How long a controller is left alone before it counts as at rest: renewals of watches and caches are over.
const SETTLE: Duration = Duration::from_secs(5);
/// How long it is then looked at.
const REST: Duration = Duration::from_secs(20);
const NANOS_PER_SEC: f64 = 1e9;

/// Every Service was given a status once.
#[derive(Debug)]
pub(crate) struct Round {
    /// When the controller was started, or the first patch sent.
    pub(crate) began: u64,
    /// When the watcher saw each status.
    pub(crate) seen: Sights,
    /// What was asked of the API server meanwhile.
    pub(crate) requests: Vec<Request>,
}

impl Round {
    /// From the start to the last sight.
    pub(crate) fn seconds(&self) -> f64 {
        seconds(self.began, self.seen.values().max())
    }

    /// From the start to the first sight.
    pub(crate) fn seconds_to_first(&self) -> f64 {
        seconds(self.began, self.seen.values().min())
    }

    /// The most status patches that one Service was given.
    pub(crate) fn patches_max(&self) -> usize {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for request in self.of("services") {
            *counts.entry(&request.name).or_default() += 1;
        }
        counts.into_values().max().unwrap_or_default()
    }

    /// Writes of one resource.
    pub(crate) fn of(&self, resource: &str) -> impl Iterator<Item = &Request> {
        self.requests.iter().filter(move |request| request.is_write() && request.resource == resource)
    }

    /// How often what was asked, such as `patch services/status 10000`, the most frequent first.
    pub(crate) fn requests_text(&self) -> String {
        let mut counts: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
        for Request { verb, resource, subresource, .. } in &self.requests {
            *counts.entry((verb, resource, subresource)).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let text = |((verb, resource, subresource), count): ((&str, &str, &str), usize)| {
            let resource = if resource.is_empty() { "discovery" } else { resource };
            let slash = if subresource.is_empty() { "" } else { "/" };
            format!("{verb} {resource}{slash}{subresource} {count}")
        };
        counts.into_iter().map(text).collect::<Vec<_>>().join(", ")
    }
}

fn seconds(from: u64, to: Option<&u64>) -> f64 {
    to.map_or(f64::NAN, |to| to.saturating_sub(from) as f64 / NANOS_PER_SEC)
}

/// A controller starts while all Services wait.
pub(crate) fn assign(space: &Space<'_>, count: usize) -> Result<(Round, Controller)> {
    let lab = &space.keryx.lab;
    let watcher = lab.block_on(Watcher::open(space.services()))?;
    let watching = lab.runtime().spawn(watcher.follow(count, ALL));
    let requests = lab.requests()?;
    let began = wall_nanos();
    let controller = space.keryx.run_controller(0)?;
    let seen = lab.block_on(watching)?.with_context(|| controller.log_tail())?;
    Ok((Round { began, seen, requests: requests.so_far()? }, controller))
}

/// A controller that has nothing to do.
#[derive(Debug)]
pub(crate) struct Rest {
    pub(crate) cpu_percent: f64,
    pub(crate) writes: usize,
    pub(crate) usage: Usage,
}

/// Looks at a controller that has finished.
pub(crate) fn rest(keryx: &Keryx, controller: &Controller) -> Result<Rest> {
    thread::sleep(SETTLE);
    let requests = keryx.lab.requests()?;
    let before = controller.process.usage()?;
    thread::sleep(REST);
    let usage = controller.process.usage()?;
    let cpu = usage.cpu.saturating_sub(before.cpu);
    let cpu_percent = 100.0 * cpu.as_secs_f64() / REST.as_secs_f64();
    Ok(Rest { cpu_percent, writes: said(writes(requests.so_far()?)), usage })
}

/// A controller that started where everything was right already.
#[derive(Debug)]
pub(crate) struct Restart {
    pub(crate) seconds_to_ready: f64,
    pub(crate) writes: usize,
    pub(crate) usage: Usage,
}

/// Starts a controller, and waits until it leads and would have written what it wanted to.
pub(crate) fn restart(keryx: &Keryx) -> Result<(Restart, Controller)> {
    let requests = keryx.lab.requests()?;
    let began = wall_nanos();
    let controller = keryx.run_controller(0)?;
    controller.wait_ready()?;
    let seconds_to_ready = seconds(began, Some(&wall_nanos()));
    leads(&requests)?;
    thread::sleep(SETTLE);
    let writes = said(writes(requests.so_far()?));
    Ok((Restart { seconds_to_ready, writes, usage: controller.process.usage()? }, controller))
}

/// One controller was stopped while another stood by.
#[derive(Debug)]
pub(crate) struct HandOver {
    /// From the signal to the address of a Service that was created just after it.
    pub(crate) seconds_to_next: f64,
    /// But for the Lease, that Service, and the ledger's block for it.
    pub(crate) writes: usize,
}

/// Stops `first` cleanly; another goes on.
pub(crate) fn hand_over(keryx: &Keryx, first: &Controller) -> Result<HandOver> {
    let second = keryx.run_controller(1)?;
    second.wait_ready()?;
    let space = Space::new(keryx, "scale-next")?;
    let watcher = keryx.lab.block_on(Watcher::open(space.services()))?;
    let watching = keryx.lab.runtime().spawn(watcher.follow(1, ALL));
    let requests = keryx.lab.requests()?;
    let began = wall_nanos();
    first.process.signal(Signal::SIGTERM)?;
    space.create_crowd(1)?;
    let seen = keryx.lab.block_on(watching)?.with_context(|| second.log_tail())?;
    thread::sleep(SETTLE);
    let mut written = writes(requests.so_far()?);
    let blocks = written.iter().filter(|request| request.resource == "configmaps").count();
    ensure!(blocks <= 1, "the ledger was written {blocks} times for one Service");
    written.retain(|request| request.namespace != space.name && request.resource != "configmaps");
    Ok(HandOver { seconds_to_next: seconds(began, seen.values().max()), writes: said(written) })
}

/// Waits until somebody has written the Lease.
fn leads(requests: &Requests) -> Result<()> {
    wait::until("a controller that leads", || {
        let is_lease =
            |request: &Request| request.resource == "leases" && request.is_write() && request.code < 300;
        Ok(requests.so_far()?.iter().any(is_lease).then_some(()))
    })
}

/// How many there are; the first ones are printed, since there should be none.
fn said(written: Vec<Request>) -> usize {
    written.iter().take(5).for_each(|request| eprintln!("bench: written: {request:?}"));
    written.len()
}
