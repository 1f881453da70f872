//! Who is alive and who holds what, without a socket: datagrams, time and the plan's candidates go in; datagrams and
//! decisions to announce come out.

mod identity;

pub use identity::{GroupId, NodeId, Term};
