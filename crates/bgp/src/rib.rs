//! Adj-RIB-Out (RFC 4271 §3.2): what one peer is to know, what it knows, and the difference.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;

use crate::attributes::Attributes;
use crate::values::{Family, PerFamily};
use crate::wire::{Encoding, write_end_of_rib};

/// What one peer is to know. A change costs O(log n). Changes that wait are merged here: at most one per prefix, and a
/// prefix that is again as the peer knows it does not wait any more.
#[derive(Debug, Default)]
pub(crate) struct AdjRibOut {
    routes: BTreeMap<IpNet, Route>,
    wanted: PerFamily<usize>,
    /// All that is wanted from the start is here. Before that, an End-of-RIB would let the peer drop what it kept.
    complete: bool,
    /// What waits; `None` while the family cannot be sent.
    waiting: PerFamily<Option<Waiting>>,
}

#[derive(Debug, Default)]
struct Route {
    wanted: Option<Arc<Attributes>>,
    sent: Sent,
}

/// What the peer knows of a prefix.
#[derive(Debug, Default, PartialEq, Eq)]
enum Sent {
    #[default]
    Nothing,
    /// Something, which has to be said again or withdrawn.
    Stale,
    This(Arc<Attributes>),
}

#[derive(Debug, Default)]
struct Waiting {
    withdrawals: BTreeSet<IpNet>,
    /// By attributes, so that those with the same ones share UPDATEs. None is empty.
    announcements: BTreeMap<Arc<Attributes>, BTreeSet<IpNet>>,
    end_of_rib: bool,
    /// A refresh was asked for while another one ran.
    refresh_again: bool,
}

/// What one UPDATE was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// So many prefixes.
    Announced(usize),
    /// So many prefixes.
    Withdrawn(usize),
    EndOfRib(Family),
}

impl AdjRibOut {
    /// What the peer is to know of a prefix from now on; `None` = nothing.
    pub(crate) fn change(&mut self, prefix: IpNet, attributes: Option<Arc<Attributes>>) {
        let prefix = prefix.trunc();
        let family = Family::of(prefix);
        let route = self.routes.entry(prefix).or_default();
        if route.wanted != attributes {
            let waiting = &mut self.waiting[family];
            if let Some(waiting) = waiting {
                waiting.remove(prefix, route);
            }
            self.wanted[family] += usize::from(attributes.is_some());
            self.wanted[family] -= usize::from(route.wanted.is_some());
            route.wanted = attributes;
            if let Some(waiting) = waiting {
                waiting.add(prefix, route);
            }
        }
        if route.wanted.is_none() && route.sent == Sent::Nothing {
            self.routes.remove(&prefix);
        }
    }

    /// All that is wanted from the start was given.
    pub(crate) fn set_complete(&mut self) {
        self.complete = true;
    }

    /// Prefixes wanted.
    pub(crate) fn wanted(&self) -> PerFamily<usize> {
        self.wanted
    }

    /// A session has come up in which these families can be sent: the peer knows nothing yet.
    pub(crate) fn start(&mut self, families: PerFamily<bool>) {
        self.stop();
        for family in Family::ALL.into_iter().filter(|family| families[*family]) {
            self.waiting[family] = Some(Waiting { end_of_rib: true, ..Waiting::default() });
        }
        for (prefix, route) in &self.routes {
            if let Some(waiting) = &mut self.waiting[Family::of(*prefix)] {
                waiting.add(*prefix, route);
            }
        }
    }

    /// The session is gone, and with it what the peer knew.
    pub(crate) fn stop(&mut self) {
        self.waiting = PerFamily::default();
        self.routes.retain(|_, route| {
            route.sent = Sent::Nothing;
            route.wanted.is_some()
        });
    }

    /// The peer wants all of a family again (RFC 2918). While all is being sent already, this is done once after it, so
    /// that asking often costs no more than reading what comes.
    pub(crate) fn refresh(&mut self, family: Family) {
        let Some(waiting) = &mut self.waiting[family] else { return };
        if waiting.end_of_rib {
            waiting.refresh_again = true;
            return;
        }
        waiting.end_of_rib = true;
        for (prefix, route) in self.routes.iter_mut().filter(|(prefix, _)| Family::of(**prefix) == family) {
            if route.sent != Sent::Nothing {
                route.sent = Sent::Stale;
                waiting.add(*prefix, route);
            }
        }
    }

    /// Whether [`write`](Self::write) has something to say.
    pub(crate) fn is_waiting(&self) -> bool {
        let has_work = |waiting: &Waiting| !waiting.is_empty() || waiting.end_of_rib && self.complete;
        Family::ALL.iter().any(|family| self.waiting[*family].as_ref().is_some_and(has_work))
    }

    /// Whether an End-of-RIB is still owed for any family that can be sent.
    pub(crate) fn owes_end_of_rib(&self) -> bool {
        Family::ALL
            .iter()
            .any(|family| self.waiting[*family].as_ref().is_some_and(|waiting| waiting.end_of_rib))
    }

    /// Appends the next UPDATE: withdrawals first, then announcements, and an End-of-RIB when nothing else is left of
    /// its family.
    pub(crate) fn write(&mut self, encoding: &Encoding, out: &mut Vec<u8>) -> Option<Written> {
        for family in Family::ALL {
            if let Some(withdrawn) = self.write_withdrawals(family, encoding, out) {
                return Some(Written::Withdrawn(withdrawn));
            }
        }
        for family in Family::ALL {
            if let Some(announced) = self.write_announcements(family, encoding, out) {
                return Some(Written::Announced(announced));
            }
            let Some(waiting) = &mut self.waiting[family] else { continue };
            if waiting.end_of_rib && self.complete {
                waiting.end_of_rib = false;
                write_end_of_rib(family, out);
                if std::mem::take(&mut waiting.refresh_again) {
                    self.refresh(family);
                }
                return Some(Written::EndOfRib(family));
            }
        }
        None
    }

    fn write_withdrawals(&mut self, family: Family, encoding: &Encoding, out: &mut Vec<u8>) -> Option<usize> {
        let withdrawals = &mut self.waiting[family].as_mut()?.withdrawals;
        if withdrawals.is_empty() {
            return None;
        }
        let fitted = encoding.withdraw(family, withdrawals.iter().copied(), out);
        for _ in 0..fitted {
            let prefix = withdrawals.pop_first()?;
            self.routes.remove(&prefix);
        }
        Some(fitted)
    }

    fn write_announcements(
        &mut self,
        family: Family,
        encoding: &Encoding,
        out: &mut Vec<u8>,
    ) -> Option<usize> {
        let mut group = self.waiting[family].as_mut()?.announcements.first_entry()?;
        let attributes = Arc::clone(group.key());
        let prefixes = group.get_mut();
        let fitted = encoding.announce(family, &attributes, prefixes.iter().copied(), out);
        for _ in 0..fitted {
            if let Some(route) = prefixes.pop_first().and_then(|prefix| self.routes.get_mut(&prefix)) {
                route.sent = Sent::This(Arc::clone(&attributes));
            }
        }
        if prefixes.is_empty() {
            group.remove();
        }
        (fitted > 0).then_some(fitted)
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.withdrawals.is_empty() && self.announcements.is_empty()
    }

    /// Makes a route wait if the peer does not know it as it is wanted.
    fn add(&mut self, prefix: IpNet, route: &Route) {
        match (&route.wanted, &route.sent) {
            (Some(wanted), Sent::This(sent)) if wanted == sent => {}
            (Some(wanted), _) => {
                self.announcements.entry(Arc::clone(wanted)).or_default().insert(prefix);
            }
            (None, Sent::Nothing) => {}
            (None, Sent::Stale | Sent::This(_)) => {
                self.withdrawals.insert(prefix);
            }
        }
    }

    /// The reverse of [`add`](Self::add).
    fn remove(&mut self, prefix: IpNet, route: &Route) {
        let Some(wanted) = &route.wanted else {
            self.withdrawals.remove(&prefix);
            return;
        };
        if let Some(group) = self.announcements.get_mut(wanted) {
            group.remove(&prefix);
            if group.is_empty() {
                self.announcements.remove(wanted);
            }
        }
    }
}

#[cfg(test)]
mod tests;
