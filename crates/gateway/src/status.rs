//! Outcomes merged into stored statuses. Each result is equal to what is stored if there is nothing to write.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use keryx_api::gateway_api::{
    GROUP, GatewayClassStatus, GatewayStatus, GatewayStatusAddresses, GatewayStatusListeners,
    GatewayStatusListenersSupportedKinds, ParentReference, RouteParentStatus,
};
use keryx_api::names::{
    CONDITION_ADDRESS_CONFLICT, CONDITION_CONFLICTED, CONDITION_OUTSIDE_POOL, CONDITION_REQUEST_UNMET,
};

use crate::addresses::IP_ADDRESS;
use crate::conditions::{self, Wanted};
use crate::reason::{ACCEPTED, CONFLICTED, PROGRAMMED, RESOLVED_REFS, ROUTE_PROGRAMMED};
use crate::{ListenerOutcome, ObjectKey, Outcome, ParentOutcome, attach, class};

/// Most conditions that one list may hold (CRD schema). Where foreign ones fill it, ours stay out: none is evicted.
const MAX_CONDITIONS: usize = 8;
/// Most entries of `status.parents` (CRD schema).
const MAX_PARENTS: usize = 32;

const GATEWAY_TYPES: [&str; 5] =
    [ACCEPTED, PROGRAMMED, CONDITION_REQUEST_UNMET, CONDITION_OUTSIDE_POOL, CONDITION_ADDRESS_CONFLICT];
const LISTENER_TYPES: [&str; 4] = [ACCEPTED, PROGRAMMED, RESOLVED_REFS, CONFLICTED];
const ROUTE_TYPES: [&str; 4] = [ACCEPTED, RESOLVED_REFS, CONDITION_CONFLICTED, ROUTE_PROGRAMMED];

/// The status of a GatewayClass with the conditions that [`class::decide`] gave.
pub fn gateway_class(
    stored: &GatewayClassStatus,
    wanted: &[Wanted],
    generation: i64,
    now: &Time,
) -> GatewayClassStatus {
    let conditions = stored.conditions.as_deref().unwrap_or_default();
    let conditions = merge(conditions, wanted, &class::CONDITION_TYPES, generation, now);
    GatewayClassStatus { conditions: Some(conditions), ..stored.clone() }
}

/// The status of a Gateway. Addresses and the set of listeners are ours alone; foreign conditions stay.
pub fn gateway(stored: &GatewayStatus, outcome: &Outcome, generation: i64, now: &Time) -> GatewayStatus {
    let conditions = stored.conditions.as_deref().unwrap_or_default();
    let listeners = stored.listeners.as_deref().unwrap_or_default();
    let merged = outcome.listeners.iter().map(|wanted| {
        let old = listeners.iter().find(|old| old.name == wanted.name);
        listener(old, wanted, generation, now)
    });
    let addresses: Vec<GatewayStatusAddresses> = outcome
        .addresses
        .iter()
        .map(|ip| GatewayStatusAddresses { r#type: Some(IP_ADDRESS.to_owned()), value: ip.to_string() })
        .collect();
    GatewayStatus {
        // An absent list and an empty one mean the same; an empty one clears what is stored.
        addresses: (stored.addresses.is_some() || !addresses.is_empty()).then_some(addresses),
        conditions: Some(merge(conditions, &outcome.conditions, &GATEWAY_TYPES, generation, now)),
        listeners: Some(merged.collect()),
        ..stored.clone()
    }
}

fn listener(
    stored: Option<&GatewayStatusListeners>,
    wanted: &ListenerOutcome,
    generation: i64,
    now: &Time,
) -> GatewayStatusListeners {
    let conditions = stored.map(|old| old.conditions.as_slice()).unwrap_or_default();
    let kinds = wanted.supported_kinds.iter().map(|kind| GatewayStatusListenersSupportedKinds {
        group: Some(GROUP.to_owned()),
        kind: kind.as_str().to_owned(),
    });
    GatewayStatusListeners {
        name: wanted.name.clone(),
        attached_routes: wanted.attached_routes,
        supported_kinds: Some(kinds.collect()),
        conditions: merge(conditions, &wanted.conditions, &LISTENER_TYPES, generation, now),
    }
}

/// The parents of a route after one Gateway was decided.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteParents {
    /// `status.parents` to write.
    pub parents: Vec<RouteParentStatus>,
    /// ParentRefs for which there was no room among the 32 entries.
    pub omitted: Vec<ParentReference>,
}

/// Merges what one Gateway says of one route into the route's `status.parents`.
///
/// Entries of `controller_name` for `gateway` become exactly `wanted`: the same parentRef is replaced in place, a stale
/// one removed, a new one appended while there is room. All other entries, of other controllers or for other Gateways,
/// stay as and where they are. For several Gateways call it once for each, on the result of the call before; with an
/// empty `wanted` the Gateway's entries go. `generation` is the route's.
pub fn route_parents(
    stored: &[RouteParentStatus],
    route_namespace: &str,
    gateway: &ObjectKey,
    wanted: &[ParentOutcome],
    controller_name: &str,
    generation: i64,
    now: &Time,
) -> RouteParents {
    let mut done = vec![false; wanted.len()];
    let mut parents: Vec<RouteParentStatus> = Vec::with_capacity(stored.len() + wanted.len());
    for entry in stored {
        let is_ours = entry.controller_name == controller_name
            && attach::gateway_of(&entry.parent_ref, route_namespace).as_ref() == Some(gateway);
        if !is_ours {
            parents.push(entry.clone());
            continue;
        }
        let same = |new: &ParentOutcome| attach::is_same(&new.parent_ref, &entry.parent_ref, route_namespace);
        // An entry that is not wanted, or that stands twice, is left out.
        if let Some(at) = wanted.iter().position(same).filter(|at| !done[*at]) {
            done[at] = true;
            parents.push(parent(Some(entry), &wanted[at], controller_name, generation, now));
        }
    }
    let mut omitted = Vec::new();
    for (new, _) in wanted.iter().zip(&done).filter(|(_, done)| !**done) {
        if parents.len() < MAX_PARENTS {
            parents.push(parent(None, new, controller_name, generation, now));
        } else {
            omitted.push(new.parent_ref.clone());
        }
    }
    RouteParents { parents, omitted }
}

fn parent(
    stored: Option<&RouteParentStatus>,
    wanted: &ParentOutcome,
    controller_name: &str,
    generation: i64,
    now: &Time,
) -> RouteParentStatus {
    let conditions = stored.map(|old| old.conditions.as_slice()).unwrap_or_default();
    RouteParentStatus {
        parent_ref: wanted.parent_ref.clone(),
        controller_name: controller_name.to_owned(),
        conditions: merge(conditions, &wanted.conditions, &ROUTE_TYPES, generation, now),
        other: stored.map(|old| old.other.clone()).unwrap_or_default(),
    }
}

fn merge(
    stored: &[Condition],
    wanted: &[Wanted],
    ours: &[&str],
    generation: i64,
    now: &Time,
) -> Vec<Condition> {
    let mut merged = conditions::merge(stored, wanted, ours, generation, now);
    // New ones stand at the end, so this never cuts one that is stored.
    merged.truncate(MAX_CONDITIONS);
    merged
}

#[cfg(test)]
mod tests;
