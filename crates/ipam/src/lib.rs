//! Address pools, the ConfigMap grammar, and who owns which address. Pure: no clock, no I/O, and the same calls in the
//! same order always give the same result.
//!
//! - [`configmap::parse`] turns the data of the address ConfigMap into [`Pool`]s, and says what is wrong with it;
//!   [`Pool::from_spec`] does so with an `IPAddressPool` ([`PoolSpec`], [`Allocation`], [`Selector`]).
//! - [`Allocator`] holds every [`Claim`] and answers every [`Request`] with an [`Assignment`] or a [`Reason`].
//!   - at the start: `observe` and `observe_shared` what the ledger lists, `observe_released` what it keeps of owners that
//!     went, `set_pools`, `set_reserved`
//!   - then: `request` for each owner; `forget` one of its addresses, `release` all of them: each says with [`Freed`] whether the
//!     address is free, rests, or is still shared
//!   - after these: `take_ready` names the owners to ask again; `next_expiry` and `expire` end rests
//!   - to read: `claims`, `claims_of`, `rests`, `waiting`, `pools`, `usage`, `overlaps`
//!
//! An address never changes by itself: pools come and go, claims stay until their owner goes or asks for something else.

pub mod configmap;

mod access;
mod allocator;
mod coverage;
mod family;
mod free;
mod interval;
mod ordinal;
mod owner;
mod pool;
mod reason;
mod request;
mod sharing;
mod usage;

pub use access::{Access, Allocation, Expression, Operator, Selector};
pub use allocator::Allocator;
pub use family::Family;
pub use owner::{Claim, Conflict, Owner, OwnerId, OwnerKind};
pub use pool::{
    FieldError, KeyPrefix, Order, Pool, PoolKey, PoolProblem, PoolSource, PoolSpec, Ranges, Scope,
};
pub use reason::{Reason, ReservedWhy};
pub use request::{Assigned, Assignment, Change, Families, Freed, Request, Rest, Then};
pub use sharing::{Backend, Protocol, Sharing};
pub use usage::{Counts, Overlap, Usage};
