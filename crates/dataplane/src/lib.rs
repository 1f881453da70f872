//! What every node's kernel does with packets for VIPs, as data: VIPs and claimed ports in, nftables rules out.
//!
//! [`guard`] decides about packets that are still addressed to a VIP after kube-proxy had its turn; [`rules`] is the
//! vocabulary in which it describes its table. Nothing here talks to a kernel: the speaker's driver translates the
//! table word by word into netlink messages, keeps the last [`Guard`](guard::Guard) it installed, and applies the
//! [`change`](guard::change) to the next one as one atomic batch.
//!
//! ```
//! use std::collections::BTreeSet;
//!
//! use keryx_dataplane::guard::{self, Guard};
//! use keryx_dataplane::rules::Transport;
//!
//! let vip = "192.0.2.10".parse()?;
//! let wanted = Guard { vips: BTreeSet::from([vip]), claimed: BTreeSet::from([(vip, Transport::Tcp, 80)]) };
//! let change = guard::change(&Guard::default(), &wanted);
//! assert_eq!(change.iter().map(|set| set.set.name).collect::<Vec<_>>(), ["vips4", "claimed4"]);
//! assert!(guard::change(&wanted, &wanted).is_empty());
//! # Ok::<(), std::net::AddrParseError>(())
//! ```

pub mod guard;
pub mod rules;
