//! Memory of a held address, each size in a process of its own, since freed memory stays with the process.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::scene::{Holders, Scene};

/// First argument of the process that measures.
pub(crate) const ARGUMENT: &str = "memory";

/// Bytes for each address that `scene` holds when it is full.
pub(crate) fn bytes_per_address(scene: &Scene) -> Result<f64> {
    let program = std::env::current_exe().context("failed to find this program")?;
    let output = Command::new(program).args([ARGUMENT, scene.name]).output().context("failed to start it")?;
    ensure!(output.status.success(), "the process that measures memory failed");
    String::from_utf8(output.stdout)?.trim().parse().context("failed to read what it measured")
}

/// Fills the scene, and returns the bytes that this process grew by for each address.
pub(crate) fn measure(scene: &Scene) -> Result<f64> {
    let holders = Holders::new(scene);
    let mut allocator = scene.allocator();
    let before = resident_bytes()?;
    for request in holders.requests(0..scene.owners) {
        allocator.request(&request, 0).map_err(|reason| anyhow::anyhow!("{reason}"))?;
    }
    let after = resident_bytes()?;
    Ok((after - before) / scene.addresses() as f64)
}

/// Resident memory by `/proc/self/statm`, whose unit are pages of 4 KiB.
fn resident_bytes() -> Result<f64> {
    let statm = fs::read_to_string("/proc/self/statm").context("failed to read /proc/self/statm")?;
    let pages: u64 = statm.split(' ').nth(1).context("statm has no second field")?.parse()?;
    Ok(pages as f64 * 4096.0)
}
