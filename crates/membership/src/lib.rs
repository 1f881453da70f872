//! Who is alive and who holds what, without a socket: datagrams, time and the plan's candidates go in; datagrams and
//! decisions to announce come out.
//!
//! [`Members`] finds out which nodes are alive and spreads what each tells of itself. [`Takeover`] decides which groups
//! this node holds. A driver carries what the one finds out to the other, and what the other decides to the segment.
//!
//! [`Members`] is a protocol machine: a driver gives it each datagram with [`Members::handle_input`], sleeps until
//! [`Members::poll_timeout`], calls [`Members::handle_timeout`], and after each of these sends what
//! [`Members::poll_transmit`] gives and acts on what [`Members::poll_event`] tells.
//!
//! | source | what is taken from it |
//! |---|---|
//! | SWIM (Das, Gupta, Motivala 2002) §3.1, §4.2 | others are asked about a silent node; only a node itself ends its death, by a higher number |
//! | Lifeguard (Dadgar, Phillips, Currey 2018) | a node that was kept from running trusts no silence |
//! | Demers et al. 1987 | rumours, with digests that are compared to find what those missed |
//! | RFC 8439, RFC 5869, RFC 6479 | the seal, its keys, the replay window |
//! | RFC 8085 §3.2 | datagrams stay below any usual MTU |
//!
//! ```
//! use keryx_membership::members::{Config, Event};
//! use keryx_membership::{Key, Keys, Members, NodeId, Seed, Timing};
//! use std::time::Instant;
//!
//! let now = Instant::now();
//! let keys = Keys { sending: Key::new([7; 32]), accepted: None };
//! let config = Config { cluster: "blue".to_owned(), keys, timing: Timing::default() };
//! let addresses = ["192.0.2.1:7947".parse()?, "192.0.2.2:7947".parse()?];
//! let seeds = [1, 2].map(|node| Seed { node: NodeId(node), addresses: vec![addresses[node as usize - 1]] });
//!
//! // In a speaker, the seed is 64 bits from the system's random source.
//! let mut nodes = [1, 2].map(|node| Members::new(config.clone(), NodeId(node), node, now));
//! nodes.iter_mut().for_each(|node| node.set_seeds(&seeds, now));
//! nodes[0].handle_timeout(now);
//! // A network: what one sends, the other receives, until all is said.
//! while let Some((from, transmit)) = (0..2).find_map(|node| Some((node, nodes[node].poll_transmit()?))) {
//!     // A refusal is counted; the first datagram of a boot is held back until the boot has proven itself.
//!     let _refused = nodes[1 - from].handle_input(addresses[from], &transmit.datagram, now);
//! }
//! assert_eq!(nodes[0].poll_event(), Some(Event::Up(NodeId(2))));
//! assert_eq!(nodes[1].poll_event(), Some(Event::Up(NodeId(1))));
//! # Ok::<(), std::net::AddrParseError>(())
//! ```

mod facts;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
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
