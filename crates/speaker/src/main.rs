//! `keryx-speaker`: announces, from one node, what the plan says this node announces.
//!
//! ```text
//! watches ─▶ index (plan crate) ─▶ watch<Orders> ─┬─▶ layer 2 driver   (own thread and runtime)
//!                                                 └─▶ guard driver
//! ```
//!
//! Kubernetes, metrics and the guard share one runtime; layer 2 has a thread of its own, so that a large list or a
//! slow scrape never delays an ARP answer.

mod args;
mod clock;
mod drivers;
mod metrics;
mod orders;
mod runtime;

use clap::Parser as _;

fn main() -> anyhow::Result<()> {
    let args = args::Args::parse();
    keryx_daemon::logging::start(args.log_format);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(runtime::run(args))
}
