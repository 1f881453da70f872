//! The test lab: a real Kubernetes cluster in network namespaces of one machine, for tests, the demo and benchmarks.
//!
//! ```text
//!                 ┌────────────── sw: the switch ──────────────┐
//!   management    │  mg0: cp-mg0  n1-mg0  n2-mg0 ... c1-mg0    │   10.99.0.0/24
//!   segment 0     │  br0:         n1-br0  n2-br0 ... c1-br0    │   10.98.0.0/24  fd98::/64
//!   segment 1 ... │  br1:         n1-br1  n2-br1 ... c1-br1    │   10.98.1.0/24  fd98:0:0:1::/64
//!                 └─────────┬───────┬───────┬──────────┬───────┘
//!                     mgmt0 │ mgmt0, eth0.. │          │ mgmt0, eth0..
//!                     ┌─────┴────┐ ┌┴───────┴┐ ┌───────┴──┐
//!                     │ cp       │ │ n1, n2… │ │ c1, c2…  │
//!                     │ .10      │ │ .11 …   │ │ .101 …   │
//!                     │ etcd     │ │ containerd, kubelet, kube-proxy; pods at cni0,
//!                     │ apiserver, controller-manager, scheduler, CoreDNS     10.97.k.0/24  fd97:0:0:k::/64
//!                     └──────────┘ └─────────┘ └──────────┘
//! ```
//!
//! Each box is a network namespace, `kx<lab>-<box>`. Nodes reach the API by the management network, and each other and
//! clients by segments, so either can be cut alone. Pods of other nodes and the Service ranges (10.96.0.0/16,
//! fd96::/112) have static routes; nothing has a default route, so no packet leaves. Labs share nothing: any number of
//! them runs side by side.
//!
//! ```no_run
//! fn main() -> anyhow::Result<()> {
//!     keryx_lab::init();
//!     let lab = keryx_lab::Lab::builder().nodes(2).start()?;
//!     println!("{}", lab.kubectl(&["get", "nodes"])?);
//!     lab.node(1).unplug(0)
//! }
//! ```
//!
//! Nodes keep their pods in cgroups of version 1 (or hybrid) or 2, whichever the machine has.
//!
//! What a lab leaves behind is nothing, however its owner ends: a keeper process, which is the same executable again,
//! tears down (see [`init`]).

mod address;
mod api;
mod bringup;
pub mod capture;
mod cgroup;
mod clock;
mod control_plane;
mod dissector;
mod fake;
mod fault;
mod host;
pub mod image;
mod keeper;
mod lab;
mod machine;
pub mod netns;
mod network;
mod node;
mod parts;
mod pki;
pub mod probe;
mod process;
mod progress;
mod requests;
mod role;
pub mod router;
mod run;
mod running;
mod site;
mod state;
mod teardown;
mod usage;

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};
pub use nix::sys::signal::Signal;

pub use crate::dissector::Dissected;
pub use crate::fault::{LateCopies, Loss};
pub use crate::host::{Host, Process};
pub use crate::lab::{Builder, Lab, Tier};
pub use crate::node::ProxyMode;
pub use crate::requests::{Request, Requests};
pub use crate::role::Role;
pub use crate::running::{Running, collect_garbage};
pub use crate::usage::Usage;

static INITIALISED: AtomicBool = AtomicBool::new(false);

/// To be called first in `main` by every program that starts a lab. The lab runs its own executable again for two
/// things that a forked thread cannot do: the keeper, and the stub that enters a process's namespaces. In those this
/// function never returns.
pub fn init() {
    let mut arguments = std::env::args_os();
    let name = arguments.next();
    let result = match name.as_deref().and_then(std::ffi::OsStr::to_str) {
        Some(keeper::KEEPER) => keeper::keep(arguments),
        Some(run::STUB) => run::stub(arguments).map(|never| match never {}),
        _ => return INITIALISED.store(true, Ordering::Relaxed),
    };
    let Err(error) = result else { std::process::exit(0) };
    eprintln!("{error:#}");
    std::process::exit(1);
}

fn require_init() -> Result<()> {
    ensure!(INITIALISED.load(Ordering::Relaxed), "remedy: call keryx_lab::init() first in main");
    Ok(())
}
