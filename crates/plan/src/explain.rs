//! A group laid open for a person: which endpoints count, and how each node stands.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use keryx_api::Protocol;

use crate::advertisements::Advertisements;
use crate::bgp::BgpExplanation;
use crate::group::Group;
use crate::nodes::Nodes;
use crate::placement::{Fitness, Placement};
use crate::{Family, NodeName, ObjectName, Owner, Reason, TrafficPolicy};

/// What stands behind the plan's decision for one group. Made on demand: kept for all groups it would be a table of
/// groups times nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupExplanation {
    /// Who holds the group's addresses, best right first.
    pub owners: Vec<Owner>,
    /// The key by which these share addresses; `None` for an owner that shares with nobody.
    pub sharing_key: Option<String>,
    /// The names of the L2Advertisements about each address; `None` if there is no advertisement of any kind.
    pub advertisements: Option<BTreeMap<IpAddr, Vec<Arc<str>>>>,
    /// Every port, once for each owner and family. Where two owners claim one port of an address, it is the first's.
    pub ports: Vec<PortEndpoints>,
    /// What each node says of the addresses by BGP; `None` if there is no BGPAdvertisement at all.
    pub bgp: Option<BgpExplanation>,
    /// Every Node, for layer 2: first the candidates, the announcer at their head and the rest in the order in which they would
    /// take over, then the others by name.
    pub nodes: Vec<Candidate>,
}

/// The endpoints that count for one port in one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortEndpoints {
    /// Whose port it is.
    pub owner: Owner,
    /// The addresses on which it is this owner's.
    pub addresses: Vec<IpAddr>,
    /// Address family.
    pub family: Family,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Port number that clients use.
    pub port: u16,
    /// The Service whose endpoints serve it; `None` for a Gateway's anchor, which has none.
    pub service: Option<ObjectName>,
    /// Its `externalTrafficPolicy`.
    pub policy: TrafficPolicy,
    /// Nodes that have such an endpoint.
    pub nodes: BTreeSet<NodeName>,
    /// There are such endpoints without a node name.
    pub without_node: bool,
    /// None is ready any more: those that count are terminating but still serve.
    pub terminating: bool,
}

/// How one node stands to a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The Node.
    pub node: NodeName,
    /// Why it does not announce; `None` for the announcer, [`Reason::HolderIs`] for candidates in waiting.
    pub reason: Option<Reason>,
}

impl GroupExplanation {
    pub(crate) fn new(
        group: &Group,
        owners: Vec<Owner>,
        sharing_key: Option<String>,
        nodes: &Nodes,
        advertisements: &Advertisements,
        bgp: Option<BgpExplanation>,
    ) -> Self {
        let placement = Placement::new(group, nodes, advertisements);
        let standings = nodes.standings();
        let mut ranked: Vec<(Reverse<Option<Fitness>>, usize)> =
            (0..standings.len()).map(|place| (Reverse(placement.fitness(place).ok()), place)).collect();
        ranked.sort();
        let nodes = ranked.iter().map(|(_, place)| {
            let node = &standings[*place].name;
            Candidate { node: node.clone(), reason: placement.why_not(node) }
        });
        let ports = group.ports.iter().map(|port| PortEndpoints {
            owner: port.owner.clone(),
            addresses: port.addresses.to_vec(),
            family: port.family,
            protocol: port.protocol,
            port: port.port,
            service: port.service.clone(),
            policy: port.policy,
            nodes: port.endpoints.nodes.clone(),
            without_node: port.endpoints.without_node,
            terminating: port.endpoints.terminating,
        });
        Self {
            owners,
            sharing_key,
            advertisements: (!advertisements.is_default()).then(|| placement.advertisements()),
            ports: ports.collect(),
            bgp,
            nodes: nodes.collect(),
        }
    }
}
