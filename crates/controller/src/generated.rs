//! What to write so that a generated object (clone, anchor, exposure) is stored as wanted, and nothing if it already is.
//! Only the fields that Keryx decides are compared; what the API server filled in stays as it is.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceSpec};
use keryx_api::names;
use kube::ResourceExt as _;

/// Why a generated Service cannot be written: the name is taken by an object that Keryx did not make for this Gateway.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a Service {namespace}/{name} that Keryx did not make stands where a generated one is needed; rename or delete it"
)]
pub(crate) struct NameTaken {
    namespace: String,
    name: String,
}

/// What must happen for a generated Service to be as wanted.
#[derive(Debug, PartialEq)]
pub(crate) enum Change {
    /// Nothing: it is.
    None,
    /// This is to be written.
    Put(Box<Service>),
    /// The stored one must go first, because the API allows no other primary family on it.
    Delete,
}

/// What must happen so that `wanted` is stored. What was made for a Gateway of the same name, though another UID, is
/// taken over.
pub(crate) fn service(stored: Option<&Service>, wanted: Service) -> Result<Change, NameTaken> {
    let Some(stored) = stored else { return Ok(Change::Put(Box::new(wanted))) };
    let component = |service: &Service| service.labels().get(names::LABEL_COMPONENT).cloned();
    let gateway = |service: &Service| service.annotations().get(names::ANNOTATION_GATEWAY).cloned();
    if component(stored) != component(&wanted) || gateway(stored) != gateway(&wanted) {
        return Err(NameTaken { namespace: stored.namespace().unwrap_or_default(), name: stored.name_any() });
    }
    let primary_family = |service: &Service| service.spec.as_ref()?.ip_families.as_ref()?.first().cloned();
    if primary_family(&wanted).is_some_and(|family| Some(family) != primary_family(stored)) {
        return Ok(Change::Delete);
    }
    let mut target = stored.clone();
    // What admission or other tools add stays: to take it away would begin a fight without end.
    merge(&mut target.metadata.labels, wanted.metadata.labels);
    merge(&mut target.metadata.annotations, wanted.metadata.annotations);
    target.metadata.owner_references = wanted.metadata.owner_references;
    overlay(target.spec.get_or_insert_default(), wanted.spec.unwrap_or_default());
    Ok(if target == *stored { Change::None } else { Change::Put(Box::new(target)) })
}

fn merge(stored: &mut Option<BTreeMap<String, String>>, wanted: Option<BTreeMap<String, String>>) {
    if let Some(wanted) = wanted {
        stored.get_or_insert_default().extend(wanted);
    }
}

/// Puts what is wanted over what is stored. Of the fields that the API server defaults, an absent one means "as
/// stored"; of the others it means "none".
fn overlay(stored: &mut ServiceSpec, wanted: ServiceSpec) {
    stored.ports = wanted.ports;
    stored.selector = wanted.selector;
    stored.session_affinity_config = wanted.session_affinity_config;
    stored.traffic_distribution = wanted.traffic_distribution;
    stored.publish_not_ready_addresses = wanted.publish_not_ready_addresses;
    let defaulted = [
        (&mut stored.type_, wanted.type_),
        (&mut stored.load_balancer_class, wanted.load_balancer_class),
        (&mut stored.session_affinity, wanted.session_affinity),
        (&mut stored.internal_traffic_policy, wanted.internal_traffic_policy),
        (&mut stored.external_traffic_policy, wanted.external_traffic_policy),
        (&mut stored.ip_family_policy, wanted.ip_family_policy),
    ];
    for (stored, wanted) in defaulted {
        *stored = wanted.or_else(|| stored.take());
    }
    let node_ports = wanted.allocate_load_balancer_node_ports;
    stored.allocate_load_balancer_node_ports = node_ports.or(stored.allocate_load_balancer_node_ports);
    if wanted.ip_families.is_some() && wanted.ip_families != stored.ip_families {
        // Addresses of a family that is no longer wanted must go with it (Service API validation).
        let keep = wanted.ip_families.as_ref().map_or(0, Vec::len);
        if let Some(cluster_ips) = &mut stored.cluster_ips {
            cluster_ips.truncate(keep);
        }
        stored.ip_families = wanted.ip_families;
    }
}

/// The exposure to write so that `wanted` is stored, `None` if `stored` already is as wanted.
pub(crate) fn exposure(stored: Option<&ConfigMap>, wanted: ConfigMap) -> Option<ConfigMap> {
    let Some(stored) = stored else { return Some(wanted) };
    let mut target = stored.clone();
    target.metadata.labels = wanted.metadata.labels;
    target.metadata.annotations = wanted.metadata.annotations;
    target.data = wanted.data;
    (target != *stored).then_some(target)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ServicePort;

    use super::*;

    fn wanted() -> Service {
        let mut service = Service::default();
        service.metadata.namespace = Some("apps".into());
        service.metadata.name = Some("web-1".into());
        let named = |name: &str, value: &str| Some([(name.to_owned(), value.to_owned())].into());
        service.metadata.labels = named(names::LABEL_COMPONENT, names::COMPONENT_CLONE);
        service.metadata.annotations = named(names::ANNOTATION_GATEWAY, "apps/edge");
        let port = ServicePort { port: 80, protocol: Some("TCP".into()), ..ServicePort::default() };
        let spec = ServiceSpec {
            type_: Some("LoadBalancer".into()),
            ports: Some(vec![port]),
            selector: Some([("app".to_owned(), "web".to_owned())].into()),
            ..ServiceSpec::default()
        };
        service.spec = Some(spec);
        service
    }

    /// `service` as the API server gives it back.
    fn defaulted(mut service: Service) -> Service {
        service.metadata.uid = Some("s".into());
        service.metadata.resource_version = Some("7".into());
        let spec = service.spec.as_mut().unwrap();
        spec.cluster_ip = Some("10.96.0.9".into());
        spec.cluster_ips = Some(vec!["10.96.0.9".into()]);
        spec.ip_families = Some(vec!["IPv4".into()]);
        spec.ip_family_policy = Some("SingleStack".into());
        spec.session_affinity = Some("None".into());
        spec.internal_traffic_policy = Some("Cluster".into());
        service
    }

    #[test]
    fn what_the_api_server_filled_in_is_no_difference() {
        assert_eq!(service(Some(&defaulted(wanted())), wanted()), Ok(Change::None));
    }

    #[test]
    fn a_selector_key_that_the_backend_lost_goes() {
        let mut stored = defaulted(wanted());
        stored.spec.as_mut().unwrap().selector.as_mut().unwrap().insert("tier".into(), "front".into());
        let Ok(Change::Put(target)) = service(Some(&stored), wanted()) else { panic!("no write") };
        assert_eq!(target.spec.as_ref().unwrap().selector, wanted().spec.unwrap().selector);
        assert_eq!(target.spec.unwrap().cluster_ip.as_deref(), Some("10.96.0.9"));
        assert_eq!(target.metadata.resource_version.as_deref(), Some("7"));
    }

    #[test]
    fn labels_that_others_add_are_no_difference() {
        let mut stored = defaulted(wanted());
        stored.metadata.labels.as_mut().unwrap().insert("policy.example/team".into(), "a".into());
        stored.metadata.annotations.as_mut().unwrap().insert("audit.example/seen".into(), "yes".into());
        assert_eq!(service(Some(&stored), wanted()), Ok(Change::None));
    }

    #[test]
    fn an_object_of_another_origin_is_never_overwritten() {
        let mut stored = defaulted(wanted());
        stored.metadata.labels = None;
        assert!(service(Some(&stored), wanted()).is_err());
    }

    #[test]
    fn another_primary_family_needs_another_object() {
        let mut other = wanted();
        other.spec.as_mut().unwrap().ip_families = Some(vec!["IPv6".into()]);
        assert_eq!(service(Some(&defaulted(wanted())), other), Ok(Change::Delete));
    }
}
