//! The result: what to announce, what to guard, what was refused to whom.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use keryx_api::Protocol;
use keryx_api::l2_advertisement::ConflictDetection;
use serde::{Deserialize, Serialize};

use crate::bgp::{BgpDecision, BgpPlan};
use crate::{GroupKey, NodeName, Owner, OwnerKey, Reason, SharedMap};

/// What one speaker should do now. Can be written down and read again, without what is refused.
///
/// Plans share what they have in common: a copy is cheap, and an entry that an update does not change stays the very same (by
/// [`Arc::ptr_eq`]), so that a reader finds what changed without looking into all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Every address of ours, announced by this node or not.
    pub vips: SharedMap<IpAddr, Arc<VipPlan>>,
    /// The groups of these addresses: who may hold them.
    #[serde(with = "as_pairs")]
    pub groups: SharedMap<GroupKey, Arc<GroupPlan>>,
    /// What the guard must know about the same addresses.
    pub guard: GuardInput,
    /// What this node says by BGP.
    #[serde(default)]
    pub bgp: BgpPlan,
    /// Addresses that somebody has in a status or exposure and that are not announced for that owner by any node.
    #[serde(skip)]
    pub refused: SharedMap<(OwnerKey, IpAddr), Refusal>,
}

/// A map whose keys are no text, in forms that know no other keys.
mod as_pairs {
    use serde::de::Deserializer;
    use serde::{Serializer, de};

    use super::{Deserialize, Serialize, SharedMap};

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &SharedMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<SharedMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord + Clone,
        V: Deserialize<'de> + Clone,
        D: Deserializer<'de>,
    {
        let pairs: Vec<(K, V)> = de::Deserialize::deserialize(deserializer)?;
        Ok(pairs.into_iter().collect())
    }
}

/// What to do with one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VipPlan {
    /// Who holds the address: one owner, or all that share it, the one with the best right first. Never empty.
    pub owners: Arc<[Owner]>,
    /// The group that it is announced with.
    pub group: GroupKey,
    /// What this node does if no node holds the group yet.
    pub decision: Decision,
    /// What this node does while it holds the group, for whatever reason it came to that.
    pub while_holding: Decision,
    /// The node that announces it if no node holds the group yet. If none does, `decision` says why, the same on every
    /// node.
    pub announcer: Option<NodeName>,
    /// The interfaces on which this node announces it; `None` for any that fits.
    pub interfaces: Option<Arc<BTreeSet<Arc<str>>>>,
    /// How thoroughly it is checked before its first use.
    pub conflict_detection: ConflictDetection,
    /// What this node says of it by BGP.
    #[serde(default)]
    pub bgp: BgpDecision,
}

/// Candidates of one group that a plan names. Should all of them fail at once, the next plan names others.
pub const CANDIDATES_MAX: usize = 8;

/// Who may hold one group. A group without an address that any node could announce has no entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupPlan {
    /// [`rendezvous::group_id`](crate::rendezvous::group_id) of the group's key.
    pub id: u64,
    /// Its addresses, ordered.
    pub vips: Box<[IpAddr]>,
    /// The nodes that cover the most ports, best first; at most [`CANDIDATES_MAX`].
    pub candidates: Box<[NodeName]>,
    /// Nodes that would be among these but for their speaker's Pod, which is not Ready. One of them that holds the group and is
    /// heard by the other speakers goes on: a Pod that was just replaced is alive before the API says so.
    pub unready: Box<[NodeName]>,
    /// Whether traffic that still comes to this node reaches an endpoint, so that it may go on answering until another
    /// node has taken over.
    pub forwards: bool,
    /// Candidates are only nodes with an endpoint of their own, and yet every node forwards (policy `Cluster`): a holder that
    /// lost its last endpoint serves on for a while, since a move resets connections.
    pub lingers: bool,
    /// The group goes back to the best candidate as soon as that can announce it.
    pub revert: bool,
}

/// What one node does with one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    /// Answer for it.
    Announce,
    /// Stay silent.
    Skip(Reason),
}

/// An address that an owner does not get announced, whatever the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Who has the address in its status or exposure.
    pub owner: Owner,
    /// Why it is not announced for it.
    pub reason: Reason,
}

/// What the guard tells apart: a port that a Service serves or will serve, so that packets not translated yet are
/// dropped, and any other port of a VIP, which is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardInput {
    /// Every address of ours, with the ports that its owners claim, ascending: all ports of an exposure, whether a clone or the
    /// anchor serves them, and the ports of a plain Service.
    pub vips: SharedMap<IpAddr, Arc<[(Protocol, u16)]>>,
}

/// Where the plan differs from the one before the update: keys whose entry appeared, changed or went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Keys of [`Plan::vips`].
    pub vips: BTreeSet<IpAddr>,
    /// Keys of [`Plan::groups`].
    pub groups: BTreeSet<GroupKey>,
    /// Keys of [`GuardInput::vips`].
    pub guard: BTreeSet<IpAddr>,
    /// Keys of [`Plan::refused`].
    pub refused: BTreeSet<(OwnerKey, IpAddr)>,
    /// Keys of [`BgpPlan::routes`].
    pub bgp_routes: BTreeSet<IpNet>,
    /// Whether [`BgpPlan::peers`] or [`BgpPlan::unusable`] changed.
    pub bgp_sessions: bool,
    /// Number of groups that were computed anew, the measure of an update's cost.
    pub groups_computed: usize,
}

impl Changes {
    /// True if the plan is what it was.
    pub fn is_empty(&self) -> bool {
        let Self { vips, groups, guard, refused, bgp_routes, bgp_sessions, groups_computed: _ } = self;
        let empty = vips.is_empty() && groups.is_empty() && guard.is_empty() && refused.is_empty();
        empty && bgp_routes.is_empty() && !bgp_sessions
    }
}
