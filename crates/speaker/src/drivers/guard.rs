//! The guard: keeps the node's nftables table for untranslated packets as the plan asks.
//!
//! Only the difference to what is installed is sent, as one atomic batch. Where the outcome of a batch is unknown, the
//! kernel refuses it, or somebody else deleted the table, it is made anew.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use keryx_api::Protocol;
use keryx_dataplane::guard::{self, Guard};
use keryx_dataplane::rules::Transport;
use keryx_netio::nftables::{Batch, Nftables, TableLoss};
use keryx_plan::GuardInput;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::gate::Guarded;
use super::ruleset;
use crate::metrics::Metrics;
use crate::orders::Orders;

/// Pause before another try after the kernel refused a batch.
const RETRY: Duration = Duration::from_secs(1);

/// Follows the orders until `stop`, then takes the table away: without a speaker nobody would keep it right. Tells
/// `guarded` which VIPs the table stands for. A table that was left behind stands until the first orders are carried
/// out.
pub async fn run(
    mut orders: watch::Receiver<Orders>,
    guarded: watch::Sender<Guarded>,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let mut driver = Driver { kernel: None, installed: None };
    let mut losses = TableLoss::listen(guard::TABLE)
        .inspect_err(|error| warn!("cannot see whether somebody deletes the guard's table: {error}"))
        .ok();
    loop {
        let wanted = wanted(&orders.borrow_and_update().plan.guard);
        let vips = Arc::new(wanted.vips.clone());
        let failed = match driver.install(wanted) {
            Ok(()) => {
                guarded.send_replace(Some(vips));
                false
            }
            Err(error) => {
                metrics.guard_errors.inc();
                warn!("failed to install the guard, trying again: {error:#}");
                true
            }
        };
        tokio::select! {
            Ok(()) = orders.changed() => {}
            () = tokio::time::sleep(RETRY), if failed => {}
            Some(lost) = next_loss(&mut losses, driver.port()) => {
                if let Err(error) = lost {
                    warn!("cannot see any longer whether somebody deletes the guard's table: {error}");
                    losses = None;
                } else {
                    warn!("somebody deleted the guard's table; making it anew");
                    driver.installed = None;
                }
            }
            () = stop.cancelled() => break,
        }
    }
    if let Err(error) = driver.remove() {
        warn!("failed to remove the guard: {error:#}");
    }
}

/// The next loss of the table; `None` without anything to learn it from.
async fn next_loss(losses: &mut Option<TableLoss>, own: Option<u32>) -> Option<io::Result<()>> {
    Some(losses.as_mut()?.lost(own).await)
}

struct Driver {
    kernel: Option<Nftables>,
    /// What the kernel holds; `None` if that is not known.
    installed: Option<Guard>,
}

impl Driver {
    fn install(&mut self, wanted: Guard) -> anyhow::Result<()> {
        if self.installed.as_ref() == Some(&wanted) {
            return Ok(());
        }
        let mut batch = Batch::new();
        let installed = self.installed.take().unwrap_or_else(|| {
            ruleset::create(&mut batch, &guard::layout());
            Guard::default()
        });
        ruleset::change(&mut batch, guard::TABLE, &guard::change(&installed, &wanted));
        if !batch.is_empty() {
            self.commit(batch)?;
        }
        info!(vips = wanted.vips.len(), ports = wanted.claimed.len(), "guard installed");
        self.installed = Some(wanted);
        Ok(())
    }

    /// By which the kernel names this driver as the author of a change.
    fn port(&self) -> Option<u32> {
        self.kernel.as_ref()?.port().ok()
    }

    fn remove(&mut self) -> anyhow::Result<()> {
        self.installed = None;
        let mut batch = Batch::new();
        batch.remove_table(guard::TABLE);
        self.commit(batch)
    }

    fn commit(&mut self, batch: Batch) -> anyhow::Result<()> {
        let mut kernel = match self.kernel.take() {
            Some(kernel) => kernel,
            None => Nftables::open()?,
        };
        // A socket whose batch failed is not used again: answers may still be queued on it.
        kernel.commit(batch)?;
        self.kernel = Some(kernel);
        Ok(())
    }
}

/// The plan's words in those of the data plane.
fn wanted(input: &GuardInput) -> Guard {
    let claimed = input.vips.iter().flat_map(|(vip, ports)| {
        ports.iter().map(|(protocol, port)| {
            let transport = match protocol {
                Protocol::Tcp => Transport::Tcp,
                Protocol::Udp => Transport::Udp,
            };
            (*vip, transport, *port)
        })
    });
    Guard { vips: input.vips.keys().copied().collect(), claimed: claimed.collect() }
}
