//! What the plan keeps of a Service.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Service, ServicePort};
use keryx_api::Protocol;
use keryx_api::assigned::{Assigned, pool_of, pools_of};
use keryx_api::names::{COMPONENT_ANCHOR, COMPONENT_CLONE, LABEL_COMPONENT};

use crate::StatusPart;
use crate::texts::Texts;

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
    /// The pools of these, to be read by [`pool_of`].
    pub(crate) pools: Box<[Arc<str>]>,
    pub(crate) labels: LabelText,
    special: Option<Box<Special>>,
}

/// What few Services have.
#[derive(Debug, Default, PartialEq, Eq)]
struct Special {
    interfaces: Box<[Arc<str>]>,
    half_assigned: Box<[(IpAddr, StatusPart)]>,
    sharing_key: Option<Box<str>>,
}

/// Labels, in little memory, since every Service has some and few advertisements ask for them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LabelText(Box<str>);

impl LabelText {
    fn of(labels: Option<&BTreeMap<String, String>>) -> Self {
        let each = labels.into_iter().flatten();
        Self(each.map(|(key, value)| format!("{key}={value},")).collect::<String>().into())
    }

    /// The labels. Neither key nor value can hold a separator (Kubernetes, syntax of labels).
    pub(crate) fn read(&self) -> BTreeMap<String, String> {
        let each = self.0.split(',').filter_map(|pair| pair.split_once('='));
        each.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }
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
    fn of(texts: &mut Texts, port: &ServicePort) -> Option<Self> {
        Some(Self {
            protocol: Protocol::from_field(port.protocol.as_deref())?,
            port: u16::try_from(port.port).ok()?,
            name: texts.keep(port.name.as_deref().unwrap_or_default()),
        })
    }
}

impl ServiceFacts {
    /// `None` unless the Service is of type LoadBalancer.
    pub(crate) fn of(texts: &mut Texts, service: &Service) -> Option<Self> {
        let spec = service.spec.as_ref()?;
        if spec.type_.as_deref() != Some("LoadBalancer") {
            return None;
        }
        let (ingress, mark) = if is_generated(service) {
            Default::default()
        } else {
            (ingress(service), Assigned::read(service))
        };
        let (marked, pools, interfaces, sharing_key) = mark.map_or_else(Default::default, |mark| {
            (mark.addresses, mark.pools, mark.interfaces, mark.sharing_key.map(String::into_boxed_str))
        });
        let pool_of_marked =
            |address: &IpAddr| pool_of(&pools, marked.iter().position(|marked| marked == address)?);
        let marked_set = BTreeSet::from_iter(marked.iter().copied());
        let half_assigned: Box<[(IpAddr, StatusPart)]> = ingress
            .symmetric_difference(&marked_set)
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
        let special = Special {
            interfaces: interfaces.iter().map(|name| texts.keep(name)).collect(),
            half_assigned,
            sharing_key,
        };
        let assigned: Box<[IpAddr]> = ingress.intersection(&marked_set).copied().collect();
        Some(Self {
            uid: service.metadata.uid.as_deref().unwrap_or_default().into(),
            created_secs: created.map_or(i64::MAX, |time| time.0.as_second()),
            policy,
            ports: spec.ports.iter().flatten().filter_map(|port| PortFacts::of(texts, port)).collect(),
            pools: pools_of(assigned.iter().filter_map(pool_of_marked))
                .iter()
                .map(|pool| texts.keep(pool))
                .collect(),
            labels: LabelText::of(service.metadata.labels.as_ref()),
            assigned,
            special: (special != Special::default()).then(|| Box::new(special)),
        })
    }

    /// The interfaces to which its addresses are limited; any if there are none.
    pub(crate) fn interfaces(&self) -> &[Arc<str>] {
        self.special.as_ref().map(|special| &*special.interfaces).unwrap_or_default()
    }

    /// Addresses that only one of the two parts of the status names, with the part that does not.
    pub(crate) fn half_assigned(&self) -> &[(IpAddr, StatusPart)] {
        self.special.as_ref().map(|special| &*special.half_assigned).unwrap_or_default()
    }

    /// The key by which it shares its addresses with others.
    pub(crate) fn sharing_key(&self) -> Option<&str> {
        self.special.as_ref()?.sharing_key.as_deref()
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
