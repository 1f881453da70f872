//! Decides what one speaker announces: exposures, Services, EndpointSlices, Nodes and speaker Pods in, a [`Plan`] out.
//! Pure and deterministic: every speaker that sees the same objects comes to the same announcer.
//!
//! ```text
//!  Exposure ──ports──▶ clone ─┐
//!     │                       ├─▶ Service ◀── EndpointSlice
//!     │         plain Service ┘      │             │ ready, where
//!     └─ VIPs ─┬─ status + mark ─────┘             ▼
//!              ▼                        Node, speaker Pod ─▶ eligible
//!           claims ─▶ group ─▶ candidates, ranked ─▶ announcer ─▶ Plan
//!                      ▲          ▲
//!    L2Advertisement ──┴──────────┘
//! ```
//!
//! [`Index`] keeps the few fields that count, knows which owner each object touches, and computes only the groups of
//! those anew. An owner is a Gateway or a plain Service. A group is the addresses of one owner, or of all owners that
//! hang together by addresses that they share, which takes one sharing key. Of two owners of one address without a
//! common key, one is refused it ([`Reason::DuplicateClaim`]).

mod advertisements;
pub mod bgp;
mod claims;
mod endpoints;
mod explain;
mod group;
mod identity;
mod index;
mod matching;
mod nodes;
mod placement;
mod plan;
mod reason;
mod relation;
pub mod rendezvous;
mod service;
mod shared_map;
#[cfg(test)]
mod tests;
mod texts;
mod update;

pub use endpoints::Family;
pub use explain::{Candidate, GroupExplanation, PortEndpoints};
pub use identity::{GroupKey, NodeName, ObjectName, Owner, OwnerKey};
pub use index::Index;
pub use nodes::{ANNOTATION_DRAIN, is_draining};
pub use plan::{CANDIDATES_MAX, Changes, Decision, GroupPlan, GuardInput, Plan, Refusal, VipPlan};
pub use reason::{Reason, StatusPart};
pub use service::TrafficPolicy;
pub use shared_map::SharedMap;
