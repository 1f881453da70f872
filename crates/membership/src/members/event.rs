//! What comes out of the machine.

use std::net::SocketAddr;
use std::time::Duration;

use crate::seal::Rejected;
use crate::{GroupId, NodeId, Term};

/// A datagram to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub to: SocketAddr,
    /// At most [`DATAGRAM_MAX_LEN`](crate::DATAGRAM_MAX_LEN) octets.
    pub datagram: Vec<u8>,
}

/// Something that the rest of the speaker has to know. Never about this node itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The node is alive.
    Up(NodeId),
    /// The node is dead, or cannot be heard. What it held is still known, until it is back or forgotten.
    Down(NodeId),
    /// The node told something new of itself; see [`Members::facts`](crate::Members::facts).
    Facts(NodeId),
    /// The node says that it holds a group, or holds it with another term now.
    Held {
        /// Who.
        node: NodeId,
        /// What.
        group: GroupId,
        /// With which term.
        term: Term,
    },
    /// The node no longer holds a group. All groups of a node whose speaker was restarted are released, until it says
    /// again what it holds.
    Released {
        /// Who.
        node: NodeId,
        /// What.
        group: GroupId,
        /// The highest term that it knew of, by its own word; 0 if it was not heard saying so.
        term: Term,
    },
    /// The start is over, or what [`Members::resync`](crate::Members::resync) began: this node knows all that a member knows
    /// which was there before, or found none in time.
    Synced,
    /// This node was called so much too late. It gives the others time to be heard before it accuses.
    Stalled(Duration),
    /// One of several addresses of a node is reachable. Only said of neighbours on the ring; with up to three nodes,
    /// that is all.
    PathUp {
        /// Whose.
        node: NodeId,
        /// As [`Seed::addresses`](crate::Seed::addresses) has it.
        address: SocketAddr,
    },
    /// One of several addresses of a node is not reachable, although another one has been heard since.
    PathDown {
        /// Whose.
        node: NodeId,
        /// As [`Seed::addresses`](crate::Seed::addresses) has it.
        address: SocketAddr,
    },
}

/// What has happened so far. Only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams handed out by [`Members::poll_transmit`](crate::Members::poll_transmit).
    pub sent: u64,
    /// Their octets, without UDP and IP headers.
    pub sent_octets: u64,
    /// Datagrams not sent because too many waited, or because no address is known.
    pub dropped: u64,
    /// Datagrams taken.
    pub accepted: u64,
    /// Datagrams refused, by [`Rejected::index`].
    pub rejected: [u64; Rejected::ALL.len()],
    /// Neighbours that fell silent and were asked for.
    pub suspicions: u64,
    /// Nodes that this node called dead.
    pub accusations: u64,
    /// Times that this node was called dead, and contradicted.
    pub refutations: u64,
    /// Times that this node heard nobody any more.
    pub isolations: u64,
    /// Times that this node was called too late.
    pub stalls: u64,
    /// Comparisons of tables begun because digests differed.
    pub exchanges: u64,
    /// Holds of a node fetched as a whole.
    pub pulls: u64,
}
