//! What gossip and the segment say about a member, and what follows for its groups.

use std::time::{Duration, Instant};

use super::group::CONFIRM_LIMIT;
use super::group::{Group, Wire};
use super::roster::{Doubt, Presence, Verdict};
use super::timers::Timer;
use super::{Action, Liveness, Phase, Takeover};
use crate::{GroupId, NodeId};

/// The longest restart that is waited for.
const RESTART_MAX: Duration = Duration::from_secs(10);
/// From one question to a doubted member that answers to the next.
pub(super) const ASK_AGAIN: Duration = Duration::from_secs(1);
/// Questions that a doubted member has to leave unanswered if gossip hears nobody. Then gossip itself is more likely to
/// have failed than all others, and the silence of one that is slow to answer for once would make two announcers.
const SILENCES_WHEN_ALONE: u32 = 3;
/// From one question to the kernel of a node whose speaker restarts to the next, and how many in a row have to stay
/// without an answer: a node whose network is set up anew is silent for a moment, too.
const ASK_KERNEL: Duration = Duration::from_millis(250);
const KERNEL_SILENCES: u32 = 3;
/// From one look for a second announcer to the next.
const LOOKOUT_INTERVAL: Duration = Duration::from_millis(500);

impl Takeover {
    /// Takes what gossip says about a member. Of this node itself only `Alive` and `Draining` mean anything.
    pub fn handle_member(&mut self, node: NodeId, liveness: Liveness, now: Instant) {
        let before = self.roster.presence(node);
        let restarting = matches!(before, Some(Presence::Restarting { .. }));
        let presence = match liveness {
            Liveness::Alive => Presence::Alive,
            Liveness::Draining => Presence::Draining,
            // Gossip calls a process that restarts dead; it is waited for all the same, and only once.
            Liveness::Restarting { .. } | Liveness::Dead | Liveness::Unknown if restarting => return,
            Liveness::Restarting { back_in } => {
                Presence::Restarting { until: now + back_in.min(RESTART_MAX) }
            }
            Liveness::Dead => Presence::Doubted(self.doubt(node, true, now)),
            Liveness::Unknown => Presence::Doubted(self.doubt(node, false, now)),
        };
        let own_silence = node == self.me && !matches!(presence, Presence::Alive | Presence::Draining);
        if before == Some(presence) || own_silence {
            return;
        }
        self.roster.set(node, presence, now);
        let timer = match presence {
            Presence::Restarting { until } => Some(until.min(now + ASK_KERNEL)),
            Presence::Alive | Presence::Draining | Presence::Doubted(_) => None,
        };
        self.timers.set(Timer::Member(node), timer);
        let was_heard = matches!(before, Some(Presence::Alive | Presence::Draining));
        if matches!(presence, Presence::Alive | Presence::Draining) && !was_heard {
            for id in self.groups_of(node) {
                self.with_group(id, now, |group, context, _| group.note_back(context, node, restarting));
            }
        }
        self.settle_all(&self.groups_of(node), now);
        self.roster.prune(node);
        self.arm_lookout(now);
    }

    pub(super) fn arm_lookout(&mut self, now: Instant) {
        if self.roster.is_blind() && !self.timers.is_set(Timer::Lookout) {
            self.timers.set(Timer::Lookout, Some(now + LOOKOUT_INTERVAL));
        }
    }

    /// The doubt about a member; an older one goes on, with what the segment has said.
    fn doubt(&self, node: NodeId, dead: bool, now: Instant) -> Doubt {
        match self.roster.presence(node) {
            Some(Presence::Doubted(doubt)) => Doubt { dead, ..doubt },
            Some(Presence::Alive | Presence::Draining | Presence::Restarting { .. }) | None => {
                Doubt::new(dead, now)
            }
        }
    }

    /// A member was seen on the segment: if gossip does not hear it, gossip is wrong about it.
    pub(super) fn see(&mut self, node: NodeId, now: Instant) {
        if self.roster.get(node).is_none() {
            self.roster.set(node, Presence::Doubted(Doubt::new(false, now)), now);
        }
        if let Some(doubt) = self.roster.doubt_mut(node) {
            *doubt = Doubt { verdict: Verdict::Answers, seen: true, ..*doubt };
        }
    }

    /// Asks who else answers for the next of the groups that this node announces.
    pub(super) fn look_out(&mut self, now: Instant) {
        self.arm_lookout(now);
        if !self.roster.is_blind() {
            return;
        }
        let after = self.looked_at.map_or(GroupId(0), |GroupId(last)| GroupId(last.saturating_add(1)));
        let mut in_turn = self.groups.range(after..).chain(self.groups.range(..after));
        let Some((&id, _)) = in_turn.find(|(_, group)| group.wire == Wire::Announced) else { return };
        self.looked_at = Some(id);
        self.with_group(id, now, Group::ask_holder);
    }

    /// A node that gossip does not hear announces what this one announces: there may be more of it.
    pub(super) fn dispute(&mut self, node: NodeId, known: GroupId) {
        let Some(doubt) = self.roster.doubt_mut(node) else { return };
        if std::mem::replace(&mut doubt.disputed, true) {
            return;
        }
        for group in self.groups_of(node) {
            if group != known && self.announces(group) {
                self.out.actions.push_back(Action::Burst { group });
            }
        }
    }

    pub(super) fn ask_dead(&mut self, node: NodeId, group: GroupId, now: Instant) {
        let Some(doubt) = self.roster.doubt_mut(node) else { return };
        if doubt.verdict == Verdict::Asking {
            return;
        }
        *doubt = Doubt { verdict: Verdict::Asking, asked: Some(group), ..*doubt };
        self.timers.set(Timer::Member(node), Some(now + CONFIRM_LIMIT));
        self.out.actions.push_back(Action::AskDead { node, group });
    }

    pub(super) fn handle_dead_answer(&mut self, node: NodeId, answered: bool, now: Instant) {
        let hears_any = self.roster.hears_any();
        let Some(doubt) = self.roster.doubt_mut(node) else { return };
        if doubt.verdict != Verdict::Asking {
            return;
        }
        let seen = doubt.seen;
        if answered {
            *doubt = Doubt { verdict: Verdict::Answers, seen: true, silences: 0, ..*doubt };
        } else {
            doubt.silences += 1;
            doubt.verdict = Verdict::Gone;
            if !hears_any && doubt.silences < SILENCES_WHEN_ALONE {
                doubt.verdict = Verdict::Unasked;
                if let Some(group) = doubt.asked {
                    return self.ask_dead(node, group, now);
                }
            }
        }
        self.timers.set(Timer::Member(node), None);
        let groups = self.groups_of(node);
        if !answered {
            for id in &groups {
                self.with_group(*id, now, |group, _, _| group.note_gone(node, seen));
            }
        }
        self.settle_all(&groups, now);
        if !answered {
            for id in groups {
                self.forget_if_idle(id);
            }
        }
    }

    /// Rule 14: a node whose kernel is gone does not come back soon, whatever its speaker said.
    pub(super) fn handle_kernel_answer(&mut self, node: NodeId, answered: bool, now: Instant) {
        let Some(Presence::Restarting { .. }) = self.roster.presence(node) else { return };
        if self.roster.note_kernel(node, answered) < KERNEL_SILENCES {
            return;
        }
        let doubt =
            Doubt { verdict: Verdict::Asking, silences: SILENCES_WHEN_ALONE, ..Doubt::new(true, now) };
        self.roster.set(node, Presence::Doubted(doubt), now);
        self.handle_dead_answer(node, false, now);
    }

    pub(super) fn handle_member_timeout(&mut self, node: NodeId, now: Instant) {
        match self.roster.presence(node) {
            Some(Presence::Restarting { until }) if now < until => {
                self.timers.set(Timer::Member(node), Some(until.min(now + ASK_KERNEL)));
                let stands_in = |id: &GroupId| {
                    self.groups.get(id).is_some_and(|group| group.wire == Wire::StandingIn(node))
                };
                if let Some(group) = self.groups_of(node).into_iter().find(stands_in) {
                    self.out.actions.push_back(Action::AskKernel { node, group });
                }
            }
            Some(Presence::Restarting { .. }) => {
                self.roster.set(node, Presence::Doubted(Doubt::new(true, now)), now);
                self.settle_all(&self.groups_of(node), now);
            }
            Some(Presence::Doubted(Doubt { verdict: Verdict::Answers, asked, .. })) => {
                if self.phase != Phase::Active {
                    return;
                }
                if let Some(group) = self.next_to_ask(node, asked) {
                    self.ask_dead(node, group, now);
                }
            }
            // The driver did not answer: the question is asked anew.
            Some(Presence::Doubted(Doubt { verdict: Verdict::Asking, .. })) => {
                if let Some(doubt) = self.roster.doubt_mut(node) {
                    doubt.verdict = Verdict::Unasked;
                }
                self.settle_all(&self.groups_of(node), now);
            }
            Some(Presence::Doubted(Doubt { verdict: Verdict::Unasked | Verdict::Gone, .. }))
            | Some(Presence::Alive | Presence::Draining)
            | None => {}
        }
    }

    /// The next group after `asked` which the node holds and this node would take, round and round.
    fn next_to_ask(&self, node: NodeId, asked: Option<GroupId>) -> Option<GroupId> {
        let groups = &self.roster.get(node)?.groups;
        let would_take = |id: &&GroupId| {
            self.groups.get(id).is_some_and(|group| group.can_take(self.me))
                && self.holder(**id).is_some_and(|(holder, _)| holder == node)
        };
        let after = asked.map_or(GroupId(0), |GroupId(asked)| GroupId(asked.saturating_add(1)));
        groups.range(after..).find(would_take).or_else(|| groups.range(..after).find(would_take)).copied()
    }

    /// Doubts begin anew: while this node did not look, answers were missed and questions went unasked.
    pub(super) fn restart_doubts(&mut self, now: Instant) {
        for doubt in self.roster.doubts_mut() {
            *doubt = Doubt::new(doubt.dead, now);
        }
    }

    fn groups_of(&self, node: NodeId) -> Vec<GroupId> {
        self.roster.get(node).map(|member| member.groups.iter().copied().collect()).unwrap_or_default()
    }
}
