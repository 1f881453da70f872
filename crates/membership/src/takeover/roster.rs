//! What is known about each member: by gossip, and of those that gossip does not hear, by the segment.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::{GroupId, NodeId};

/// All nodes that gossip, a plan or the segment has named.
#[derive(Debug)]
pub(super) struct Roster {
    me: NodeId,
    members: BTreeMap<NodeId, Member>,
    /// Members that gossip hears, this node left out.
    heard: usize,
    /// Members that gossip calls dead.
    dead: usize,
    majority_since: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) presence: Presence,
    /// Since when gossip hears it; the last time, if it does not.
    heard_since: Option<Instant>,
    /// Questions to its kernel in a row that stayed without an answer, while its speaker restarts.
    pub(super) kernel_silences: u32,
    /// Groups in which it is a candidate or has a claim: those to decide anew when it changes.
    pub(super) groups: BTreeSet<GroupId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Alive,
    Draining,
    Restarting { until: Instant },
    Doubted(Doubt),
}

/// A member that gossip does not hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Doubt {
    /// Gossip calls it dead, rather than not knowing it.
    pub(super) dead: bool,
    pub(super) since: Instant,
    pub(super) verdict: Verdict,
    /// It has been seen on the segment since gossip lost it. So silence about one group proves nothing about others.
    pub(super) seen: bool,
    /// Questions to it in a row that stayed without an answer.
    pub(super) silences: u32,
    /// The group it was last asked about, so that the next question is about another.
    pub(super) asked: Option<GroupId>,
    /// It has been found to announce what this node announces, and this node has burst all that it could dispute.
    pub(super) disputed: bool,
}

/// What the segment says about a doubted member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Unasked,
    Asking,
    Answers,
    Gone,
}

impl Doubt {
    pub(super) fn new(dead: bool, since: Instant) -> Self {
        Self {
            dead,
            since,
            verdict: Verdict::Unasked,
            seen: false,
            silences: 0,
            asked: None,
            disputed: false,
        }
    }
}

impl Roster {
    pub(super) fn new(me: NodeId, now: Instant) -> Self {
        let member = Member {
            presence: Presence::Alive,
            heard_since: None,
            kernel_silences: 0,
            groups: BTreeSet::new(),
        };
        let mut roster =
            Self { me, members: BTreeMap::from([(me, member)]), heard: 0, dead: 0, majority_since: None };
        roster.set(me, Presence::Alive, now);
        roster
    }

    pub(super) fn get(&self, node: NodeId) -> Option<&Member> {
        self.members.get(&node)
    }

    pub(super) fn presence(&self, node: NodeId) -> Option<Presence> {
        self.members.get(&node).map(|member| member.presence)
    }

    pub(super) fn doubt_mut(&mut self, node: NodeId) -> Option<&mut Doubt> {
        match &mut self.members.get_mut(&node)?.presence {
            Presence::Doubted(doubt) => Some(doubt),
            Presence::Alive | Presence::Draining | Presence::Restarting { .. } => None,
        }
    }

    /// Counts whether the kernel of a node answered whose speaker restarts. Returns its silences in a row.
    pub(super) fn note_kernel(&mut self, node: NodeId, answered: bool) -> u32 {
        let Some(member) = self.members.get_mut(&node) else { return 0 };
        member.kernel_silences = if answered { 0 } else { member.kernel_silences + 1 };
        member.kernel_silences
    }

    pub(super) fn doubts_mut(&mut self) -> impl Iterator<Item = &mut Doubt> {
        self.members.values_mut().filter_map(|member| match &mut member.presence {
            Presence::Doubted(doubt) => Some(doubt),
            Presence::Alive | Presence::Draining | Presence::Restarting { .. } => None,
        })
    }

    /// The member, which is entered as unknown to gossip if it is new.
    fn entry(&mut self, node: NodeId, now: Instant) -> &mut Member {
        self.members.entry(node).or_insert_with(|| Member {
            presence: Presence::Doubted(Doubt::new(false, now)),
            heard_since: None,
            kernel_silences: 0,
            groups: BTreeSet::new(),
        })
    }

    pub(super) fn set(&mut self, node: NodeId, presence: Presence, now: Instant) {
        let member = self.entry(node, now);
        let before = std::mem::replace(&mut member.presence, presence);
        if is_heard(presence) && !is_heard(before) {
            member.heard_since = Some(now);
        }
        member.kernel_silences = 0;
        if node != self.me {
            self.heard -= usize::from(is_heard(before));
            self.heard += usize::from(is_heard(presence));
            self.dead -= usize::from(is_dead(before));
            self.dead += usize::from(is_dead(presence));
            let majority = self.heard > 0 && self.heard + 1 > self.dead;
            self.majority_since = majority.then(|| self.majority_since.unwrap_or(now));
        }
    }

    pub(super) fn link(&mut self, node: NodeId, group: GroupId, now: Instant) {
        self.entry(node, now).groups.insert(group);
    }

    /// Forgets the tie, and with its last one a member that gossip does not know.
    pub(super) fn unlink(&mut self, node: NodeId, group: GroupId) {
        if let Some(member) = self.members.get_mut(&node) {
            member.groups.remove(&group);
            self.prune(node);
        }
    }

    /// Forgets a member that nothing names any more.
    pub(super) fn prune(&mut self, node: NodeId) {
        let idle = self.members.get(&node).is_some_and(|member| {
            member.groups.is_empty()
                && matches!(member.presence, Presence::Doubted(Doubt { dead: false, .. }))
        });
        if idle {
            self.members.remove(&node);
        }
    }

    /// True if gossip hears the node now.
    pub(super) fn hears(&self, node: NodeId) -> bool {
        node == self.me || self.presence(node).is_some_and(is_heard)
    }

    /// Since when gossip has heard the node, if it does now.
    pub(super) fn heard_since(&self, node: NodeId) -> Option<Instant> {
        self.members.get(&node).filter(|member| is_heard(member.presence))?.heard_since
    }

    pub(super) fn is_draining(&self, node: NodeId) -> bool {
        self.presence(node) == Some(Presence::Draining)
    }

    /// True if the candidate could claim a group now, for all that this node knows (rule 5).
    pub(super) fn counts(&self, node: NodeId) -> bool {
        match self.presence(node) {
            Some(Presence::Alive | Presence::Draining) => true,
            Some(Presence::Restarting { .. }) => false,
            Some(Presence::Doubted(doubt)) => self.may_live(doubt),
            None => self.heard == 0,
        }
    }

    /// True if the candidate could hold a group without this node having heard of it (rule 6).
    pub(super) fn may_claim_unheard(&self, node: NodeId) -> bool {
        !self.hears(node) && self.counts(node)
    }

    fn may_live(&self, doubt: Doubt) -> bool {
        match doubt.verdict {
            Verdict::Gone => false,
            Verdict::Answers => true,
            Verdict::Unasked | Verdict::Asking => doubt.dead || self.heard == 0,
        }
    }

    /// True if gossip hears any other node.
    pub(super) fn hears_any(&self) -> bool {
        self.heard > 0
    }

    /// True if a member could announce something without this node hearing of it, be it called gone.
    pub(super) fn is_blind(&self) -> bool {
        self.dead > 0 || self.heard == 0 && self.members.len() > 1
    }

    /// Since when this node has heard others, and more than half of all members that gossip knows, itself included.
    pub(super) fn majority_since(&self) -> Option<Instant> {
        self.majority_since
    }
}

fn is_heard(presence: Presence) -> bool {
    match presence {
        Presence::Alive | Presence::Draining | Presence::Restarting { .. } => true,
        Presence::Doubted(_) => false,
    }
}

fn is_dead(presence: Presence) -> bool {
    matches!(presence, Presence::Doubted(Doubt { dead: true, .. }))
}
