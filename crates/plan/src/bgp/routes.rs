//! From the addresses that a node advertises to prefixes and what each peer is told of them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;

use super::objects::Objects;
use super::peers::Sessions;
use super::{Advertisement, BgpDecision, RouteAttributes, RoutePlan};
use crate::SharedMap;

/// Octets that all communities of one route may take together: attributes and a prefix have to fit one message. Crate `bgp`
/// takes 2,048, of which GRACEFUL_SHUTDOWN needs four while the node hands over.
const COMMUNITIES_MAX_LEN: usize = 2044;

/// What an internal peer is told where no preference is given.
const LOCAL_PREF: u32 = 100;

/// What each peer is told, by the peer's name.
type Told = Arc<BTreeMap<Arc<str>, Arc<RouteAttributes>>>;

/// The prefixes that are advertised, each with the advertisements that ask for it and for how many addresses each does. Few of them
/// stand beside many addresses: what a prefix costs does not grow with its addresses.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    prefixes: BTreeMap<IpNet, BTreeMap<Arc<str>, usize>>,
    touched: BTreeSet<IpNet>,
    /// What peers are told because of these advertisements, and whether it is of IPv6: routes of one kind share it.
    told: BTreeMap<(BTreeSet<Arc<str>>, bool), Told>,
}

impl Routes {
    /// An address is advertised, as decided.
    pub(crate) fn add(&mut self, decision: &BgpDecision) {
        for (prefix, name) in because(decision) {
            *self.prefixes.entry(*prefix).or_default().entry(Arc::clone(name)).or_default() += 1;
            self.touched.insert(*prefix);
        }
    }

    /// An address is no longer advertised as was decided.
    pub(crate) fn remove(&mut self, decision: &BgpDecision) {
        for (prefix, name) in because(decision) {
            let Some(of_prefix) = self.prefixes.get_mut(prefix) else { continue };
            if let Some(count) = of_prefix.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    of_prefix.remove(name);
                }
            }
            if of_prefix.is_empty() {
                self.prefixes.remove(prefix);
            }
            self.touched.insert(*prefix);
        }
    }

    /// What advertisements or peers say has changed. Every address is decided about anew then, so every prefix is touched.
    pub(crate) fn forget_told(&mut self) {
        self.told.clear();
    }

    /// Brings `routes` up to date, and gives the prefixes whose route changed. `leaving` says that the node is about to hand over.
    pub(crate) fn settle(
        &mut self,
        objects: &Objects,
        leaving: bool,
        routes: &mut SharedMap<IpNet, Arc<RoutePlan>>,
    ) -> BTreeSet<IpNet> {
        let touched = std::mem::take(&mut self.touched);
        let mut changed = BTreeSet::new();
        for prefix in touched {
            let new = self.route(prefix, leaving, objects);
            if routes.get(&prefix).map(|route| &**route) == new.as_ref() {
                continue;
            }
            changed.insert(prefix);
            match new {
                Some(new) => drop(routes.insert(prefix, Arc::new(new))),
                None => drop(routes.remove(&prefix)),
            }
        }
        changed
    }

    fn route(&mut self, prefix: IpNet, leaving: bool, objects: &Objects) -> Option<RoutePlan> {
        let names: BTreeSet<Arc<str>> = self.prefixes.get(&prefix)?.keys().cloned().collect();
        let kind = (names, matches!(prefix, IpNet::V6(_)));
        let to = self
            .told
            .entry(kind)
            .or_insert_with_key(|(names, is_ipv6)| Arc::new(told(names, *is_ipv6, objects)));
        (!to.is_empty()).then(|| RoutePlan { to: Arc::clone(to), leaving })
    }
}

fn because(decision: &BgpDecision) -> &[(IpNet, Arc<str>)] {
    match decision {
        BgpDecision::Advertise { because, .. } => because,
        BgpDecision::Skip(_) => &[],
    }
}

/// What each peer of the node is told of a prefix because of these advertisements.
fn told(
    names: &BTreeSet<Arc<str>>,
    is_ipv6: bool,
    objects: &Objects,
) -> BTreeMap<Arc<str>, Arc<RouteAttributes>> {
    let mut known: BTreeSet<Arc<RouteAttributes>> = BTreeSet::new();
    let mut said: BTreeMap<&Arc<str>, RouteAttributes> = BTreeMap::new();
    for advertisement in names.iter().filter_map(|name| objects.advertisement(name)) {
        for peer in objects.sessions().told(advertisement, is_ipv6) {
            merge(said.entry(peer), &advertisement.attributes);
        }
    }
    let mut told = BTreeMap::new();
    for (peer, merged) in said {
        let shared = known.get(&merged).cloned().unwrap_or_else(|| Arc::new(merged));
        known.insert(Arc::clone(&shared));
        told.insert(Arc::clone(peer), shared);
    }
    told
}

/// Of advertisements of one prefix, by name, those whose communities some peer is not told.
pub(super) fn left_out(
    each: &[(&Arc<str>, &Advertisement)],
    sessions: &Sessions,
    is_ipv6: bool,
) -> BTreeSet<Arc<str>> {
    let mut said: BTreeMap<&Arc<str>, RouteAttributes> = BTreeMap::new();
    let mut left_out = BTreeSet::new();
    for (name, advertisement) in each {
        for peer in sessions.told(advertisement, is_ipv6) {
            if !merge(said.entry(peer), &advertisement.attributes) {
                left_out.insert(Arc::clone(name));
            }
        }
    }
    left_out
}

/// Adds to what is said of one prefix to one peer what one more advertisement says of it. False if its communities do not fit
/// any more and so are left out.
fn merge(said: Entry<'_, &Arc<str>, RouteAttributes>, next: &RouteAttributes) -> bool {
    let said = match said {
        Entry::Vacant(first) => {
            first.insert(next.clone());
            return true;
        }
        Entry::Occupied(said) => said.into_mut(),
    };
    let mut both = RouteAttributes {
        local_pref: higher(said.local_pref, next.local_pref),
        med: [said.med, next.med].into_iter().flatten().min(),
        as_path_prepend: said.as_path_prepend.min(next.as_path_prepend),
        ..said.clone()
    };
    both.communities.extend(&next.communities);
    both.large_communities.extend(&next.large_communities);
    both.extended_communities.extend(&next.extended_communities);
    let fits = length(&both) <= COMMUNITIES_MAX_LEN;
    if !fits {
        both.communities.clone_from(&said.communities);
        both.large_communities.clone_from(&said.large_communities);
        both.extended_communities.clone_from(&said.extended_communities);
    }
    *said = both;
    fits
}

/// The higher of two preferences, of which a missing one is [`LOCAL_PREF`].
fn higher(a: Option<u32>, b: Option<u32>) -> Option<u32> {
    if a.unwrap_or(LOCAL_PREF) >= b.unwrap_or(LOCAL_PREF) { a } else { b }
}

/// Octets that the communities take.
fn length(attributes: &RouteAttributes) -> usize {
    4 * attributes.communities.len()
        + 8 * attributes.extended_communities.len()
        + 12 * attributes.large_communities.len()
}
