//! Small builders for the objects that the index takes in. Names of namespaced objects are written `namespace/name`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{
    LoadBalancerIngress, LoadBalancerStatus, Node, NodeAddress, NodeCondition, NodeStatus, Pod, PodCondition,
    PodSpec, PodStatus, Service, ServicePort, ServiceSpec, ServiceStatus,
};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use keryx_api::Protocol;
use keryx_api::bfd_profile::BFDProfile;
use keryx_api::bgp_advertisement::BGPAdvertisement;
use keryx_api::bgp_peer::BGPPeer;
use keryx_api::community::{Community, CommunityAlias, CommunitySpec};
use keryx_api::exposure::{AnnouncePolicy, ExposedPort, Exposure, GatewayReference, ServedBy, VERSION};
use keryx_api::ip_address_pool::IPAddressPool;
use keryx_api::l2_advertisement::L2Advertisement;
use keryx_api::ledger::OwnerKind;
use keryx_api::names::{COMPONENT_CLONE, CONDITION_ASSIGNED, LABEL_COMPONENT, LABEL_SERVICE_NAME};

use crate::{Decision, Index, NodeName, ObjectName, Owner, OwnerKey, Reason, VipPlan};

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(super) fn time(secs: i64) -> Time {
    Time(Timestamp::from_second(secs).unwrap())
}

fn meta(name: &str) -> ObjectMeta {
    let (namespace, name) = name.split_once('/').unwrap();
    ObjectMeta { namespace: Some(namespace.into()), name: Some(name.into()), ..ObjectMeta::default() }
}

/// A plain Service of type LoadBalancer with TCP port 80, holding `addresses` as Keryx writes them.
pub(super) fn mk_service(name: &str, addresses: &[&str]) -> Service {
    let mut service = Service {
        metadata: ObjectMeta { creation_timestamp: Some(time(1_000)), ..meta(name) },
        spec: Some(ServiceSpec {
            type_: Some("LoadBalancer".into()),
            ports: Some(vec![mk_port("", "TCP", 80)]),
            ..ServiceSpec::default()
        }),
        status: None,
    };
    set_status(&mut service, addresses, addresses);
    service
}

/// Writes the two parts of a Service's status that name its addresses.
pub(super) fn set_status(service: &mut Service, ingress: &[&str], marked: &[&str]) {
    let ingress = ingress
        .iter()
        .map(|address| LoadBalancerIngress { ip: Some((*address).into()), ..LoadBalancerIngress::default() });
    let condition = Condition {
        type_: CONDITION_ASSIGNED.into(),
        status: "True".into(),
        reason: "Assigned".into(),
        message: format!("{} from pool edge", marked.join(" ")),
        last_transition_time: time(1_000),
        observed_generation: None,
    };
    service.status = Some(ServiceStatus {
        load_balancer: Some(LoadBalancerStatus { ingress: Some(ingress.collect()) }),
        conditions: (!marked.is_empty()).then(|| vec![condition]),
    });
}

/// Lets a Service that holds addresses share them by a key.
pub(super) fn set_sharing_key(mut service: Service, key: &str) -> Service {
    for condition in service.status.as_mut().unwrap().conditions.iter_mut().flatten() {
        condition.message.push_str(&format!(" shared by key {key}"));
    }
    service
}

pub(super) fn mk_port(name: &str, protocol: &str, port: i32) -> ServicePort {
    ServicePort {
        name: (!name.is_empty()).then(|| name.into()),
        protocol: Some(protocol.into()),
        port,
        ..ServicePort::default()
    }
}

/// A clone with TCP port 80, marked as if it held addresses of its own.
pub(super) fn mk_clone(name: &str, addresses: &[&str]) -> Service {
    let mut service = mk_service(name, addresses);
    service.metadata.labels = Some([(LABEL_COMPONENT.into(), COMPONENT_CLONE.into())].into());
    service
}

pub(super) fn set_local(mut service: Service) -> Service {
    service.spec.as_mut().unwrap().external_traffic_policy = Some("Local".into());
    service
}

pub(super) fn set_ports(mut service: Service, ports: Vec<ServicePort>) -> Service {
    service.spec.as_mut().unwrap().ports = Some(ports);
    service
}

pub(super) fn set_created(mut service: Service, secs: i64) -> Service {
    service.metadata.creation_timestamp = Some(time(secs));
    service
}

/// State of an endpoint, by its conditions.
#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    Ready,
    /// All conditions nil.
    Unset,
    NotReady,
    Terminating,
    TerminatingNotServing,
}

/// An IPv4 slice of `service` named `namespace/slice`, for TCP port 80 without a port name. Endpoints are given as
/// node and state; an empty node means none.
pub(super) fn mk_slice(name: &str, service: &str, endpoints: &[(&str, State)]) -> EndpointSlice {
    let endpoints = endpoints.iter().map(|(node, state)| {
        let (ready, serving, terminating) = match state {
            State::Ready => (Some(true), Some(true), Some(false)),
            State::Unset => (None, None, None),
            State::NotReady => (Some(false), None, None),
            State::Terminating => (Some(false), Some(true), Some(true)),
            State::TerminatingNotServing => (Some(false), Some(false), Some(true)),
        };
        Endpoint {
            addresses: vec!["10.0.0.1".into()],
            node_name: (!node.is_empty()).then(|| (*node).into()),
            conditions: Some(EndpointConditions { ready, serving, terminating }),
            ..Endpoint::default()
        }
    });
    EndpointSlice {
        metadata: ObjectMeta {
            labels: Some([(LABEL_SERVICE_NAME.into(), service.into())].into()),
            ..meta(name)
        },
        address_type: "IPv4".into(),
        endpoints: Some(endpoints.collect()),
        ports: Some(vec![mk_slice_port("", "TCP")]),
    }
}

pub(super) fn mk_slice_port(name: &str, protocol: &str) -> EndpointPort {
    EndpointPort {
        name: Some(name.into()),
        protocol: Some(protocol.into()),
        port: Some(8080),
        ..EndpointPort::default()
    }
}

pub(super) fn set_v6(mut slice: EndpointSlice) -> EndpointSlice {
    slice.address_type = "IPv6".into();
    slice
}

pub(super) fn set_slice_ports(mut slice: EndpointSlice, ports: Vec<EndpointPort>) -> EndpointSlice {
    slice.ports = Some(ports);
    slice
}

/// A Node that is Ready.
pub(super) fn mk_node(name: &str) -> Node {
    let mut node = Node {
        metadata: ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() },
        status: Some(NodeStatus::default()),
        ..Node::default()
    };
    set_node_condition(&mut node, "Ready", "True");
    node
}

pub(super) fn set_node_condition(node: &mut Node, type_: &str, status: &str) {
    let conditions = node.status.as_mut().unwrap().conditions.get_or_insert_default();
    conditions.retain(|condition| condition.type_ != type_);
    conditions.push(NodeCondition { type_: type_.into(), status: status.into(), ..NodeCondition::default() });
}

pub(super) fn set_node_address(node: &mut Node, address: &str) {
    node.status.as_mut().unwrap().addresses =
        Some(vec![NodeAddress { address: address.into(), type_: "InternalIP".into() }]);
}

/// The speaker's Pod on a node, Ready.
pub(super) fn mk_speaker(node: &str) -> Pod {
    let mut pod = Pod {
        metadata: meta(&format!("keryx-system/speaker-{node}")),
        spec: Some(PodSpec { node_name: Some(node.into()), ..PodSpec::default() }),
        status: None,
    };
    set_pod_ready(&mut pod, "True");
    pod
}

pub(super) fn set_pod_ready(pod: &mut Pod, status: &str) {
    let ready = PodCondition { type_: "Ready".into(), status: status.into(), ..PodCondition::default() };
    pod.status = Some(PodStatus { conditions: Some(vec![ready]), ..PodStatus::default() });
}

/// The exposure of the Gateway `namespace/name`, with the default policy and no ports.
pub(super) fn mk_exposure(gateway: &str, addresses: &[&str]) -> Exposure {
    let (namespace, name) = gateway.split_once('/').unwrap();
    Exposure {
        version: VERSION,
        gateway: GatewayReference {
            namespace: namespace.into(),
            name: name.into(),
            uid: format!("uid-{name}"),
        },
        addresses: addresses.iter().map(|address| ip(address)).collect(),
        pools: vec!["edge".into()],
        interfaces: Vec::new(),
        ports: Vec::new(),
        announce: AnnouncePolicy { announce_from: Default::default(), without_endpoints: Default::default() },
        sharing_key: None,
    }
}

pub(super) fn add_clone_port(exposure: &mut Exposure, port: u16, clone: &str) {
    let (namespace, name) = clone.split_once('/').unwrap();
    let served_by = ServedBy::Clone { namespace: namespace.into(), name: name.into() };
    exposure.ports.push(ExposedPort { port, protocol: Protocol::Tcp, served_by });
}

pub(super) fn add_anchor_port(exposure: &mut Exposure, port: u16) {
    exposure.ports.push(ExposedPort { port, protocol: Protocol::Tcp, served_by: ServedBy::Anchor });
}

/// An L2Advertisement with a spec in JSON.
pub(super) fn mk_l2_advertisement(name: &str, spec: &str) -> L2Advertisement {
    L2Advertisement::new(name, serde_json::from_str(spec).unwrap())
}

pub(super) fn mk_bgp_peer(name: &str, spec: &str) -> BGPPeer {
    BGPPeer::new(name, serde_json::from_str(spec).unwrap())
}

pub(super) fn mk_bgp_advertisement(name: &str, spec: &str) -> BGPAdvertisement {
    BGPAdvertisement::new(name, serde_json::from_str(spec).unwrap())
}

pub(super) fn mk_bfd_profile(name: &str, spec: &str) -> BFDProfile {
    BFDProfile::new(name, serde_json::from_str(spec).unwrap())
}

pub(super) fn mk_community(name: &str, aliases: &[(&str, &str)]) -> Community {
    let alias =
        |(name, value): &(&str, &str)| CommunityAlias { name: (*name).into(), value: (*value).into() };
    Community::new(name, CommunitySpec { communities: aliases.iter().map(alias).collect() })
}

pub(super) fn mk_address_pool(name: &str, labels: &[(&str, &str)]) -> IPAddressPool {
    let mut pool = IPAddressPool::new(name, Default::default());
    pool.metadata.labels = Some(mk_labels(labels));
    pool
}

pub(super) fn mk_labels(labels: &[(&str, &str)]) -> BTreeMap<String, String> {
    labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

/// An index with the eligible nodes a, b and c.
pub(super) fn three_nodes() -> Index {
    let mut index = Index::new();
    for name in ["a", "b", "c"] {
        index.apply_node(&mk_node(name));
        index.apply_speaker_pod(&mk_speaker(name));
    }
    index
}

pub(super) fn service_key(name: &str) -> OwnerKey {
    let (namespace, name) = name.split_once('/').unwrap();
    OwnerKey::Service(ObjectName::new(namespace, name))
}

pub(super) fn owner(kind: OwnerKind, name: &str) -> Owner {
    let (namespace, name) = name.split_once('/').unwrap();
    Owner { kind, name: ObjectName::new(namespace, name) }
}

/// What the plan for `me` says of an address.
pub(super) fn seen_from(index: &mut Index, me: &str, address: &str) -> VipPlan {
    index.update(&me.into());
    VipPlan::clone(&index.plan().vips[&ip(address)])
}

/// Why `me` does not announce an address.
pub(super) fn reason(index: &mut Index, me: &str, address: &str) -> Reason {
    match seen_from(index, me, address).decision {
        Decision::Skip(reason) => reason,
        Decision::Announce => panic!("{me} announces {address}"),
    }
}

/// The nodes that announce an address if each of a, b and c follows its own plan.
pub(super) fn announcers(index: &mut Index, address: &str) -> Vec<&'static str> {
    let mut nodes = ["a", "b", "c"].to_vec();
    nodes.retain(|me| seen_from(index, me, address).decision == Decision::Announce);
    nodes
}

/// The nodes that could announce an owner's group, in the order in which they would, and then those that could not.
pub(super) fn ranking(index: &mut Index, owner: &OwnerKey) -> (Vec<NodeName>, Vec<(NodeName, Reason)>) {
    index.update(&"a".into());
    let (mut ranked, mut others) = (Vec::new(), Vec::new());
    for candidate in index.explain(owner).unwrap().nodes {
        match candidate.reason {
            None => ranked.insert(0, candidate.node),
            Some(Reason::HolderIs { .. }) => ranked.push(candidate.node),
            Some(reason) => others.push((candidate.node, reason)),
        }
    }
    (ranked, others)
}

/// Why an owner does not get an address that it has.
pub(super) fn refusal(index: &mut Index, owner: &OwnerKey, address: &str) -> Option<Reason> {
    index.update(&"a".into());
    index.plan().refused.get(&(owner.clone(), ip(address))).map(|refusal| refusal.reason.clone())
}
