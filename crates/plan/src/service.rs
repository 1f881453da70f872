//! What the plan keeps of a Service.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Service, ServicePort};
use keryx_api::Protocol;
use keryx_api::assigned::Assigned;
use keryx_api::names::{COMPONENT_ANCHOR, COMPONENT_CLONE, LABEL_COMPONENT};

use crate::StatusPart;

/// `spec.externalTrafficPolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrafficPolicy {
    /// Every node forwards to every endpoint.
    #[default]
    Cluster,
    /// A node forwards only to its own endpoints.
    Local,
}

/// A Service of type LoadBalancer, reduced to what decides.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ServiceFacts {
    pub(crate) uid: Box<str>,
    /// Creation time in seconds since 1970; a Service without one, which no API server sends, is the youngest.
    pub(crate) created_secs: i64,
    pub(crate) policy: TrafficPolicy,
    pub(crate) ports: Box<[PortFacts]>,
    /// Addresses of ours. Always empty for clones and anchors, whose addresses come from the exposure.
    pub(crate) assigned: Box<[IpAddr]>,
    /// Addresses that only one of the two parts of the status names, with the part that does not.
    pub(crate) half_assigned: Box<[(IpAddr, StatusPart)]>,
    /// The key by which it shares its addresses with others.
    pub(crate) sharing_key: Option<Box<str>>,
}

/// A TCP or UDP port of a Service.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PortFacts {
    pub(crate) protocol: Protocol,
    pub(crate) port: u16,
    /// The name by which EndpointSlices know the port; empty if it has none.
    pub(crate) name: Arc<str>,
}

impl PortFacts {
    /// `None` for other protocols.
    fn of(port: &ServicePort) -> Option<Self> {
        Some(Self {
            protocol: Protocol::from_field(port.protocol.as_deref())?,
            port: u16::try_from(port.port).ok()?,
            name: port.name.as_deref().unwrap_or_default().into(),
        })
    }
}

impl ServiceFacts {
    /// `None` unless the Service is of type LoadBalancer.
    pub(crate) fn of(service: &Service) -> Option<Self> {
        let spec = service.spec.as_ref()?;
        if spec.type_.as_deref() != Some("LoadBalancer") {
            return None;
        }
        let (ingress, mark) = if is_generated(service) {
            Default::default()
        } else {
            (ingress(service), Assigned::read(service))
        };
        let (marked, sharing_key) = mark.map_or_else(Default::default, |mark| {
            (BTreeSet::from_iter(mark.addresses), mark.sharing_key.map(String::into_boxed_str))
        });
        let half_assigned = ingress
            .symmetric_difference(&marked)
            .map(|address| {
                let missing_from =
                    if ingress.contains(address) { StatusPart::Condition } else { StatusPart::Ingress };
                (*address, missing_from)
            })
            .collect();
        let created = service.metadata.creation_timestamp.as_ref();
        let policy = match spec.external_traffic_policy.as_deref() {
            Some("Local") => TrafficPolicy::Local,
            Some(_) | None => TrafficPolicy::Cluster,
        };
        Some(Self {
            uid: service.metadata.uid.as_deref().unwrap_or_default().into(),
            created_secs: created.map_or(i64::MAX, |time| time.0.as_second()),
            policy,
            ports: spec.ports.iter().flatten().filter_map(PortFacts::of).collect(),
            assigned: ingress.intersection(&marked).copied().collect(),
            half_assigned,
            sharing_key,
        })
    }
}

/// True for what the controller makes for a Gateway.
fn is_generated(service: &Service) -> bool {
    let component = service.metadata.labels.as_ref().and_then(|labels| labels.get(LABEL_COMPONENT));
    component.is_some_and(|value| value == COMPONENT_CLONE || value == COMPONENT_ANCHOR)
}

fn ingress(service: &Service) -> BTreeSet<IpAddr> {
    let load_balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = load_balancer.and_then(|status| status.ingress.as_deref()).unwrap_or_default();
    ingress.iter().filter_map(|entry| entry.ip.as_deref()?.parse().ok()).collect()
}
