//! Which listeners a route attaches to: parentRefs against `allowedRoutes`.

use std::collections::BTreeMap;

use keryx_api::gateway_api::{
    GROUP, GatewayListeners, GatewayListenersAllowedRoutesNamespacesFrom as From,
    GatewayListenersAllowedRoutesNamespacesSelector as Selector,
    GatewayListenersAllowedRoutesNamespacesSelectorMatchExpressions as Expression, ParentReference, Route,
    RouteKind,
};

use crate::listeners::{Listener, listing};
use crate::reason::AttachProblem;
use crate::{Cluster, ObjectKey};

const GATEWAY_KIND: &str = "Gateway";

/// The Gateway that a parentRef of a route in `route_namespace` names; `None` if it names another kind, such as a
/// ListenerSet.
pub fn gateway_of(parent: &ParentReference, route_namespace: &str) -> Option<ObjectKey> {
    let group = parent.group.as_deref().unwrap_or(GROUP);
    let kind = parent.kind.as_deref().unwrap_or(GATEWAY_KIND);
    (group == GROUP && kind == GATEWAY_KIND)
        .then(|| ObjectKey::new(parent.namespace.as_deref().unwrap_or(route_namespace), &parent.name))
}

/// The parentRef with its default group and kind filled in, as a status must show it.
pub(crate) fn with_defaults(parent: &ParentReference) -> ParentReference {
    ParentReference {
        group: Some(parent.group.clone().unwrap_or_else(|| GROUP.to_owned())),
        kind: Some(parent.kind.clone().unwrap_or_else(|| GATEWAY_KIND.to_owned())),
        ..parent.clone()
    }
}

/// Whether two parentRefs of a route in `route_namespace` mean the same.
pub(crate) fn is_same(one: &ParentReference, other: &ParentReference, route_namespace: &str) -> bool {
    let spelled_out = |parent: &ParentReference| ParentReference {
        namespace: Some(parent.namespace.clone().unwrap_or_else(|| route_namespace.to_owned())),
        ..with_defaults(parent)
    };
    spelled_out(one) == spelled_out(other)
}

/// One parentRef of a route that names the Gateway at hand.
#[derive(Debug)]
pub(crate) struct Parent {
    /// With defaults filled in.
    pub(crate) parent_ref: ParentReference,
    /// Positions of the listeners that take the route, at least one; or why none does.
    pub(crate) attached: Result<Vec<usize>, AttachProblem>,
}

/// Every parentRef of `route` that names `gateway`, each once, in the order of the spec.
pub(crate) fn parents(
    gateway: &ObjectKey,
    listeners: &[Listener<'_>],
    kind: RouteKind,
    route: &Route,
    cluster: &impl Cluster,
) -> Vec<Parent> {
    let route_namespace = route.metadata.namespace.as_deref().unwrap_or_default();
    let mut parents: Vec<Parent> = Vec::new();
    for parent in &route.spec.parent_refs {
        let is_ours = gateway_of(parent, route_namespace).as_ref() == Some(gateway);
        if is_ours && !parents.iter().any(|known| is_same(&known.parent_ref, parent, route_namespace)) {
            let attached = attach(gateway, listeners, parent, kind, route_namespace, cluster);
            parents.push(Parent { parent_ref: with_defaults(parent), attached });
        }
    }
    parents
}

fn attach(
    gateway: &ObjectKey,
    listeners: &[Listener<'_>],
    parent: &ParentReference,
    kind: RouteKind,
    route_namespace: &str,
    cluster: &impl Cluster,
) -> Result<Vec<usize>, AttachProblem> {
    let specs = |positions: &[usize]| listing(positions.iter().map(|at| listeners[*at].spec));
    let all: Vec<usize> = (0..listeners.len()).collect();
    let selected: Vec<usize> =
        all.iter().copied().filter(|at| selects(parent, listeners[*at].spec)).collect();
    if selected.is_empty() {
        return Err(AttachProblem::NoSuchListener { selection: selection(parent), listeners: specs(&all) });
    }
    let of_kind: Vec<usize> =
        selected.iter().copied().filter(|at| listeners[*at].supported_kinds.contains(&kind)).collect();
    if of_kind.is_empty() {
        return Err(AttachProblem::KindNotAllowed { kind: kind.as_str(), listeners: specs(&selected) });
    }
    let allows = |at: &usize| allows_namespace(listeners[*at].spec, gateway, route_namespace, cluster);
    let allowed: Vec<usize> = of_kind.iter().copied().filter(allows).collect();
    if allowed.is_empty() {
        let namespace = route_namespace.to_owned();
        return Err(AttachProblem::NamespaceNotAllowed { namespace, listeners: specs(&of_kind) });
    }
    Ok(allowed)
}

fn selects(parent: &ParentReference, listener: &GatewayListeners) -> bool {
    parent.section_name.as_ref().is_none_or(|name| *name == listener.name)
        && parent.port.is_none_or(|port| port == listener.port)
}

/// What a parentRef asks for, as messages name it. A Gateway always has a listener, so one of the two is given.
fn selection(parent: &ParentReference) -> String {
    let name = parent.section_name.as_ref().map(|name| format!("named {name}"));
    let port = parent.port.map(|port| format!("on port {port}"));
    [name, port].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn allows_namespace(
    listener: &GatewayListeners,
    gateway: &ObjectKey,
    route_namespace: &str,
    cluster: &impl Cluster,
) -> bool {
    let namespaces = listener.allowed_routes.as_ref().and_then(|routes| routes.namespaces.as_ref());
    match namespaces.and_then(|allowed| allowed.from.as_ref()) {
        None | Some(From::Same) => route_namespace == gateway.namespace,
        Some(From::All) => true,
        Some(From::Selector) => {
            let selector = namespaces.and_then(|allowed| allowed.selector.as_ref());
            selector
                .zip(cluster.namespace_labels(route_namespace))
                .is_some_and(|(selector, labels)| selector_matches(selector, labels))
        }
    }
}

/// A Kubernetes label selector: all requirements must hold, an empty selector matches everything.
fn selector_matches(selector: &Selector, labels: &BTreeMap<String, String>) -> bool {
    let equal = selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    equal
        && selector
            .match_expressions
            .iter()
            .flatten()
            .all(|expression| expression_matches(expression, labels))
}

fn expression_matches(expression: &Expression, labels: &BTreeMap<String, String>) -> bool {
    let value = labels.get(&expression.key);
    let listed = value.is_some_and(|value| expression.values.iter().flatten().any(|one| one == value));
    match expression.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        // The selector cannot be understood, so it lets nobody in.
        _ => false,
    }
}
