//! The result: what to announce, what to guard, what was refused to whom.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use keryx_api::Protocol;

use crate::{GroupKey, NodeName, Owner, OwnerKey, Reason};

/// What one speaker should do now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Every address of ours, announced by this node or not.
    pub vips: BTreeMap<IpAddr, VipPlan>,
    /// What the guard must know about the same addresses.
    pub guard: GuardInput,
    /// Addresses that somebody has in a status or exposure and that are not announced for that owner by any node.
    pub refused: BTreeMap<(OwnerKey, IpAddr), Refusal>,
}

/// What to do with one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VipPlan {
    /// Who holds the address: one owner, or all that share it, the one with the best right first. Never empty.
    pub owners: Arc<[Owner]>,
    /// The group that it is announced with.
    pub group: GroupKey,
    /// What this node does.
    pub decision: Decision,
    /// The node that announces it by this plan. If none does, `decision` says why, the same on every node.
    pub announcer: Option<NodeName>,
}

/// What one node does with one address.
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuardInput {
    /// Every address of ours, with the ports that its owners claim: all ports of an exposure, whether a clone or the
    /// anchor serves them, and the ports of a plain Service.
    pub vips: BTreeMap<IpAddr, BTreeSet<(Protocol, u16)>>,
}

/// Where the plan differs from the one before the update: keys whose entry appeared, changed or went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Keys of [`Plan::vips`].
    pub vips: BTreeSet<IpAddr>,
    /// Keys of [`GuardInput::vips`].
    pub guard: BTreeSet<IpAddr>,
    /// Keys of [`Plan::refused`].
    pub refused: BTreeSet<(OwnerKey, IpAddr)>,
    /// Number of groups that were computed anew, the measure of an update's cost.
    pub groups_computed: usize,
}

impl Changes {
    /// True if the plan is what it was.
    pub fn is_empty(&self) -> bool {
        self.vips.is_empty() && self.guard.is_empty() && self.refused.is_empty()
    }
}
