//! Owners that wait, and which of them to ask again when something changes.
//!
//! An owner that waits stands in a line for each thing whose coming free would help it. It leaves all lines when it is asked
//! again, and stands in lines anew if it is refused. Of each line so many are asked at a time as there is something to
//! get, oldest first; if one that was asked does not take it, the next is asked.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::HashTable;

use super::facts::keyed;
use super::names::{Hash, NameId};
use crate::family::Family;
use crate::owner::OwnerId;
use crate::request::Request;
use crate::sharing::Sharing;

/// An owner that waits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    since_secs: u64,
    pub(super) id: OwnerId,
    pub(super) sharing: Option<Sharing>,
}

/// A place in the order of age, in which the oldest comes first: the time stands outside, since it nearly always decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    since_secs: u64,
    pub(super) ticket: Arc<Ticket>,
}

impl Turn {
    fn of(ticket: &Arc<Ticket>) -> Self {
        Self { since_secs: ticket.since_secs, ticket: Arc::clone(ticket) }
    }
}

impl Ord for Turn {
    fn cmp(&self, other: &Self) -> Ordering {
        self.since_secs.cmp(&other.since_secs).then_with(|| self.ticket.id.cmp(&other.ticket.id))
    }
}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What owners stand in line for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Line {
    /// Any address of a family that a pool can give.
    Pool(NameId, Family),
    /// This address.
    Address(IpAddr),
    /// A place on an address of the pool that is shared under this key.
    Key(NameId, Family, Arc<str>),
}

/// Why an owner is asked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// It was first in this line.
    Line(Line),
    /// It fits to those who share this address.
    Shared(IpAddr),
    /// Pools or reserved networks changed.
    Configuration,
}

#[derive(Clone, Debug)]
enum State {
    InLine(Vec<Line>),
    /// To be asked: in [`Waiting::ready`].
    Ready(Cause),
    /// Asked, and expected to make its request again.
    Asked(Cause),
}

#[derive(Clone, Debug)]
struct Waiter {
    /// Hash of its identity, so that a table that grows does not look at the tickets.
    hash: u64,
    ticket: Arc<Ticket>,
    state: State,
}

#[derive(Clone, Debug, Default)]
struct Queue {
    turns: BTreeSet<Turn>,
    /// How many of this line are ready or asked.
    asked: u128,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    owners: HashTable<Waiter>,
    lines: BTreeMap<Line, Queue>,
    ready: BTreeSet<Turn>,
}

fn hash(id: &OwnerId) -> u64 {
    let (namespace, name) = (id.namespace.as_bytes(), id.name.as_bytes());
    Hash::new().number(id.kind as u64).text(namespace).text(name).finish()
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &OwnerId> {
        let mut owners: Vec<&OwnerId> = self.owners.iter().map(|waiter| &waiter.ticket.id).collect();
        owners.sort_unstable();
        owners.into_iter()
    }

    /// Puts an owner that does not wait into these lines; with none it waits for another configuration.
    pub(super) fn join(&mut self, request: &Request, lines: Vec<Line>) {
        let ticket = Arc::new(Ticket {
            since_secs: request.since_secs,
            id: request.owner.id.clone(),
            sharing: keyed(request.sharing.as_ref()).cloned(),
        });
        for line in &lines {
            let turn = Turn::of(&ticket);
            match self.lines.get_mut(line) {
                Some(queue) => queue.turns.insert(turn),
                None => self.lines.entry(line.clone()).or_default().turns.insert(turn),
            };
        }
        let hash = hash(&ticket.id);
        let waiter = Waiter { hash, ticket, state: State::InLine(lines) };
        self.owners.insert_unique(hash, waiter, |waiter| waiter.hash);
    }

    /// Takes an owner out, and says why it was asked, if it was.
    pub(super) fn leave(&mut self, owner: &OwnerId) -> Option<Cause> {
        let found = self.owners.find_entry(hash(owner), |waiter| waiter.ticket.id == *owner).ok()?;
        let (Waiter { ticket, state, .. }, _) = found.remove();
        match state {
            State::InLine(lines) => {
                self.leave_lines(&ticket, &lines);
                None
            }
            State::Ready(cause) => {
                self.ready.remove(&Turn::of(&ticket));
                self.answered(&cause);
                Some(cause)
            }
            State::Asked(cause) => {
                self.answered(&cause);
                Some(cause)
            }
        }
    }

    /// The oldest of a line, if fewer than `available` of the line are being asked.
    pub(super) fn next_of(&self, line: &Line, available: u128) -> Option<Turn> {
        let queue = self.lines.get(line).filter(|queue| queue.asked < available)?;
        queue.turns.first().cloned()
    }

    /// All of a line, oldest first.
    pub(super) fn in_line(&self, line: &Line) -> impl Iterator<Item = &Turn> {
        self.lines.get(line).into_iter().flat_map(|queue| &queue.turns)
    }

    /// Makes an owner that stands in lines one to be asked.
    pub(super) fn wake(&mut self, turn: Turn, cause: Cause) {
        let Some(state) = self.state_mut(&turn.ticket.id) else { return };
        let State::InLine(lines) = std::mem::replace(state, State::Ready(cause.clone())) else { return };
        if let Cause::Line(line) = &cause
            && let Some(queue) = self.lines.get_mut(line)
        {
            queue.asked += 1;
        }
        self.leave_lines(&turn.ticket, &lines);
        self.ready.insert(turn);
    }

    /// Makes everybody one to be asked.
    pub(super) fn wake_all(&mut self) {
        self.lines.clear();
        for waiter in &mut self.owners {
            waiter.state = State::Ready(Cause::Configuration);
            self.ready.insert(Turn::of(&waiter.ticket));
        }
    }

    /// Those to be asked, oldest first; they count as asked.
    pub(super) fn take_ready(&mut self) -> Vec<OwnerId> {
        let ready = std::mem::take(&mut self.ready);
        for turn in &ready {
            if let Some(state) = self.state_mut(&turn.ticket.id)
                && let State::Ready(cause) = state
            {
                *state = State::Asked(cause.clone());
            }
        }
        ready.into_iter().map(|turn| turn.ticket.id.clone()).collect()
    }

    fn state_mut(&mut self, owner: &OwnerId) -> Option<&mut State> {
        let found = self.owners.find_mut(hash(owner), |waiter| waiter.ticket.id == *owner);
        found.map(|waiter| &mut waiter.state)
    }

    fn leave_lines(&mut self, ticket: &Arc<Ticket>, lines: &[Line]) {
        for line in lines {
            if let Some(queue) = self.lines.get_mut(line) {
                queue.turns.remove(&Turn::of(ticket));
                self.close(line);
            }
        }
    }

    fn answered(&mut self, cause: &Cause) {
        if let Cause::Line(line) = cause
            && let Some(queue) = self.lines.get_mut(line)
        {
            queue.asked -= 1;
            self.close(line);
        }
    }

    /// Drops a line in which nobody stands.
    fn close(&mut self, line: &Line) {
        if self.lines.get(line).is_some_and(|queue| queue.asked == 0 && queue.turns.is_empty()) {
            self.lines.remove(line);
        }
    }
}
