//! A model of small objects that is kept beside the index: the objects of the API are built from it, and what should follow is
//! read from it by the plainest means.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use keryx_api::exposure::{AnnounceFrom, Exposure, WithoutEndpoints};
use keryx_api::ledger::OwnerKind;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::super::fixtures::*;
use crate::{Index, Owner, Plan, VipPlan};

pub(super) const ADDRESSES: [&str; 5] = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2"];
pub(super) const SERVICES: [&str; 4] = ["s0", "s1", "s2", "s3"];
pub(super) const SLICES: [&str; 5] = ["e0", "e1", "e2", "e3", "e4"];
pub(super) const EXPOSURES: [&str; 2] = ["g0", "g1"];
pub(super) const SHARING_KEYS: [&str; 2] = ["k", "l"];
pub(super) const NODES: [&str; 3] = ["a", "b", "c"];
pub(super) const ADVERTISEMENTS: [&str; 2] = ["x", "y"];
/// Specs of advertisements, in JSON.
pub(super) const SPECS: [&str; 9] = [
    "{}",
    r#"{"ipAddressPools": ["edge"]}"#,
    r#"{"ipAddressPools": ["other"]}"#,
    r#"{"ipAddressPoolSelectors": [{"matchLabels": {"zone": "1"}}], "revert": true}"#,
    r#"{"nodeSelectors": [{"matchLabels": {"rack": "1"}}], "interfaces": ["eth1"]}"#,
    r#"{"nodeSelectors": [{"matchLabels": {"rack": "2"}}], "interfaces": ["eth2"], "conflictDetection": "Full"}"#,
    r#"{"preferredNodeSelectors": [{"weight": 5, "preference": {"matchLabels": {"rack": "2"}}}]}"#,
    r#"{"serviceSelectors": [{"matchLabels": {"app": "s0"}}], "announceFrom": "LocalEndpoints"}"#,
    r#"{"nodeSelectors": [{"matchExpressions": [{"key": "rack", "operator": "?"}]}], "withoutEndpoints": "Refuse"}"#,
];
pub(super) const PEERS: [&str; 2] = ["p", "q"];
/// Specs of BGPPeers, in JSON.
pub(super) const PEER_SPECS: [&str; 4] = [
    r#"{"myASN": 64512, "peerASN": 64513, "peerAddress": "192.0.2.253"}"#,
    r#"{"myASN": 64512, "peerASN": 64513, "peerAddress": "192.0.2.254", "bfdProfile": "fast", "dualStackAddressFamily": true}"#,
    r#"{"myASN": 64512, "peerASN": 64512, "peerAddress": "192.0.2.254", "nodeSelectors": [{"matchLabels": {"rack": "1"}}]}"#,
    r#"{"myASNFrom": {"nodeLabel": "rack"}, "dynamicASN": "external", "peerAddress": "192.0.2.252"}"#,
];
/// Specs of BGPAdvertisements, in JSON.
pub(super) const BGP_SPECS: [&str; 7] = [
    "{}",
    r#"{"ipAddressPools": ["edge"], "aggregationLength": 30, "communities": ["64512:1"], "localPref": 50}"#,
    r#"{"aggregationLength": 30, "aggregationLengthV6": 64, "communities": ["alias"], "med": 7}"#,
    r#"{"peers": ["q"], "localPref": 200, "asPathPrepend": 2}"#,
    r#"{"nodeSelectors": [{"matchLabels": {"rack": "2"}}], "announceFrom": "AnyNode", "withoutEndpoints": "Refuse"}"#,
    r#"{"serviceSelectors": [{"matchLabels": {"app": "s0"}}], "announceFrom": "LocalEndpoints"}"#,
    r#"{"ipAddressPoolSelectors": [{"matchLabels": {"zone": "1"}}], "communities": ["large:1:2:3", "no-export"]}"#,
];
/// Services have some of these ports, served by slices of the same port names.
pub(super) const PORTS: [(&str, u16); 2] = [("p0", 80), ("p1", 81)];

#[derive(Clone, Debug)]
pub(super) struct ServiceModel {
    pub(super) local: bool,
    pub(super) is_clone: bool,
    pub(super) created_secs: i64,
    pub(super) ingress: Vec<&'static str>,
    pub(super) marked: Vec<&'static str>,
    pub(super) ports: Vec<(&'static str, u16)>,
    pub(super) sharing_key: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub(super) struct SliceModel {
    pub(super) service: &'static str,
    pub(super) v6: bool,
    pub(super) ports: Vec<(&'static str, u16)>,
    pub(super) endpoints: Vec<(&'static str, State)>,
}

#[derive(Clone, Debug)]
pub(super) struct ExposureModel {
    pub(super) addresses: Vec<&'static str>,
    /// For each of [`PORTS`] the clone that serves it, or none for the anchor.
    pub(super) served_by: [Option<&'static str>; 2],
    pub(super) any_node: bool,
    pub(super) refuse: bool,
    pub(super) sharing_key: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub(super) struct NodeModel {
    pub(super) ready: bool,
    pub(super) excluded: bool,
    pub(super) address: Option<&'static str>,
    pub(super) rack: Option<&'static str>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) services: BTreeMap<&'static str, ServiceModel>,
    pub(super) slices: BTreeMap<&'static str, SliceModel>,
    pub(super) exposures: BTreeMap<&'static str, ExposureModel>,
    pub(super) nodes: BTreeMap<&'static str, NodeModel>,
    /// Node to whether its speaker Pod is Ready.
    pub(super) speakers: BTreeMap<&'static str, bool>,
    pub(super) advertisements: BTreeMap<&'static str, &'static str>,
    pub(super) peers: BTreeMap<&'static str, &'static str>,
    pub(super) bgp_advertisements: BTreeMap<&'static str, &'static str>,
    /// Values of the community named alias, by object.
    pub(super) communities: BTreeMap<&'static str, &'static str>,
    /// The BFD profile, if it is there.
    pub(super) profiles: BTreeMap<&'static str, ()>,
    /// The pool of every address, with its zone.
    pub(super) pools: BTreeMap<&'static str, &'static str>,
}

/// One event of a watch, for an object by its name: `None` deletes.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Service(&'static str, Option<ServiceModel>),
    Slice(&'static str, Option<SliceModel>),
    Exposure(&'static str, Option<ExposureModel>),
    Node(&'static str, Option<NodeModel>),
    Speaker(&'static str, Option<bool>),
    Advertisement(&'static str, Option<&'static str>),
    Pool(Option<&'static str>),
    Peer(&'static str, Option<&'static str>),
    BgpAdvertisement(&'static str, Option<&'static str>),
    Community(&'static str, Option<&'static str>),
    Profile(Option<()>),
    /// A re-list of every kind, after which the world is this.
    Reset(Model),
    Update(&'static str),
}

pub(super) fn sharing_key() -> impl Strategy<Value = Option<&'static str>> {
    prop_oneof![2 => Just(None), 5 => Just(Some(SHARING_KEYS[0])), 1 => Just(Some(SHARING_KEYS[1]))]
}

pub(super) fn service() -> impl Strategy<Value = ServiceModel> {
    let addresses = || subsequence(&ADDRESSES[..], 0..=2);
    let status = (addresses(), addresses(), prop::bool::weighted(0.8));
    let ports = subsequence(&PORTS[..], 1..=2);
    (any::<bool>(), prop::bool::weighted(0.3), 1..4i64, status, ports, sharing_key()).prop_map(
        |(local, is_clone, created_secs, (ingress, other, agree), ports, sharing_key)| {
            let marked = if agree { ingress.clone() } else { other };
            ServiceModel { local, is_clone, created_secs, ingress, marked, ports, sharing_key }
        },
    )
}

pub(super) fn slice() -> impl Strategy<Value = SliceModel> {
    let states =
        [State::Ready, State::Unset, State::NotReady, State::Terminating, State::TerminatingNotServing];
    let endpoint = (select(&["a", "b", "c", "gone", ""][..]), select(states.to_vec()));
    (select(&SERVICES[..]), any::<bool>(), subsequence(&PORTS[..], 0..=2), vec(endpoint, 0..4))
        .prop_map(|(service, v6, ports, endpoints)| SliceModel { service, v6, ports, endpoints })
}

pub(super) fn exposure() -> impl Strategy<Value = ExposureModel> {
    let served_by = || prop::option::of(select(&SERVICES[..]));
    let addresses = subsequence(&ADDRESSES[..], 1..=2);
    (addresses, [served_by(), served_by()], any::<bool>(), any::<bool>(), sharing_key()).prop_map(
        |(addresses, served_by, any_node, refuse, sharing_key)| ExposureModel {
            addresses,
            served_by,
            any_node,
            refuse,
            sharing_key,
        },
    )
}

pub(super) fn node() -> impl Strategy<Value = NodeModel> {
    let address = prop::option::weighted(0.1, select(&ADDRESSES[..]));
    let rack = prop::option::of(select(&["1", "2"][..]));
    (prop::bool::weighted(0.8), prop::bool::weighted(0.1), address, rack)
        .prop_map(|(ready, excluded, address, rack)| NodeModel { ready, excluded, address, rack })
}

pub(super) fn model() -> impl Strategy<Value = Model> {
    (
        btree_map(select(&SERVICES[..]), service(), 0..=4),
        btree_map(select(&SLICES[..]), slice(), 0..=5),
        btree_map(select(&EXPOSURES[..]), exposure(), 0..=2),
        btree_map(select(&NODES[..]), node(), 1..=3),
        btree_map(select(&NODES[..]), prop::bool::weighted(0.9), 1..=3),
    )
        .prop_map(|(services, slices, exposures, nodes, speakers)| Model {
            services,
            slices,
            exposures,
            nodes,
            speakers,
            ..Model::default()
        })
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    use prop::option::of;
    prop_oneof![
        4 => (select(&SERVICES[..]), of(service())).prop_map(|(name, new)| Op::Service(name, new)),
        4 => (select(&SLICES[..]), of(slice())).prop_map(|(name, new)| Op::Slice(name, new)),
        3 => (select(&EXPOSURES[..]), of(exposure())).prop_map(|(name, new)| Op::Exposure(name, new)),
        1 => (select(&NODES[..]), of(node())).prop_map(|(name, new)| Op::Node(name, new)),
        1 => (select(&NODES[..]), of(any::<bool>())).prop_map(|(name, new)| Op::Speaker(name, new)),
        2 => (select(&ADVERTISEMENTS[..]), of(select(&SPECS[..]))).prop_map(|(name, new)| Op::Advertisement(name, new)),
        1 => of(select(&["1", "2"][..])).prop_map(Op::Pool),
        2 => (select(&PEERS[..]), of(select(&PEER_SPECS[..]))).prop_map(|(name, new)| Op::Peer(name, new)),
        3 => (select(&ADVERTISEMENTS[..]), of(select(&BGP_SPECS[..])))
            .prop_map(|(name, new)| Op::BgpAdvertisement(name, new)),
        1 => (select(&["c", "d"][..]), of(select(&["64512:9", "nonsense"][..])))
            .prop_map(|(name, new)| Op::Community(name, new)),
        1 => of(Just(())).prop_map(Op::Profile),
        1 => model().prop_map(Op::Reset),
        6 => prop_oneof![9 => Just("a"), 1 => Just("b")].prop_map(Op::Update),
    ]
}

impl Model {
    pub(super) fn service(&self, name: &str) -> Service {
        let model = &self.services[name];
        let name = format!("default/{name}");
        let service = if model.is_clone { mk_clone(&name, &[]) } else { mk_service(&name, &[]) };
        let ports = model.ports.iter().map(|(name, port)| mk_port(name, "TCP", (*port).into()));
        let mut service = set_created(set_ports(service, ports.collect()), model.created_secs);
        set_status(&mut service, &model.ingress, &model.marked);
        let app = name.trim_start_matches("default/").to_owned();
        service.metadata.labels.get_or_insert_default().insert("app".into(), app);
        let service = if model.local { set_local(service) } else { service };
        model.sharing_key.map_or(service.clone(), |key| set_sharing_key(service, key))
    }

    pub(super) fn slice(&self, name: &str) -> EndpointSlice {
        let model = &self.slices[name];
        let ports = model.ports.iter().map(|(name, _)| mk_slice_port(name, "TCP")).collect();
        let slice = mk_slice(&format!("default/{name}"), model.service, &model.endpoints);
        let slice = set_slice_ports(slice, ports);
        if model.v6 { set_v6(slice) } else { slice }
    }

    pub(super) fn exposure(&self, name: &str) -> Exposure {
        let model = &self.exposures[name];
        let mut exposure = mk_exposure(&format!("default/{name}"), &model.addresses);
        for ((_, port), served_by) in PORTS.iter().zip(model.served_by) {
            match served_by {
                Some(clone) => add_clone_port(&mut exposure, *port, &format!("default/{clone}")),
                None => add_anchor_port(&mut exposure, *port),
            }
        }
        if model.any_node {
            exposure.announce.announce_from = AnnounceFrom::AnyNode;
        }
        if model.refuse {
            exposure.announce.without_endpoints = WithoutEndpoints::Refuse;
        }
        exposure.sharing_key = model.sharing_key.map(str::to_owned);
        exposure
    }

    pub(super) fn node(&self, name: &str) -> Node {
        let model = &self.nodes[name];
        let mut node = mk_node(name);
        set_node_condition(&mut node, "Ready", if model.ready { "True" } else { "False" });
        if model.excluded {
            node.metadata.labels =
                Some([(keryx_api::names::LABEL_EXCLUDE_NODE.into(), String::new())].into());
        }
        if let Some(rack) = model.rack {
            node.metadata.labels.get_or_insert_default().insert("rack".into(), rack.into());
        }
        if let Some(address) = model.address {
            set_node_address(&mut node, address);
        }
        node
    }

    pub(super) fn speaker(&self, node: &str) -> Pod {
        let mut pod = mk_speaker(node);
        set_pod_ready(&mut pod, if self.speakers[node] { "True" } else { "False" });
        pod
    }

    /// Feeds all objects as a full list of each kind.
    pub(super) fn reset(&self, index: &mut Index) {
        let services: Vec<_> = self.services.keys().map(|name| self.service(name)).collect();
        let slices: Vec<_> = self.slices.keys().map(|name| self.slice(name)).collect();
        let exposures: Vec<_> = self.exposures.keys().map(|name| (*name, self.exposure(name))).collect();
        let nodes: Vec<_> = self.nodes.keys().map(|name| self.node(name)).collect();
        let speakers: Vec<_> = self.speakers.keys().map(|name| self.speaker(name)).collect();
        let advertisements: Vec<_> =
            self.advertisements.iter().map(|(name, spec)| mk_l2_advertisement(name, spec)).collect();
        let pools: Vec<_> =
            self.pools.iter().map(|(name, zone)| mk_address_pool(name, &[("zone", zone)])).collect();
        let peers: Vec<_> = self.peers.iter().map(|(name, spec)| mk_bgp_peer(name, spec)).collect();
        let by_bgp: Vec<_> =
            self.bgp_advertisements.iter().map(|(name, spec)| mk_bgp_advertisement(name, spec)).collect();
        let communities: Vec<_> =
            self.communities.iter().map(|(name, value)| mk_community(name, &[("alias", value)])).collect();
        let profiles: Vec<_> = self.profiles.keys().map(|name| mk_bfd_profile(name, "{}")).collect();
        index.reset_bgp_peers(&peers);
        index.reset_bgp_advertisements(&by_bgp);
        index.reset_communities(&communities);
        index.reset_bfd_profiles(&profiles);
        index.reset_l2_advertisements(&advertisements);
        index.reset_address_pools(&pools);
        index.reset_nodes(&nodes);
        index.reset_speaker_pods(&speakers);
        index.reset_endpoint_slices(&slices);
        index.reset_exposures(exposures.iter().map(|(name, exposure)| (*name, exposure)));
        index.reset_services(&services);
    }

    pub(super) fn planned_from_nothing(&self, me: &str) -> Arc<Plan> {
        let mut index = Index::new();
        self.reset(&mut index);
        index.update(&me.into());
        index.plan().clone()
    }

    /// Plays one event, into the model and into the index.
    pub(super) fn play(&mut self, op: Op, index: &mut Index) {
        match op {
            Op::Service(name, new) => match put(&mut self.services, name, new) {
                true => index.apply_service(&self.service(name)),
                false => index.delete_service("default", name),
            },
            Op::Slice(name, new) => match put(&mut self.slices, name, new) {
                true => index.apply_endpoint_slice(&self.slice(name)),
                false => index.delete_endpoint_slice("default", name),
            },
            Op::Exposure(name, new) => match put(&mut self.exposures, name, new) {
                true => index.apply_exposure(name, &self.exposure(name)),
                false => index.delete_exposure(name),
            },
            Op::Node(name, new) => match put(&mut self.nodes, name, new) {
                true => index.apply_node(&self.node(name)),
                false => index.delete_node(name),
            },
            Op::Speaker(node, new) => match put(&mut self.speakers, node, new) {
                true => index.apply_speaker_pod(&self.speaker(node)),
                false => index.delete_speaker_pod("keryx-system", &format!("speaker-{node}")),
            },
            Op::Advertisement(name, new) => match put(&mut self.advertisements, name, new) {
                true => {
                    index.apply_l2_advertisement(&mk_l2_advertisement(name, self.advertisements[name]));
                }
                false => index.delete_l2_advertisement(name),
            },
            Op::Pool(new) => match put(&mut self.pools, "edge", new) {
                true => index.apply_address_pool(&mk_address_pool("edge", &[("zone", self.pools["edge"])])),
                false => index.delete_address_pool("edge"),
            },
            Op::Peer(name, new) => match put(&mut self.peers, name, new) {
                true => index.apply_bgp_peer(&mk_bgp_peer(name, self.peers[name])),
                false => index.delete_bgp_peer(name),
            },
            Op::BgpAdvertisement(name, new) => match put(&mut self.bgp_advertisements, name, new) {
                true => {
                    index.apply_bgp_advertisement(&mk_bgp_advertisement(name, self.bgp_advertisements[name]))
                }
                false => index.delete_bgp_advertisement(name),
            },
            Op::Community(name, new) => match put(&mut self.communities, name, new) {
                true => index.apply_community(&mk_community(name, &[("alias", self.communities[name])])),
                false => index.delete_community(name),
            },
            Op::Profile(new) => match put(&mut self.profiles, "fast", new) {
                true => index.apply_bfd_profile(&mk_bfd_profile("fast", "{}")),
                false => index.delete_bfd_profile("fast"),
            },
            Op::Reset(world) => {
                *self = world;
                self.reset(index);
            }
            Op::Update(me) => {
                index.update(&me.into());
            }
        }
    }

    pub(super) fn is_eligible(&self, node: &str) -> bool {
        let fit = self.nodes.get(node).is_some_and(|node| !node.excluded);
        fit && self.speakers.get(node) == Some(&true)
    }

    /// States of the endpoints that a Service has for a port in a family, by node.
    pub(super) fn endpoints(&self, service: &str, port: u16, v6: bool) -> Vec<(&'static str, State)> {
        let slices = self.slices.values().filter(|slice| slice.service == service && slice.v6 == v6);
        let has_port = |ports: &[(&str, u16)]| ports.iter().any(|(_, number)| *number == port);
        let slices = slices.filter(|slice| has_port(&slice.ports) && has_port(&self.services[service].ports));
        slices.flat_map(|slice| slice.endpoints.clone()).collect()
    }

    /// The ports of a VIP with the Services that serve them: each is that of its first owner which claims it.
    pub(super) fn ports(&self, vip: &VipPlan) -> Vec<(u16, &'static str)> {
        let served_by = |owner: &Owner, place: usize| {
            let name: &str = &owner.name.name;
            match owner.kind {
                OwnerKind::Gateway => Some(self.exposures[name].served_by[place]),
                OwnerKind::Service => {
                    let (name, model) = self.services.get_key_value(name).unwrap();
                    model.ports.contains(&PORTS[place]).then_some(Some(*name))
                }
            }
        };
        let mut ports = Vec::new();
        for (place, (_, port)) in PORTS.iter().enumerate() {
            let first = vip.owners.iter().find_map(|owner| served_by(owner, place)).flatten();
            ports.extend(
                first.filter(|service| self.services.contains_key(service)).map(|service| (*port, service)),
            );
        }
        ports
    }

    /// Who claims an address: by right, the sharing key, and the owner.
    pub(super) fn claimants(&self, address: &str) -> Vec<((i64, String), Option<&'static str>, Owner)> {
        let exposures = self.exposures.iter().filter(|(_, model)| model.addresses.contains(&address));
        let gateways = exposures.map(|(name, model)| {
            let owner = owner(OwnerKind::Gateway, &format!("default/{name}"));
            ((i64::MIN, name.to_string()), model.sharing_key, owner)
        });
        let services = self.services.iter().filter(|(_, model)| {
            !model.is_clone && model.ingress.contains(&address) && model.marked.contains(&address)
        });
        let services = services.map(|(name, model)| {
            let owner = owner(OwnerKind::Service, &format!("default/{name}"));
            ((model.created_secs, name.to_string()), model.sharing_key, owner)
        });
        let mut claimants: Vec<_> = gateways.chain(services).collect();
        claimants.sort_by(|a, b| a.0.cmp(&b.0));
        claimants
    }

    pub(super) fn refuses(&self, vip: &VipPlan) -> bool {
        let mut owners = vip.owners.iter();
        owners.any(|owner| owner.kind == OwnerKind::Gateway && self.exposures[&*owner.name.name].refuse)
    }

    pub(super) fn any_node_will_do(&self, vip: &VipPlan) -> bool {
        vip.owners.iter().any(|owner| match owner.kind {
            OwnerKind::Gateway => self.exposures[&*owner.name.name].any_node,
            OwnerKind::Service => !self.services[&*owner.name.name].local,
        })
    }

    /// Whether packets to the port that arrive on the node reach an endpoint.
    pub(super) fn serves(&self, node: &str, service: &str, port: u16, v6: bool) -> bool {
        let endpoints = self.endpoints(service, port, v6);
        let here_only = self.services[service].local;
        endpoints.iter().any(|(at, state)| is_serving(*state) && (!here_only || *at == node))
    }
}

pub(super) fn is_ready(state: State) -> bool {
    matches!(state, State::Ready | State::Unset)
}

pub(super) fn is_serving(state: State) -> bool {
    is_ready(state) || matches!(state, State::Terminating)
}

/// Sets or removes; true if set.
pub(super) fn put<T>(map: &mut BTreeMap<&'static str, T>, name: &'static str, new: Option<T>) -> bool {
    match new {
        Some(new) => {
            map.insert(name, new);
            true
        }
        None => {
            map.remove(name);
            false
        }
    }
}
