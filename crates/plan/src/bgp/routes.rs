//! From the addresses that a node advertises to prefixes and what each peer is told of them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;

use super::objects::Objects;
use super::peers::Sessions;
use super::{Advertisement, BgpDecision, RouteAttributes, RoutePlan};

/// Octets that all communities of one route may take together: attributes and a prefix have to fit one message. Crate `bgp`
/// takes 2,048, of which GRACEFUL_SHUTDOWN needs four while the node hands over.
const COMMUNITIES_MAX_LEN: usize = 2044;

/// What an internal peer is told where no preference is given.
const LOCAL_PREF: u32 = 100;

/// Why a prefix is advertised: because of an advertisement, and whether the node is about to hand over.
type Contribution = (Arc<str>, bool);

/// What each peer is told, by the peer's name.
type Told = Arc<BTreeMap<Arc<str>, Arc<RouteAttributes>>>;

/// The prefixes that are advertised, each with how many addresses contribute to it in which way. Few ways stand beside many
/// addresses: what a prefix costs does not grow with its addresses.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    prefixes: BTreeMap<IpNet, BTreeMap<Contribution, usize>>,
    touched: BTreeSet<IpNet>,
    /// What peers are told because of these advertisements, and whether it is of IPv6: routes of one kind share it.
    told: BTreeMap<(BTreeSet<Arc<str>>, bool), Told>,
}

impl Routes {
    /// An address is advertised, as decided.
    pub(crate) fn add(&mut self, decision: &BgpDecision) {
        for (prefix, contribution) in contributions(decision) {
            *self.prefixes.entry(prefix).or_default().entry(contribution).or_default() += 1;
            self.touched.insert(prefix);
        }
    }

    /// An address is no longer advertised as was decided.
    pub(crate) fn remove(&mut self, decision: &BgpDecision) {
        for (prefix, contribution) in contributions(decision) {
            let Some(of_prefix) = self.prefixes.get_mut(&prefix) else { continue };
            if let Some(count) = of_prefix.get_mut(&contribution) {
                *count -= 1;
                if *count == 0 {
                    of_prefix.remove(&contribution);
                }
            }
            if of_prefix.is_empty() {
                self.prefixes.remove(&prefix);
            }
            self.touched.insert(prefix);
        }
    }

    /// What advertisements or peers say has changed: every prefix is looked at anew.
    pub(crate) fn touch_all(&mut self) {
        self.told.clear();
        self.touched.extend(self.prefixes.keys());
    }

    /// Brings `routes` up to date, and gives the prefixes whose route changed.
    pub(crate) fn settle(
        &mut self,
        objects: &Objects,
        routes: &mut BTreeMap<IpNet, Arc<RoutePlan>>,
    ) -> BTreeSet<IpNet> {
        let touched = std::mem::take(&mut self.touched);
        let mut changed = BTreeSet::new();
        for prefix in touched {
            let new = self.route(prefix, objects);
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

    fn route(&mut self, prefix: IpNet, objects: &Objects) -> Option<RoutePlan> {
        let contributions = self.prefixes.get(&prefix)?;
        let names: BTreeSet<Arc<str>> = contributions.keys().map(|(name, _)| Arc::clone(name)).collect();
        let leaving = contributions.keys().all(|(_, leaving)| *leaving);
        let kind = (names, matches!(prefix, IpNet::V6(_)));
        let to = self
            .told
            .entry(kind)
            .or_insert_with_key(|(names, is_ipv6)| Arc::new(told(names, *is_ipv6, objects)));
        (!to.is_empty()).then(|| RoutePlan { to: Arc::clone(to), leaving })
    }
}

fn contributions(decision: &BgpDecision) -> impl Iterator<Item = (IpNet, Contribution)> {
    let (because, leaving) = match decision {
        BgpDecision::Advertise { because, leaving } => (&**because, *leaving),
        BgpDecision::Skip(_) => (&[][..], false),
    };
    because.iter().map(move |(prefix, name)| (*prefix, (Arc::clone(name), leaving)))
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
