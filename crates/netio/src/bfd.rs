//! UDP as BFD needs it (RFC 5881 §4 and §5, RFC 5883 §5): sockets that hear every peer and say where a packet came in and
//! over how many hops, and a socket for each session to send from.
//!
//! What a packet says is not this crate's business. Nothing is allocated for what comes in.

mod receiver;
mod sender;

pub use crate::datagram::Received;
pub use receiver::Receiver;
pub use sender::{Sender, Session};
