//! What carries out the plan. Each driver compares the newest orders with what it does now; but for `bfd`, which serves
//! other drivers.

use std::time::Instant;

use anyhow::Context as _;

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

/// Sleeps until `at`, or for ever.
async fn due(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
