//! What the plan keeps of EndpointSlices, and which endpoints count.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use keryx_api::Protocol;
use keryx_api::names::LABEL_SERVICE_NAME;

use crate::service::PortFacts;
use crate::texts::Texts;
use crate::{NodeName, ObjectName, TrafficPolicy};

/// Address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// An EndpointSlice, reduced to where endpoints are: endpoints of one state on one node are one entry, and so are
/// duplicates of an endpoint in several slices once their sets are united.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SliceFacts {
    /// The Service that the slice belongs to.
    pub(crate) service: ObjectName,
    family: Family,
    ports: Box<[(Protocol, Arc<str>)]>,
    /// Nodes with a ready endpoint; `None` stands for endpoints without a node name.
    ready: Box<[Option<NodeName>]>,
    /// The same for endpoints that still serve while they terminate.
    terminating: Box<[Option<NodeName>]>,
}

impl SliceFacts {
    /// `None` for a slice that belongs to no Service or holds no IP addresses.
    pub(crate) fn of(texts: &mut Texts, slice: &EndpointSlice) -> Option<Self> {
        let service = slice.metadata.labels.as_ref()?.get(LABEL_SERVICE_NAME)?;
        let family = match slice.address_type.as_str() {
            "IPv4" => Family::V4,
            "IPv6" => Family::V6,
            _ => return None,
        };
        let ports = slice.ports.iter().flatten().filter_map(|port| {
            // A port without a number means "all ports"; kube-proxy forwards to no such endpoint.
            port.port?;
            let protocol = Protocol::from_field(port.protocol.as_deref())?;
            Some((protocol, texts.keep(port.name.as_deref().unwrap_or_default())))
        });
        let ports = ports.collect();
        let mut ready = BTreeSet::new();
        let mut terminating = BTreeSet::new();
        for endpoint in slice.endpoints.iter().flatten() {
            let node = endpoint.node_name.as_deref().map(|name| NodeName::from(texts.keep(name)));
            match state(endpoint) {
                Some(State::Ready) => ready.insert(node),
                Some(State::ServingWhileTerminating) => terminating.insert(node),
                None => continue,
            };
        }
        Some(Self {
            service: ObjectName::keep(
                texts,
                slice.metadata.namespace.as_deref().unwrap_or_default(),
                service,
            ),
            family,
            ports,
            ready: ready.into_iter().collect(),
            terminating: terminating.into_iter().collect(),
        })
    }

    fn has(&self, port: &PortFacts) -> bool {
        self.ports.iter().any(|(protocol, name)| *protocol == port.protocol && *name == port.name)
    }
}

enum State {
    Ready,
    ServingWhileTerminating,
}

/// Reads the conditions as kube-proxy does: nil is true for `ready` and `serving`, false for `terminating`.
fn state(endpoint: &Endpoint) -> Option<State> {
    let conditions = endpoint.conditions.clone().unwrap_or_default();
    if conditions.ready.unwrap_or(true) {
        return Some(State::Ready);
    }
    let serving = conditions.serving.unwrap_or(true) && conditions.terminating.unwrap_or(false);
    serving.then_some(State::ServingWhileTerminating)
}

/// Where the endpoints are that count for one Service port in one family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Endpoints {
    /// Nodes with such an endpoint.
    pub(crate) nodes: BTreeSet<NodeName>,
    /// There are such endpoints without a node name.
    pub(crate) without_node: bool,
    /// No endpoint is ready anywhere; those that count are terminating.
    pub(crate) terminating: bool,
}

impl Endpoints {
    /// Chooses what counts: ready endpoints, and serving-while-terminating ones only while no ready one exists,
    /// anywhere under `Cluster`, on the same node under `Local`.
    pub(crate) fn choose<'a>(
        slices: impl Iterator<Item = &'a SliceFacts>,
        family: Family,
        port: &PortFacts,
        policy: TrafficPolicy,
    ) -> Self {
        let mut ready = BTreeSet::new();
        let mut terminating = BTreeSet::new();
        for slice in slices.filter(|slice| slice.family == family && slice.has(port)) {
            ready.extend(&slice.ready);
            terminating.extend(&slice.terminating);
        }
        let none_ready = ready.is_empty();
        match policy {
            TrafficPolicy::Cluster if none_ready => ready = terminating,
            TrafficPolicy::Cluster => {}
            // A node with a ready endpoint is in the set already; this adds nodes that have only terminating ones.
            TrafficPolicy::Local => ready.extend(terminating),
        }
        Self {
            without_node: ready.contains(&None),
            terminating: none_ready && !ready.is_empty(),
            nodes: ready.into_iter().flatten().cloned().collect(),
        }
    }

    /// True if there is any.
    pub(crate) fn exist(&self) -> bool {
        self.without_node || !self.nodes.is_empty()
    }
}
