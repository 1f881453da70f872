//! Becoming the leader: the ledger, then every owner as it is after that, then a look at everything.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Service};
use keryx_api::assigned::Assigned;
use keryx_api::gateway_api::Gateway;
use keryx_api::ledger::LedgerEntry;
use keryx_daemon::connect::brief;
use keryx_daemon::watch::trimmed;
use keryx_pools::ledger::Damaged;
use kube::Api;
use kube::api::ListParams;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use tracing::{info, warn};

use super::claims::{Claims, gateway_owner, service_owner};
use super::{Core, RETRY, notice};
use crate::clock;
use crate::index::{Key, Listing, Store};
use crate::ledger::Ledger;
use crate::watches::PAGE;

/// Longest wait for all that is read.
const READ_LIMIT: Duration = Duration::from_secs(30);

/// What a new leader reads.
struct Reading {
    ledger: Ledger,
    entries: BTreeMap<IpAddr, LedgerEntry>,
    damaged: Vec<Damaged>,
    services: Listing<Service>,
    /// `None` where Gateway API is not served.
    gateways: Option<Listing<Gateway>>,
}

impl Core {
    /// Reads the ledger and all owners, and looks at everything anew. Says whether that worked.
    pub(super) async fn take_over(&mut self) -> bool {
        let reading = match timeout(READ_LIMIT, self.read()).await {
            Ok(Ok(reading)) => reading,
            Ok(Err(error)) => return self.postpone(&brief(&error)),
            Err(_) => return self.postpone("no answer"),
        };
        info!(claims = reading.entries.len(), "leading; the ledger is read");
        self.take_over_at = None;
        self.index.services_listed(reading.services);
        reading.gateways.into_iter().for_each(|gateways| self.index.gateways_listed(gateways));
        self.claims = Claims::default();
        self.withhold(&reading.damaged);
        self.say_problems();
        self.use_pools();
        self.reserve();
        self.claims.observe_ledger(reading.entries);
        self.observe_statuses();
        self.ledger = Some(reading.ledger);
        self.index.mark_all();
        let owners = self.claims.owners();
        self.index.dirty.extend(owners);
        true
    }

    /// Gives nothing out of a block that is damaged, and says so.
    fn withhold(&mut self, damaged: &[Damaged]) {
        self.metrics.ledger_damaged.set(i64::try_from(damaged.len()).unwrap_or(i64::MAX));
        let mut steps = Vec::new();
        for damaged in damaged {
            warn!("{damaged}; nothing new is given from its block");
            self.claims.withhold(damaged);
            let mut block = ConfigMap::default();
            block.metadata.namespace = Some(self.settings.namespace.clone());
            block.metadata.name = Some(damaged.block.clone());
            let message = format!(
                "{damaged}; nothing new is given from its block until it is repaired: keryx check ledger --repair"
            );
            steps.push(notice(&block, "DamagedEntry", &message));
        }
        self.tell(steps);
    }

    fn postpone(&mut self, why: &str) -> bool {
        warn!("failed to read the ledger and its owners, trying again: {why}");
        self.take_over_at = Some(clock::now() + RETRY);
        false
    }

    /// The owners are read after the ledger: whom the ledger names and the list lacks is gone. The watches may lag
    /// behind a ledger that another leader wrote just now, so they cannot say that.
    async fn read(&self) -> kube::Result<Reading> {
        let (ledger, entries, damaged) = Ledger::load(self.client.clone(), &self.settings.namespace).await?;
        let services = list(Api::all(self.client.clone()), &self.index.services).await?;
        let gateways = if self.served.gateways {
            Some(list(Api::all(self.client.clone()), &self.index.gateways).await?)
        } else {
            None
        };
        Ok(Reading { ledger, entries, damaged, services, gateways })
    }

    /// From which pools a Gateway's addresses are, and whether it shares them, as one of its generated Services says: its
    /// own status has no room for either.
    fn mark_of_anchor(&self, gateway: &Gateway) -> (Vec<String>, bool) {
        let key = Key::of(&gateway.metadata);
        let generated = self.index.references.generated_for(&key);
        let services = generated.filter_map(|key| self.index.services.find(key));
        let mark = services.filter_map(|service| Assigned::read(service)).next();
        mark.map(|mark| (mark.pools, mark.sharing_key.is_some())).unwrap_or_default()
    }

    /// Addresses that stand in a status of ours are claims, also if the ledger lost them.
    fn observe_statuses(&mut self) {
        for (_, service) in self.index.services.iter() {
            if self.settings.services.serves(service)
                && !crate::index::is_generated(service)
                && let Some(mark) = Assigned::read(service)
            {
                let owner = service_owner(service);
                let is_shared = mark.sharing_key.is_some();
                self.claims.observe_status(owner.clone(), &mark.addresses, &mark.pools, is_shared);
                self.claims.forget_unshown(&owner.id, &mark.addresses);
            }
        }
        for (_, gateway) in self.index.gateways.iter() {
            let class = self.index.classes.get("", &gateway.spec.gateway_class_name);
            if class.is_none_or(|class| class.spec.controller_name != self.settings.controller_name) {
                continue;
            }
            let addresses = gateway.status.iter().flat_map(|status| status.addresses.iter().flatten());
            let addresses: Vec<_> = addresses.filter_map(|address| address.value.parse().ok()).collect();
            let owner = gateway_owner(gateway);
            let (pools, is_shared) = self.mark_of_anchor(gateway);
            self.claims.observe_status(owner.clone(), &addresses, &pools, is_shared);
            self.claims.forget_unshown(&owner.id, &addresses);
        }
    }
}

/// Lists all objects, page by page.
async fn list<K>(api: Api<K>, known: &Store<K>) -> kube::Result<Listing<K>>
where
    K: kube::Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let mut listing = Listing::default();
    let mut parameters = ListParams::default().limit(PAGE);
    loop {
        let page = api.list(&parameters).await?;
        page.items.into_iter().for_each(|object| listing.note(Arc::new(trimmed(object)), known));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters = parameters.continue_token(&token),
            None => return Ok(listing),
        }
    }
}
