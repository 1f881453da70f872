//! Layer 2 without a socket: which ARP frames a node must send so that its segment finds the VIPs it announces.
//!
//! [`Announcer`] is a protocol machine: frames and time go in, frames come out, and the caller sleeps until
//! [`Announcer::poll_timeout`]. [`interface`] decides which interface of a node announces a VIP. [`wire`] turns
//! frames into values and back.
//!
//! | source | what is taken from it |
//! |---|---|
//! | RFC 826 | the packet, and the reply: sender and target swapped, the hardware address filled in |
//! | RFC 5227 §1.1, §2.3 | the ARP announcement (gratuitous request), repeated because frames get lost |
//! | RFC 5227 §2.1.1 | a probe, sender address 0.0.0.0, is answered by whoever uses the address |
//! | Linux `arp_process()` | a gratuitous reply is taken at once only if both its hardware addresses are equal |
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
mod heard;
pub mod interface;
mod probe;
mod random;
pub mod wire;

pub use announcer::{Announcer, Config, Counters, FamilyCounters, Transmit};
pub use event::{AskError, Check, Event, Outcome, QuestionId, UnknownInterface};
pub use interface::IfIndex;
pub use wire::{Frame, MacAddr};
