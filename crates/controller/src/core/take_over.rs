//! Becoming the leader: the ledger, then every owner as it is after that, then a look at everything.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use keryx_api::gateway_api::Gateway;
use keryx_api::ledger::LedgerEntry;
use keryx_daemon::connect::brief;
use keryx_daemon::watch::{Change, trimmed};
use kube::Api;
use kube::api::ListParams;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use tracing::{info, warn};

use super::claims::{Claims, gateway_owner, service_owner};
use super::{Core, RETRY};
use crate::clock;
use crate::ledger::{Damaged, Ledger};
use crate::services;

/// Longest wait for all that is read.
const READ_LIMIT: Duration = Duration::from_secs(30);

/// What a new leader reads.
struct Reading {
    ledger: Ledger,
    entries: BTreeMap<IpAddr, LedgerEntry>,
    damaged: Vec<Damaged>,
    services: Vec<Service>,
    /// `None` where Gateway API is not served.
    gateways: Option<Vec<Gateway>>,
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
        self.index.services_changed(Change::Reset(reading.services));
        if let Some(gateways) = reading.gateways {
            self.index.gateways_changed(Change::Reset(gateways));
        }
        self.claims = Claims::default();
        for damaged in reading.damaged {
            warn!(place = damaged.place, "ledger entry cannot be read; its address is not given to anybody");
            self.claims.withhold(damaged.address);
        }
        self.use_ranges();
        self.claims.reserve_node_addresses(self.index.nodes.iter().map(|(_, node)| node));
        self.claims.observe_ledger(reading.entries);
        self.observe_statuses();
        self.ledger = Some(reading.ledger);
        self.index.mark_all();
        let owners = self.claims.owners();
        self.index.dirty.extend(owners);
        true
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
        let services = list(Api::all(self.client.clone())).await?;
        let gateways =
            if self.served.gateways { Some(list(Api::all(self.client.clone())).await?) } else { None };
        Ok(Reading { ledger, entries, damaged, services, gateways })
    }

    /// Addresses that stand in a status of ours are claims, also if the ledger lost them.
    fn observe_statuses(&mut self) {
        for (_, service) in self.index.services.iter() {
            if self.settings.services.serves(service)
                && !crate::index::is_generated(service)
                && let Some(mark) = services::mark(service)
            {
                let owner = service_owner(service);
                self.claims.observe_status(owner.clone(), &mark.addresses, &mark.pools);
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
            self.claims.observe_status(owner.clone(), &addresses, &[]);
            self.claims.forget_unshown(&owner.id, &addresses);
        }
    }
}

async fn list<K>(api: Api<K>) -> kube::Result<Vec<K>>
where
    K: kube::Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    Ok(api.list(&ListParams::default()).await?.items.into_iter().map(trimmed).collect())
}
