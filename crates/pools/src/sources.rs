//! All that declares pools: the address ConfigMap and the `IPAddressPool`s.

use std::collections::BTreeMap;

use keryx_api::ip_address_pool::IPAddressPool;
use keryx_ipam::configmap::{self, KeyProblem, Notice};
use keryx_ipam::{Allocator, Pool};

use crate::object;

/// All that declares pools.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `data` of the address ConfigMap; `None` if there is none.
    pub keys: Option<BTreeMap<String, String>>,
    /// The `IPAddressPool`s in Keryx' own namespace.
    pub objects: Vec<IPAddressPool>,
}

/// The pools, and what is to be said about the ConfigMap. About the objects it stands in [`Pool::problem`].
#[derive(Clone, Debug, Default)]
pub struct Declared {
    /// For [`Allocator::set_pools`], which says in [`Pool::problem`] when an object has the name of a key.
    pub pools: Vec<Pool>,
    /// What is wrong with the ConfigMap, by key.
    pub problems: Vec<KeyProblem>,
    /// What may surprise in it, by key.
    pub notices: Vec<Notice>,
}

impl Sources {
    /// Reads everything. Never fails as a whole.
    pub fn declared(&self) -> Declared {
        let parsed = self.keys.as_ref().map(configmap::parse).unwrap_or_default();
        let mut pools = parsed.pools;
        pools.extend(self.objects.iter().map(object::pool));
        Declared { pools, problems: parsed.problems, notices: parsed.notices }
    }

    /// Whether there is an `IPAddressPool` of this name.
    pub(crate) fn has_object(&self, name: &str) -> bool {
        self.objects.iter().any(|object| object.metadata.name.as_deref() == Some(name))
    }

    /// An allocator with these pools and no claims.
    pub fn allocator(&self) -> Allocator {
        let mut allocator = Allocator::default();
        allocator.set_pools(self.declared().pools);
        allocator
    }
}
