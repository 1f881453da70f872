//! What serves each listener port: the one function that chooses between clone and anchor.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Service;
use keryx_api::Protocol;
use keryx_api::gateway_api::{Gateway, Route, RouteKind};
use keryx_api::names::{ANNOTATION_GATEWAY, COMPONENT_ANCHOR, COMPONENT_CLONE, LABEL_COMPONENT};

use crate::attach::Parent;
use crate::backends::{Backend, Backends, Traffic};
use crate::listeners::Listener;
use crate::reason::ServiceRefusal;
use crate::{Cluster, ObjectKey, anchor, clone};

/// A route that names the Gateway, judged.
#[derive(Debug)]
pub(crate) struct JudgedRoute<'a> {
    pub(crate) kind: RouteKind,
    pub(crate) route: &'a Route,
    pub(crate) parents: Vec<Parent>,
    pub(crate) backends: Backends<'a>,
}

impl JudgedRoute<'_> {
    pub(crate) fn key(&self) -> ObjectKey {
        ObjectKey::of(&self.route.metadata)
    }

    /// Whether some parentRef attaches the route to the listener at position `at`.
    pub(crate) fn attaches_to(&self, at: usize) -> bool {
        self.parents
            .iter()
            .any(|parent| parent.attached.as_ref().is_ok_and(|listeners| listeners.contains(&at)))
    }
}

/// What serves a port.
#[derive(Debug)]
pub(crate) enum Server<'a> {
    /// The clone `key` of the winning route's backend.
    Clone { key: ObjectKey, backend: Backend<'a> },
    /// The Gateway's own Service.
    Anchor,
}

/// The port of an accepted listener, and what serves it.
#[derive(Debug)]
pub(crate) struct ServedPort<'a> {
    /// Position of the listener.
    pub(crate) listener: usize,
    pub(crate) port: u16,
    pub(crate) protocol: Protocol,
    pub(crate) server: Server<'a>,
    /// Why the Service that should serve the port cannot be written.
    pub(crate) refusal: Option<ServiceRefusal>,
}

/// For each listener the position of the route that has its port: the oldest, then the first by namespace and name
/// (Gateway API, "conflicts"). A listener that is not accepted has no winner.
pub(crate) fn winners(listeners: &[Listener<'_>], routes: &[JudgedRoute<'_>]) -> Vec<Option<usize>> {
    let age = |at: &usize| {
        let created = routes[*at].route.metadata.creation_timestamp.as_ref();
        (created.is_none(), created, routes[*at].key())
    };
    let winner = |at: usize| (0..routes.len()).filter(|route| routes[*route].attaches_to(at)).min_by_key(age);
    listeners
        .iter()
        .enumerate()
        .map(|(at, listener)| listener.accepted.as_ref().ok().and_then(|_| winner(at)))
        .collect()
}

/// What serves each port of the accepted listeners, in their order.
pub(crate) fn ports<'a>(
    gateway: &Gateway,
    listeners: &[Listener<'_>],
    routes: &[JudgedRoute<'a>],
    winners: &[Option<usize>],
    write_failures: &BTreeMap<ObjectKey, String>,
    cluster: &impl Cluster,
) -> Vec<ServedPort<'a>> {
    let gateway_key = ObjectKey::of(&gateway.metadata);
    let rejected = |service: &ObjectKey| {
        let message = write_failures.get(service)?.clone();
        Some(ServiceRefusal::Rejected { service: service.clone(), message })
    };
    let anchor_key = anchor::key(gateway);
    let anchor_refusal =
        name_taken(cluster, &anchor_key, COMPONENT_ANCHOR, gateway).or_else(|| rejected(&anchor_key));
    let mut served = Vec::new();
    for (at, listener) in listeners.iter().enumerate() {
        let Ok((port, protocol)) = listener.accepted else { continue };
        let (server, refusal) = match winners[at].map(|route| &routes[route].backends.traffic) {
            Some(Traffic::Forward(backend)) => {
                let key = clone::key(&gateway_key, backend.service);
                match name_taken(cluster, &key, COMPONENT_CLONE, gateway) {
                    // The exposure must not name somebody else's Service, so the port refuses.
                    Some(refusal) => (Server::Anchor, Some(refusal)),
                    None => {
                        let refusal = rejected(&key);
                        (Server::Clone { key, backend: *backend }, refusal)
                    }
                }
            }
            Some(Traffic::Refuse | Traffic::NotServed(_)) | None => (Server::Anchor, anchor_refusal.clone()),
        };
        served.push(ServedPort { listener: at, port, protocol, server, refusal });
    }
    served
}

/// Whether a Service that Keryx needs is somebody else's and must be left alone.
pub(crate) fn name_taken(
    cluster: &impl Cluster,
    key: &ObjectKey,
    component: &str,
    gateway: &Gateway,
) -> Option<ServiceRefusal> {
    let stored: &Service = cluster.service(&key.namespace, &key.name)?;
    let labelled = stored.metadata.labels.as_ref().and_then(|labels| labels.get(LABEL_COMPONENT));
    let annotated = stored.metadata.annotations.as_ref().and_then(|all| all.get(ANNOTATION_GATEWAY));
    // By name and not by UID: what a deleted Gateway of the same name left behind is taken over.
    let is_ours = labelled.is_some_and(|label| label == component)
        && annotated.is_some_and(|annotation| *annotation == ObjectKey::of(&gateway.metadata).to_string());
    (!is_ours).then(|| ServiceRefusal::NameTaken { service: key.clone() })
}
