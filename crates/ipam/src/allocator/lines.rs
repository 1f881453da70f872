//! Whom to ask again after a change.

use std::net::IpAddr;
use std::sync::Arc;

use super::Allocator;
use super::waiting::{Cause, Line, Ticket, Turn};
use crate::family::Family;
use crate::owner::OwnerId;

impl Allocator {
    /// Notes that something about `address` changed that may help those who wait.
    pub(super) fn touch(&mut self, address: IpAddr) {
        if !self.waiting.is_empty() {
            self.touched.insert(address);
        }
    }

    /// Takes an owner out of those who wait, and says why it was asked, if it was.
    pub(super) fn stop_waiting(&mut self, owner: &OwnerId) -> Option<Cause> {
        if self.waiting.is_empty() { None } else { self.waiting.leave(owner) }
    }

    /// Wakes those whom the changes since the last call may help, and whoever is next if `answered` did not take what it was
    /// asked for.
    pub(super) fn settle(&mut self, answered: Option<Cause>) {
        match answered {
            Some(Cause::Line(line)) => self.wake_line(&line),
            Some(Cause::Shared(address)) => {
                self.touched.insert(address);
            }
            Some(Cause::Configuration) | None => {}
        }
        while let Some(address) = self.touched.pop_first() {
            if !self.holds.at(address).is_empty() {
                self.wake_sharers(address);
                continue;
            }
            let giving: Vec<usize> = self.pools.giving(address).collect();
            for index in giving {
                self.wake_line(&Line::Pool(self.pools.states()[index].id, Family::of(address)));
            }
            self.wake_line(&Line::Address(address));
        }
    }

    /// Wakes so many of a line as there is to get.
    fn wake_line(&mut self, line: &Line) {
        let available = match line {
            Line::Pool(pool, family) => {
                let state = self.current(*pool).map(|index| &self.pools.states()[index]);
                state.map_or(0, |state| state.available(*family))
            }
            Line::Address(address) => u128::from(self.holds.at(*address).is_empty()),
            Line::Key(..) => 0,
        };
        while let Some(turn) = self.waiting.next_of(line, available) {
            self.waiting.wake(turn, Cause::Line(line.clone()));
        }
    }

    /// Wakes those who fit to the holders of `address` and to each other, oldest first.
    fn wake_sharers(&mut self, address: IpAddr) {
        if self.reserved_why(address).is_some() {
            return;
        }
        let bound = self.holds.at(address).iter().filter(|holder| holder.is_bound());
        let facts = bound.filter_map(|holder| self.owners.facts(holder.owner)).next();
        let mut lines = vec![Line::Address(address)];
        if let Some(key) = facts.map(|facts| Arc::<str>::from(self.sharers.key(facts))) {
            let states = self.pools.giving(address).map(|index| &self.pools.states()[index]);
            lines.extend(states.map(|state| Line::Key(state.id, Family::of(address), Arc::clone(&key))));
        }
        let mut fitting: Vec<Turn> =
            lines.iter().flat_map(|line| self.waiting.in_line(line)).cloned().collect();
        fitting.sort_unstable();
        fitting.dedup();
        let mut chosen: Vec<Turn> = Vec::new();
        for turn in fitting {
            let ticket = &turn.ticket;
            let candidate = self.candidate(&ticket.id, ticket.sharing.as_ref());
            if self.fits(candidate, address) && chosen.iter().all(|other| agree(ticket, &other.ticket)) {
                chosen.push(turn);
            }
        }
        for turn in chosen {
            self.waiting.wake(turn, Cause::Shared(address));
        }
    }
}

/// Whether two owners could be on one address.
fn agree(one: &Ticket, other: &Ticket) -> bool {
    let (Some(a), Some(b)) = (&one.sharing, &other.sharing) else { return false };
    let together = one.id.namespace == other.id.namespace || a.across_namespaces && b.across_namespaces;
    together && a.backend == b.backend && a.ports.is_disjoint(&b.ports)
}
