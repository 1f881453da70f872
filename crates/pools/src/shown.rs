//! Which addresses the status of an owner shows.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use keryx_api::assigned::Assigned;
use keryx_api::gateway_api::Gateway;
use keryx_api::ledger::{LedgerOwner, OwnerKind};

/// The addresses in the status of one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The owner.
    pub owner: LedgerOwner,
    /// Its addresses, in their order.
    pub addresses: Vec<IpAddr>,
    /// The pools that the status names, to be read by [`pool_of`](keryx_api::assigned::pool_of); a Gateway's names none.
    pub pools: Vec<String>,
}

/// `service` as the ledger names it.
pub fn service_owner(service: &Service) -> LedgerOwner {
    owner(OwnerKind::Service, &service.metadata)
}

/// `gateway` as the ledger names it.
pub fn gateway_owner(gateway: &Gateway) -> LedgerOwner {
    owner(OwnerKind::Gateway, &gateway.metadata)
}

fn owner(kind: OwnerKind, metadata: &ObjectMeta) -> LedgerOwner {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    LedgerOwner {
        kind,
        namespace: text(&metadata.namespace),
        name: text(&metadata.name),
        uid: text(&metadata.uid),
    }
}

/// What `service` shows by its condition `keryx.dev/Assigned`; `None` without that mark, or where it says no.
pub fn by_service(service: &Service) -> Option<Shown> {
    let Assigned { addresses, pools, .. } = Assigned::read(service)?;
    Some(Shown { owner: service_owner(service), addresses, pools })
}

/// What `gateway` shows; `None` if that is nothing. Whether Keryx wrote it is told by the Gateway's class.
pub fn by_gateway(gateway: &Gateway) -> Option<Shown> {
    let addresses = gateway.status.as_ref()?.addresses.as_ref()?;
    let addresses: Vec<IpAddr> = addresses.iter().filter_map(|address| address.value.parse().ok()).collect();
    (!addresses.is_empty()).then(|| Shown { owner: gateway_owner(gateway), addresses, pools: Vec::new() })
}
