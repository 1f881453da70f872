//! `keryx-controller`: gives addresses to LoadBalancer Services and Gateways, clones the backends of routes, and writes
//! statuses. Decisions are made in the crates `ipam` and `gateway`; this binary watches, keeps the ledger and writes.

mod args;
mod bgp;
mod clock;
mod core;
mod discovery;
mod generated;
mod index;
mod lease;
mod ledger;
mod membership_key;
mod metrics;
mod runtime;
mod services;
mod watches;
mod writer;

use clap::Parser as _;

fn main() -> anyhow::Result<()> {
    let args = args::Args::parse();
    keryx_daemon::logging::start(args.log_format);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(runtime::run(args))
}
