//! All timers of one speaker, in one ordered set.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::{GroupId, NodeId};

/// What can fall due. Cardinality: one each of the first three, at most one per member and one per group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The limit of a start or of a suspension.
    Phase,
    /// The next group of a rebalance.
    Rebalance,
    /// The next look whether a node that gossip does not hear announces what this one does.
    Lookout,
    /// The end of a member's restart, or the next question to one that gossip calls dead.
    Member(NodeId),
    /// The next moment at which a group can change by itself.
    Group(GroupId),
}

/// Each change costs O(log n).
#[derive(Debug, Default)]
pub(super) struct Timers {
    ordered: BTreeSet<(Instant, Timer)>,
    due: BTreeMap<Timer, Instant>,
}

impl Timers {
    /// Sets when the timer falls due, or stops it.
    pub(super) fn set(&mut self, timer: Timer, due: Option<Instant>) {
        let before = match due {
            Some(due) => self.due.insert(timer, due),
            None => self.due.remove(&timer),
        };
        if before != due {
            self.ordered.extend(due.map(|due| (due, timer)));
            if let Some(before) = before {
                self.ordered.remove(&(before, timer));
            }
        }
    }

    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.due.contains_key(&timer)
    }

    /// Takes the earliest timer that is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Timer> {
        let &(due, timer) = self.ordered.first()?;
        if due > now {
            return None;
        }
        self.set(timer, None);
        Some(timer)
    }

    pub(super) fn first(&self) -> Option<Instant> {
        self.ordered.first().map(|&(due, _)| due)
    }
}
