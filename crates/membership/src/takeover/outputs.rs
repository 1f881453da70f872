//! What the machine tells its driver.

use std::collections::VecDeque;
use std::fmt;

use super::Obstacle;
use crate::{GroupId, NodeId, Term};

/// What the driver has to do, in the order given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Answer for the group's VIPs and send their burst.
    Announce {
        /// The group.
        group: GroupId,
        /// The term of the hold.
        term: Term,
    },
    /// Send the burst of a group that is announced already: another station may have been heard last.
    Burst {
        /// The group.
        group: GroupId,
    },
    /// Stop answering for the group.
    Withdraw {
        /// The group.
        group: GroupId,
    },
    /// Stop answering for every group at once, stand-ins included. What may go on comes as [`Action::Announce`] later.
    /// Gossip must not take the silence about the holds for their release.
    Suspend,
    /// Answer new requests for the group's VIPs with the MAC address of a node that restarts. No burst.
    StandIn {
        /// The group.
        group: GroupId,
        /// The node.
        for_node: NodeId,
    },
    /// End a [`Action::StandIn`].
    StandDown {
        /// The group.
        group: GroupId,
    },
    /// Ask by unicast ARP or NS to the node's MAC address whether it answers for the group's VIPs: two questions in
    /// 40 ms, then [`ProbeResult::Dead`](crate::ProbeResult::Dead).
    AskDead {
        /// The node, which gossip calls dead or does not know.
        node: NodeId,
        /// A group that it held.
        group: GroupId,
    },
    /// Ask by unicast ARP or NS to the node's MAC address whether its kernel answers for an address of its own, then
    /// [`ProbeResult::Kernel`](crate::ProbeResult::Kernel).
    AskKernel {
        /// The node, whose speaker restarts.
        node: NodeId,
        /// A group that it holds: the question goes to the segment of its VIPs.
        group: GroupId,
    },
    /// Ask by broadcast who answers for the group's VIPs, then [`ProbeResult::Holder`](crate::ProbeResult::Holder).
    AskHolder {
        /// The group.
        group: GroupId,
        /// By all the probes of RFC 5227, at most for 10 s.
        thorough: bool,
    },
    /// Tell the members that this node holds the group.
    TellHold {
        /// The group.
        group: GroupId,
        /// The term of the hold.
        term: Term,
    },
    /// Tell the members that this node does not hold the group any more.
    TellRelease {
        /// The group.
        group: GroupId,
        /// The highest term that this node knows of. Above that of the hold if it gave way to another claim.
        term: Term,
    },
}

/// What users may want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// This node took the group. Told by the taker alone, so each move is told once.
    Moved {
        /// The group.
        group: GroupId,
        /// The holder before; `None` if none is known.
        from: Option<NodeId>,
        /// This node.
        to: NodeId,
        /// Why.
        cause: Cause,
    },
    /// This node does not hold the group any more.
    Stopped {
        /// The group.
        group: GroupId,
        /// Why.
        cause: StopCause,
    },
    /// A move that is due is put off, since the group moved too often. Told once per rest.
    Damped {
        /// The group.
        group: GroupId,
    },
    /// A station that is no member answers for the group, so this node does not claim it. Asked again after 10 s.
    Foreign {
        /// The group.
        group: GroupId,
    },
}

/// Why a group came to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// No holder was known.
    NoHolder,
    /// Gossip and the segment agree that the holder is dead.
    HolderDead,
    /// The holder gave it up.
    HolderReleased,
    /// A holder that lives did not say again that it holds the group.
    HolderForgot,
    /// The holder is being drained.
    HolderDraining,
    /// The holder is no candidate any more.
    HolderNoCandidate,
    /// `revert: true`, and this node is the first in rank.
    Revert,
    /// An operator asked for it.
    Rebalance,
}

impl Cause {
    /// Stable CamelCase name for metrics, conditions and events.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NoHolder => "NoHolder",
            Self::HolderDead => "HolderDead",
            Self::HolderReleased => "HolderReleased",
            Self::HolderForgot => "HolderForgot",
            Self::HolderDraining => "HolderDraining",
            Self::HolderNoCandidate => "HolderNoCandidate",
            Self::Revert => "Revert",
            Self::Rebalance => "Rebalance",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoHolder => "no node announced it",
            Self::HolderDead => "that node is dead",
            Self::HolderReleased => "that node gave it up",
            Self::HolderForgot => "that node does not announce it any more",
            Self::HolderDraining => "that node is being drained",
            Self::HolderNoCandidate => "that node cannot serve it any more",
            Self::Revert => "this node is the first choice, and revert is set",
            Self::Rebalance => "this node is the first choice, and a rebalance was asked for",
        })
    }
}

/// Why a group left this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopCause {
    /// Another member's claim is better.
    GaveWay {
        /// That member.
        to: NodeId,
    },
    /// This node cannot announce it.
    Obstacle(Obstacle),
    /// This node is no candidate any more and reaches no endpoint.
    DeadEnd,
    /// The plan does not hold the group any more.
    Removed,
}

impl StopCause {
    /// Stable CamelCase name for metrics, conditions and events.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::GaveWay { .. } => "GaveWay",
            Self::Obstacle(obstacle) => obstacle.code(),
            Self::DeadEnd => "DeadEnd",
            Self::Removed => "Removed",
        }
    }
}

/// What waits to be fetched. The driver drains it after each input, so it holds what one input caused.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) actions: VecDeque<Action>,
    pub(super) events: VecDeque<Event>,
}
