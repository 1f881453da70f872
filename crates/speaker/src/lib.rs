//! Announces, from one node, what the plan says this node announces. `keryx-speaker` is the program; it is a library
//! too, so that the drivers can be driven without a cluster.
//!
//! ```text
//! watches ─▶ index (plan crate) ─▶ watch<Orders> ─┬─▶ gate ─┬▶ layer 2 driver   (own thread and runtime)
//!                                                 │    ▲    └▶ BGP driver       (own thread and runtime)
//!                                                 │    │          ▲ BFD driver  (own thread and runtime)
//!                                                 │    │ what is guarded
//!                                                 └─▶ guard driver
//! ```
//!
//! Kubernetes, metrics and the guard share one runtime; the protocols have threads of their own, so that a large list or a
//! slow scrape never delays an ARP answer, a KEEPALIVE or the answer to a dead path.

mod args;
mod clock;
mod core;
pub mod drivers;
mod events;
mod files;
mod live;
mod metrics;
mod orders;
mod passwords;
mod runtime;
mod snapshot;
mod status;
mod watches;

pub use args::Args;
pub use metrics::{CauseLabels, Metrics, ReasonLabels};
pub use orders::Orders;
pub use runtime::run;
