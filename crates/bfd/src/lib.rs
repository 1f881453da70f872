//! BFD without a socket: datagrams and time go in; control packets come out, and the news that a path is dead.
//!
//! [`Sessions`] is a protocol machine that holds all sessions of a node, one per [`Peer`], shared by whoever asks for it.
//! [`packet`] turns control packets into values and back.
//!
//! | source | what is taken from it |
//! |---|---|
//! | RFC 5880 §4.1, §6.8.6 | the packet, and what is discarded |
//! | RFC 5880 §6.2, §6.8.6 | the state machine; diagnostics |
//! | RFC 5880 §6.3 | demultiplexing by discriminator, and by source until it is known |
//! | RFC 5880 §6.5, §6.8.3 | poll sequences, and which change of an interval waits for one; a second between packets while not Up |
//! | RFC 5880 §6.6 | the peer's demand mode |
//! | RFC 5880 §6.8.4, §6.8.18 | detection time, and what is forgotten after it |
//! | RFC 5880 §6.8.7 | when packets are sent, with jitter, and when none are |
//! | RFC 5880 §6.8.16 | AdminDown, and how long it is told |
//! | RFC 5881 §3, §5; RFC 5082 | single hop: bound to an interface, TTL 255 |
//! | RFC 5882 §3.3, §4.2 | what clients are told, and what is no failure |
//! | RFC 5883 | multihop, with a minimum TTL |
//!
//! Left out, on purpose: authentication (a packet with it is refused), the echo function (its interval is said to be zero,
//! so no peer sends echo packets), demand mode of this side, concatenated paths.
//!
//! A limit of the protocol: packets have no order. If one is overtaken by the packet that announces longer intervals, the
//! peer may go back to the shorter detection time for a moment and find a living path dead. Links do not reorder; paths over
//! several hops rarely do.
//!
//! Where the RFCs leave a choice or seem to contradict themselves:
//!
//! - A poll that comes while AdminDown has no answer: §6.8.6 discards it before it would be looked at, though §6.8.7
//!   answers polls in every state.
//! - After a detection time of silence all that the peer has said is forgotten, not only its discriminator. Else a peer
//!   that wanted no packets, and is passive once it is back, would wait for ever.
//! - A changed state is sent at once (§6.8.7), also to a peer that wants no periodic packets. Changed intervals go with the
//!   next periodic packet: §6.5 forbids additional ones. So there is never more than one packet out of turn for each
//!   that came in or for each timer that ran out.
//! - AdminDown is told for this side's detection time or the peer's, whichever is longer, and then no more.
//! - The diagnostic of the last failure stays while the session is Up again, as §6.8.6 has it.
//! - Passive is possible on a single hop, too, which RFC 5881 §3 does not want: peers that are configured so exist.
//!
//! A driver, once in its loop:
//!
//! 1. hand every datagram that waits to [`Sessions::handle_input`], then call [`Sessions::handle_timeout`]: so no peer is
//!    taken for silent whose packets only lay unread while this process did not run;
//! 2. send all that [`Sessions::poll_transmit`] gives, take all that [`Sessions::poll_event`] gives;
//! 3. sleep until a datagram, an order or [`Sessions::poll_timeout`].
//!
//! ```
//! use keryx_bfd::{ClientId, Config, Datagram, Event, Hops, IfIndex, Peer, Sessions};
//! use std::time::Instant;
//!
//! let now = Instant::now();
//! let addresses = ["192.0.2.1".parse()?, "192.0.2.2".parse()?];
//! // In a speaker, the seed is 64 bits from the system's random source.
//! let mut nodes = [Sessions::new(1), Sessions::new(2)];
//! for (node, sessions) in nodes.iter_mut().enumerate() {
//!     let peer = Peer { address: addresses[1 - node], interface: None, hops: Hops::Single };
//!     sessions.acquire(peer, ClientId(0), Config::default(), now)?;
//! }
//! // A link: what one sends, the other receives.
//! while let Some((from, transmit)) = (0..2).find_map(|node| Some((node, nodes[node].poll_transmit()?))) {
//!     let datagram = Datagram {
//!         payload: &transmit.payload,
//!         source: addresses[from],
//!         interface: IfIndex(2),
//!         hops: Hops::Single,
//!         ttl: 255,
//!     };
//!     nodes[1 - from].handle_input(&datagram, now)?;
//! }
//! for node in &mut nodes {
//!     assert!(matches!(node.poll_event(), Some(Event::Up { .. })));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod config;
mod discard;
mod event;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod packet;
mod peer;
mod random;
mod session;
mod sessions;

pub use config::{Config, ConfigError, INTERVAL_MAX, INTERVAL_MIN, Role};
pub use discard::{Discard, Discards};
pub use event::{DownCause, Event};
pub use packet::{DecodeError, Diagnostic, Discriminator, Packet, State};
pub use peer::{Datagram, Hops, IfIndex, MULTIHOP_PORT, Peer, SINGLE_HOP_PORT, TTL};
pub use sessions::{ClientId, Sessions, Status, Transmit};
