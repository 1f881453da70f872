//! nftables over netlink: a typed encoder, and a socket that commits whole batches.
//!
//! A [`Batch`] is a list of operations on tables of family `inet`; [`Nftables::commit`] sends it in one piece, and the
//! kernel applies all of it or nothing. Packets see the rules from before or from after, never a mixture. The format is
//! that of the kernel's `linux/netfilter/nf_tables.h` and `nfnetlink.h`.
//!
//! ```no_run
//! use keryx_netio::nftables::{Base, Batch, Element, Expression, Field, Hook, Nftables, Verdict};
//!
//! let mut batch = Batch::new();
//! batch.reset_table("example");
//! batch.create_set("example", "blocked", &[Field::Ipv4Destination]);
//! batch.create_chain("example", "forward", Some(Base { hook: Hook::Forward, priority: 0 }));
//! let blocked = Expression::InSet { key: vec![Field::Ipv4Destination], set: "blocked".into() };
//! batch.add_rule("example", "forward", &[blocked, Expression::Verdict(Verdict::Drop)]);
//! batch.add_elements("example", "blocked", &[Element::new().ipv4([192, 0, 2, 1].into())]);
//! Nftables::open()?.commit(batch)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
mod batch;
mod decode;
mod encode;
mod expression;
mod loss;
mod socket;

pub use batch::{Base, Batch, Element, Hook};
pub use expression::{Expression, Field, Operator, Reject, Verdict};
pub use loss::TableLoss;
pub use socket::{CommitError, Nftables};

#[cfg(test)]
mod tests;
