//! What the advertisements of both kinds have in common: which addresses one is about, and which nodes it selects.

use std::collections::{BTreeMap, BTreeSet};

use kube::core::{Selector, SelectorExt as _};

pub(crate) type Labels = BTreeMap<String, String>;

/// An advertisement **is about** an address if it names its pool or selects it by labels (or does neither), and if it
/// selects one of the Services that hold it (or has no `serviceSelectors`; one that has some is about no Gateway). It
/// **selects** a node if one of its `nodeSelectors` matches (or it has none).
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Matching {
    pub(crate) pools: BTreeSet<String>,
    pub(crate) pool_selectors: Vec<Selector>,
    pub(crate) service_selectors: Vec<Selector>,
    pub(crate) node_selectors: Vec<Selector>,
}

impl Matching {
    /// Whether it is about an address from `pool`, which has these labels, that one owner holds: a Gateway, or a Service with labels.
    pub(crate) fn is_about(&self, pool: Option<&str>, labels: &Labels, service: Option<&Labels>) -> bool {
        self.is_about_pool(pool, labels) && self.is_about_owner(service)
    }

    fn is_about_pool(&self, pool: Option<&str>, labels: &Labels) -> bool {
        let is_named = pool.is_some_and(|pool| self.pools.contains(pool));
        let is_selected = pool.is_some() && any(&self.pool_selectors, labels);
        is_named || is_selected || (self.pools.is_empty() && self.pool_selectors.is_empty())
    }

    fn is_about_owner(&self, service: Option<&Labels>) -> bool {
        self.service_selectors.is_empty()
            || service.is_some_and(|labels| any(&self.service_selectors, labels))
    }

    /// Whether it selects a node with these labels.
    pub(crate) fn selects(&self, node: &Labels) -> bool {
        selects(&self.node_selectors, node)
    }
}

/// Whether node selectors choose a node with these labels: all are chosen if there is none.
pub(crate) fn selects(selectors: &[Selector], node: &Labels) -> bool {
    selectors.is_empty() || any(selectors, node)
}

fn any(selectors: &[Selector], labels: &Labels) -> bool {
    selectors.iter().any(|selector| selector.matches(labels))
}
