//! Claims of nodes on one group, and which of two is better.

use std::time::Instant;

use crate::{GroupId, NodeId, Term};

/// Claims kept per group. More than two at once come only from healing splits; the worst are dropped.
const CLAIMS_MAX: usize = 8;

/// A node's hold on a group, as this node knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) node: NodeId,
    pub(super) term: Term,
    pub(super) word: Word,
}

/// By whose word a claim is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// The node's own, through gossip.
    Told,
    /// The segment shows it, or gossip told it before it lost the node. A node that gossip hears must tell it in time.
    Seen { until: Instant },
    /// The node has restarted and must tell it anew in time.
    Resuming { until: Instant },
}

#[derive(Debug, Default)]
pub(super) struct Claims(Vec<Claim>);

impl Claims {
    pub(super) fn get(&self, node: NodeId) -> Option<Claim> {
        self.0.iter().copied().find(|claim| claim.node == node)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The claim by which the group is held: a told one before a seen one, that of a node which gossip hears before
    /// one in doubt, then by [`outbids`].
    pub(super) fn best(&self, group: GroupId, hears: impl Fn(NodeId) -> bool) -> Option<Claim> {
        let sure = |claim: &Claim| (claim.word == Word::Told, hears(claim.node));
        self.0
            .iter()
            .copied()
            .max_by_key(|claim| (sure(claim), claim.term, weight(group, claim.node), claim.node))
    }

    /// The best claim of another node that `counts`.
    pub(super) fn best_rival(
        &self,
        group: GroupId,
        me: NodeId,
        counts: impl Fn(&Claim) -> bool,
    ) -> Option<Claim> {
        let rivals = self.0.iter().copied().filter(|claim| claim.node != me && counts(claim));
        rivals.max_by_key(|claim| (claim.term, weight(group, claim.node), claim.node))
    }

    /// Enters a claim in place of the node's own earlier one.
    pub(super) fn put(&mut self, group: GroupId, claim: Claim) {
        self.0.retain(|known| known.node != claim.node);
        // Nearly every group has one claim, and never another.
        self.0.reserve_exact(1);
        self.0.push(claim);
        if self.0.len() > CLAIMS_MAX
            && let Some(worst) = (0..self.0.len()).min_by_key(|place| {
                let claim = self.0[*place];
                (claim.word == Word::Told, claim.term, weight(group, claim.node))
            })
        {
            self.0.swap_remove(worst);
        }
    }

    pub(super) fn remove(&mut self, node: NodeId) -> Option<Claim> {
        let place = self.0.iter().position(|claim| claim.node == node)?;
        Some(self.0.swap_remove(place))
    }

    /// When each of the claims that are not told is to be confirmed.
    pub(super) fn expiries(&self) -> impl Iterator<Item = Instant> {
        self.0.iter().filter_map(|claim| match claim.word {
            Word::Told => None,
            Word::Seen { until } | Word::Resuming { until } => Some(until),
        })
    }

    pub(super) fn retain(&mut self, keep: impl FnMut(&Claim) -> bool) {
        self.0.retain(keep);
    }
}

/// True if claim `a` beats claim `b`: by the higher term, then by a weight of group and node that every node computes
/// alike, whatever its plan says at the moment (rule 8).
pub(super) fn outbids(group: GroupId, a: (Term, NodeId), b: (Term, NodeId)) -> bool {
    let key = |(term, node)| (term, weight(group, node), node);
    key(a) > key(b)
}

/// How much the group prefers the node among equal terms. The finalizer of SplitMix64 (Steele, Lea, Flood 2014)
/// spreads the groups of a healed split over its nodes. Fixed: nodes of different versions must agree.
pub(super) fn weight(group: GroupId, node: NodeId) -> u64 {
    let mut z = group.0 ^ node.0;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
