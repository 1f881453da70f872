//! Who refers to whom: routes to Gateways and backends, generated Services to their Gateway.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Service;
use keryx_api::gateway_api::{Route, RouteKind};
use keryx_gateway::attach::gateway_of;
use kube::ResourceExt as _;

use super::{Key, is_generated, made_for};

/// A route of either kind.
pub(crate) type RouteId = (RouteKind, Key);

/// The references, by their target.
#[derive(Default)]
pub(crate) struct References {
    routes_of_gateway: BTreeMap<Key, BTreeSet<RouteId>>,
    routes_to_backend: BTreeMap<Key, BTreeSet<RouteId>>,
    gateways_of_route: BTreeMap<RouteId, BTreeSet<Key>>,
    /// Generated Services by the Gateway that they name.
    generated: BTreeMap<Key, BTreeSet<Key>>,
}

impl References {
    /// Routes that name the Gateway as a parent, or did and still say so in their status.
    pub(crate) fn routes_of_gateway(&self, gateway: &Key) -> impl Iterator<Item = &RouteId> {
        self.routes_of_gateway.get(gateway).into_iter().flatten()
    }

    /// Clones and anchors made for the Gateway of this name, of whatever UID.
    pub(crate) fn generated_for(&self, gateway: &Key) -> impl Iterator<Item = &Key> {
        self.generated.get(gateway).into_iter().flatten()
    }

    /// Gateways with a route to this Service.
    pub(crate) fn gateways_of_backend(&self, backend: &Key) -> BTreeSet<Key> {
        self.gateways_of_routes(self.routes_to_backend.get(backend).into_iter().flatten())
    }

    /// Gateways with a route to any Service of this namespace.
    pub(crate) fn gateways_of_backends_in(&self, namespace: &str) -> BTreeSet<Key> {
        let backends = self
            .routes_to_backend
            .range(Key::new(namespace, "")..)
            .take_while(|(backend, _)| backend.namespace == namespace);
        self.gateways_of_routes(backends.flat_map(|(_, routes)| routes))
    }

    /// Takes in a route's change; says which Gateways it names or named.
    pub(crate) fn replace_route(
        &mut self,
        kind: RouteKind,
        key: &Key,
        old: Option<&Route>,
        new: Option<&Route>,
    ) -> BTreeSet<Key> {
        let id = (kind, key.clone());
        let mut concerned = BTreeSet::new();
        if let Some(route) = old {
            for gateway in parents(route) {
                remove(&mut self.routes_of_gateway, &gateway, &id);
                concerned.insert(gateway);
            }
            for backend in backends(route) {
                remove(&mut self.routes_to_backend, &backend, &id);
            }
            self.gateways_of_route.remove(&id);
        }
        if let Some(route) = new {
            let gateways = parents(route);
            for gateway in &gateways {
                self.routes_of_gateway.entry(gateway.clone()).or_default().insert(id.clone());
            }
            for backend in backends(route) {
                self.routes_to_backend.entry(backend).or_default().insert(id.clone());
            }
            concerned.extend(gateways.iter().cloned());
            self.gateways_of_route.insert(id, gateways);
        }
        concerned
    }

    /// Takes in that a generated Service stands (`present`) or no longer does.
    pub(crate) fn note_generated(&mut self, key: &Key, service: &Service, present: bool) {
        let Some(gateway) = made_for(service).filter(|_| is_generated(service)) else { return };
        if present {
            self.generated.entry(gateway).or_default().insert(key.clone());
        } else if let Some(keys) = self.generated.get_mut(&gateway) {
            keys.remove(key);
            if keys.is_empty() {
                self.generated.remove(&gateway);
            }
        }
    }

    fn gateways_of_routes<'a>(&self, routes: impl Iterator<Item = &'a RouteId>) -> BTreeSet<Key> {
        routes.filter_map(|id| self.gateways_of_route.get(id)).flatten().cloned().collect()
    }
}

fn remove(map: &mut BTreeMap<Key, BTreeSet<RouteId>>, target: &Key, id: &RouteId) {
    if let Some(routes) = map.get_mut(target) {
        routes.remove(id);
        if routes.is_empty() {
            map.remove(target);
        }
    }
}

/// The Gateways that a route names, in its spec or still in its status: entries there must go with the parentRef.
fn parents(route: &Route) -> BTreeSet<Key> {
    let own = route.namespace().unwrap_or_default();
    let told = route.status.iter().flat_map(|status| &status.parents).map(|parent| &parent.parent_ref);
    route.spec.parent_refs.iter().chain(told).filter_map(|parent| gateway_of(parent, &own)).collect()
}

/// The Services that a route sends traffic to.
fn backends(route: &Route) -> BTreeSet<Key> {
    let own = route.namespace().unwrap_or_default();
    let backends = route.spec.rules.iter().flat_map(|rule| &rule.backend_refs);
    backends
        .map(|backend| {
            Key::new(backend.namespace.clone().unwrap_or_else(|| own.clone()), backend.name.clone())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use keryx_api::gateway_api::{BackendReference, ParentReference, RouteRule, RouteSpec};
    use kube::core::Object;

    use super::*;

    fn route(name: &str, gateway: &str, backend_namespace: Option<&str>, backend: &str) -> Route {
        let backend = BackendReference {
            name: backend.into(),
            namespace: backend_namespace.map(Into::into),
            ..Default::default()
        };
        let spec = RouteSpec {
            parent_refs: vec![ParentReference { name: gateway.into(), ..ParentReference::default() }],
            rules: vec![RouteRule { name: None, backend_refs: vec![backend] }],
        };
        Object::new(name, &RouteKind::Tcp.resource("v1"), spec).within("apps")
    }

    #[test]
    fn a_route_that_moves_to_another_gateway_concerns_both() {
        let mut references = References::default();
        let (before, after) = (route("r", "one", None, "web"), route("r", "two", None, "web"));
        let key = Key::new("apps", "r");
        references.replace_route(RouteKind::Tcp, &key, None, Some(&before));
        let concerned = references.replace_route(RouteKind::Tcp, &key, Some(&before), Some(&after));
        assert_eq!(concerned, BTreeSet::from([Key::new("apps", "one"), Key::new("apps", "two")]));
        assert_eq!(references.routes_of_gateway(&Key::new("apps", "one")).count(), 0);
        assert_eq!(
            references.gateways_of_backend(&Key::new("apps", "web")),
            [Key::new("apps", "two")].into()
        );
    }

    #[test]
    fn a_grant_concerns_gateways_with_routes_into_its_namespace() {
        let mut references = References::default();
        let inward = route("r", "one", Some("db"), "postgres");
        references.replace_route(RouteKind::Tcp, &Key::new("apps", "r"), None, Some(&inward));
        assert_eq!(references.gateways_of_backends_in("db"), [Key::new("apps", "one")].into());
        assert!(references.gateways_of_backends_in("d").is_empty());
    }
}
