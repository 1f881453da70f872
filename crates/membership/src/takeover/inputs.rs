//! What a driver tells the machine.

use std::time::Duration;

use crate::{GroupId, NodeId};

/// Candidates of a group that are heeded; further ones are cut off. With nine nodes lost at once, a group waits for
/// the plan.
pub const CANDIDATES_MAX: usize = 8;

/// What can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// How long a start, or a return from a stall, waits for [`Takeover::handle_synced`](crate::Takeover::handle_synced)
    /// before it asks the segment instead. A lone speaker comes up after this.
    pub sync_limit: Duration,
    /// How long each candidate waits for the one before it in rank.
    pub claim_step: Duration,
    /// How long a live holder must have been no candidate by this node's plan before this node takes over. Longer
    /// than plans usually differ between nodes; the holder still answers meanwhile.
    pub handover_settle: Duration,
    /// The same for a holder that [lingers](Candidacy::lingers).
    pub linger: Duration,
    /// How long the first in rank must have been that before a group with `revert` moves back to it.
    pub revert_after: Duration,
    /// Shortest stall that stops all answers. Shorter than the fastest take-over from a dead node.
    pub stall_min: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sync_limit: Duration::from_secs(1),
            claim_step: Duration::from_millis(100),
            handover_settle: Duration::from_millis(250),
            linger: Duration::from_secs(10),
            revert_after: Duration::from_secs(5),
            stall_min: Duration::from_millis(200),
        }
    }
}

/// Who may hold a group, by this node's plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidacy {
    /// Best first; at most [`CANDIDATES_MAX`].
    pub ranked: Vec<NodeId>,
    /// What this node does with the group if it holds it and is not among `ranked`.
    pub outgoing: Outgoing,
    /// A holder that is no candidate any more and lives keeps the group for a while all the same.
    pub lingers: bool,
    /// Before it is claimed for the first time of all, the segment is asked by all the probes of RFC 5227 instead of one.
    pub checks_thoroughly: bool,
    /// The group moves back to the first in rank when that node returns.
    pub revert: bool,
}

/// Whether a node that is no candidate any more still gets traffic to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// It goes on answering until another node has claimed the group.
    Forwards,
    /// What comes in is lost, so it stops at once.
    DeadEnd,
}

/// What gossip says about a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It is heard, directly or through others.
    Alive,
    /// Alive, and wants to hand over what it holds.
    Draining,
    /// It said that it restarts. Also to be told, before `Alive`, of a member whose boot id is new.
    Restarting {
        /// How long it asked to be waited for; at most 10 s are granted.
        back_in: Duration,
    },
    /// Not heard, by agreement of the members.
    Dead,
    /// Never heard of, or forgotten.
    Unknown,
}

/// Why this node cannot announce a group, whatever the plan says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    /// The interface of the group's VIPs has no carrier.
    CarrierLost,
    /// No interface is fit to announce the group's VIPs.
    NoFitInterface,
}

impl Obstacle {
    /// Stable CamelCase name for metrics, conditions and events.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::CarrierLost => "CarrierLost",
            Self::NoFitInterface => "NoFitInterface",
        }
    }
}

/// The segment's answer to a question that the machine had asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeResult {
    /// To [`Action::AskDead`](crate::Action::AskDead).
    Dead {
        /// Whom the question went to.
        node: NodeId,
        /// Whether that node answered in time.
        answered: bool,
    },
    /// To [`Action::AskKernel`](crate::Action::AskKernel).
    Kernel {
        /// Whom the question went to.
        node: NodeId,
        /// Whether it answered in time.
        answered: bool,
    },
    /// To [`Action::AskHolder`](crate::Action::AskHolder).
    Holder {
        /// The group that was asked about.
        group: GroupId,
        /// Who answered.
        answer: HolderAnswer,
    },
}

/// Who answers for the VIPs of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HolderAnswer {
    /// Nobody.
    Silent,
    /// A station whose MAC address belongs to this member.
    Member(NodeId),
    /// A station that is no member.
    Foreign,
}
