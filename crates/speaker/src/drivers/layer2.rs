//! Layer 2: answers ARP and announces VIPs on the interfaces where they live.
//!
//! One thread, one loop over [`Event`], one sleep. One reading task per interface only hands frames to the loop.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use keryx_layer2::{Announcer, Config, FamilyCounters, IfIndex, MacAddr, interface};
use keryx_netio::link::{self, Link, Links};
use keryx_netio::packet::{PacketSocket, Protocol};
use keryx_plan::Decision;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle as Task, LocalSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock;
use crate::metrics::Metrics;
use crate::orders::Orders;

/// Longest frame that the filter lets through with all that matters: an ARP packet over Ethernet has 42 bytes.
const FRAME_MAX: usize = 128;
/// Frames that wait for the loop, over all interfaces.
const FRAMES_WAITING_MAX: usize = 4096;

/// Pause before another try after the kernel refused something.
const RETRY: Duration = Duration::from_secs(1);
/// Longest wait for one interface to take a frame: the others must not wait for it.
const SEND_LIMIT: Duration = Duration::from_millis(50);

/// Everything that can happen.
enum Event {
    Orders,
    Links,
    Frame(IfIndex, Vec<u8>),
    Due,
    Stop,
}

/// Starts the driver on a thread of its own. `only` holds the names given by `--interface`.
///
/// # Errors
/// The thread cannot be started.
pub fn start(
    orders: watch::Receiver<Orders>,
    only: BTreeSet<String>,
    metrics: Metrics,
    stop: CancellationToken,
) -> anyhow::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("layer2".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let outcome = runtime.context("failed to start the layer 2 runtime").and_then(|runtime| {
                LocalSet::new().block_on(&runtime, run(orders, only, metrics, stop.clone()))
            });
            if let Err(error) = outcome {
                tracing::error!("layer 2 driver ended: {error:#}");
                stop.cancel();
            }
        })
        .context("failed to start the layer 2 thread")
}

async fn run(
    mut orders: watch::Receiver<Orders>,
    only: BTreeSet<String>,
    metrics: Metrics,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let (mut links, follow_links) =
        link::watch_links().await.context("failed to read the node's interfaces")?;
    let mut links_broken = std::pin::pin!(follow_links);
    let (frames, mut frames_seen) = mpsc::channel(FRAMES_WAITING_MAX);
    let mut driver = Driver {
        announcer: Announcer::new(Config::default()),
        sockets: BTreeMap::new(),
        only,
        unannounced: BTreeSet::new(),
        counted: FamilyCounters::default(),
        frames,
        retry_at: None,
        metrics,
    };
    driver.follow(&orders.borrow_and_update().clone(), &links.borrow_and_update().clone());
    loop {
        driver.transmit().await;
        let event = tokio::select! {
            biased;
            () = stop.cancelled() => Event::Stop,
            Ok(()) = orders.changed() => Event::Orders,
            Ok(()) = links.changed() => Event::Links,
            error = &mut links_broken => return Err(error).context("stopped following the node's interfaces"),
            // Before frames, or a flood of requests would silence what is due.
            () = due(driver.announcer.poll_timeout()) => Event::Due,
            () = due(driver.retry_at) => Event::Links,
            Some((index, frame)) = frames_seen.recv() => Event::Frame(index, frame),
        };
        match event {
            Event::Orders | Event::Links => {
                driver.follow(&orders.borrow_and_update().clone(), &links.borrow_and_update().clone());
            }
            Event::Frame(index, frame) => driver.announcer.handle_input(index, &frame, clock::now()),
            Event::Due => driver.announcer.handle_timeout(clock::now()),
            Event::Stop => return Ok(()),
        }
    }
}

/// Sleeps until `at`, or for ever.
async fn due(at: Option<std::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// A socket on an interface, and the task that reads it.
struct Socket {
    socket: Rc<PacketSocket>,
    reader: Task<()>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

struct Driver {
    announcer: Announcer,
    sockets: BTreeMap<IfIndex, Socket>,
    only: BTreeSet<String>,
    /// VIPs that the plan gives to this node and that it cannot announce, so that each is logged once.
    unannounced: BTreeSet<IpAddr>,
    /// What of the announcer's counters stands in the metrics already.
    counted: FamilyCounters,
    frames: mpsc::Sender<(IfIndex, Vec<u8>)>,
    /// When to try again what failed on some interface.
    retry_at: Option<std::time::Instant>,
    metrics: Metrics,
}

impl Driver {
    /// Brings sockets and announcements in line with the plan and the links.
    fn follow(&mut self, orders: &Orders, links: &Links) {
        let candidates: Vec<interface::Link> = links.values().map(facts).collect();
        let wanted = self.placed(orders, &candidates);
        let now = clock::now();
        self.retry_at = None;
        let gone: Vec<IfIndex> =
            self.sockets.keys().filter(|index| !wanted.contains_key(index)).copied().collect();
        for index in gone {
            self.sockets.remove(&index);
            self.announcer.remove_interface(index);
        }
        for (index, vips) in wanted {
            let Some(mac) = candidates.iter().find(|link| link.index == index).and_then(|link| link.mac)
            else {
                continue;
            };
            if let Err(error) = self.announce(index, mac, vips, now) {
                self.metrics.packet_errors.inc();
                self.retry_at = Some(now + RETRY);
                warn!(interface = index.0, "failed to announce, trying again: {error:#}");
            }
        }
    }

    /// The IPv4 VIPs to announce, by interface.
    fn placed(&mut self, orders: &Orders, links: &[interface::Link]) -> BTreeMap<IfIndex, BTreeSet<IpAddr>> {
        let mut wanted: BTreeMap<IfIndex, BTreeSet<IpAddr>> = BTreeMap::new();
        let mut unannounced = BTreeSet::new();
        for (&vip, plan) in &orders.plan.vips {
            if !vip.is_ipv4() || plan.decision != Decision::Announce {
                continue;
            }
            let internal = orders.internal_ips.iter().copied().find(IpAddr::is_ipv4);
            match interface::choose(links, vip, internal, &self.only) {
                Ok(choice) => {
                    wanted.entry(choice.interface).or_default().insert(vip);
                }
                Err(error) => {
                    if !self.unannounced.contains(&vip) {
                        warn!("{error}");
                    }
                    unannounced.insert(vip);
                }
            }
        }
        self.metrics.vips_without_interface.set(i64::try_from(unannounced.len()).unwrap_or(i64::MAX));
        self.unannounced = unannounced;
        wanted
    }

    fn announce(
        &mut self,
        index: IfIndex,
        mac: MacAddr,
        vips: BTreeSet<IpAddr>,
        now: std::time::Instant,
    ) -> anyhow::Result<()> {
        if !self.sockets.contains_key(&index) {
            let socket = Rc::new(
                PacketSocket::open(index.0, Protocol::Arp, &vips).context("failed to open an ARP socket")?,
            );
            let reader = tokio::task::spawn_local(read(index, Rc::clone(&socket), self.frames.clone()));
            self.sockets.insert(index, Socket { socket, reader });
            info!(interface = index.0, "answering ARP");
        } else if let Some(Socket { socket, .. }) = self.sockets.get(&index) {
            socket.set_addresses(&vips).context("failed to filter ARP")?;
        }
        self.announcer.set_interface(index, mac, now);
        self.announcer.set_vips(index, vips, now)?;
        Ok(())
    }

    /// Sends all frames that are ready.
    async fn transmit(&mut self) {
        while let Some(transmit) = self.announcer.poll_transmit() {
            let Some(Socket { socket, .. }) = self.sockets.get(&transmit.interface) else { continue };
            let sent = match timeout(SEND_LIMIT, socket.send(&transmit.frame)).await {
                Ok(sent) => sent,
                Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
            };
            if let Err(error) = sent {
                self.metrics.packet_errors.inc();
                warn!(interface = transmit.interface.0, %error, "failed to send a frame");
            }
        }
        let counters = self.announcer.counters().arp;
        self.metrics.arp_requests.inc_by(counters.requests - self.counted.requests);
        self.metrics.arp_replies.inc_by(counters.replies - self.counted.replies);
        self.metrics.arp_gratuitous.inc_by(counters.gratuitous - self.counted.gratuitous);
        self.counted = counters;
    }
}

/// Hands frames of one interface to the loop.
async fn read(index: IfIndex, socket: Rc<PacketSocket>, frames: mpsc::Sender<(IfIndex, Vec<u8>)>) {
    let mut buffer = [0; FRAME_MAX];
    loop {
        match socket.recv(&mut buffer).await {
            Ok(length) => {
                if frames.send((index, buffer[..length].to_vec())).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                warn!(interface = index.0, %error, "failed to read ARP");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

fn facts(link: &Link) -> interface::Link {
    interface::Link {
        index: IfIndex(link.index),
        name: link.name.clone(),
        mac: link.mac.map(MacAddr),
        up: link.up,
        carrier: link.carrier,
        broadcast: link.broadcast,
        noarp: link.noarp,
        has_master: link.master.is_some(),
        addresses: link.addresses.clone(),
    }
}
