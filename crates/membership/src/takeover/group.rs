//! What one speaker knows of one group and does about it.
//!
//! Every input changes what is known; then [`Group::settle`] decides anew from all that is known. So no order of inputs
//! needs a case of its own.

use std::time::{Duration, Instant};

use super::claims::{Claim, Claims, Word, outbids, weight};
use super::damping::Damping;
use super::outputs::Outbox;
use super::roster::{Presence, Roster};
use super::{Action, Candidacy, Config, Event, HolderAnswer, Obstacle, Outgoing, StopCause};
use crate::{GroupId, NodeId, Term};

/// How long a claim may stay unconfirmed by its node's own word, and how long an answer of the driver is waited for.
pub(super) const CONFIRM_LIMIT: Duration = Duration::from_secs(1);
/// The same for a thorough question, which takes 4 to 7 s.
pub(super) const THOROUGH_LIMIT: Duration = Duration::from_secs(10);
/// How long a question whose answer was a foreign station is not asked again.
const FOREIGN_REST: Duration = Duration::from_secs(10);
/// How old the segment's silence may be when a claim relies on it.
pub(super) const SILENCE_AGE_MAX: Duration = Duration::from_millis(100);
/// How long the lighter of two announcers waits for gossip to settle it by their terms.
const CONTEST_PATIENCE: Duration = Duration::from_millis(300);
/// How long the heavier waits for the lighter to see its burst and stop.
const CONTEST_PATIENCE_HEAVY: Duration = Duration::from_millis(900);
/// After this a rival that shows up again begins a new contest.
const CONTEST_AGE_MAX: Duration = Duration::from_secs(3);

/// How long a low bid stays low. Longer than members differ in when they notice that others are lost.
const RAISE_AFTER: Duration = Duration::from_secs(1);

/// Where a decision is made, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub(super) me: NodeId,
    pub(super) group: GroupId,
    pub(super) now: Instant,
    pub(super) config: &'a Config,
    pub(super) roster: &'a Roster,
}

#[derive(Debug)]
pub(super) struct Group {
    /// `None`: members speak of it, but the plan does not hold it (yet).
    pub(super) candidacy: Option<Candidacy>,
    pub(super) obstacle: Option<Obstacle>,
    pub(super) claims: Claims,
    /// The highest term that any claim has had.
    pub(super) highest: Term,
    pub(super) wire: Wire,
    /// This node's own claim is from before a stall or start, and no sync has confirmed it: the segment is asked.
    pub(super) recheck: bool,
    pub(super) question: Question,
    /// The latest holder, also while there is none.
    pub(super) holder: Option<NodeId>,
    /// Why the last claim went.
    pub(super) freed: Freed,
    /// Since when there is no claim and this node could have made one.
    pub(super) vacant_since: Option<Instant>,
    pub(super) wish: Option<(Wish, Instant)>,
    /// Its turn in a rebalance has come.
    pub(super) rebalance: bool,
    pub(super) damping: Damping,
    /// Since when this node has held the group by a low bid that may be raised (rule 9).
    pub(super) low_since: Option<Instant>,
    contest: Option<Contest>,
}

/// A rival that gossip does not hear announces the group beside this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Contest {
    since: Instant,
    /// The segment has been asked whether it still does.
    asked: bool,
}

/// What this node does for the group on the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    Nothing,
    Announced,
    StandingIn(NodeId),
}

/// The state of asking the segment who answers for the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Idle,
    Open { until: Instant },
    Silent { at: Instant },
    Foreign { until: Instant },
}

/// Why a group is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freed {
    /// No claim was ever known.
    New,
    Released(NodeId),
    /// The releaser gave way to a claim that this node has not heard of yet.
    Yielded,
    Dead {
        /// The segment has contradicted gossip about that node before.
        seen: bool,
    },
    Forgotten,
}

/// Why a group should leave a holder that lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Draining,
    NoCandidate,
    Revert,
    Rebalance,
}

/// What follows from a decision beyond the group itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Settled {
    /// When to decide again, if nothing happens before.
    pub(super) due: Option<Instant>,
    /// A doubted holder, whose groups this node would take: ask it now, if nobody has.
    pub(super) ask_dead: Option<NodeId>,
    /// A doubted holder that answered: ask it again from time to time.
    pub(super) watch: Option<NodeId>,
}

impl Group {
    pub(super) fn new() -> Self {
        Self {
            candidacy: None,
            obstacle: None,
            claims: Claims::default(),
            highest: Term(0),
            wire: Wire::Nothing,
            recheck: false,
            question: Question::Idle,
            holder: None,
            freed: Freed::New,
            vacant_since: None,
            wish: None,
            rebalance: false,
            damping: Damping::default(),
            low_since: None,
            contest: None,
        }
    }

    pub(super) fn ranked(&self) -> &[NodeId] {
        self.candidacy.as_ref().map_or(&[], |candidacy| &candidacy.ranked)
    }

    /// True if the plan and this node's interfaces allow it to take the group.
    pub(super) fn can_take(&self, me: NodeId) -> bool {
        self.obstacle.is_none() && self.ranked().contains(&me)
    }

    pub(super) fn best(&self, context: &Context<'_>) -> Option<Claim> {
        self.claims.best(context.group, |node| context.roster.hears(node))
    }

    /// Decides what to do now.
    pub(super) fn settle(&mut self, context: &Context<'_>, out: &mut Outbox) -> Settled {
        self.expire(context);
        self.stop_where_forbidden(context, out);
        self.give_way(context, out);
        self.observe(context);
        let settled = match self.claims.get(context.me) {
            Some(own) => self.announce(context, own, out),
            None => self.seek(context, out),
        };
        self.observe(context);
        self.stand_in(context, out);
        settled
    }

    /// Drops claims that were not confirmed in time. Of a doubted node nobody can expect that; it is asked instead.
    fn expire(&mut self, context: &Context<'_>) {
        let before = self.claims.is_empty();
        self.claims.retain(|claim| match claim.word {
            Word::Told => true,
            Word::Seen { until } | Word::Resuming { until } => {
                until > context.now
                    || !matches!(
                        context.roster.presence(claim.node),
                        Some(Presence::Alive | Presence::Draining)
                    )
            }
        });
        if before != self.claims.is_empty() {
            self.freed = Freed::Forgotten;
        }
    }

    /// Rule 11: what this node may not announce it stops at once.
    fn stop_where_forbidden(&mut self, context: &Context<'_>, out: &mut Outbox) {
        let cause = match (&self.candidacy, self.obstacle) {
            (_, Some(obstacle)) => StopCause::Obstacle(obstacle),
            // A start that remembers the hold and does not have the plan yet leaves it as it is.
            (None, None) if self.wire != Wire::Announced => return,
            (None, None) => StopCause::Removed,
            (Some(candidacy), None) => {
                if candidacy.outgoing == Outgoing::Forwards || candidacy.ranked.contains(&context.me) {
                    return;
                }
                StopCause::DeadEnd
            }
        };
        if let Some(own) = self.claims.remove(context.me) {
            self.freed = Freed::Released(context.me);
            self.stop(context, own.term, cause, out);
        }
    }

    /// Rule 8: gives way to a better claim. A claim that is not announced (again) gives way to any that a member makes.
    fn give_way(&mut self, context: &Context<'_>, out: &mut Outbox) {
        let Some(own) = self.claims.get(context.me) else { return };
        let announced = self.wire == Wire::Announced;
        let rival = self.claims.best_rival(context.group, context.me, |claim| match claim.word {
            Word::Told => announced || context.roster.hears(claim.node),
            Word::Seen { .. } => !announced,
            Word::Resuming { .. } => false,
        });
        let Some(rival) = rival else { return };
        if !announced || outbids(context.group, (rival.term, rival.node), (own.term, own.node)) {
            self.claims.remove(context.me);
            let above = Term(own.term.0.saturating_add(1));
            self.stop(context, above.max(rival.term), StopCause::GaveWay { to: rival.node }, out);
        }
    }

    fn stop(&mut self, context: &Context<'_>, term: Term, cause: StopCause, out: &mut Outbox) {
        let group = context.group;
        if self.wire == Wire::Announced {
            self.wire = Wire::Nothing;
            out.actions.push_back(Action::Withdraw { group });
            out.events.push_back(Event::Stopped { group, cause });
        }
        self.contest = None;
        self.low_since = None;
        out.actions.push_back(Action::TellRelease { group, term });
    }

    /// Keeps account of who holds the group, of its moves, and of since when it is free.
    fn observe(&mut self, context: &Context<'_>) {
        let Some(best) = self.best(context) else {
            self.vacant_since.get_or_insert(context.now);
            return;
        };
        self.vacant_since = None;
        if self.holder != Some(best.node) {
            if self.holder.is_some() {
                self.damping.note_move(context.now);
            }
            self.holder = Some(best.node);
        }
    }

    /// Brings this node's own claim to the segment.
    pub(super) fn announce(&mut self, context: &Context<'_>, own: Claim, out: &mut Outbox) -> Settled {
        if self.wire == Wire::Announced {
            let (raise, contest) = (self.raise(context, own, out), self.pursue_contest(context, out));
            let due = raise.into_iter().chain(contest).chain(self.next_expiry(context.now)).min();
            return Settled { due, ..Settled::default() };
        }
        if self.candidacy.is_none() {
            return Settled { due: self.next_expiry(context.now), ..Settled::default() };
        }
        if self.recheck && !self.silence_is_fresh(context.now) {
            return Settled { due: Some(self.ask_holder(context, out)), ..Settled::default() };
        }
        self.take_wire(context, own.term, out);
        Settled { due: self.next_expiry(context.now), ..Settled::default() }
    }

    /// Rule 9: a low bid is raised once this node has heard most members for long enough. Returns when to look again.
    fn raise(&mut self, context: &Context<'_>, own: Claim, out: &mut Outbox) -> Option<Instant> {
        let since = self.low_since?;
        if context.roster.majority_since().is_none_or(|majority| majority > since) {
            self.low_since = None;
            return None;
        }
        if context.now < since + RAISE_AFTER {
            return Some(since + RAISE_AFTER);
        }
        self.low_since = None;
        let (group, term) = (context.group, above(self.highest));
        self.highest = term;
        self.claims.put(group, Claim { term, ..own });
        out.actions.push_back(Action::TellHold { group, term });
        None
    }

    /// Asks the segment, once gossip has had its time, whether the rival still announces.
    fn pursue_contest(&mut self, context: &Context<'_>, out: &mut Outbox) -> Option<Instant> {
        let contest = self.contest.filter(|contest| !contest.asked)?;
        let due = contest.since + CONTEST_PATIENCE;
        if context.now < due {
            return Some(due);
        }
        self.contest = Some(Contest { asked: true, ..contest });
        self.ask_holder(context, out);
        None
    }

    /// Begins to answer for the group.
    pub(super) fn take_wire(&mut self, context: &Context<'_>, term: Term, out: &mut Outbox) {
        let group = context.group;
        if let Wire::StandingIn(_) = self.wire {
            out.actions.push_back(Action::StandDown { group });
        }
        self.wire = Wire::Announced;
        self.recheck = false;
        self.question = Question::Idle;
        self.wish = None;
        out.actions.push_back(Action::Announce { group, term });
        out.actions.push_back(Action::TellHold { group, term });
    }

    /// When a claim of another node is to be confirmed.
    pub(super) fn next_expiry(&self, now: Instant) -> Option<Instant> {
        // One that is past belongs to a doubted node, from which no word is expected.
        self.claims.expiries().filter(|until| *until > now).min()
    }

    pub(super) fn silence_is_fresh(&self, now: Instant) -> bool {
        matches!(self.question, Question::Silent { at } if at + SILENCE_AGE_MAX >= now)
    }

    /// Whether a question now is the thorough one before the first claim of all.
    pub(super) fn is_first_check(&self) -> bool {
        let thoroughly = self.candidacy.as_ref().is_some_and(|candidacy| candidacy.checks_thoroughly);
        thoroughly && self.freed == Freed::New && self.claims.is_empty()
    }

    /// Asks the segment who answers, unless that is under way or has to rest. Returns when to look again.
    pub(super) fn ask_holder(&mut self, context: &Context<'_>, out: &mut Outbox) -> Instant {
        match self.question {
            Question::Open { until } | Question::Foreign { until } if until > context.now => until,
            Question::Open { .. } | Question::Foreign { .. } | Question::Idle | Question::Silent { .. } => {
                let thorough = self.is_first_check();
                let until = context.now + if thorough { THOROUGH_LIMIT } else { CONFIRM_LIMIT };
                self.question = Question::Open { until };
                out.actions.push_back(Action::AskHolder { group: context.group, thorough });
                until
            }
        }
    }

    /// Takes the answer to [`Self::ask_holder`]; one that nobody waits for any more changes nothing.
    /// True if it shows a dispute.
    pub(super) fn answer(&mut self, context: &Context<'_>, answer: HolderAnswer, out: &mut Outbox) -> bool {
        let Question::Open { .. } = self.question else { return false };
        if self.wire == Wire::Announced {
            self.question = Question::Idle;
            // A stranger beside an announced VIP is the matter of its defence.
            return match answer {
                HolderAnswer::Member(node) => self.sight(context, node, out),
                HolderAnswer::Silent | HolderAnswer::Foreign => false,
            };
        }
        self.question = match answer {
            HolderAnswer::Silent => Question::Silent { at: context.now },
            HolderAnswer::Member(node) => {
                self.note_seen(context, node);
                Question::Idle
            }
            HolderAnswer::Foreign => {
                out.events.push_back(Event::Foreign { group: context.group });
                Question::Foreign { until: context.now + FOREIGN_REST }
            }
        };
        false
    }

    /// Takes that a member was seen announcing the group (rules 7 and 9). True if this node announces it too, and only
    /// the segment can settle that.
    pub(super) fn sight(&mut self, context: &Context<'_>, node: NodeId, out: &mut Outbox) -> bool {
        if self.wire != Wire::Announced {
            self.note_seen(context, node);
            return false;
        }
        // Who is alive by gossip gives way by gossip, where the terms are known. One that restarts is back, it seems,
        // and gossip does not say so.
        if let Some(Presence::Alive | Presence::Draining) = context.roster.presence(node) {
            self.speak_over(context, node, out);
            return false;
        }
        let leaving = !self.ranked().contains(&context.me) || context.roster.is_draining(context.me);
        let lighter = weight(context.group, node) > weight(context.group, context.me);
        let age = self.contest.map(|contest| context.now - contest.since);
        let patience = if lighter { CONTEST_PATIENCE } else { CONTEST_PATIENCE_HEAVY };
        let in_vain = age.is_some_and(|age| age >= patience && age < CONTEST_AGE_MAX);
        if leaving || in_vain {
            let own = self.claims.remove(context.me);
            self.note_seen(context, node);
            let above = Term(own.map_or(0, |own| own.term.0).saturating_add(1));
            self.stop(context, above, StopCause::GaveWay { to: node }, out);
        } else if age.is_none_or(|age| age >= CONTEST_AGE_MAX) {
            self.contest = Some(Contest { since: context.now, asked: false });
            out.actions.push_back(Action::Burst { group: context.group });
        }
        true
    }

    /// Rule 8: a member whose claim is known to be worse has just told the segment that it has the group. It may hear nobody,
    /// so its frame is answered by a burst, for the neighbour caches that took it in.
    fn speak_over(&self, context: &Context<'_>, node: NodeId, out: &mut Outbox) {
        let (Some(own), Some(rival)) = (self.claims.get(context.me), self.claims.get(node)) else { return };
        if outbids(context.group, (own.term, own.node), (rival.term, rival.node)) {
            out.actions.push_back(Action::Burst { group: context.group });
        }
    }

    /// Enters a claim that the segment shows. It is newer than any word of a node that gossip does not hear.
    fn note_seen(&mut self, context: &Context<'_>, node: NodeId) {
        if node == context.me {
            return;
        }
        self.claims.retain(|claim| claim.node == node || context.roster.hears(claim.node));
        let until = context.now + CONFIRM_LIMIT;
        match self.claims.get(node) {
            Some(Claim { word: Word::Told | Word::Resuming { .. }, .. }) => {}
            Some(Claim { word: Word::Seen { .. }, .. }) | None => {
                let claim = Claim { node, term: self.highest, word: Word::Seen { until } };
                self.claims.put(context.group, claim);
            }
        }
    }

    /// Takes a member's own word that it holds the group.
    pub(super) fn note_told(&mut self, context: &Context<'_>, node: NodeId, term: Term, out: &mut Outbox) {
        let group = context.group;
        let known = self.claims.get(node).filter(|known| known.word == Word::Told);
        let term = known.map_or(term, |known| known.term.max(term));
        self.highest = self.highest.max(term);
        if known.is_some_and(|known| known.term == term) {
            return;
        }
        self.claims.put(group, Claim { node, term, word: Word::Told });
        // A rival that does not know of this node's claim has to hear of it, and so have its clients.
        if let (Wire::Announced, Some(own)) = (self.wire, self.claims.get(context.me))
            && outbids(group, (own.term, own.node), (term, node))
        {
            out.actions.push_back(Action::Burst { group });
            out.actions.push_back(Action::TellHold { group, term: own.term });
        }
    }

    /// Takes a member's own word that it does not hold the group any more.
    pub(super) fn note_release(&mut self, context: &Context<'_>, node: NodeId, term: Term, out: &mut Outbox) {
        let Some(claim) = self.claims.remove(node) else { return };
        if self.claims.is_empty() {
            let gave_way = claim.word == Word::Told && term > claim.term;
            self.freed = if gave_way { Freed::Yielded } else { Freed::Released(node) };
        }
        if self.wire == Wire::Announced {
            out.actions.push_back(Action::Burst { group: context.group });
        }
    }

    /// Takes that gossip hears a member again, which must now tell what it holds.
    pub(super) fn note_back(&mut self, context: &Context<'_>, node: NodeId, restarted: bool) {
        let until = context.now + CONFIRM_LIMIT;
        let Some(claim) = self.claims.get(node) else { return };
        let word = match claim.word {
            Word::Told | Word::Resuming { .. } if restarted => Word::Resuming { until },
            Word::Told | Word::Resuming { .. } | Word::Seen { .. } => Word::Seen { until },
        };
        self.claims.put(context.group, Claim { word, ..claim });
    }

    /// This node may have missed anything: what it waited for begins anew.
    pub(super) fn restart_waiting(&mut self, recheck: bool) {
        self.recheck = recheck;
        self.question = Question::Idle;
        self.vacant_since = None;
        self.wish = None;
        self.low_since = None;
        self.contest = None;
    }

    /// Takes that the segment, too, calls a member dead.
    pub(super) fn note_gone(&mut self, node: NodeId, seen: bool) {
        if self.claims.remove(node).is_some() && self.claims.is_empty() {
            self.freed = Freed::Dead { seen };
        }
    }
}

/// The next even term above all that were bid.
pub(super) fn above(highest: Term) -> Term {
    Term((highest.0 | 1).saturating_add(1))
}
