//! Who is alive and who holds what, without a socket: datagrams, time and the plan's candidates go in; datagrams and
//! decisions to announce come out.
//!
//! [`Members`] finds out which nodes are alive and spreads what each tells of itself. [`Takeover`] decides which groups
//! this node holds. A driver carries what the one finds out to the other, and what the other decides to the segment.

mod facts;
mod holds;
mod identity;
pub mod members;
mod random;
mod seal;
pub mod takeover;
mod wire;

pub use facts::{Facts, FactsError, Interface};
pub use identity::{GroupId, NodeId, Term};
pub use members::{Members, Seed, Timing, Transmit};
pub use seal::{DATAGRAM_MAX_LEN, Key, Keys, Rejected};
pub use takeover::{
    Action, CANDIDATES_MAX, Candidacy, Cause, HolderAnswer, Liveness, Obstacle, Outgoing, ProbeResult,
    StopCause, Takeover,
};

// The simulator names this crate as those do that use it.
#[cfg(test)]
extern crate self as keryx_membership;

#[cfg(test)]
mod tests;
