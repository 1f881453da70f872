//! Address pools, the ConfigMap grammar, and who owns which address. Pure: no clock, no I/O, and the same calls in the
//! same order always give the same result.
//!
//! - [`configmap::parse`] turns the data of the address ConfigMap into [`Pool`]s, and says what is wrong with it.
//! - [`Allocator`] holds every [`Claim`] and answers every [`Request`].
//!
//! An address never changes by itself: pools come and go, claims stay until their owner goes or asks for something else.

pub mod configmap;

mod allocator;
mod coverage;
mod family;
mod interval;
mod ordinal;
mod owner;
mod pool;
mod reason;
mod request;

pub use allocator::Allocator;
pub use family::Family;
pub use owner::{Claim, Conflict, Owner, OwnerId, OwnerKind};
pub use pool::{KeyPrefix, Order, Pool, PoolKey, Ranges, Scope};
pub use reason::{Reason, ReservedWhy};
pub use request::{Assigned, Assignment, Change, Families, Request};
