//! Layer 2 without a socket: which ARP and neighbor discovery frames a node must send so that its segment finds the VIPs
//! it announces, and what the frames of others tell.
//!
//! [`Announcer`] is a protocol machine: frames and time go in, frames and [`Event`]s come out, and the caller sleeps until
//! [`Announcer::poll_timeout`]. [`interface`] decides which interface of a node announces a VIP. [`wire`] turns frames
//! into values and back.
//!
//! | source | what is taken from it |
//! |---|---|
//! | RFC 826 | the packet, and the reply: sender and target swapped, the hardware address filled in |
//! | RFC 5227 §1.1, §2.3 | the ARP announcement (gratuitous request), repeated because frames get lost |
//! | RFC 5227 §2.1.1 | the probe, sender address 0.0.0.0: answered by whoever uses the address; sent before first use |
//! | RFC 5227 §2.4 | a conflict, and its defence, at most one in 10 s |
//! | RFC 4861 §7.1 | what makes a solicitation or an advertisement one to discard silently |
//! | RFC 4861 §7.2.4, §7.2.6 | the answer and its flags; the unsolicited advertisement |
//! | RFC 4861 §6.1, §6.2.4, §6.2.6, §6.3.7 | finding the router of an interface ([`router_discovery`]) |
//! | RFC 4862 §5.4, RFC 7527 | duplicate address detection, with a nonce |
//! | Linux `arp_process()` | a gratuitous reply is taken at once only if both its hardware addresses are equal |
//!
//! Deviations, on purpose: six unsolicited advertisements in a burst where RFC 4861 §7.2.6 has three; the router flag is
//! never set, since a VIP is nobody's router (§7.2.4 means the node); a message behind an extension header is not read;
//! a defence has both forms of an announcement (RFC 5227 has one).
//!
//! A driver, once in its loop:
//!
//! 1. hand every frame that waits to [`Announcer::handle_input`], sending what [`Announcer::poll_transmit`] gives after
//!    each; then call [`Announcer::handle_timeout`], so that no answer is found late that only lay unread;
//! 2. if [`Announcer::addresses_revision`] changed, give [`Announcer::addresses`] to the kernel filter, and if
//!    [`Announcer::solicited_revision`] did, [`Announcer::solicited`] to the group memberships, before anything is sent;
//! 3. send all that [`Announcer::poll_transmit`] gives, take all that [`Announcer::poll_event`] gives;
//! 4. sleep until a frame, an order or [`Announcer::poll_timeout`].
//!
//! ```
//! use keryx_layer2::{Announcer, Config, IfIndex, MacAddr};
//! use std::{collections::BTreeSet, net::Ipv4Addr, time::Instant};
//!
//! let now = Instant::now();
//! let eth0 = IfIndex(2);
//! let mut announcer = Announcer::new(Config::default());
//! announcer.set_interface(eth0, MacAddr([0x02, 0, 0, 0, 0, 0x0a]), now);
//! announcer.set_vips(eth0, BTreeSet::from([Ipv4Addr::new(192, 0, 2, 10).into()]), now)?;
//!
//! // The first announcement is ready at once: a gratuitous request, then a gratuitous reply.
//! assert_eq!(announcer.poll_transmit().map(|transmit| transmit.interface), Some(eth0));
//! assert!(announcer.poll_transmit().is_some());
//! assert!(announcer.poll_transmit().is_none());
//! // The next one is due in a second.
//! assert_eq!(announcer.poll_timeout(), Some(now + std::time::Duration::from_secs(1)));
//! # Ok::<(), keryx_layer2::UnknownInterface>(())
//! ```

mod announcer;
mod conflict;
mod event;
mod frames;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod heard;
pub mod interface;
mod probe;
mod random;
pub mod router_discovery;
pub mod wire;

pub use announcer::{Announcer, Config, Counters, FamilyCounters, Transmit};
pub use event::{AskError, Check, Event, Outcome, QuestionId, UnknownInterface};
pub use interface::IfIndex;
pub use wire::{Frame, MacAddr};
