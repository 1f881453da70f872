//! What one peer is to be told, as differences from what its machine was told before.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use keryx_bgp::{AttributeValues, Attributes};
use keryx_plan::SharedMap;
use keryx_plan::bgp::{BgpPlan, RouteAttributes, RoutePlan};

/// The community by which a router is asked to prefer any other path before this one goes (RFC 8326 §4).
const GRACEFUL_SHUTDOWN: u32 = 0xffff_0000;
/// From that to the withdrawal. Routers need a moment to learn of and to install another path.
const LEAVE_AFTER: Duration = Duration::from_secs(5);

/// A change for the machine: a prefix, and what to say of it from now on.
pub(super) type RouteChange = (IpNet, Option<Arc<Attributes>>);

/// What one peer has been told.
#[derive(Debug)]
pub(super) struct Routes {
    /// Name of the peer.
    peer: Arc<str>,
    /// The plan that was followed last.
    plan: SharedMap<IpNet, Arc<RoutePlan>>,
    /// What the machine knows. Values are shared with it and between routes.
    told: BTreeMap<IpNet, Arc<Attributes>>,
    /// Routes that were told and leave go at this time.
    leave_at: Option<Instant>,
    /// Attributes in use, so that equal ones are one object.
    known: BTreeMap<Arc<RouteAttributes>, Known>,
}

/// The same attributes as they are said of a route that stays, and of one that leaves.
#[derive(Clone, Debug)]
struct Known {
    staying: Arc<Attributes>,
    leaving: Arc<Attributes>,
}

impl Routes {
    pub(super) fn new(peer: Arc<str>) -> Self {
        Self { peer, plan: SharedMap::new(), told: BTreeMap::new(), leave_at: None, known: BTreeMap::new() }
    }

    /// Follows a plan: what its peer has to be told now. Looks at every entry, and does no more for one that is the very
    /// same as before.
    pub(super) fn follow(&mut self, plan: &BgpPlan, now: Instant) -> Vec<RouteChange> {
        let before = std::mem::replace(&mut self.plan, plan.routes.clone());
        let mut changed: Vec<(IpNet, Option<Arc<RoutePlan>>)> = Vec::new();
        for (prefix, route) in &self.plan {
            if !before.get(prefix).is_some_and(|old| Arc::ptr_eq(old, route)) {
                changed.push((*prefix, Some(Arc::clone(route))));
            }
        }
        let gone = before.keys().filter(|prefix| !self.plan.contains_key(prefix));
        changed.extend(gone.map(|prefix| (*prefix, None)));
        let leaves = |route: &Arc<RoutePlan>| route.leaving;
        self.leave_at = match self.leave_at {
            _ if !self.plan.values().any(leaves) => None,
            None => Some(now + LEAVE_AFTER),
            set => set,
        };
        self.tell(changed, now)
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.leave_at.filter(|_| {
            self.plan.iter().any(|(prefix, route)| route.leaving && self.told.contains_key(prefix))
        })
    }

    /// Withdraws the routes that have been leaving for long enough.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Vec<RouteChange> {
        if self.leave_at.is_none_or(|due| now < due) {
            return Vec::new();
        }
        let leaving = self.plan.iter().filter(|(_, route)| route.leaving);
        let leaving = leaving.map(|(prefix, route)| (*prefix, Some(Arc::clone(route)))).collect();
        self.tell(leaving, now)
    }

    /// How many routes the peer is to know.
    pub(super) fn len(&self) -> usize {
        self.told.len()
    }

    fn tell(&mut self, routes: Vec<(IpNet, Option<Arc<RoutePlan>>)>, now: Instant) -> Vec<RouteChange> {
        let mut changes = Vec::new();
        // Most routes have their attributes in common with the one before.
        let mut last: Option<(Arc<RouteAttributes>, Known)> = None;
        for (prefix, route) in routes {
            let attributes = route.as_ref().and_then(|route| route.to.get(&self.peer));
            let known = attributes.and_then(|attributes| match &last {
                Some((same, known)) if Arc::ptr_eq(same, attributes) => Some(known.clone()),
                Some(_) | None => {
                    let known = self.known(attributes)?;
                    last = Some((Arc::clone(attributes), known.clone()));
                    Some(known)
                }
            });
            let leaving = route.is_some_and(|route| route.leaving);
            let is_over = leaving && self.leave_at.is_some_and(|due| due <= now);
            let wanted = known.map(|known| if leaving { known.leaving } else { known.staying });
            let wanted = wanted.filter(|_| !is_over);
            match (self.told.entry(prefix), &wanted) {
                (Entry::Occupied(told), Some(wanted)) if told.get() == wanted => continue,
                (Entry::Occupied(mut told), Some(wanted)) => drop(told.insert(Arc::clone(wanted))),
                (Entry::Occupied(told), None) => drop(told.remove()),
                // A route that leaves is not announced for that to begin with.
                (Entry::Vacant(_), Some(_)) if leaving => continue,
                (Entry::Vacant(told), Some(wanted)) => drop(told.insert(Arc::clone(wanted))),
                (Entry::Vacant(_), None) => continue,
            }
            changes.push((prefix, wanted));
        }
        drop(last);
        self.forget_unused();
        changes
    }

    /// Attributes as they are said, the same objects for equal ones.
    fn known(&mut self, attributes: &Arc<RouteAttributes>) -> Option<Known> {
        if let Some(known) = self.known.get(attributes) {
            return Some(known.clone());
        }
        let known = Known { staying: said(attributes, false)?, leaving: said(attributes, true)? };
        self.known.insert(Arc::clone(attributes), known.clone());
        Some(known)
    }

    /// Drops attributes that no route has any more.
    fn forget_unused(&mut self) {
        let is_used = |said: &Arc<Attributes>| Arc::strong_count(said) > 1;
        self.known.retain(|_, known| is_used(&known.staying) || is_used(&known.leaving));
    }
}

/// Attributes as the machine takes them; `None` if they exceed what a message carries, which the plan has refused already.
fn said(attributes: &RouteAttributes, leaving: bool) -> Option<Arc<Attributes>> {
    let mut values = AttributeValues {
        prepend: attributes.as_path_prepend,
        med: attributes.med,
        local_pref: attributes.local_pref,
        communities: attributes.communities.clone(),
        extended_communities: attributes.extended_communities.clone(),
        large_communities: attributes.large_communities.clone(),
        ..AttributeValues::default()
    };
    if leaving {
        values.communities.insert(GRACEFUL_SHUTDOWN);
        // RFC 8326 §5.1: within the AS the preference says the same, whether or not a router knows the community.
        values.local_pref = Some(0);
    }
    Attributes::new(values).ok().map(Arc::new)
}

#[cfg(test)]
mod tests;
