//! Backends of a route: which Service each backendRef names, and where the route's traffic goes.

use k8s_openapi::api::core::v1::{Service, ServicePort};
use keryx_api::Protocol;
use keryx_api::gateway_api::{
    BackendReference, GROUP, ReferenceGrantFrom, ReferenceGrantTo, Route, RouteKind,
};
use keryx_api::names::{COMPONENT_ANCHOR, COMPONENT_CLONE, LABEL_COMPONENT};

use crate::conditions::Wanted;
use crate::reason::{BackendProblem, NotServed, RESOLVED_REFS};
use crate::{Cluster, ObjectKey};

const SERVICE_KIND: &str = "Service";

/// Where the traffic of a route goes, on every port that it wins.
#[derive(Debug)]
pub(crate) enum Traffic<'a> {
    /// To one port of one Service with a selector.
    Forward(Backend<'a>),
    /// Nowhere: no backend takes a share, or the one that does is not valid.
    Refuse,
    /// Nowhere in this version.
    NotServed(NotServed),
}

/// A backendRef, resolved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backend<'a> {
    pub(crate) service: &'a Service,
    pub(crate) port: &'a ServicePort,
}

/// A route's backends, judged.
#[derive(Debug)]
pub(crate) struct Backends<'a> {
    pub(crate) traffic: Traffic<'a>,
    problems: Vec<BackendProblem>,
}

/// Judges all backendRefs of all rules together: `v1` has one rule, and several rules of `v1alpha2` cannot be told
/// apart at layer 4. A weight of 0 takes no traffic, but its backend must be valid all the same.
pub(crate) fn judge<'a>(kind: RouteKind, route: &Route, cluster: &'a impl Cluster) -> Backends<'a> {
    let mut problems = Vec::new();
    let mut weighted = Vec::new();
    for reference in route.spec.rules.iter().flat_map(|rule| &rule.backend_refs) {
        let resolved = resolve(kind, route, reference, cluster);
        if reference.weight.unwrap_or(1) > 0 {
            weighted.push(resolved.as_ref().ok().copied());
        }
        problems.extend(resolved.err());
    }
    let traffic = match weighted.as_slice() {
        [] | [None] => Traffic::Refuse,
        [Some(backend)] if has_selector(backend.service) => Traffic::Forward(*backend),
        [Some(backend)] => Traffic::NotServed(NotServed::WithoutSelector {
            backend: ObjectKey::of(&backend.service.metadata),
        }),
        several => Traffic::NotServed(NotServed::SeveralBackends { count: several.len() }),
    };
    Backends { traffic, problems }
}

impl Backends<'_> {
    /// The route's `ResolvedRefs`: the reason of the first problem, the messages of all.
    pub(crate) fn resolved_refs(&self) -> Wanted {
        match self.problems.first() {
            None => Wanted::yes(RESOLVED_REFS, RESOLVED_REFS, "Every backend exists and may be used"),
            Some(first) => {
                let messages: Vec<String> = self.problems.iter().map(ToString::to_string).collect();
                Wanted::no(RESOLVED_REFS, first.reason(), messages.join(". "))
            }
        }
    }
}

fn has_selector(service: &Service) -> bool {
    service.spec.as_ref().and_then(|spec| spec.selector.as_ref()).is_some_and(|selector| !selector.is_empty())
}

fn resolve<'a>(
    kind: RouteKind,
    route: &Route,
    reference: &BackendReference,
    cluster: &'a impl Cluster,
) -> Result<Backend<'a>, BackendProblem> {
    let group = reference.group.as_deref().unwrap_or_default();
    let backend_kind = reference.kind.as_deref().unwrap_or(SERVICE_KIND);
    if !group.is_empty() || backend_kind != SERVICE_KIND {
        return Err(BackendProblem::NotAService { group: group.to_owned(), kind: backend_kind.to_owned() });
    }
    let route_namespace = route.metadata.namespace.as_deref().unwrap_or_default();
    let backend = ObjectKey::new(reference.namespace.as_deref().unwrap_or(route_namespace), &reference.name);
    // Permission comes before existence: without it a route must not learn what another namespace holds.
    if backend.namespace != route_namespace && !is_permitted(kind, route_namespace, &backend, cluster) {
        return Err(BackendProblem::NotPermitted {
            backend,
            route_kind: kind.as_str(),
            route_namespace: route_namespace.to_owned(),
        });
    }
    let Some(service) = cluster.service(&backend.namespace, &backend.name) else {
        return Err(BackendProblem::NoSuchService { backend });
    };
    if service.spec.as_ref().and_then(|spec| spec.type_.as_deref()) == Some("ExternalName") {
        return Err(BackendProblem::ExternalName { backend });
    }
    if is_generated(service) {
        return Err(BackendProblem::OwnService { backend });
    }
    let port = find_port(service, backend, reference.port, kind.protocol())?;
    Ok(Backend { service, port })
}

/// Whether Keryx made this Service for a Gateway. As a backend it would make a loop.
fn is_generated(service: &Service) -> bool {
    let component = service.metadata.labels.as_ref().and_then(|labels| labels.get(LABEL_COMPONENT));
    component.is_some_and(|component| component == COMPONENT_CLONE || component == COMPONENT_ANCHOR)
}

fn find_port(
    service: &Service,
    backend: ObjectKey,
    port: Option<i32>,
    protocol: Protocol,
) -> Result<&ServicePort, BackendProblem> {
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    let Some(port) = port else {
        return Err(BackendProblem::PortMissing { backend, ports: port_listing(ports) });
    };
    let mut of_number = ports.iter().filter(|candidate| candidate.port == port).peekable();
    if of_number.peek().is_none() {
        return Err(BackendProblem::NoSuchPort { backend, port, ports: port_listing(ports) });
    }
    of_number
        .find(|candidate| Protocol::from_field(candidate.protocol.as_deref()) == Some(protocol))
        .ok_or_else(|| BackendProblem::OtherProtocol {
            backend,
            port,
            wanted: protocol.as_str(),
            ports: port_listing(ports),
        })
}

fn port_listing(ports: &[ServicePort]) -> String {
    if ports.is_empty() {
        return "none".to_owned();
    }
    let each =
        ports.iter().map(|port| format!("{}/{}", port.port, port.protocol.as_deref().unwrap_or("TCP")));
    each.collect::<Vec<_>>().join(", ")
}

/// ReferenceGrants in the backend's namespace: entries are OR-ed, and one grant must hold both sides.
fn is_permitted(kind: RouteKind, route_namespace: &str, backend: &ObjectKey, cluster: &impl Cluster) -> bool {
    let from = |entry: &ReferenceGrantFrom| {
        entry.group == GROUP && entry.kind == kind.as_str() && entry.namespace == route_namespace
    };
    let to = |entry: &ReferenceGrantTo| {
        entry.group.is_empty()
            && entry.kind == SERVICE_KIND
            && entry.name.as_ref().is_none_or(|name| *name == backend.name)
    };
    let grants = cluster.reference_grants(&backend.namespace);
    grants.iter().any(|grant| grant.spec.from.iter().any(from) && grant.spec.to.iter().any(to))
}
