//! What `/metrics` tells.

use std::sync::atomic::AtomicU64;

use keryx_ipam::Counts;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// A pool and an address family.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct PoolLabels {
    /// Name of the pool.
    pub(crate) pool: String,
    /// `IPv4` or `IPv6`.
    pub(crate) family: &'static str,
}

/// The writes for one subject.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct WriteLabels {
    /// How it ended.
    pub(crate) outcome: WriteOutcome,
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum WriteOutcome {
    /// Everything is stored.
    Stored,
    /// Quota or admission refused a generated object.
    Refused,
    /// An object had changed meanwhile, or the API server did not answer; decided anew after a pause.
    Failed,
}

/// All metrics of the controller.
pub(crate) struct Metrics {
    /// Owners that wait for an address.
    pub(crate) owners_waiting: Gauge,
    /// Addresses that a pool can still give.
    pool_addresses_available: Family<PoolLabels, Gauge<f64, AtomicU64>>,
    /// Addresses that a pool can give in all.
    pool_addresses_capacity: Family<PoolLabels, Gauge<f64, AtomicU64>>,
    /// Addresses that were given from a pool.
    pool_addresses_assigned: Family<PoolLabels, Gauge<f64, AtomicU64>>,
    /// Those of them that the pool no longer covers.
    pool_addresses_outside: Family<PoolLabels, Gauge<f64, AtomicU64>>,
    /// Keys of the address-range ConfigMap that could not be read.
    pub(crate) configmap_problems: Gauge,
    /// Entries of the ledger that cannot be read.
    pub(crate) ledger_damaged: Gauge,
    /// Whether this process leads.
    pub(crate) leading: Gauge,
    /// Writes by outcome.
    pub(crate) writes: Family<WriteLabels, Counter>,
}

impl Metrics {
    /// The metrics, and the registry that shows them.
    pub(crate) fn new() -> (Self, Registry) {
        let mut registry = Registry::with_prefix("keryx_controller");
        let (owners_waiting, configmap_problems, leading) =
            (Gauge::default(), Gauge::default(), Gauge::default());
        let ledger_damaged = Gauge::default();
        let (available, capacity, writes) = (Family::default(), Family::default(), Family::default());
        let (assigned, outside) = (Family::default(), Family::default());
        registry.register(
            "owners_waiting",
            "Services and Gateways that wait for an address",
            Clone::clone(&owners_waiting),
        );
        registry.register(
            "pool_addresses_available",
            "Addresses that the pool can still give",
            Clone::clone(&available),
        );
        registry.register(
            "pool_addresses_capacity",
            "Addresses that the pool can give",
            Clone::clone(&capacity),
        );
        registry.register(
            "pool_addresses_assigned",
            "Addresses that were given from the pool and are in use",
            Clone::clone(&assigned),
        );
        registry.register(
            "pool_addresses_outside",
            "Addresses in use that the pool no longer covers",
            Clone::clone(&outside),
        );
        registry.register(
            "ledger_damaged",
            "Entries of the ledger that cannot be read",
            Clone::clone(&ledger_damaged),
        );
        registry.register(
            "configmap_problems",
            "Keys of the address-range ConfigMap that could not be read",
            Clone::clone(&configmap_problems),
        );
        registry.register("leading", "1 while this process holds the Lease", Clone::clone(&leading));
        registry.register(
            "writes",
            "Writes for one Service, Gateway or class by outcome",
            Clone::clone(&writes),
        );
        let metrics = Self {
            owners_waiting,
            pool_addresses_available: available,
            pool_addresses_capacity: capacity,
            pool_addresses_assigned: assigned,
            pool_addresses_outside: outside,
            configmap_problems,
            ledger_damaged,
            leading,
            writes,
        };
        (metrics, registry)
    }

    /// Takes in the counts of one pool and family.
    pub(crate) fn set_pool(&self, labels: &PoolLabels, counts: &Counts) {
        let figures = [
            (&self.pool_addresses_available, counts.available),
            (&self.pool_addresses_capacity, counts.capacity),
            (&self.pool_addresses_assigned, counts.assigned),
            (&self.pool_addresses_outside, counts.outside),
        ];
        for (family, figure) in figures {
            family.get_or_create(labels).set(figure as f64);
        }
    }

    /// Drops the figures of all pools, since some may have gone.
    pub(crate) fn forget_pools(&self) {
        self.pool_addresses_available.clear();
        self.pool_addresses_capacity.clear();
        self.pool_addresses_assigned.clear();
        self.pool_addresses_outside.clear();
    }
}
