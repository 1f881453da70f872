//! Decides which groups this speaker holds, that is, answers for on layer 2.
//!
//! ```text
//!  plan ───── candidates, ranked ─────┐                 ┌──▶ announce, withdraw, burst, stand in ─▶ layer 2
//!  gossip ─── liveness, holds ────────┼──▶  Takeover  ──┼──▶ ask a member, ask everybody ────────▶ segment
//!  segment ── answers, sightings ─────┘                 └──▶ tell a hold, tell a release ────────▶ gossip
//! ```
//!
//! The rules. *Heard* is a member that gossip reaches: alive, draining or restarting. *Doubted* is one that gossip calls
//! dead or does not know. A *claim* is a node's word that it holds a group, with a term.
//!
//! 1. Nothing is claimed or announced before the sync of the start, or its limit.
//! 2. A start goes on with the holds that the members, or its snapshot, remember of it, with the same term, unless
//!    another member claims the group. Without a sync it asks the segment first.
//! 3. Sticky: while a holder lives and is a candidate, nobody takes its group, except by rules 12 and 13.
//! 4. A node that is no candidate by the plan never takes a group. Nor does one whom an obstacle hinders.
//! 5. Candidates take turns: the first in rank at once, each further one a step (100 ms) later. Draining ones come
//!    last. Only those have a turn that may live: heard ones that do not restart, and doubted ones unless the segment
//!    calls them gone, or gossip does not know them while it hears others. Who released the group has none.
//! 6. A free group is taken without a question if, less than 100 ms ago, its holder released it or the segment, too,
//!    called the holder dead. Else, or if any other candidate may live unheard, the segment is asked first who answers:
//!    nobody, and it is taken; a member, and that one holds it; a stranger, and it is asked again in 10 s. If that is the first
//!    claim of all, the question can be a thorough one, and turns are as long as it.
//! 7. Gossip proposes, the segment disposes: a doubted holder keeps its groups until it leaves a unicast question
//!    unanswered, or three in a row if gossip hears nobody at all. Whoever has the turn asks. One that answers is asked again each second, about the next of its groups;
//!    if such a one falls silent, the segment is asked about each of its groups.
//! 8. Of two claims the higher term is better, then the heavier node, by a weight of group and node that needs no plan.
//!    The holder of the worse stops at once, that of the better bursts again, also whenever it sees a burst of the other.
//! 9. Terms: a claim that no live holder can mind bids the next even term above all. One on the group of a dead holder,
//!    or by a node that hears no majority of the members on a group without known holder, bids low: odd, and below the
//!    even one. It is raised above all after a second in which most members were heard all the time. So if a split
//!    heals, the side with more members keeps what it took, and otherwise the old holder gets its group back: no
//!    holder that lived through the split among equals loses a group.
//!    Two announcers whom gossip does not join see each other's bursts, and burst. If gossip has not joined them 300 ms
//!    later, and the other still answers, the lighter stops; the heavier stops too if it still sees the other after
//!    900 ms, since that one may not hear it. So that they see each other, a node that does not hear all members asks
//!    who else answers for what it announces, one group each 500 ms, and after the first such dispute bursts all that
//!    the other could announce.
//! 10. Planned hand-over: from a holder that is draining at once, from one that is no candidate by this node's plan
//!     after 250 ms (plans arrive at different times; 10 s if it lingers), the first in turn claims with a higher term and bursts while the
//!     old one still answers. One that drains and is heard again for less than 250 ms may do so only because it heard nobody, and is
//!     given that time. The old one hears it, stops and tells its release; the new one bursts again. A draining
//!     node takes nothing over by this rule. If nobody takes it, the old one keeps it.
//! 11. A holder that an obstacle hinders, or that is no candidate and reaches no endpoint, stops at once and tells its
//!     release, whether or not another can take the group.
//! 12. `revert: true`: the first in rank takes the group back once it has been first for 5 s.
//! 13. Rebalance: each node takes the groups in which it is first, by rule 10, one at a time: the next one after the
//!     old holder's release, at the latest after a second.
//! 14. A restart is no hand-over: the holder keeps its groups for the time that it asked for, at most 10 s. The one with
//!     the next turn answers new requests with the holder's MAC address until the holder tells its hold. If the holder
//!     comes back and does not tell it within a second, the group is free; if it does not come back, rule 7 holds. The
//!     stand-in asks the holder's kernel for its own address four times a second; if that is silent three times, the
//!     node itself is gone, and its groups are taken.
//! 15. Damping: after 4 moves in 60 s, rules 10, 12 and 13 rest until the first of them is 60 s old. A group without a
//!     holder is always taken.
//! 16. After a stall all answers stop at once. A sync brings back what no other member claims; if there is none within
//!     its limit, the segment's silence does. Doubts from before the stall count for nothing.
//!
//! What gossip owes: after a member was dead, restarted or stalled, [`Takeover::handle_hold`] tells what that member has
//! said since, all of it and nothing older, within a second. What a member that is not synced leaves out of its digest
//! is no release; of one that is synced, it is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::{GroupId, NodeId, Term};
use claims::{Claim, Word};
use group::{Context, Group, Settled, Wire};
pub use inputs::{
    CANDIDATES_MAX, Candidacy, Config, HolderAnswer, Liveness, Obstacle, Outgoing, ProbeResult,
};
use member::ASK_AGAIN;
use outputs::Outbox;
pub use outputs::{Action, Cause, Event, StopCause};
use roster::Roster;
use timers::{Timer, Timers};

mod claims;
mod damping;
mod group;
mod inputs;
mod member;
mod outputs;
mod roster;
mod seek;
#[cfg(test)]
mod tests;
mod timers;

/// Groups remembered that members speak of and the plan does not hold. Holds of further ones are not heeded until the
/// plan holds them.
const UNPLANNED_MAX: usize = 16_384;
/// How long a rebalance waits for the old holder's release before it goes on.
const REBALANCE_PATIENCE: Duration = Duration::from_secs(1);

/// The machine of one speaker.
///
/// Cardinality: one value per speaker, for all its groups and segments. A change of a group costs O(log n), one of a
/// member O(log n) for each group in which it is a candidate or holder. One ordered set holds all timers.
#[derive(Debug)]
pub struct Takeover {
    me: NodeId,
    config: Config,
    phase: Phase,
    roster: Roster,
    /// Boxed, since the nodes of a map are only two thirds full.
    groups: BTreeMap<GroupId, Box<Group>>,
    unplanned: usize,
    rebalance: BTreeSet<GroupId>,
    rebalancing: Option<GroupId>,
    /// The group that was last asked about by [`Timer::Lookout`].
    looked_at: Option<GroupId>,
    timers: Timers,
    out: Outbox,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing has been announced yet.
    Starting,
    Active,
    /// A stall has stopped all answers.
    Suspended,
}

impl Takeover {
    /// The machine of the node `me`, which starts now.
    #[must_use]
    pub fn new(me: NodeId, config: Config, now: Instant) -> Self {
        let mut timers = Timers::default();
        timers.set(Timer::Phase, Some(now + config.sync_limit));
        Self {
            me,
            config,
            phase: Phase::Starting,
            roster: Roster::new(me, now),
            groups: BTreeMap::new(),
            unplanned: 0,
            rebalance: BTreeSet::new(),
            rebalancing: None,
            looked_at: None,
            timers,
            out: Outbox::default(),
        }
    }

    /// Takes who may hold a group, by this node's plan. The same again changes nothing.
    pub fn set_group(&mut self, id: GroupId, mut candidacy: Candidacy, now: Instant) {
        candidacy.ranked.truncate(CANDIDATES_MAX);
        let group = match self.groups.entry(id) {
            std::collections::btree_map::Entry::Occupied(entry) => {
                let group = entry.into_mut();
                self.unplanned -= usize::from(group.candidacy.is_none());
                group
            }
            std::collections::btree_map::Entry::Vacant(entry) => entry.insert(Box::new(Group::new())),
        };
        let before = group.candidacy.replace(candidacy.clone());
        if before.as_ref() == Some(&candidacy) {
            return;
        }
        let was_candidate = before.as_ref().is_some_and(|before| before.ranked.contains(&self.me));
        if !was_candidate {
            group.vacant_since = None;
        }
        for node in before.into_iter().flat_map(|before| before.ranked) {
            if !candidacy.ranked.contains(&node) && group.claims.get(node).is_none() {
                self.roster.unlink(node, id);
            }
        }
        for node in candidacy.ranked {
            self.roster.link(node, id, now);
        }
        self.arm_lookout(now);
        self.settle(id, now);
    }

    /// Takes that the plan does not hold the group any more: it is withdrawn and forgotten.
    pub fn remove_group(&mut self, id: GroupId, now: Instant) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let Some(candidacy) = group.candidacy.take() else { return };
        self.unplanned += 1;
        for node in candidacy.ranked {
            if group.claims.get(node).is_none() {
                self.roster.unlink(node, id);
            }
        }
        self.settle(id, now);
        if let Some(own) = self.groups.get_mut(&id).and_then(|group| group.claims.remove(self.me)) {
            self.out.actions.push_back(Action::TellRelease { group: id, term: own.term });
        }
        self.forget_if_idle(id);
    }

    /// Takes that this node cannot announce the group, or (`None`) that it can again.
    pub fn handle_obstacle(&mut self, id: GroupId, obstacle: Option<Obstacle>, now: Instant) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        if group.obstacle.is_some() && obstacle.is_none() {
            group.vacant_since = None;
        }
        group.obstacle = obstacle;
        self.settle(id, now);
    }

    /// Takes a member's word that it holds a group; of this node itself, while it starts, what members or the snapshot
    /// remember.
    pub fn handle_hold(&mut self, node: NodeId, id: GroupId, term: Term, now: Instant) {
        if !self.groups.contains_key(&id) {
            if self.unplanned >= UNPLANNED_MAX {
                return;
            }
            self.unplanned += 1;
            self.groups.insert(id, Box::new(Group::new()));
        }
        if node == self.me {
            self.remember_own(id, term);
        } else {
            self.with_group(id, now, |group, context, out| group.note_told(context, node, term, out));
            self.roster.link(node, id, now);
            self.settle(id, now);
        }
        self.forget_if_idle(id);
    }

    fn remember_own(&mut self, id: GroupId, term: Term) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        group.highest = group.highest.max(term);
        let known = group.claims.get(self.me).map_or(Term(0), |own| own.term);
        if self.phase == Phase::Starting {
            let claim = Claim { node: self.me, term: known.max(term), word: Word::Told };
            group.claims.put(id, claim);
        }
    }

    /// Takes a member's word that it does not hold a group (any more). `term` is that of its
    /// [`Action::TellRelease`]; where it is not known, 0 counts as a plain release.
    pub fn handle_release(&mut self, node: NodeId, id: GroupId, term: Term, now: Instant) {
        if node == self.me || !self.groups.contains_key(&id) {
            return;
        }
        self.with_group(id, now, |group, context, out| group.note_release(context, node, term, out));
        if self.groups.get(&id).is_some_and(|group| !group.ranked().contains(&node)) {
            self.roster.unlink(node, id);
        }
        self.settle(id, now);
        self.forget_if_idle(id);
        if self.rebalancing == Some(id) {
            self.rebalance_next(now);
        }
    }

    /// Takes that a member announces a VIP of the group on the segment: its gratuitous frame was seen.
    pub fn handle_sighting(&mut self, node: NodeId, id: GroupId, now: Instant) {
        if node == self.me || !self.groups.contains_key(&id) {
            return;
        }
        self.see(node, now);
        let disputed = self.with_group(id, now, |group, context, out| group.sight(context, node, out));
        self.roster.link(node, id, now);
        self.settle(id, now);
        if disputed == Some(true) {
            self.dispute(node, id);
        }
    }

    /// Takes the answer to a question that an action asked. Any other changes nothing.
    pub fn handle_probe(&mut self, result: ProbeResult, now: Instant) {
        match result {
            ProbeResult::Dead { node, answered } => self.handle_dead_answer(node, answered, now),
            ProbeResult::Kernel { node, answered } => self.handle_kernel_answer(node, answered, now),
            ProbeResult::Holder { group, answer } => {
                if let HolderAnswer::Member(node) = answer {
                    self.see(node, now);
                    self.roster.link(node, group, now);
                }
                let disputed =
                    self.with_group(group, now, |group, context, out| group.answer(context, answer, out));
                self.settle(group, now);
                if let (Some(true), HolderAnswer::Member(node)) = (disputed, answer) {
                    self.dispute(node, group);
                }
            }
        }
    }

    /// Takes that gossip has told who holds what: the start, or the return from a stall, is over.
    pub fn handle_synced(&mut self, now: Instant) {
        if self.phase != Phase::Active {
            self.activate(false, now);
        }
    }

    /// Takes that this process did not run for `lost`. To be told before anything else that came in meanwhile.
    pub fn handle_stall(&mut self, lost: Duration, now: Instant) {
        if lost < self.config.stall_min {
            return;
        }
        if self.phase == Phase::Active {
            self.phase = Phase::Suspended;
            for group in self.groups.values_mut() {
                group.wire = Wire::Nothing;
            }
            self.out.actions.push_back(Action::Suspend);
        }
        self.timers.set(Timer::Phase, Some(now + self.config.sync_limit));
    }

    /// Moves the groups in which this node is first, one after the other, here. Returns how many these are.
    pub fn handle_rebalance(&mut self, now: Instant) -> usize {
        let Some(me) = self.roster.get(self.me) else { return 0 };
        let first = |id: &&GroupId| {
            self.groups.get(id).is_some_and(|group| {
                group.ranked().first() == Some(&self.me) && group.claims.get(self.me).is_none()
            })
        };
        self.rebalance = me.groups.iter().filter(first).copied().collect();
        let count = self.rebalance.len();
        if self.phase == Phase::Active && self.rebalancing.is_none() {
            self.rebalance_next(now);
        }
        count
    }

    /// Does what is due. Calling it too early or twice does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Phase => self.activate(true, now),
                Timer::Rebalance => self.rebalance_next(now),
                Timer::Lookout => self.look_out(now),
                Timer::Member(node) => self.handle_member_timeout(node, now),
                Timer::Group(id) => self.settle(id, now),
            }
        }
    }

    /// The next thing to do, until there is none.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.out.actions.pop_front()
    }

    /// The next thing to tell users, until there is none.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.out.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; `None` while nothing is.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.first()
    }

    /// The holder of a group as this node knows it, with its term.
    #[must_use]
    pub fn holder(&self, id: GroupId) -> Option<(NodeId, Term)> {
        let best = self.groups.get(&id)?.claims.best(id, |node| self.roster.hears(node))?;
        Some((best.node, best.term))
    }

    /// True if this node answers for the group with its own MAC address.
    #[must_use]
    pub fn announces(&self, id: GroupId) -> bool {
        self.groups.get(&id).is_some_and(|group| group.wire == Wire::Announced)
    }

    /// True while this node may claim groups. Only then does its digest in gossip name all that it holds.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.phase == Phase::Active
    }

    /// Begins to act, on what was learned while nothing was done.
    fn activate(&mut self, recheck: bool, now: Instant) {
        self.phase = Phase::Active;
        self.timers.set(Timer::Phase, None);
        self.restart_doubts(now);
        for group in self.groups.values_mut() {
            group.restart_waiting(recheck);
        }
        let ids: Vec<GroupId> = self.groups.keys().copied().collect();
        self.settle_all(&ids, now);
        if !self.rebalance.is_empty() {
            self.rebalance_next(now);
        }
    }

    fn rebalance_next(&mut self, now: Instant) {
        if let Some(before) = self.rebalancing.take().and_then(|id| self.groups.get_mut(&id)) {
            before.rebalance = false;
        }
        self.timers.set(Timer::Rebalance, None);
        while let Some(id) = self.rebalance.pop_first() {
            let Some(group) = self.groups.get_mut(&id) else { continue };
            group.rebalance = true;
            self.settle(id, now);
            if self.announces(id) {
                self.rebalancing = Some(id);
                self.timers.set(Timer::Rebalance, Some(now + REBALANCE_PATIENCE));
                return;
            }
            if let Some(group) = self.groups.get_mut(&id) {
                group.rebalance = false;
            }
        }
    }

    fn settle_all(&mut self, ids: &[GroupId], now: Instant) {
        for id in ids {
            self.settle(*id, now);
        }
    }

    /// Decides a group anew and does what follows beyond it.
    fn settle(&mut self, id: GroupId, now: Instant) {
        if self.phase != Phase::Active {
            return;
        }
        let settled = self.with_group(id, now, Group::settle).unwrap_or_default();
        let Settled { due, ask_dead, watch } = settled;
        self.timers.set(Timer::Group(id), due);
        if let Some(node) = ask_dead {
            self.ask_dead(node, id, now);
        }
        if let Some(node) = watch
            && !self.timers.is_set(Timer::Member(node))
        {
            self.timers.set(Timer::Member(node), Some(now + ASK_AGAIN));
        }
    }

    fn with_group<T>(
        &mut self,
        id: GroupId,
        now: Instant,
        act: impl FnOnce(&mut Group, &Context<'_>, &mut Outbox) -> T,
    ) -> Option<T> {
        let group = self.groups.get_mut(&id)?;
        let context = Context { me: self.me, group: id, now, config: &self.config, roster: &self.roster };
        Some(act(group, &context, &mut self.out))
    }

    fn forget_if_idle(&mut self, id: GroupId) {
        let is_idle = |group: &Group| group.candidacy.is_none() && group.claims.is_empty();
        if self.groups.get(&id).is_some_and(|group| is_idle(group)) {
            self.groups.remove(&id);
            self.unplanned -= 1;
            self.timers.set(Timer::Group(id), None);
        }
    }
}
