//! BFD: sessions with routers, for whoever asks for them, and the news that a path is dead.
//!
//! One thread of its own, one loop over [`Event`], one sleep. Not a task on layer 2's thread: that one takes in plans of
//! thousands of groups and writes a file, and the shortest detection time here is 30 ms. Not a task beside Kubernetes, where a
//! list of 10,000 objects is parsed.
//!
//! The thread asks to be realtime. A container's share of the processor may be a hundredth of its neighbours', and then the
//! scheduler lets it wait for longer than a detection time while they are busy; nice values count only among threads of one
//! container. Without CAP_SYS_NICE it goes on as it is, and holds its times as long as its share is no smaller than others'.
//!
//! ```text
//!  clients ── orders ─┐                 ┌ Sockets ⇄ datagrams of the peers (sockets.rs)
//!  (handle.rs)  links ┼▶ [Driver] ──────┤
//!     ▲          time ┘   driver.rs     └ keryx_bfd::Sessions
//!     └── what each is told, a watch per client (told.rs)
//! ```
//!
//! Limits:
//!
//! - A port is open only while a session needs it, so a node without BFD hears nothing, and another BFD daemon is in the way
//!   only where both are used.
//! - The ports are those of the default VRF. A session over another VRF's interface needs `net.ipv4.udp_l3mdev_accept=1`.
//! - Clients that ask for the same peer, interface and number of hops share a session; its source address is that of the
//!   first one.

use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use keryx_netio::link;
use keryx_netio::realtime::Priority;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{ask_for_realtime, due, random};
use crate::clock;
use crate::metrics::Metrics;

mod driver;
mod handle;
mod sockets;
mod told;

use driver::Driver;
use handle::Order;
pub use handle::{Bfd, Request, Watched};
pub use told::{News, Reason, SessionState};

/// How long a stopping driver goes on to tell its peers that the sessions are switched off.
const FAREWELL: Duration = Duration::from_secs(1);

/// Everything that can happen.
enum Event {
    Order(Order),
    Links,
    Readable,
    Due,
    Upkeep,
    Stop,
    Over,
}

/// Starts the driver on a thread of its own, in the network namespace of the calling thread. The thread ends when `stop` is
/// cancelled: all sessions are switched off (AdminDown), which their peers are told for a detection time, a second at most.
/// If the driver fails it cancels `stop` itself.
///
/// # Errors
/// The thread cannot be started.
pub fn start(metrics: Metrics, stop: CancellationToken) -> anyhow::Result<(Bfd, JoinHandle<()>)> {
    let (bfd, orders) = Bfd::new();
    let thread = std::thread::Builder::new()
        .name("bfd".to_owned())
        .spawn(move || {
            ask_for_realtime("BFD", Priority::Next);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let outcome = runtime
                .context("failed to start the BFD runtime")
                .and_then(|runtime| runtime.block_on(run(orders, metrics, stop.clone())));
            if let Err(error) = outcome {
                tracing::error!("BFD driver ended: {error:#}");
                stop.cancel();
            }
        })
        .context("failed to start the BFD thread")?;
    Ok((bfd, thread))
}

async fn run(
    mut orders: mpsc::UnboundedReceiver<Order>,
    metrics: Metrics,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let (mut links, follow_links) =
        link::watch_links().await.context("failed to read the node's interfaces")?;
    let mut links_broken = std::pin::pin!(follow_links);
    let mut driver = Driver::new(random()?, links.borrow_and_update().clone(), metrics);
    let mut over_at = None;
    loop {
        driver.flush();
        if over_at.is_some() && driver.is_idle() {
            return Ok(());
        }
        let event = tokio::select! {
            biased;
            () = stop.cancelled(), if over_at.is_none() => Event::Stop,
            () = due(over_at) => Event::Over,
            Ok(()) = links.changed() => Event::Links,
            error = &mut links_broken => return Err(error).context("stopped following the node's interfaces"),
            // All before datagrams, or a flood of them would silence what is due.
            () = due(driver.poll_timeout()) => Event::Due,
            () = due(driver.upkeep_at()) => Event::Upkeep,
            Some(order) = orders.recv(), if over_at.is_none() => Event::Order(order),
            () = driver.readable() => Event::Readable,
        };
        // Whatever it was: no peer is silent whose packets only lie unread.
        driver.read(clock::now());
        match event {
            Event::Order(order) => {
                let now = clock::now();
                driver.take(order, now);
                // Those that wait already cost no look at the interfaces each.
                while let Ok(order) = orders.try_recv() {
                    driver.take(order, now);
                }
                driver.follow(now);
            }
            Event::Links => driver.set_links(links.borrow_and_update().clone(), clock::now()),
            Event::Readable => {}
            Event::Due => driver.handle_timeout(clock::now()),
            Event::Upkeep => driver.upkeep(clock::now()),
            Event::Stop => {
                let now = clock::now();
                driver.release_all(now);
                over_at = Some(now + FAREWELL);
            }
            Event::Over => return Ok(()),
        }
    }
}
