//! What a Gateway asks of IPAM, and what IPAM answers.

use std::collections::BTreeSet;
use std::net::IpAddr;

use keryx_api::gateway_api::{Gateway, GatewayListeners, Route, RouteKind};
use keryx_gateway::addresses::{self, AddressState, Demand, RefusalReason, WantedAddress};
use keryx_gateway::conditions::Wanted;
use keryx_ipam::{Backend, Families, Family, OwnerKind, Protocol, Reason, Request, Sharing};
use keryx_pools::wishes::wishes;
use kube::ResourceExt as _;

use super::claims::gateway_owner;
use super::{Core, notes};

/// IPAM's answer for one Gateway.
pub(super) struct Addresses {
    pub(super) state: AddressState,
    /// What else is to be known about them.
    pub(super) notes: Vec<Wanted>,
    /// What the Gateway still holds and must give up, once its status no longer shows it.
    pub(super) surplus: Vec<IpAddr>,
}

impl Core {
    /// Asks IPAM for a Gateway.
    pub(super) fn gateway_addresses(
        &mut self,
        gateway: &Gateway,
        routes: &[(RouteKind, &Route)],
    ) -> Addresses {
        let owner = gateway_owner(gateway).id;
        let held: Vec<IpAddr> = self.claims.held(&owner).iter().map(|claim| claim.address).collect();
        let request = match self.gateway_request(gateway) {
            Ok(request) => request,
            Err(message) => return Addresses::refused(RefusalReason::AddressNotUsable, message, held),
        };
        // A Gateway that cannot be accepted takes no address out of the pool; one that it has, it keeps.
        let pending = Addresses { state: AddressState::Pending, notes: Vec::new(), surplus: Vec::new() };
        let accepted = &self.decide_gateway(gateway, routes, &pending).conditions[0];
        if !accepted.status && held.is_empty() {
            return pending;
        }
        let explicit = !request.addresses.is_empty();
        match self.claims.request(&request) {
            Ok(assignment) => Addresses {
                state: AddressState::Assigned(
                    assignment.addresses.iter().map(|given| given.address).collect(),
                ),
                notes: notes::of_assignment(&assignment),
                surplus: assignment.surplus.iter().map(|claim| claim.address).collect(),
            },
            Err(reason) => {
                let forfeited = reason.forfeits();
                let kept = held.into_iter().filter(|address| Some(*address) != forfeited).collect();
                let mut refused = Addresses::refused(refusal(&reason, explicit), reason.to_string(), kept);
                refused.surplus.extend(forfeited);
                refused
            }
        }
    }

    /// What a Gateway asks of IPAM, by its `spec.addresses` and its annotations; else why that cannot be asked.
    fn gateway_request(&self, gateway: &Gateway) -> Result<Request, String> {
        let (families, addresses, listed_pool) = match addresses::demand(gateway) {
            Ok(Demand::EachAvailable) => (Families::EachAvailable, Vec::new(), None),
            Ok(Demand::Listed(list)) => listed(&list),
            Err(problem) => return Err(problem.to_string()),
        };
        let wishes =
            wishes(OwnerKind::Gateway, gateway.annotations(), None, self.settings.foreign_annotations)
                .map_err(|error| error.to_string())?;
        let pool = match (listed_pool, wishes.pool) {
            (Some(listed), Some(annotated)) if listed != annotated => {
                return Err(format!(
                    "spec.addresses names pool {listed} and an annotation pool {annotated}; name one pool"
                ));
            }
            (listed, annotated) => listed.or(annotated),
        };
        let sharing = wishes.sharing_key.map(|key| Sharing {
            key,
            across_namespaces: wishes.across_namespaces,
            ports: listener_ports(gateway),
            backend: Backend::Any,
        });
        let namespace = gateway.namespace().unwrap_or_default();
        Ok(Request {
            labels: gateway.labels().clone(),
            namespace_labels: self.index.labels_of_namespace(&namespace),
            families,
            addresses,
            pool,
            sharing,
            since_secs: super::created_secs(&gateway.metadata),
            ..Request::new(gateway_owner(gateway))
        })
    }
}

impl Addresses {
    fn refused(reason: RefusalReason, message: String, held: Vec<IpAddr>) -> Self {
        let state = AddressState::Refused { reason, message, held };
        Self { state, notes: Vec::new(), surplus: Vec::new() }
    }
}

/// What a list of wanted addresses asks of IPAM: families, addresses by value, and a pool.
fn listed(list: &[WantedAddress]) -> (Families, Vec<IpAddr>, Option<String>) {
    let exact: Vec<IpAddr> = list
        .iter()
        .filter_map(|wanted| match wanted {
            WantedAddress::Exact(address) => Some(*address),
            WantedAddress::AnyOfType | WantedAddress::FromPool(_) => None,
        })
        .collect();
    let families = match (exact.as_slice(), list.len() - exact.len()) {
        (_, 0) => Families::EachAvailable,
        ([], 1) => Families::Single(None),
        ([], _) => Families::Require(Family::V4),
        ([first, ..], _) => Families::Require(Family::of(*first)),
    };
    let pool = list.iter().find_map(WantedAddress::pool).map(str::to_owned);
    (families, exact, pool)
}

/// Every port that a listener names; those of layer 7 are TCP ports.
fn listener_ports(gateway: &Gateway) -> BTreeSet<(Protocol, u16)> {
    let port = |listener: &GatewayListeners| {
        let protocol = if listener.protocol == "UDP" { Protocol::Udp } else { Protocol::Tcp };
        Some((protocol, u16::try_from(listener.port).ok()?))
    };
    gateway.spec.listeners.iter().filter_map(port).collect()
}

/// The condition reason for an answer of IPAM: about the address that was asked for, or about having none to give.
fn refusal(reason: &Reason, explicit: bool) -> RefusalReason {
    let about_pool = matches!(
        reason,
        Reason::NoPool { .. }
            | Reason::PoolInvalid { .. }
            | Reason::PoolExhausted { .. }
            | Reason::FamilyNotInPool { .. }
    );
    if explicit && !about_pool { RefusalReason::AddressNotUsable } else { RefusalReason::AddressNotAssigned }
}
