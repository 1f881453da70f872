//! Owners that wait, and which of them to ask again when something changes.
//!
//! An owner that waits stands in a line for each thing whose coming free would help it. It leaves all lines when it is asked
//! again, and stands in lines anew if it is refused. Of each line so many are asked at a time as there is something to
//! get, oldest first; if one that was asked does not take it, the next is asked.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::names::NameId;
use crate::family::Family;
use crate::owner::OwnerId;
use crate::request::Request;
use crate::sharing::Sharing;

/// An owner that waits; the oldest sorts first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    since_secs: u64,
    pub(super) id: OwnerId,
    pub(super) sharing: Option<Sharing>,
}

impl Ord for Ticket {
    fn cmp(&self, other: &Self) -> Ordering {
        self.since_secs.cmp(&other.since_secs).then_with(|| self.id.cmp(&other.id))
    }
}

impl PartialOrd for Ticket {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A ticket that is found by its owner.
#[derive(Clone, Debug)]
struct ById(Arc<Ticket>);

impl Borrow<OwnerId> for ById {
    fn borrow(&self) -> &OwnerId {
        &self.0.id
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for ById {}

impl PartialOrd for ById {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ById {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.id.cmp(&other.0.id)
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

#[derive(Clone, Debug, Default)]
struct Queue {
    tickets: BTreeSet<Arc<Ticket>>,
    /// How many of this line are ready or asked.
    asked: u128,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    owners: BTreeMap<ById, State>,
    lines: BTreeMap<Line, Queue>,
    ready: BTreeSet<Arc<Ticket>>,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &OwnerId> {
        self.owners.keys().map(|ticket| &ticket.0.id)
    }

    /// Puts an owner that does not wait into these lines; with none it waits for another configuration.
    pub(super) fn join(&mut self, request: &Request, lines: Vec<Line>) {
        let ticket = Arc::new(Ticket {
            since_secs: request.since_secs,
            id: request.owner.id.clone(),
            sharing: super::facts::keyed(request.sharing.as_ref()).cloned(),
        });
        for line in &lines {
            self.lines.entry(line.clone()).or_default().tickets.insert(Arc::clone(&ticket));
        }
        self.owners.insert(ById(ticket), State::InLine(lines));
    }

    /// Takes an owner out, and says why it was asked, if it was.
    pub(super) fn leave(&mut self, owner: &OwnerId) -> Option<Cause> {
        let (ById(ticket), state) = self.owners.remove_entry(owner)?;
        match state {
            State::InLine(lines) => {
                self.leave_lines(&ticket, &lines);
                None
            }
            State::Ready(cause) => {
                self.ready.remove(&ticket);
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
    pub(super) fn next_of(&self, line: &Line, available: u128) -> Option<Arc<Ticket>> {
        let queue = self.lines.get(line).filter(|queue| queue.asked < available)?;
        queue.tickets.first().cloned()
    }

    /// All of a line, oldest first.
    pub(super) fn in_line(&self, line: &Line) -> impl Iterator<Item = &Arc<Ticket>> {
        self.lines.get(line).into_iter().flat_map(|queue| &queue.tickets)
    }

    /// Makes an owner that stands in lines one to be asked.
    pub(super) fn wake(&mut self, ticket: &Arc<Ticket>, cause: Cause) {
        let Some(state) = self.owners.get_mut(&ticket.id) else { return };
        let State::InLine(lines) = std::mem::replace(state, State::Ready(cause.clone())) else { return };
        if let Cause::Line(line) = &cause {
            self.lines.entry(line.clone()).or_default().asked += 1;
        }
        self.leave_lines(ticket, &lines);
        self.ready.insert(Arc::clone(ticket));
    }

    /// Makes everybody one to be asked.
    pub(super) fn wake_all(&mut self) {
        self.lines.clear();
        for (ById(ticket), state) in &mut self.owners {
            *state = State::Ready(Cause::Configuration);
            self.ready.insert(Arc::clone(ticket));
        }
    }

    /// Those to be asked, oldest first; they count as asked.
    pub(super) fn take_ready(&mut self) -> Vec<OwnerId> {
        let ready = std::mem::take(&mut self.ready);
        for ticket in &ready {
            if let Some(state) = self.owners.get_mut(&ticket.id)
                && let State::Ready(cause) = state
            {
                *state = State::Asked(cause.clone());
            }
        }
        ready.into_iter().map(|ticket| ticket.id.clone()).collect()
    }

    fn leave_lines(&mut self, ticket: &Arc<Ticket>, lines: &[Line]) {
        for line in lines {
            if let Some(queue) = self.lines.get_mut(line) {
                queue.tickets.remove(ticket);
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
        if self.lines.get(line).is_some_and(|queue| queue.asked == 0 && queue.tickets.is_empty()) {
            self.lines.remove(line);
        }
    }
}
