//! Who is alive and who holds what, without a socket: datagrams, time and the plan's candidates go in; datagrams and
//! decisions to announce come out.

mod facts;
mod holds;
mod identity;
mod members;
mod random;
mod seal;
mod wire;

pub use facts::{Facts, FactsError, Interface};
pub use identity::{GroupId, NodeId, Term};
pub use members::{Config, Counters, Event, Members, Seed, Timing, Transmit};
pub use seal::{DATAGRAM_MAX_LEN, Key, Keys, Rejected};

// The simulator names this crate as those do that use it.
#[cfg(test)]
extern crate self as keryx_membership;

#[cfg(test)]
mod tests;
