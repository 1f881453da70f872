//! A node's layer 2 driver as a process of its own, which can be stopped and asked for its memory. It is this test program
//! again, with arguments by which `main` knows it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use keryx_lab::{Host, Process};
use keryx_speaker::{Metrics, Orders};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::driver::{KEY, settings, start_layer2, write_key};

/// The first argument of such a process; the node and its folder follow.
const MARK: &str = "--layer2-driver";
/// The orders, in the folder.
const ORDERS: &str = "orders.json";

/// Starts a node's driver, which has its files in `folder` and these orders for as long as it lives.
///
/// # Errors
/// It cannot be started.
pub(crate) fn start(node: &Host, orders: &Orders, folder: &Path) -> Result<Process> {
    write_key(folder, KEY)?;
    std::fs::write(folder.join(ORDERS), serde_json::to_vec(orders)?)?;
    let folder = folder.to_str().context("the folder's name is no text")?;
    node.spawn("layer2", std::env::current_exe()?, [MARK, node.name(), folder], [])
}

/// Runs the driver, if this is such a process: then this returns only once it has ended.
///
/// # Errors
/// It has ended.
pub(crate) fn run_if_meant() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some(MARK) {
        return Ok(());
    }
    let (node, folder) = (arguments.next(), arguments.next().map(PathBuf::from));
    let (node, folder) = (node.context("no node is named")?, folder.context("no folder is named")?);
    let orders: Orders = serde_json::from_slice(&std::fs::read(folder.join(ORDERS))?)?;
    let (_orders, ordered) = watch::channel(orders);
    let thread =
        start_layer2(ordered, settings(&node, folder), Metrics::default(), CancellationToken::new())?;
    let ended = thread.join();
    bail!("the driver has ended: {ended:?}")
}
