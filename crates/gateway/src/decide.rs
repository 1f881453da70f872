//! One Gateway's decision, put together.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use k8s_openapi::api::core::v1::Service;
use keryx_api::exposure::Exposure;
use keryx_api::gateway_api::{Gateway, ParentReference, Route, RouteKind};
use keryx_api::names::COMPONENT_ANCHOR;

use crate::addresses::{self, AddressProblem, AddressState};
use crate::backends::Traffic;
use crate::conditions::Wanted;
use crate::listeners::{self, Listener, Unprogrammed};
use crate::reason::{
    ACCEPTED, ADDRESS_NOT_USABLE, INVALID, INVALID_PARAMETERS, LISTENERS_NOT_VALID, NO_RESOURCES, PENDING,
    PROGRAMMED, UNSUPPORTED_ADDRESS,
};
use crate::serve::{self, JudgedRoute, ServedPort};
use crate::{Cluster, ObjectKey, anchor, attach, backends, clone, exposure, routes};

/// What a decision on one Gateway is made from. Its class must be ours and accepted ([`crate::class`]).
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The Gateway.
    pub gateway: &'a Gateway,
    /// Every route with a parentRef that names the Gateway ([`attach::gateway_of`]), each once, in any order.
    pub routes: &'a [(RouteKind, &'a Route)],
    /// IPAM's answer to [`addresses::demand`].
    pub addresses: &'a AddressState,
    /// The pools that its addresses are from, to be read by [`pool_of`](keryx_api::assigned::pool_of).
    pub pools: &'a [String],
    /// The interfaces to which announcing is limited; any if there are none.
    pub interfaces: &'a [String],
    /// Further conditions of the Gateway: what else is to be known about its addresses.
    pub address_notes: &'a [Wanted],
    /// The key by which the Gateway shares its addresses with other owners.
    pub sharing_key: Option<&'a str>,
    /// Clones and anchors that the cluster refused to take (quota, admission), with the cluster's message.
    pub write_failures: &'a BTreeMap<ObjectKey, String>,
    /// `spec.loadBalancerClass` of the Services to write.
    pub load_balancer_class: &'a str,
}

/// Everything that should be true of one Gateway.
///
/// `Programmed` and the routes' conditions take the writes of [`clones`](Self::clones), [`anchor`](Self::anchor) and
/// [`exposure`](Self::exposure) for done, so write those first; a refused write comes back in
/// [`Inputs::write_failures`].
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// `Accepted` and `Programmed` of the Gateway, then [`Inputs::address_notes`].
    pub conditions: Vec<Wanted>,
    /// Every listener, in the order of the spec.
    pub listeners: Vec<ListenerOutcome>,
    /// For `status.addresses`.
    pub addresses: Vec<IpAddr>,
    /// Every route of the inputs, ordered by kind, namespace and name.
    pub routes: Vec<RouteOutcome>,
    /// Services to write beside their backends, ordered by namespace and name. Any other clone of this Gateway goes.
    pub clones: Vec<Service>,
    /// Service to write in the Gateway's namespace. If `None`, the Gateway has no anchor.
    pub anchor: Option<Service>,
    /// Table to write for the speakers. If `None`, nothing of this Gateway is exposed.
    pub exposure: Option<Exposure>,
    /// Whether a clone is wanted in another namespace. The finalizer may go when this is false and no clone of the
    /// Gateway stands in another namespace any more.
    pub needs_finalizer: bool,
}

/// What should stand in one entry of `status.listeners`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerOutcome {
    /// The listener's name.
    pub name: String,
    /// Route kinds that it takes.
    pub supported_kinds: Vec<RouteKind>,
    /// Number of routes that are accepted and attach to it, losers of a port included.
    pub attached_routes: i32,
    /// Its conditions.
    pub conditions: Vec<Wanted>,
}

/// What one route should be told about this Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteOutcome {
    /// The route's kind.
    pub kind: RouteKind,
    /// The route.
    pub key: ObjectKey,
    /// One entry for each parentRef that names this Gateway, in the order of the spec.
    pub parents: Vec<ParentOutcome>,
}

/// What should stand in one entry of `status.parents`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParentOutcome {
    /// The parentRef, with group and kind.
    pub parent_ref: ParentReference,
    /// Its conditions.
    pub conditions: Vec<Wanted>,
}

/// Decides one Gateway. The order of `inputs.routes` does not matter.
pub fn decide(inputs: &Inputs<'_>, cluster: &impl Cluster) -> Outcome {
    let gateway = inputs.gateway;
    let listeners = listeners::judge(gateway);
    let routes = judge_routes(inputs, &listeners, cluster);
    let winners = serve::winners(&listeners, &routes);
    let accepted = accepted(gateway, &listeners);
    let served = if accepted.status {
        serve::ports(gateway, &listeners, &routes, &winners, inputs.write_failures, cluster)
    } else {
        Vec::new()
    };
    let programmed = programmed(&accepted, inputs, &served);

    let addresses = inputs.addresses.held();
    let clones = clone::build(gateway, inputs.load_balancer_class, &served);
    let needs_finalizer = clones.iter().any(|clone| clone.metadata.namespace != gateway.metadata.namespace);
    let anchor = anchor::build(gateway, inputs.load_balancer_class, &served)
        .filter(|_| serve::name_taken(cluster, &anchor::key(gateway), COMPONENT_ANCHOR, gateway).is_none());
    Outcome {
        listeners: listener_outcomes(&accepted, inputs, &listeners, &routes, &served),
        addresses: addresses.to_vec(),
        routes: routes::outcomes(&listeners, &routes, &winners, &served),
        clones,
        anchor,
        exposure: exposure::build(inputs, &served),
        needs_finalizer,
        conditions: [vec![accepted, programmed], inputs.address_notes.to_vec()].concat(),
    }
}

fn judge_routes<'a>(
    inputs: &Inputs<'a>,
    listeners: &[Listener<'_>],
    cluster: &'a impl Cluster,
) -> Vec<JudgedRoute<'a>> {
    let gateway = ObjectKey::of(&inputs.gateway.metadata);
    let mut routes: Vec<JudgedRoute<'a>> = inputs
        .routes
        .iter()
        .map(|(kind, route)| JudgedRoute {
            kind: *kind,
            route,
            parents: attach::parents(&gateway, listeners, *kind, route, cluster),
            backends: backends::judge(*kind, route, cluster),
        })
        .collect();
    routes.sort_by_key(|route| (route.kind, route.key()));
    routes
}

/// Parameters come before addresses and addresses before listeners (facts that the conformance suite pins).
fn accepted(gateway: &Gateway, listeners: &[Listener<'_>]) -> Wanted {
    let infrastructure = gateway.spec.infrastructure.as_ref();
    if let Some(reference) = infrastructure.and_then(|infrastructure| infrastructure.parameters_ref.as_ref())
    {
        let message = format!(
            "infrastructure.parametersRef names {} {:?} of group {:?}, but this version of Keryx knows no kind of \
             parameters; remove parametersRef",
            reference.kind, reference.name, reference.group
        );
        return Wanted::no(ACCEPTED, INVALID_PARAMETERS, message);
    }
    if let Err(problem @ AddressProblem::UnsupportedType { .. }) = addresses::demand(gateway) {
        return Wanted::no(ACCEPTED, UNSUPPORTED_ADDRESS, problem.to_string());
    }
    let (good, bad): (Vec<_>, Vec<_>) = listeners.iter().partition(|listener| listener.accepted.is_ok());
    let bad = listeners::listing(bad.iter().map(|listener| listener.spec));
    if good.is_empty() {
        let message = format!("No listener is valid: {bad}; see the conditions of the listeners");
        return Wanted::no(ACCEPTED, LISTENERS_NOT_VALID, message);
    }
    if bad.is_empty() {
        return Wanted::yes(ACCEPTED, ACCEPTED, "The Gateway is valid");
    }
    let good = listeners::listing(good.iter().map(|listener| listener.spec));
    let message = format!("Served are {good}. Not valid are {bad}; see the conditions of the listeners");
    Wanted::yes(ACCEPTED, LISTENERS_NOT_VALID, message)
}

fn programmed(accepted: &Wanted, inputs: &Inputs<'_>, served: &[ServedPort<'_>]) -> Wanted {
    if !accepted.status {
        return Wanted::no(PROGRAMMED, INVALID, "The Gateway is not accepted; see its condition Accepted");
    }
    if let Err(problem) = addresses::demand(inputs.gateway) {
        return Wanted::no(PROGRAMMED, ADDRESS_NOT_USABLE, problem.to_string());
    }
    match inputs.addresses {
        AddressState::Refused { reason, message, .. } => {
            Wanted::no(PROGRAMMED, reason.as_str(), message.clone())
        }
        AddressState::Pending => Wanted::no(PROGRAMMED, PENDING, "The addresses are not allocated yet"),
        AddressState::Assigned(_) => {
            let refusals = served.iter().filter_map(|port| port.refusal.as_ref());
            let refusals: BTreeSet<String> = refusals.map(ToString::to_string).collect();
            if refusals.is_empty() {
                let message = "The addresses are claimed and every Service is written";
                return Wanted::yes(PROGRAMMED, PROGRAMMED, message);
            }
            Wanted::no(PROGRAMMED, NO_RESOURCES, refusals.into_iter().collect::<Vec<_>>().join(". "))
        }
    }
}

fn listener_outcomes(
    gateway_accepted: &Wanted,
    inputs: &Inputs<'_>,
    listeners: &[Listener<'_>],
    routes: &[JudgedRoute<'_>],
    served: &[ServedPort<'_>],
) -> Vec<ListenerOutcome> {
    let unprogrammed = |at: usize| {
        let refusal = served.iter().find(|port| port.listener == at).and_then(|port| port.refusal.clone());
        if !gateway_accepted.status {
            Some(Unprogrammed::GatewayNotAccepted)
        } else if inputs.addresses.held().is_empty() {
            Some(Unprogrammed::NoAddress)
        } else {
            refusal.map(Unprogrammed::ServiceRefused)
        }
    };
    let attached = |at: usize| {
        let is_accepted = |route: &&JudgedRoute<'_>| !matches!(route.backends.traffic, Traffic::NotServed(_));
        routes.iter().filter(is_accepted).filter(|route| route.attaches_to(at)).count()
    };
    let each = listeners.iter().enumerate();
    each.map(|(at, listener)| ListenerOutcome {
        name: listener.spec.name.clone(),
        supported_kinds: listener.supported_kinds.clone(),
        attached_routes: i32::try_from(attached(at)).unwrap_or(i32::MAX),
        conditions: listener.conditions(unprogrammed(at)),
    })
    .collect()
}
