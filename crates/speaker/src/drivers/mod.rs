//! What carries out the plan. Each driver compares the newest orders with what it does now; but for `bfd`, which serves
//! other drivers.

use std::time::Instant;

use anyhow::Context as _;
use keryx_netio::realtime::{self, Priority};
use tracing::info;

pub mod bfd;
pub mod bgp;
pub mod gate;
pub mod guard;
pub mod layer2;
mod ruleset;

/// 64 bits from the system's random source.
fn random() -> anyhow::Result<u64> {
    let mut octets = [0; 8];
    getrandom::fill(&mut octets)
        .map_err(std::io::Error::other)
        .context("the system gives no random numbers")?;
    Ok(u64::from_ne_bytes(octets))
}

/// Lets the calling thread run before all that is not realtime, where that is permitted: a container's share of the processor may
/// be a hundredth of its neighbours', and others take a thread that is late for a node that is gone.
fn ask_for_realtime(what: &str, priority: Priority) {
    if let Err(error) = realtime::enter(priority) {
        info!("{what} runs at normal priority: {error}; with CAP_SYS_NICE a busy node delays it less");
    }
}

/// Sleeps until `at`, or for ever.
async fn due(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
