//! Where addresses come from: the ConfigMap and the IPAddressPools, handed to the allocator, and what is said about them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ConfigMap;
use keryx_api::ip_address_pool::IPAddressPool;
use keryx_daemon::watch::Change;
use keryx_ipam::{Family, Scope, configmap};
use keryx_pools::{object, status};
use serde_json::json;
use tracing::{info, warn};

use super::{Core, notice};
use crate::clock;
use crate::index::{Key, Subject};
use crate::metrics::PoolLabels;
use crate::writer::{StatusPatch, Step};

/// Statuses are written at most this often: in a burst they change with every owner.
const STATUS_PAUSE: Duration = Duration::from_secs(1);

/// The ConfigMap as last seen, and when the statuses of IPAddressPools are to be looked at.
#[derive(Default)]
pub(super) struct Pools {
    /// The ConfigMap with the address ranges.
    ranges: Option<Arc<ConfigMap>>,
    /// What it says.
    parsed: configmap::Parsed,
    /// Whether a status may be out of date.
    stale: bool,
    /// When they were last looked at.
    looked_at: Option<Instant>,
}

impl Pools {
    /// Notes that something changed that the statuses tell of.
    pub(super) fn touch(&mut self) {
        self.stale = true;
    }

    /// Within which scope Services of a namespace share addresses without a key of their own.
    pub(super) fn sharing_scope(&self, namespace: &str) -> Option<Scope> {
        self.parsed.sharing_scope(namespace)
    }

    /// The interfaces to which addresses of a namespace are limited; any if there are none.
    pub(super) fn interfaces_of(&self, namespace: &str) -> &[String] {
        self.parsed.interfaces_of(namespace)
    }

    /// When to look at the statuses, `now` at the earliest; `None` if nothing changed since.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let earliest = self.looked_at.map_or(now, |looked_at| looked_at + STATUS_PAUSE);
        self.stale.then_some(earliest.max(now))
    }
}

impl Core {
    pub(super) fn apply_ranges(&mut self, change: Change<ConfigMap>) {
        self.synced("ranges", &change);
        self.pools.ranges = match change {
            Change::Apply(object) => Some(object),
            Change::Delete(_) => None,
            Change::Reset(mut list) => list.pop(),
        };
        let none = BTreeMap::new();
        let data = self.pools.ranges.as_ref().and_then(|object| object.data.as_ref()).unwrap_or(&none);
        let parsed = configmap::parse(data);
        let known = &self.pools.parsed;
        if (&parsed.allow_share, &parsed.interfaces) != (&known.allow_share, &known.interfaces) {
            self.index.mark_all();
        }
        self.pools.parsed = parsed;
        self.say_problems();
        self.use_pools();
    }

    /// Says what is wrong with the ConfigMap, or surprising.
    pub(super) fn say_problems(&self) {
        let configmap::Parsed { problems, notices, .. } = &self.pools.parsed;
        self.metrics.configmap_problems.set(i64::try_from(problems.len()).unwrap_or(i64::MAX));
        let Some(object) = self.pools.ranges.as_deref() else { return };
        let mut steps = Vec::new();
        for problem in problems {
            warn!(key = problem.key, "{problem}");
            steps.push(notice(object, "InvalidKey", &problem.to_string()));
        }
        for told in notices {
            info!("{told}");
            steps.push(notice(object, "Notice", &told.to_string()));
        }
        self.tell(steps);
    }

    /// Hands all pools to the allocator. Claims stay; whose address left its pool is looked at again, to say so.
    pub(super) fn use_pools(&mut self) {
        let mut pools = self.pools.parsed.pools.clone();
        pools.extend(self.index.address_pools.iter().map(|(_, object)| object::pool(object)));
        let moved = self.claims.set_pools(pools);
        self.index.dirty.extend(moved);
        self.pools.touch();
        self.index.mark_l2_advertisements();
        let names = self.claims.allocator().pools().map(|pool| pool.name.to_string()).collect();
        self.pool_names.send_replace(Arc::new(names));
        self.metrics.forget_pools();
        self.report_pools();
    }

    /// The writes that bring the statuses of IPAddressPools up to date, if they are due.
    pub(super) fn pool_steps(&mut self) -> Vec<(Key, Vec<Step>)> {
        let now = clock::now();
        if self.pools.due(now).is_none_or(|due| now < due) {
            return Vec::new();
        }
        self.pools.stale = false;
        self.pools.looked_at = Some(now);
        self.report_pools();
        let objects: Vec<&IPAddressPool> =
            self.index.address_pools.iter().map(|(_, object)| object.as_ref()).collect();
        let statuses = status::statuses(&objects, self.claims.allocator(), &clock::wall());
        let mut writes = Vec::new();
        for (key, object) in self.index.address_pools.iter() {
            let subject = Subject::Pool(key.clone());
            if self.in_flight.contains(&subject) || self.pace.is_held(&subject) {
                self.pools.stale = true;
                continue;
            }
            let wanted = statuses.get(&key.name);
            let steps = match wanted {
                Some(wanted) if object.status.as_ref() != Some(wanted) => {
                    let resource_version = object.metadata.resource_version.clone().unwrap_or_default();
                    let patch = StatusPatch { key: key.clone(), resource_version, status: json!(wanted) };
                    vec![Step::PoolStatus(patch)]
                }
                Some(_) | None => Vec::new(),
            };
            writes.push((key.clone(), steps));
        }
        writes
    }

    fn report_pools(&self) {
        for pool in self.claims.allocator().pools() {
            let usage = self.claims.usage(&pool.name).unwrap_or_default();
            for family in Family::ALL {
                let labels = PoolLabels { pool: pool.name.to_string(), family: family.as_str() };
                self.metrics.set_pool(&labels, &usage.of(family));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_looked_at_at_once_and_then_once_a_second_while_something_changes() {
        let (mut pools, now) = (Pools::default(), clock::now());
        assert_eq!(pools.due(now), None, "nothing changed");
        pools.touch();
        assert_eq!(pools.due(now), Some(now));
        pools.looked_at = Some(now);
        assert_eq!(pools.due(now), Some(now + STATUS_PAUSE));
        let later = now + 3 * STATUS_PAUSE;
        assert_eq!(pools.due(later), Some(later), "never in the past");
    }
}
