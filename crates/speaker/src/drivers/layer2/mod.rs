//! Layer 2: which groups this node holds, and the ARP and neighbor discovery that follow from it.
//!
//! One thread, one loop over [`Event`], one sleep. Tasks beside it only say that a socket has something to read.
//!
//! ```text
//!  orders ─┐                 ┌ members  ⇄ datagrams of the other speakers (gossip.rs)
//!  links ──┼▶ [Machines] ────┼ takeover: which groups are held
//!  time ───┘   machines.rs   └ announcer ⇄ frames of the segments (ports.rs)
//! ```

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use keryx_netio::link::{self, Links};
use keryx_netio::realtime::Priority;
use keryx_plan::NodeName;
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{ask_for_realtime, due, random};
use crate::clock;
use crate::metrics::Metrics;
use crate::orders::Orders;

mod actions;
mod carrying;
mod conflicts;
mod cuts;
mod following;
mod gossip;
mod hearing;
mod holds_file;
mod machines;
mod paths;
mod placing;
mod ports;
mod questions;
mod reports;
mod roster;
#[cfg(test)]
mod tests;

use gossip::Gossip;
pub use gossip::KeySource;
use machines::{Machines, Seeds};
use ports::Ports;
pub use reports::{Conflict, Report, Request, Summary};

/// Pause before another try after the kernel refused something.
const RETRY: Duration = Duration::from_secs(1);
/// How often the keys' files are looked at.
const KEYS_INTERVAL: Duration = Duration::from_secs(10);
/// Frames or datagrams read in a row from one socket before timers get their turn.
const READS_MAX: usize = 1024;
/// How long a stopping speaker asks the others to wait for the next one.
const BACK_IN_SECS: u16 = 10;
/// Pause between the two times that a stopping speaker says so.
const GOODBYE_PAUSE: Duration = Duration::from_millis(20);

/// What is set for the driver.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This node.
    pub node: NodeName,
    /// Names given by `--interface`; none means every fit one.
    pub interfaces: BTreeSet<String>,
    /// Where the keys of the gossip are.
    pub keys: KeySource,
    /// Names the cluster in sealed datagrams.
    pub cluster: String,
    /// The file that says which groups this node held last.
    pub holds_file: PathBuf,
}

/// How the driver and the rest of the speaker talk.
#[derive(Debug)]
pub struct Channels {
    /// What to announce.
    pub orders: watch::Receiver<Orders>,
    /// What it is asked.
    pub requests: mpsc::Receiver<Request>,
    /// What it tells. If this is full, reports are lost: nothing is waited for on this thread.
    pub reports: mpsc::Sender<Report>,
    /// How it stands.
    pub summary: watch::Sender<Summary>,
}

/// Everything that can happen.
enum Event {
    Orders,
    Request(Request),
    Links,
    Readable,
    Keys,
    Due,
    Stop,
}

/// Starts the driver on a thread of its own.
///
/// # Errors
/// The thread cannot be started.
pub fn start(
    channels: Channels,
    settings: Settings,
    metrics: Metrics,
    stop: CancellationToken,
) -> anyhow::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("layer2".to_owned())
        .spawn(move || {
            // BFD, whose times are shorter, runs before it.
            ask_for_realtime("layer 2", Priority::Lowest);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let outcome = runtime.context("failed to start the layer 2 runtime").and_then(|runtime| {
                LocalSet::new().block_on(&runtime, run(channels, settings, metrics, stop.clone()))
            });
            if let Err(error) = outcome {
                tracing::error!("layer 2 driver ended: {error:#}");
                stop.cancel();
            }
        })
        .context("failed to start the layer 2 thread")
}

async fn run(
    channels: Channels,
    settings: Settings,
    metrics: Metrics,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let Channels { mut orders, mut requests, reports, summary } = channels;
    let (mut links, follow_links) =
        link::watch_links().await.context("failed to read the node's interfaces")?;
    let mut links_broken = std::pin::pin!(follow_links);
    // One place: it only says that there is something to read, and all is read then.
    let (readable, mut readable_seen) = mpsc::channel(1);
    let mut driver = Driver::new(settings, metrics, readable, Told { reports, summary })?;
    driver.follow(&orders.borrow_and_update().clone(), &links.borrow_and_update().clone());
    loop {
        driver.flush().await;
        let event = tokio::select! {
            biased;
            () = stop.cancelled() => Event::Stop,
            Ok(()) = orders.changed() => Event::Orders,
            Ok(()) = links.changed() => Event::Links,
            error = &mut links_broken => return Err(error).context("stopped following the node's interfaces"),
            // Before frames, or a flood of requests would silence what is due.
            () = due(driver.machines.poll_timeout()) => Event::Due,
            () = due(Some(driver.keys_at)) => Event::Keys,
            () = due(driver.retry_at) => Event::Links,
            Some(()) = readable_seen.recv() => Event::Readable,
            Some(request) = requests.recv() => Event::Request(request),
        };
        // Whatever it was: an answer that is here already must not be taken for silence.
        driver.read();
        match event {
            Event::Orders | Event::Links => {
                driver.follow(&orders.borrow_and_update().clone(), &links.borrow_and_update().clone());
            }
            Event::Readable => {}
            Event::Keys => driver.read_keys(),
            Event::Request(request) => driver.answer(request),
            Event::Due => driver.machines.handle_timeout(clock::now()),
            Event::Stop => {
                driver.say_goodbye().await;
                return Ok(());
            }
        }
    }
}

/// The machines and their sockets.
struct Driver {
    machines: Machines,
    ports: Ports,
    gossip: Gossip,
    /// When to try again what failed on some interface.
    retry_at: Option<Instant>,
    keys_at: Instant,
    holds_file: PathBuf,
    told: Told,
}

/// Where the driver tells of itself.
struct Told {
    reports: mpsc::Sender<Report>,
    summary: watch::Sender<Summary>,
}

impl Driver {
    fn new(
        settings: Settings,
        metrics: Metrics,
        readable: mpsc::Sender<()>,
        told: Told,
    ) -> anyhow::Result<Self> {
        let now = clock::now();
        let gossip = Gossip::open(settings.keys, readable.clone())?;
        let held = holds_file::read(&settings.holds_file);
        let machines = Machines::new(
            machines::Settings { node: settings.node, cluster: settings.cluster, only: settings.interfaces },
            gossip.keys(),
            &held,
            metrics.clone(),
            Seeds { announcer: random()?, members: random()? },
            now,
        );
        Ok(Self {
            machines,
            ports: Ports::new(readable, metrics),
            gossip,
            retry_at: None,
            keys_at: now + KEYS_INTERVAL,
            holds_file: settings.holds_file,
            told,
        })
    }

    /// Brings everything in line with the plan and the links.
    fn follow(&mut self, orders: &Orders, links: &Links) {
        let now = clock::now();
        let returned = self.machines.follow(orders, links, now);
        self.bring_ports(now);
        returned.into_iter().for_each(|index| self.ports.rejoin(index));
    }

    /// Opens and closes sockets as the announcer's interfaces come and go, and has the kernel pass what matters.
    fn bring_ports(&mut self, now: Instant) {
        let done = self.ports.follow(self.machines.announcer());
        self.retry_at = (!done).then_some(now + RETRY);
    }

    /// Takes in all that the sockets have.
    fn read(&mut self) {
        let now = clock::now();
        let machines = &mut self.machines;
        machines.notice_stall(now);
        self.gossip.read(READS_MAX, |from, datagram| machines.handle_datagram(from, datagram, now));
        machines.resync(now);
        self.ports.read(READS_MAX, |index, frame| machines.handle_frame(index, frame, now));
        machines.settle(now);
    }

    fn answer(&mut self, request: Request) {
        match request {
            // Whoever asked may have gone.
            Request::State(reply) => drop(reply.send(self.machines.state())),
            Request::Rebalance(reply) => drop(reply.send(self.machines.rebalance(clock::now()))),
        }
    }

    fn read_keys(&mut self) {
        self.keys_at = clock::now() + KEYS_INTERVAL;
        if let Some(keys) = self.gossip.reload_keys() {
            self.machines.set_keys(&keys);
        }
    }

    /// Sends all that is ready.
    async fn flush(&mut self) {
        if self.ports.is_behind(self.machines.announcer()) {
            self.bring_ports(clock::now());
        }
        self.ports.transmit(self.machines.announcer_mut()).await;
        while let Some((to, datagram)) = self.machines.poll_datagram() {
            self.gossip.send(to, &datagram);
        }
        for report in self.machines.take_reports() {
            if self.told.reports.try_send(report).is_err() {
                debug!("too many reports at once, one is lost");
            }
        }
        let latest = self.machines.summary();
        self.told.summary.send_if_modified(|summary| {
            let changed = *summary != latest;
            *summary = latest;
            changed
        });
        if let Some(held) = self.machines.changed_holds(clock::now())
            && let Err(error) = holds_file::write(&self.holds_file, &held)
        {
            warn!("failed to note what this node holds, so the next speaker here must ask for it: {error:#}");
        }
    }

    /// Says that this speaker will be back soon, so that nobody takes over what it holds. Twice, since datagrams get lost.
    async fn say_goodbye(&mut self) {
        self.machines.announce_restart(BACK_IN_SECS, clock::now());
        for _ in 0..2 {
            self.flush().await;
            tokio::time::sleep(GOODBYE_PAUSE).await;
            self.machines.handle_timeout(clock::now());
        }
        self.flush().await;
    }
}
