//! BGP for a speaker that only announces, without a socket: routes, time and what comes from a router go in; messages, and
//! what became of the session, come out. Routes of others are read, counted and dropped.
//!
//! [`Peer`] is a protocol machine: a driver tells it what becomes of connections ([`Peer::handle_connected`],
//! [`Peer::handle_closed`], [`Peer::accept`]), gives it what they receive ([`Peer::handle_input`]), sleeps until
//! [`Peer::poll_timeout`], calls [`Peer::handle_timeout`], and after each of these does what [`Peer::poll_action`] asks,
//! acts on what [`Peer::poll_event`] tells, and, while a connection takes octets, sends what [`Peer::poll_transmit`] gives.
//!
//! | source | what is taken from it |
//! |---|---|
//! | RFC 4271 | messages, the state machine of §8 without DelayOpen, collisions (§6.8), errors (§6), jitter (§10) |
//! | RFC 7606 | what is done about an UPDATE that is wrong: session reset, family ignored, treated as withdrawal, attribute discarded |
//! | RFC 5492, RFC 9072 | capabilities; OPENs with long parameters are read |
//! | RFC 4760 | IPv4 and IPv6 unicast; IPv6 always in MP_REACH_NLRI |
//! | RFC 8950 | IPv4 over an IPv6 next hop |
//! | RFC 2545 §3 | a link-local next hop beside the global one |
//! | RFC 6793, RFC 7607 | AS numbers of four octets, AS4_PATH for peers of two; AS 0 is refused |
//! | RFC 6286 | identifiers are any number but 0, and tell speakers of one AS apart |
//! | RFC 1997, RFC 4360, RFC 8092 | communities, extended and large ones |
//! | RFC 2918 | routes are said again when asked for |
//! | RFC 4724, RFC 8538 | graceful restart as the one that restarts; a Hard Reset where routes must go |
//! | RFC 4486, RFC 9003, RFC 9384, RFC 6608 | subcodes of Cease with a text, BFD Down, subcodes of unexpected messages |
//! | RFC 9687 | a peer that takes nothing is given up |
//!
//! Left out: long messages (RFC 8654), enhanced route refresh (RFC 7313), AddPath (RFC 7911), roles (RFC 9234), long-lived
//! graceful restart (RFC 9494), confederations, an OPEN without capabilities for peers that refuse them.
//!
//! ```
//! use keryx_bgp::{Action, Asn, Attributes, Config, Event, Peer, RouterId, peer::RemoteAs};
//! use std::{net::Ipv4Addr, sync::Arc, time::Instant};
//!
//! let now = Instant::now();
//! let number = |number| Asn::new(number).expect("not 0");
//! let addresses = [1, 2].map(|host| Ipv4Addr::new(192, 0, 2, host));
//! let mut peers = [0, 1].map(|peer| {
//!     let remote = RemoteAs::Number(number([65_002, 65_001][peer]));
//!     let identifier = RouterId::new(addresses[peer]).expect("not 0.0.0.0");
//!     let mut config = Config::new(number([65_001, 65_002][peer]), remote, identifier);
//!     (config.dial, config.accept) = (peer == 0, peer == 1);
//!     // In a speaker, the seed is 64 bits from the system's random source.
//!     Peer::new(config, peer as u64)
//! });
//! peers[0].change_routes([("198.51.100.7/32".parse()?, Some(Arc::new(Attributes::default())))]);
//! peers.iter_mut().for_each(|peer| peer.start(now));
//!
//! // A network: the one dials, the other accepts, and what one sends, the other receives, until all is said.
//! let Some(Action::Connect(dialed)) = peers[0].poll_action() else { panic!() };
//! let accepted = peers[1].accept(addresses[1].into(), now).expect("the one accepts");
//! peers[0].handle_connected(dialed, addresses[0].into(), now);
//! let ids = [dialed, accepted];
//! while let Some((from, octets)) = (0..2).find_map(|from| Some((from, peers[from].poll_transmit(ids[from])?))) {
//!     peers[1 - from].handle_input(ids[1 - from], &octets, now);
//! }
//! assert!(matches!(peers[0].poll_event(), Some(Event::Established(_))));
//! assert_eq!(peers[1].counters().received_announced, 1);
//! # Ok::<(), ipnet::AddrParseError>(())
//! ```

mod attributes;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
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
