//! What the machine is told once, or seldom.

use std::net::SocketAddr;

use crate::NodeId;
use crate::seal::Keys;

/// What can be set.
#[derive(Clone, Debug)]
pub struct Config {
    /// Names the cluster; datagrams of another are not understood.
    pub cluster: String,
    /// Seal the datagrams.
    pub keys: Keys,
    /// How fast it all goes.
    pub timing: Timing,
}

/// How fast it all goes. All nodes of a cluster should have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// From one heartbeat to the next.
    pub heartbeat_ms: u32,
    /// After so long a silence a neighbour is asked whether it lives, directly and through others.
    pub suspect_ms: u32,
    /// From one such question to the next.
    pub probe_ms: u32,
    /// After so long a silence a neighbour is dead. Leave room for several questions.
    pub down_ms: u32,
    /// If this node is called so much too late, it was kept from running and trusts no silence.
    pub stall_ms: u32,
    /// A starting node waits no longer than this to learn what others hold.
    pub sync_limit_ms: u32,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat_ms: 100,
            suspect_ms: 150,
            probe_ms: 30,
            down_ms: 350,
            stall_ms: 100,
            sync_limit_ms: 1_000,
        }
    }
}

/// A node that may be a member, and where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// The node.
    pub node: NodeId,
    /// Its InternalIP first, then its addresses on other segments. It is dead only if it is heard on none.
    pub addresses: Vec<SocketAddr>,
}
