//! The anchor: a Gateway's own Service without endpoints, whose ports kube-proxy refuses. It is also the object that
//! GEP-1762 asks for, in the Gateway's namespace and with the infrastructure labels and annotations.

use k8s_openapi::api::core::v1::{Service, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use keryx_api::gateway_api::Gateway;
use keryx_api::names::{COMPONENT_ANCHOR, LABEL_GATEWAY_CLASS_NAME, LABEL_GATEWAY_NAME};

use crate::serve::{ServedPort, Server};
use crate::{ObjectKey, naming, object};

/// Key of the anchor: `<gateway>-<class>` (GEP-1762), with a hash where that is no Service name.
pub(crate) fn key(gateway: &Gateway) -> ObjectKey {
    let ObjectKey { namespace, name } = ObjectKey::of(&gateway.metadata);
    let class = &gateway.spec.gateway_class_name;
    let hash = naming::hash(&[&namespace, &name, class]);
    ObjectKey::new(namespace, naming::service_name(&format!("{name}-{class}"), &hash))
}

/// The anchor for the ports of `served` that no clone serves; `None` if there are none.
pub(crate) fn build(
    gateway: &Gateway,
    load_balancer_class: &str,
    served: &[ServedPort<'_>],
) -> Option<Service> {
    let unserved = served.iter().filter(|port| matches!(port.server, Server::Anchor));
    let mut ports: Vec<_> = unserved.map(|port| (port.protocol, port.port)).collect();
    if ports.is_empty() {
        return None;
    }
    ports.sort_unstable();
    let ports = ports.into_iter().map(|(protocol, port)| {
        // Without a selector the target means nothing; this is the value that the API server would fill in.
        object::service_port(protocol, port, IntOrString::Int(i32::from(port)))
    });
    let ObjectKey { namespace, name } = key(gateway);
    Some(Service {
        metadata: metadata(gateway, namespace, name),
        spec: Some(ServiceSpec {
            ports: Some(ports.collect()),
            session_affinity: Some("None".to_owned()),
            internal_traffic_policy: Some("Cluster".to_owned()),
            ip_family_policy: Some("PreferDualStack".to_owned()),
            ..object::load_balancer_spec(load_balancer_class)
        }),
        status: None,
    })
}

fn metadata(gateway: &Gateway, namespace: String, name: String) -> ObjectMeta {
    let infrastructure = gateway.spec.infrastructure.clone().unwrap_or_default();
    // Ours are put in last: infrastructure must not pass one Gateway's Service off as another's.
    let mut labels = infrastructure.labels.unwrap_or_default();
    labels.extend(object::labels(gateway, COMPONENT_ANCHOR));
    let gateway_name = gateway.metadata.name.as_deref().unwrap_or_default();
    labels.insert(LABEL_GATEWAY_NAME.to_owned(), naming::label_value(gateway_name));
    let class = naming::label_value(&gateway.spec.gateway_class_name);
    labels.insert(LABEL_GATEWAY_CLASS_NAME.to_owned(), class);
    let mut annotations = infrastructure.annotations.unwrap_or_default();
    annotations.extend(object::annotations(gateway));
    ObjectMeta {
        owner_references: object::owner_references(gateway, &namespace),
        namespace: Some(namespace),
        name: Some(name),
        labels: Some(labels),
        annotations: Some(annotations),
        ..ObjectMeta::default()
    }
}
