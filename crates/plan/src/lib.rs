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
//! ```
//!
//! [`Index`] keeps the few fields that count, knows which group each object touches, and computes only those groups
//! anew. A group is one owner's addresses: a Gateway's, or a plain Service's. Two owners of one address are never a
//! group: one of them is refused it ([`Reason::DuplicateClaim`]).

mod claims;
mod endpoints;
mod explain;
mod group;
mod identity;
mod index;
mod nodes;
mod plan;
mod reason;
mod relation;
pub mod rendezvous;
mod service;
#[cfg(test)]
mod tests;
mod update;

pub use endpoints::Family;
pub use explain::{Candidate, GroupExplanation, PortEndpoints};
pub use identity::{GroupKey, NodeName, ObjectName, Owner};
pub use index::Index;
pub use nodes::ANNOTATION_DRAIN;
pub use plan::{Changes, Decision, GuardInput, Plan, Refusal, VipPlan};
pub use reason::{Reason, StatusPart};
pub use service::TrafficPolicy;
