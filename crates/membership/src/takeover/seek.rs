//! Whether this node takes a group, when, and what it asks before.

use std::time::{Duration, Instant};

use super::claims::{Claim, Word};
use super::group::{Context, Freed, Group, SILENCE_AGE_MAX, Settled, THOROUGH_LIMIT, Wire, Wish, above};
use super::outputs::Outbox;
use super::roster::{Doubt, Presence, Verdict};
use super::{Action, Cause, Event};
use crate::{NodeId, Term};

impl Group {
    /// Looks for a reason to take the group, which another node or nobody holds.
    pub(super) fn seek(&mut self, context: &Context<'_>, out: &mut Outbox) -> Settled {
        let best = self.best(context);
        if !self.can_take(context.me) {
            return Settled { due: self.next_expiry(context.now), ..Settled::default() };
        }
        let Some(holder) = best else { return self.seek_free(context, out) };
        let presence = context.roster.presence(holder.node);
        let doubt = match presence {
            Some(Presence::Doubted(doubt)) => Some(doubt),
            Some(Presence::Alive | Presence::Draining | Presence::Restarting { .. }) | None => None,
        };
        if let Some(doubt) = doubt
            && doubt.verdict != Verdict::Answers
        {
            return self.seek_from_doubted(context, holder, doubt);
        }
        let due = match self.wish_for(context, holder) {
            Some(wish) => self.seek_by_wish(context, wish, out),
            None => {
                self.wish = None;
                None
            }
        };
        let watch = doubt.map(|_| holder.node);
        Settled { due: due.into_iter().chain(self.next_expiry(context.now)).min(), ask_dead: None, watch }
    }

    /// How many other candidates come before this node, `out_of_it` left out (rule 5).
    fn turn(&self, context: &Context<'_>, out_of_it: Option<NodeId>) -> u32 {
        let draining = |node| context.roster.is_draining(node);
        let place = |node| self.ranked().iter().position(|candidate| *candidate == node);
        let own = (draining(context.me), place(context.me));
        let before = self.ranked().iter().filter(|node| {
            **node != context.me
                && Some(**node) != out_of_it
                && context.roster.counts(**node)
                && (draining(**node), place(**node)) < own
        });
        u32::try_from(before.count()).unwrap_or(u32::MAX)
    }

    /// Rules 5 and 6: a free group.
    fn seek_free(&mut self, context: &Context<'_>, out: &mut Outbox) -> Settled {
        let since = *self.vacant_since.get_or_insert(context.now);
        let released_by = match self.freed {
            Freed::Released(node) => Some(node),
            Freed::New | Freed::Yielded | Freed::Dead { .. } | Freed::Forgotten => None,
        };
        let turn = self.turn(context, released_by);
        // Who comes after another waits until that one has had the time for a thorough question.
        let patience = if self.is_first_check() { THOROUGH_LIMIT } else { context.config.claim_step };
        let due = since + patience * turn;
        if due > context.now {
            return Settled { due: Some(due), ..Settled::default() };
        }
        // While this node waited for its turn, another may have claimed, or the dead one returned.
        let fresh = context.now < since + SILENCE_AGE_MAX;
        let sure = fresh && matches!(self.freed, Freed::Released(_) | Freed::Dead { seen: false });
        let unheard = |node: &NodeId| context.roster.may_claim_unheard(*node);
        let must_ask = !sure || self.ranked().iter().any(unheard);
        if must_ask && !self.silence_is_fresh(context.now) {
            return Settled { due: Some(self.ask_holder(context, out)), ..Settled::default() };
        }
        let cause = match self.freed {
            Freed::New => Cause::NoHolder,
            Freed::Released(_) | Freed::Yielded => Cause::HolderReleased,
            Freed::Dead { .. } => Cause::HolderDead,
            Freed::Forgotten => Cause::HolderForgot,
        };
        self.claim(context, cause, out)
    }

    /// Rule 7: a holder that gossip does not hear. Until the segment has spoken, it holds.
    fn seek_from_doubted(&self, context: &Context<'_>, holder: Claim, doubt: Doubt) -> Settled {
        let due = doubt.since + context.config.claim_step * self.turn(context, Some(holder.node));
        let unasked = doubt.verdict == Verdict::Unasked;
        Settled {
            due: (unasked && due > context.now).then_some(due),
            ask_dead: (unasked && due <= context.now).then_some(holder.node),
            watch: None,
        }
    }

    /// Why the group should leave a holder that answers, if this node wants it to.
    fn wish_for(&self, context: &Context<'_>, holder: Claim) -> Option<Wish> {
        let roster = context.roster;
        let resuming = matches!(holder.word, Word::Resuming { .. });
        let restarting = matches!(roster.presence(holder.node), Some(Presence::Restarting { .. }));
        if resuming || restarting || roster.is_draining(context.me) {
            return None;
        }
        if roster.is_draining(holder.node) {
            return Some(Wish::Draining);
        }
        if !self.ranked().contains(&holder.node) {
            return Some(Wish::NoCandidate);
        }
        if self.turn(context, None) > 0 {
            return None;
        }
        let revert = self.candidacy.as_ref().is_some_and(|candidacy| candidacy.revert);
        match (self.rebalance, revert) {
            (true, _) => Some(Wish::Rebalance),
            (false, true) => Some(Wish::Revert),
            (false, false) => None,
        }
    }

    /// Rules 10, 12 and 13: takes the group from a holder that goes on answering until it hears of the claim.
    fn seek_by_wish(&mut self, context: &Context<'_>, wish: Wish, out: &mut Outbox) -> Option<Instant> {
        let since = match self.wish {
            Some((known, since)) if known == wish => since,
            Some(_) | None => context.now,
        };
        self.wish = Some((wish, since));
        let config = context.config;
        let patience = match wish {
            Wish::Rebalance => Duration::ZERO,
            // It may have said so while it heard nobody, and take it back now that it does.
            Wish::Draining => {
                let heard_since = self.holder.and_then(|holder| context.roster.heard_since(holder));
                let settled = heard_since.map_or(context.now, |since| since + config.handover_settle);
                settled.saturating_duration_since(since)
            }
            Wish::NoCandidate if self.candidacy.as_ref().is_some_and(|candidacy| candidacy.lingers) => {
                config.linger
            }
            Wish::NoCandidate => config.handover_settle,
            Wish::Revert => config.revert_after,
        };
        let due = since + patience + config.claim_step * self.turn(context, self.holder);
        if due > context.now {
            return Some(due);
        }
        if let Some(until) = self.damping.rests_until(context.now) {
            if self.damping.tell() {
                out.events.push_back(Event::Damped { group: context.group });
            }
            return Some(until);
        }
        let cause = match wish {
            Wish::Draining => Cause::HolderDraining,
            Wish::NoCandidate => Cause::HolderNoCandidate,
            Wish::Revert => Cause::Revert,
            Wish::Rebalance => Cause::Rebalance,
        };
        self.claim(context, cause, out).due
    }

    fn claim(&mut self, context: &Context<'_>, cause: Cause, out: &mut Outbox) -> Settled {
        let group = context.group;
        let (term, low) = self.bid(context, cause);
        self.low_since = low.then_some(context.now);
        self.highest = self.highest.max(term);
        let own = Claim { node: context.me, term, word: Word::Told };
        self.claims.put(group, own);
        self.rebalance = false;
        self.take_wire(context, term, out);
        out.events.push_back(Event::Moved { group, from: self.holder, to: context.me, cause });
        self.announce(context, own, out)
    }

    /// Rule 9: the bid for a group, and whether it is a low one.
    fn bid(&self, context: &Context<'_>, cause: Cause) -> (Term, bool) {
        let low = match cause {
            Cause::HolderDead => true,
            Cause::NoHolder => context.roster.majority_since().is_none(),
            Cause::HolderReleased
            | Cause::HolderForgot
            | Cause::HolderDraining
            | Cause::HolderNoCandidate
            | Cause::Revert
            | Cause::Rebalance => false,
        };
        // The highest odd term that is not above all that were bid.
        let odd = Term(self.highest.0.saturating_sub(1) | 1);
        if low { (odd, true) } else { (above(self.highest), false) }
    }

    /// Rule 14: answers for a holder that restarts, if this node would be next.
    pub(super) fn stand_in(&mut self, context: &Context<'_>, out: &mut Outbox) {
        let wanted = self.best(context).filter(|holder| {
            let restarts = matches!(
                context.roster.presence(holder.node),
                Some(Presence::Restarting { until }) if until > context.now
            );
            (restarts || matches!(holder.word, Word::Resuming { .. }))
                && self.can_take(context.me)
                && self.turn(context, Some(holder.node)) == 0
        });
        let group = context.group;
        match (self.wire, wanted.map(|holder| holder.node)) {
            (Wire::Announced | Wire::Nothing, None) | (Wire::Announced, Some(_)) => {}
            (Wire::StandingIn(node), Some(holder)) if node == holder => {}
            (Wire::Nothing | Wire::StandingIn(_), Some(for_node)) => {
                self.wire = Wire::StandingIn(for_node);
                out.actions.push_back(Action::StandIn { group, for_node });
            }
            (Wire::StandingIn(_), None) => {
                self.wire = Wire::Nothing;
                out.actions.push_back(Action::StandDown { group });
            }
        }
    }
}
