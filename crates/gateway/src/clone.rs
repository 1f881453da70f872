//! Clones: the LoadBalancer Service made from a route's backend Service, beside it, with the listener's ports.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use keryx_api::Protocol;
use keryx_api::gateway_api::Gateway;
use keryx_api::names::{ANNOTATION_BACKEND, COMPONENT_CLONE};

use crate::serve::{ServedPort, Server};
use crate::{ObjectKey, naming, object};

/// Listener ports with the backend's ports that they lead to.
type Ports<'a> = BTreeMap<(Protocol, u16), &'a ServicePort>;

/// Key of the clone of `backend` for `gateway`: one per pair, the same as long as their names are.
pub(crate) fn key(gateway: &ObjectKey, backend: &Service) -> ObjectKey {
    let backend = ObjectKey::of(&backend.metadata);
    let hash = naming::hash(&[&gateway.namespace, &gateway.name, &backend.namespace, &backend.name]);
    ObjectKey::new(&backend.namespace, naming::with_hash(&backend.name, &hash))
}

/// The clones that serve `served`, ordered by key, their ports ordered.
pub(crate) fn build(gateway: &Gateway, load_balancer_class: &str, served: &[ServedPort<'_>]) -> Vec<Service> {
    let mut clones: BTreeMap<ObjectKey, (&Service, Ports<'_>)> = BTreeMap::new();
    for port in served {
        match &port.server {
            Server::Clone { key, backend } => {
                let (_, ports) = clones.entry(key.clone()).or_insert((backend.service, BTreeMap::new()));
                ports.insert((port.protocol, port.port), backend.port);
            }
            Server::Anchor => {}
        }
    }
    let each = clones.into_iter();
    each.map(|(key, (backend, ports))| service(gateway, load_balancer_class, key, backend, &ports)).collect()
}

fn service(
    gateway: &Gateway,
    load_balancer_class: &str,
    key: ObjectKey,
    backend: &Service,
    ports: &Ports<'_>,
) -> Service {
    let followed = backend.spec.clone().unwrap_or_default();
    let mut annotations = object::annotations(gateway);
    annotations.insert(ANNOTATION_BACKEND.to_owned(), ObjectKey::of(&backend.metadata).to_string());
    Service {
        metadata: ObjectMeta {
            owner_references: object::owner_references(gateway, &key.namespace),
            namespace: Some(key.namespace),
            name: Some(key.name),
            labels: Some(object::labels(gateway, COMPONENT_CLONE)),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        spec: Some(ServiceSpec {
            selector: followed.selector,
            session_affinity: followed.session_affinity,
            session_affinity_config: followed.session_affinity_config,
            publish_not_ready_addresses: followed.publish_not_ready_addresses,
            internal_traffic_policy: followed.internal_traffic_policy,
            traffic_distribution: followed.traffic_distribution,
            ip_families: followed.ip_families,
            ip_family_policy: followed.ip_family_policy,
            ports: Some(
                ports.iter().map(|((protocol, port), backend)| port_of(*protocol, *port, backend)).collect(),
            ),
            ..object::load_balancer_spec(load_balancer_class)
        }),
        status: None,
    }
}

/// A backend port without `targetPort` leads to its own number (Service API default), which is not the listener's.
fn port_of(protocol: Protocol, port: u16, backend: &ServicePort) -> ServicePort {
    let target = backend.target_port.clone().unwrap_or(IntOrString::Int(backend.port));
    ServicePort { app_protocol: backend.app_protocol.clone(), ..object::service_port(protocol, port, target) }
}
