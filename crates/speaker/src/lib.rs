//! Announces, from one node, what the plan says this node announces. `keryx-speaker` is the program; it is a library
//! too, so that the drivers can be driven without a cluster.
//!
//! ```text
//! watches ─▶ index (plan crate) ─▶ watch<Orders> ─┬─▶ gate ─▶ layer 2 driver   (own thread and runtime)
//!                                                 │    ▲ what is guarded
//!                                                 └─▶ guard driver
//! ```
//!
//! Kubernetes, metrics and the guard share one runtime; layer 2 and BFD have a thread each, so that a large list or a
//! slow scrape never delays an ARP answer or lets a BFD session fail.

mod args;
mod clock;
pub mod drivers;
mod events;
mod files;
mod live;
mod metrics;
mod orders;
mod runtime;
mod snapshot;
mod status;

pub use args::Args;
pub use metrics::{CauseLabels, Metrics, ReasonLabels};
pub use orders::Orders;
pub use runtime::run;
