//! What `L2Advertisement` objects say, and how several of them are merged.
//!
//! Which addresses one is about and which nodes it selects, module `matching` says.
//!
//! 1. Without any object, of this kind or of BGPAdvertisement, every address is announced by any node, on each interface that fits.
//! 2. Else an address is announced only if an advertisement is about it, and only by nodes that one of these selects.
//! 3. `interfaces`: on one node, those of all advertisements about the address that select the node; any, if one of these
//!    lists none.
//!    An `interface-` key of the address ConfigMap limits them further.
//! 4. `preferredNodeSelectors`: the weights of all that match are added, over all advertisements about one of the group's
//!    addresses that select the node. Weight comes after the number of ports that a node covers, and before all else.
//! 5. `revert`: if one of them says so. `conflictDetection`: the strictest of them.
//! 6. `announceFrom` and `withoutEndpoints`: what one of them says goes before what holds for the owner without them. If they
//!    differ, `LocalEndpoints` and `Withdraw` win: who restricts has a reason.
//! 7. An object that cannot be read counts for rule 2, and is about nothing. So a typing error never announces on a node or
//!    interface that was meant to be left out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use keryx_api::exposure::{AnnounceFrom, WithoutEndpoints};
use keryx_api::ip_address_pool::IPAddressPool;
use keryx_api::l2_advertisement::{ConflictDetection, L2Advertisement, L2AdvertisementSpec, Selectors};
use kube::core::{Selector, SelectorExt as _};

use crate::matching::{Labels, Matching};
use crate::nodes::Nodes;

/// Every advertisement, and the labels of the pools that they select.
#[derive(Debug, Default)]
pub(crate) struct Advertisements {
    /// By name; what cannot be read is `None`.
    objects: BTreeMap<Arc<str>, Option<Advertisement>>,
    /// Labels of the IPAddressPools, by name.
    pools: BTreeMap<Arc<str>, Labels>,
    /// There is a BGPAdvertisement.
    bgp_exists: bool,
    stale: bool,
}

/// One advertisement.
#[derive(Debug, PartialEq)]
pub(crate) struct Advertisement {
    pub(crate) name: Arc<str>,
    matching: Matching,
    preferred_nodes: Vec<(u32, Selector)>,
    /// Empty for any.
    interfaces: BTreeSet<Arc<str>>,
    pub(crate) revert: bool,
    conflict_detection: ConflictDetection,
    announce_from: Option<AnnounceFrom>,
    without_endpoints: Option<WithoutEndpoints>,
    /// The preference of each node that is selected, by its place in [`Nodes::standings`], as of the last refresh.
    preferences: Vec<Option<u32>>,
}

impl Advertisement {
    /// `None` if it cannot be read.
    fn of(name: Arc<str>, spec: &L2AdvertisementSpec) -> Option<Self> {
        let Selectors { pools, nodes, services, preferred_nodes } = spec.selectors().ok()?;
        Some(Self {
            name,
            matching: Matching {
                pools: spec.ip_address_pools.iter().cloned().collect(),
                pool_selectors: pools,
                service_selectors: services,
                node_selectors: nodes,
            },
            preferred_nodes,
            interfaces: spec.interfaces.iter().map(|name| name.as_str().into()).collect(),
            revert: spec.revert,
            conflict_detection: spec.conflict_detection,
            announce_from: spec.announce_from,
            without_endpoints: spec.without_endpoints,
            preferences: Vec::new(),
        })
    }

    /// The preference of a node by its labels; `None` if it is not selected.
    fn preference(&self, labels: &Labels) -> Option<u32> {
        if !self.matching.selects(labels) {
            return None;
        }
        let matching = self.preferred_nodes.iter().filter(|(_, preferred)| preferred.matches(labels));
        Some(matching.map(|(weight, _)| weight).sum())
    }
}

impl Advertisements {
    pub(crate) fn apply(&mut self, object: &L2Advertisement) {
        let name: Arc<str> = object.metadata.name.as_deref().unwrap_or_default().into();
        let mut new = Advertisement::of(Arc::clone(&name), &object.spec);
        let old = self.objects.get(&name);
        if let (Some(Some(old)), Some(new)) = (old, &mut new) {
            new.preferences.clone_from(&old.preferences);
        }
        if old != Some(&new) {
            self.objects.insert(name, new);
            self.stale = true;
        }
    }

    pub(crate) fn delete(&mut self, name: &str) {
        self.stale |= self.objects.remove(name).is_some();
    }

    /// Whether there is no advertisement of any kind, so that every address is announced by any node.
    pub(crate) fn is_default(&self) -> bool {
        self.objects.is_empty() && !self.bgp_exists
    }

    /// Learns whether there is an advertisement of the other kind.
    pub(crate) fn set_bgp_exists(&mut self, exists: bool) {
        self.stale |= self.bgp_exists != exists;
        self.bgp_exists = exists;
    }

    /// The labels of a pool. An address whose pool is not known is in none.
    pub(crate) fn pool_labels(&self, pool: Option<&str>) -> &Labels {
        static NONE: Labels = Labels::new();
        pool.and_then(|pool| self.pools.get(pool)).unwrap_or(&NONE)
    }

    pub(crate) fn names(&self) -> BTreeSet<Arc<str>> {
        self.objects.keys().cloned().collect()
    }

    pub(crate) fn apply_pool(&mut self, object: &IPAddressPool) {
        let name = object.metadata.name.as_deref().unwrap_or_default();
        let labels = object.metadata.labels.clone().unwrap_or_default();
        if self.pools.get(name) != Some(&labels) {
            self.pools.insert(name.into(), labels);
            self.stale = true;
        }
    }

    pub(crate) fn delete_pool(&mut self, name: &str) {
        self.stale |= self.pools.remove(name).is_some();
    }

    pub(crate) fn pool_names(&self) -> BTreeSet<Arc<str>> {
        self.pools.keys().cloned().collect()
    }

    /// Brings up to date what the advertisements say of each node; true if any group may be touched. `nodes_changed` says
    /// whether Nodes have changed since the last time.
    pub(crate) fn refresh(&mut self, nodes: &Nodes, nodes_changed: bool) -> bool {
        let mut changed = std::mem::take(&mut self.stale);
        if !changed && !nodes_changed {
            return false;
        }
        for advertisement in self.objects.values_mut().flatten() {
            let preferences = nodes.labels().map(|labels| advertisement.preference(labels)).collect();
            changed |= advertisement.preferences != preferences;
            advertisement.preferences = preferences;
        }
        changed
    }

    /// Those about an address from `pool` that one owner holds: a Gateway, or a Service with these labels. `None` if there
    /// is no advertisement of any kind.
    pub(crate) fn about(&self, pool: Option<&str>, service: Option<&Labels>) -> Option<About> {
        if self.is_default() {
            return None;
        }
        let labels = self.pool_labels(pool);
        let is_about = |it: &Advertisement| it.matching.is_about(pool, labels, service);
        let about = self.objects.iter().filter(|(_, it)| it.as_ref().is_some_and(is_about));
        Some(about.map(|(name, _)| Arc::clone(name)).collect())
    }

    /// What these advertisements say together.
    pub(crate) fn merged(&self, about: Option<&About>) -> Reach<'_> {
        let named =
            |about: &About| about.iter().filter_map(|name| self.objects.get(name)?.as_ref()).collect();
        Reach(about.map(named))
    }
}

/// Names of advertisements about an address.
pub(crate) type About = BTreeSet<Arc<str>>;

/// What the advertisements about an address say together: all nodes and interfaces, or those of these advertisements.
#[derive(Debug)]
pub(crate) struct Reach<'a>(Option<Vec<&'a Advertisement>>);

impl<'a> Reach<'a> {
    fn each(&self) -> impl Iterator<Item = &'a Advertisement> {
        self.0.iter().flatten().copied()
    }

    /// The names of the advertisements.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        self.each().map(|advertisement| Arc::clone(&advertisement.name)).collect()
    }

    /// True if there are advertisements, and none is about the address.
    pub(crate) fn is_nowhere(&self) -> bool {
        self.0.as_ref().is_some_and(Vec::is_empty)
    }

    /// How much the node at `place` is preferred; `None` if it is not selected.
    pub(crate) fn preference(&self, place: usize) -> Option<u32> {
        let Some(about) = &self.0 else { return Some(0) };
        let preferences = about.iter().filter_map(|it| it.preferences.get(place).copied().flatten());
        preferences.reduce(|sum, preference| sum + preference)
    }

    /// The interfaces on which the node at `place` announces; `None` for any.
    pub(crate) fn interfaces(&self, place: usize) -> Option<BTreeSet<Arc<str>>> {
        let selecting = || self.each().filter(|it| it.preferences.get(place).copied().flatten().is_some());
        let restricted = self.0.is_some() && selecting().all(|it| !it.interfaces.is_empty());
        restricted.then(|| selecting().flat_map(|it| it.interfaces.iter().cloned()).collect())
    }

    /// Whether the address goes back to the best node as soon as that can announce it.
    pub(crate) fn revert(&self) -> bool {
        self.each().any(|it| it.revert)
    }

    /// How thoroughly the address is checked before its first use.
    pub(crate) fn conflict_detection(&self) -> ConflictDetection {
        self.each().map(|it| it.conflict_detection).max().unwrap_or_default()
    }

    /// Which nodes may announce, if one says so.
    pub(crate) fn announce_from(&self) -> Option<AnnounceFrom> {
        self.each().filter_map(|it| it.announce_from).reduce(stricter_from)
    }

    /// What is to be done without endpoints, if one says so.
    pub(crate) fn without_endpoints(&self) -> Option<WithoutEndpoints> {
        self.each().filter_map(|it| it.without_endpoints).reduce(stricter_without)
    }
}

/// The one of two that restricts more.
pub(crate) fn stricter_from(a: AnnounceFrom, b: AnnounceFrom) -> AnnounceFrom {
    if [a, b].contains(&AnnounceFrom::LocalEndpoints) { AnnounceFrom::LocalEndpoints } else { a }
}

/// The one of two that restricts more.
pub(crate) fn stricter_without(a: WithoutEndpoints, b: WithoutEndpoints) -> WithoutEndpoints {
    if [a, b].contains(&WithoutEndpoints::Withdraw) { WithoutEndpoints::Withdraw } else { a }
}
