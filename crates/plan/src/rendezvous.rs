//! Rendezvous (highest random weight) hashing: which candidate a group prefers. Each node computes it alone and all
//! must agree, also across versions, so the function is fixed:
//!
//! - id of a group or node = first 8 bytes, big-endian, of SHA-256 over its text: `exposure/NAME`,
//!   `service/NAMESPACE/NAME` or `node/NAME`;
//! - score = `mix(group id XOR node id)`, where `mix` is the finalizer of SplitMix64 (Steele, Lea, Flood 2014);
//! - the highest score wins. `mix` is a bijection, so two nodes tie only if their ids are equal.
//!
//! When a node comes or goes, only the groups that it wins or held change their node. All nodes weigh the same.

use std::fmt::{self, Write as _};

use sha2::{Digest, Sha256};

use crate::{GroupKey, NodeName};

/// Id of a group, also short enough to name the group between speakers.
pub fn group_id(group: &GroupKey) -> u64 {
    first_eight_bytes(group)
}

/// Id of a node.
pub fn node_id(node: &NodeName) -> u64 {
    first_eight_bytes(format_args!("node/{node}"))
}

/// How much the group prefers the node; more is better.
pub fn score(group_id: u64, node_id: u64) -> u64 {
    let mut z = group_id ^ node_id;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn first_eight_bytes(text: impl fmt::Display) -> u64 {
    let mut hash = Hash(Sha256::new());
    // The sink takes everything.
    let _infallible = write!(hash, "{text}");
    hash.0.finalize().iter().take(8).fold(0, |id, byte| id << 8 | u64::from(*byte))
}

/// Hashes what is printed into it.
struct Hash(Sha256);

impl fmt::Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text);
        Ok(())
    }
}
