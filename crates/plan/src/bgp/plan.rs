//! The result for BGP: with whom this node should have sessions, and what it tells each of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{Reason, SharedMap};

/// What this node should say by BGP. Entries are shared between one plan and the next, as those of [`Plan`](crate::Plan) are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BgpPlan {
    /// The sessions that this node should have, by the name of the BGPPeer.
    pub peers: BTreeMap<Arc<str>, Arc<PeerPlan>>,
    /// BGPPeers that select this node and from which no session can be made, each with the reason in words.
    pub unusable: BTreeMap<Arc<str>, Arc<str>>,
    /// What is advertised, by prefix, host bits cut off.
    pub routes: SharedMap<IpNet, Arc<RoutePlan>>,
}

/// One session, with all that depends on the node resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerPlan {
    /// Where the peer is.
    pub remote: Remote,
    /// TCP port that is dialled.
    pub port: u16,
    /// Our AS, as the peer is to see it.
    pub local_as: NonZeroU32,
    /// Which AS the peer may be in.
    pub remote_as: RemoteAs,
    /// Address that is dialled from; the kernel's choice without it.
    pub source_address: Option<IpAddr>,
    /// BGP identifier; without it one that the driver derives from the node's addresses.
    pub router_id: Option<Ipv4Addr>,
    /// Hold time that is offered: 0, or at least 3.
    pub hold_time_secs: u16,
    /// Between two KEEPALIVEs; a third of the hold time in use without it.
    pub keepalive_time_secs: Option<u16>,
    /// Longest wait between two attempts.
    pub connect_time_secs: Option<u16>,
    /// Whether the peer is dialled.
    pub dial: bool,
    /// Whether the peer may dial us.
    pub accept: bool,
    /// Whether an external peer may be more than one hop away. If not, GTSM (RFC 5082) is neither used nor asked for, and
    /// the TTL of an external session is 1.
    pub ebgp_multi_hop: bool,
    /// Only packets with TTL 255 count, and only such are sent (GTSM, RFC 5082).
    pub ttl_security: bool,
    /// VRF device that the session is bound to.
    pub vrf: Option<Arc<str>>,
    /// Password of TCP-MD5 (RFC 2385).
    pub password: Option<Password>,
    /// Families that are offered.
    pub ipv4: bool,
    /// See [`ipv4`](Self::ipv4).
    pub ipv6: bool,
    /// The peer keeps routes over a restart of this speaker, if `Some`.
    pub graceful_restart: Option<GracefulRestart>,
    /// BFD watches the path, if `Some`.
    pub bfd: Option<BfdPlan>,
    /// The session is shut down by its operator, with these words for the peer's (RFC 9003); may be empty.
    pub admin_down: Option<Arc<str>>,
}

/// Where a peer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Remote {
    /// At this address.
    Address(IpAddr),
    /// The only router on the interface of this name, whose link-local address is learned (unnumbered). The name reads as no address.
    Interface(Arc<str>),
}

impl Remote {
    /// The address, if it is known without asking.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Interface(_) => None,
        }
    }

    /// The interface, if that is all that is known.
    #[must_use]
    pub fn interface(&self) -> Option<&Arc<str>> {
        match self {
            Self::Address(_) => None,
            Self::Interface(name) => Some(name),
        }
    }
}

impl From<IpAddr> for Remote {
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}

/// Which AS a peer may be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RemoteAs {
    /// This one.
    Number(NonZeroU32),
    /// Any but our own.
    External,
    /// Our own.
    Internal,
}

/// Where a password comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Password {
    /// It stands in the BGPPeer.
    Inline(Arc<str>),
    /// Key `password` of this Secret in Keryx' own namespace.
    Secret(Arc<str>),
}

/// Graceful restart (RFC 4724, RFC 8538).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GracefulRestart {
    /// How long the peer is to keep the routes, at most 4,095.
    pub restart_time_secs: u16,
    /// The peer keeps them even if BFD calls the path down.
    pub over_bfd_down: bool,
}

/// A BFD session, as the profile says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BfdPlan {
    /// Shortest interval at which packets are taken.
    pub receive_interval_millis: u32,
    /// Interval at which packets are sent while Up.
    pub transmit_interval_millis: u32,
    /// Packets that may be missing before the path counts as down.
    pub detect_multiplier: u8,
    /// Whether this side waits for the other to begin.
    pub passive: bool,
    /// Multihop only: the least TTL that is taken.
    pub minimum_ttl: u8,
}

/// What is said of one prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutePlan {
    /// What each peer is told, by its name in [`BgpPlan::peers`]. Never empty; most routes share one map.
    pub to: Arc<BTreeMap<Arc<str>, Arc<RouteAttributes>>>,
    /// The node hands over: peers are told GRACEFUL_SHUTDOWN (RFC 8326) first, and then that the route is gone.
    pub leaving: bool,
}

/// What a route says beside its prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RouteAttributes {
    /// LOCAL_PREF, for internal peers.
    pub local_pref: Option<u32>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// How often our AS is prepended, for external peers.
    pub as_path_prepend: u8,
    /// Communities (RFC 1997).
    pub communities: BTreeSet<u32>,
    /// Extended communities (RFC 4360), type included.
    pub extended_communities: BTreeSet<[u8; 8]>,
    /// Large communities (RFC 8092).
    pub large_communities: BTreeSet<[u32; 3]>,
}

/// Prefixes, each with the name of the BGPAdvertisement that asks for it.
pub type Because = Arc<[(IpNet, Arc<str>)]>;

/// What this node does with one address by BGP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BgpDecision {
    /// Advertise it.
    Advertise {
        /// Why. Never empty.
        because: Because,
        /// The node is about to hand over.
        leaving: bool,
    },
    /// Say nothing.
    Skip(Reason),
}

impl Default for BgpDecision {
    /// Without a BGPAdvertisement.
    fn default() -> Self {
        Self::Skip(Reason::NoBgpAdvertisement)
    }
}
