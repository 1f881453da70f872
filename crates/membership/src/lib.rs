//! Who is alive and who holds what, without a socket: datagrams, time and the plan's candidates go in; datagrams and
//! decisions to announce come out.

mod facts;
mod holds;
mod identity;
mod random;
mod seal;
mod wire;

pub use facts::{Facts, FactsError, Interface};
pub use identity::{GroupId, NodeId, Term};
pub use seal::{DATAGRAM_MAX_LEN, Key, Keys, Rejected};
