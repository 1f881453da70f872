//! What clones and anchors have in common.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use keryx_api::Protocol;
use keryx_api::gateway_api::{GROUP, Gateway};
use keryx_api::names::{ANNOTATION_GATEWAY, LABEL_COMPONENT, LABEL_GATEWAY_UID};

use crate::ObjectKey;

/// Kubernetes' recommended label for the tool that manages an object.
const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// The labels by which Keryx knows its own.
pub(crate) fn labels(gateway: &Gateway, component: &str) -> BTreeMap<String, String> {
    let uid = gateway.metadata.uid.clone().unwrap_or_default();
    let labels =
        [(LABEL_COMPONENT, component), (LABEL_GATEWAY_UID, uid.as_str()), (LABEL_MANAGED_BY, "keryx")];
    labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The annotation that names the Gateway.
pub(crate) fn annotations(gateway: &Gateway) -> BTreeMap<String, String> {
    BTreeMap::from([(ANNOTATION_GATEWAY.to_owned(), ObjectKey::of(&gateway.metadata).to_string())])
}

/// The Gateway as controller of an object in `namespace`; `None` in another namespace, where Kubernetes' garbage
/// collector would take the Gateway for gone and delete the object.
pub(crate) fn owner_references(gateway: &Gateway, namespace: &str) -> Option<Vec<OwnerReference>> {
    (gateway.metadata.namespace.as_deref() == Some(namespace)).then(|| {
        vec![OwnerReference {
            api_version: format!("{GROUP}/v1"),
            kind: "Gateway".to_owned(),
            name: gateway.metadata.name.clone().unwrap_or_default(),
            uid: gateway.metadata.uid.clone().unwrap_or_default(),
            controller: Some(true),
            block_owner_deletion: None,
        }]
    })
}

/// A LoadBalancer Service of our class, without node ports.
pub(crate) fn load_balancer_spec(load_balancer_class: &str) -> ServiceSpec {
    ServiceSpec {
        type_: Some("LoadBalancer".to_owned()),
        load_balancer_class: Some(load_balancer_class.to_owned()),
        allocate_load_balancer_node_ports: Some(false),
        external_traffic_policy: Some("Cluster".to_owned()),
        ..ServiceSpec::default()
    }
}

/// The port `tcp-80`, with its target.
pub(crate) fn service_port(protocol: Protocol, port: u16, target: IntOrString) -> ServicePort {
    ServicePort {
        name: Some(format!("{}-{port}", protocol.as_str().to_ascii_lowercase())),
        port: i32::from(port),
        protocol: Some(protocol.as_str().to_owned()),
        target_port: Some(target),
        ..ServicePort::default()
    }
}
