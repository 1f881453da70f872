//! BGP for whom only announces, without a socket: routes, time and what comes from a router go in; messages and what became
//! of the session come out. Routes of others are read, counted and dropped.

mod attributes;
pub mod peer;
mod random;
mod rib;
mod values;
mod wire;

pub use attributes::{
    AttributeValues, Attributes, AttributesError, COMMUNITIES_MAX_LEN, Origin, PREPEND_MAX,
};
pub use peer::{Action, Config, ConnectionId, Event, Peer, Reason, State, Stop};
pub use values::{Asn, Family, HoldTime, PerFamily, RouterId};
pub use wire::{ErrorCode, MESSAGE_MAX_LEN, Notification};

#[cfg(test)]
mod tests;
