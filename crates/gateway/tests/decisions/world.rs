//! A small cluster in memory around one Gateway, `default/edge` of class `keryx`. Specs are given as YAML in flow style.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use k8s_openapi::api::core::v1::{Service, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use keryx_api::exposure::ServedBy;
use keryx_api::gateway_api::{
    Gateway, GatewaySpec, ReferenceGrant, ReferenceGrantSpec, Route, RouteKind, RouteSpec,
};
use keryx_gateway::addresses::AddressState;
use keryx_gateway::conditions::Wanted;
use keryx_gateway::{Cluster, Inputs, ObjectKey, Outcome, decide};
use serde::de::DeserializeOwned;

pub(crate) const CLASS: &str = "keryx.dev/load-balancer";
/// One TCP listener `web` on port 80.
pub(crate) const WEB: &str = "{gatewayClassName: keryx, listeners: [{name: web, port: 80, protocol: TCP}]}";
/// A Service with a selector and port 8080/TCP.
pub(crate) const APP: &str = "{selector: {app: a}, ports: [{port: 8080, protocol: TCP}]}";
/// A route to port 8080 of Service `app`, attached to every listener.
pub(crate) const TO_APP: &str =
    "{parentRefs: [{name: edge}], rules: [{backendRefs: [{name: app, port: 8080}]}]}";

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) gateway: Gateway,
    pub(crate) routes: Vec<(RouteKind, Route)>,
    pub(crate) services: BTreeMap<ObjectKey, Service>,
    pub(crate) namespaces: BTreeMap<String, BTreeMap<String, String>>,
    pub(crate) grants: Vec<ReferenceGrant>,
    pub(crate) addresses: AddressState,
    pub(crate) address_notes: Vec<Wanted>,
    pub(crate) sharing_key: Option<String>,
    pub(crate) write_failures: BTreeMap<ObjectKey, String>,
}

fn yaml<T: DeserializeOwned>(text: &str) -> T {
    serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

pub(crate) fn time(seconds: u32) -> Time {
    yaml(&format!("2026-01-01T00:00:{seconds:02}Z"))
}

pub(crate) fn key(text: &str) -> ObjectKey {
    let (namespace, name) = text.split_once('/').unwrap();
    ObjectKey::new(namespace, name)
}

fn metadata(text: &str) -> ObjectMeta {
    let ObjectKey { namespace, name } = key(text);
    ObjectMeta { namespace: Some(namespace), name: Some(name), ..ObjectMeta::default() }
}

impl World {
    /// A Gateway with an address, no routes, an empty cluster.
    pub(crate) fn new(gateway: &str) -> Self {
        let mut gateway =
            Gateway { metadata: metadata("default/edge"), spec: yaml::<GatewaySpec>(gateway), status: None };
        gateway.metadata.uid = Some("uid-of-edge".to_owned());
        gateway.metadata.generation = Some(1);
        Self {
            gateway,
            routes: Vec::new(),
            services: BTreeMap::new(),
            namespaces: BTreeMap::new(),
            grants: Vec::new(),
            addresses: AddressState::Assigned(vec!["192.0.2.10".parse().unwrap()]),
            address_notes: Vec::new(),
            sharing_key: None,
            write_failures: BTreeMap::new(),
        }
    }

    /// Listener `web`, Service `app`, and a TCPRoute `default/shop` from the one to the other.
    pub(crate) fn serving() -> Self {
        Self::new(WEB).service("default/app", APP).tcp("default/shop", TO_APP)
    }

    pub(crate) fn service(mut self, name: &str, spec: &str) -> Self {
        let service =
            Service { metadata: metadata(name), spec: Some(yaml::<ServiceSpec>(spec)), ..Service::default() };
        self.services.insert(key(name), service);
        self
    }

    pub(crate) fn tcp(self, name: &str, spec: &str) -> Self {
        self.route(RouteKind::Tcp, name, spec, 10)
    }

    pub(crate) fn udp(self, name: &str, spec: &str) -> Self {
        self.route(RouteKind::Udp, name, spec, 10)
    }

    /// A route that was created at the given second.
    pub(crate) fn route(mut self, kind: RouteKind, name: &str, spec: &str, created: u32) -> Self {
        let mut metadata = metadata(name);
        metadata.creation_timestamp = Some(time(created));
        self.routes
            .push((kind, Route { types: None, metadata, spec: yaml::<RouteSpec>(spec), status: None }));
        self
    }

    pub(crate) fn namespace(mut self, name: &str, labels: &str) -> Self {
        self.namespaces.insert(name.to_owned(), yaml(labels));
        self
    }

    pub(crate) fn grant(mut self, namespace: &str, spec: &str) -> Self {
        let metadata = ObjectMeta { namespace: Some(namespace.to_owned()), ..ObjectMeta::default() };
        self.grants.push(ReferenceGrant { metadata, spec: yaml::<ReferenceGrantSpec>(spec) });
        self
    }

    pub(crate) fn addresses(mut self, addresses: AddressState) -> Self {
        self.addresses = addresses;
        self
    }

    pub(crate) fn decide(&self) -> Outcome {
        let routes: Vec<_> = self.routes.iter().map(|(kind, route)| (*kind, route)).collect();
        decide(
            &Inputs {
                gateway: &self.gateway,
                routes: &routes,
                addresses: &self.addresses,
                address_notes: &self.address_notes,
                pools: &["edge".to_owned()],
                interfaces: &[],
                sharing_key: self.sharing_key.as_deref(),
                write_failures: &self.write_failures,
                load_balancer_class: CLASS,
            },
            self,
        )
    }

    pub(crate) fn report(&self) -> String {
        report(&self.decide())
    }

    /// What the routes are told, as lines.
    pub(crate) fn route_report(&self) -> String {
        route_report(&self.decide())
    }
}

impl Cluster for World {
    fn service(&self, namespace: &str, name: &str) -> Option<&Service> {
        self.services.get(&ObjectKey::new(namespace, name))
    }

    fn namespace_labels(&self, namespace: &str) -> Option<&BTreeMap<String, String>> {
        self.namespaces.get(namespace)
    }

    fn reference_grants(&self, namespace: &str) -> Vec<&ReferenceGrant> {
        self.grants.iter().filter(|grant| grant.metadata.namespace.as_deref() == Some(namespace)).collect()
    }
}

/// An outcome as text: every condition with type, status, reason and message, and what serves each port.
pub(crate) fn report(outcome: &Outcome) -> String {
    let mut text = "Gateway\n".to_owned();
    indent(&mut text, &outcome.conditions);
    for listener in &outcome.listeners {
        let kinds: Vec<_> = listener.supported_kinds.iter().map(|kind| kind.as_str()).collect();
        let (name, attached) = (&listener.name, listener.attached_routes);
        writeln!(text, "Listener {name}, supportedKinds [{}], attachedRoutes {attached}", kinds.join(", "))
            .unwrap();
        indent(&mut text, &listener.conditions);
    }
    text += &route_report(outcome);
    text + &ports(outcome)
}

fn route_report(outcome: &Outcome) -> String {
    let mut text = String::new();
    for route in &outcome.routes {
        for parent in &route.parents {
            write!(text, "{} {} at {}", route.kind.as_str(), route.key, parent.parent_ref.name).unwrap();
            let section = parent.parent_ref.section_name.as_ref().map(|name| format!(" sectionName {name}"));
            let port = parent.parent_ref.port.map(|port| format!(" port {port}"));
            writeln!(text, "{}{}", section.unwrap_or_default(), port.unwrap_or_default()).unwrap();
            indent(&mut text, &parent.conditions);
        }
    }
    text
}

/// Which Service each exposed port is served by, as lines.
pub(crate) fn ports(outcome: &Outcome) -> String {
    let mut text = String::new();
    for port in outcome.exposure.iter().flat_map(|exposure| &exposure.ports) {
        let by = match &port.served_by {
            ServedBy::Clone { namespace, name } => format!("clone {namespace}/{name}"),
            ServedBy::Anchor => "the anchor".to_owned(),
        };
        writeln!(text, "{}/{} is served by {by}", port.port, port.protocol).unwrap();
    }
    text
}

fn indent(text: &mut String, conditions: &[Wanted]) {
    for condition in conditions {
        writeln!(text, "  {condition}").unwrap();
    }
}

/// The condition of that type.
pub(crate) fn find<'a>(conditions: &'a [Wanted], type_: &str) -> &'a Wanted {
    conditions.iter().find(|condition| condition.type_ == type_).unwrap()
}
