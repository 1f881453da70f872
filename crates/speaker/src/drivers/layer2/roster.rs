//! The nodes that have a speaker: their names, where they listen, and by which hardware addresses they are known.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use keryx_layer2::MacAddr;
use keryx_membership::{Facts, Members, NodeId, Seed};
use keryx_plan::{NodeName, rendezvous};

use super::gossip::PORT;

/// What is known of the nodes of the cluster.
#[derive(Debug, Default)]
pub(super) struct Roster {
    nodes: BTreeMap<NodeId, Node>,
    by_mac: BTreeMap<MacAddr, NodeId>,
}

#[derive(Debug)]
struct Node {
    name: NodeName,
    internal_ips: Vec<IpAddr>,
}

/// The id of a node between speakers.
pub(super) fn node_id(name: &NodeName) -> NodeId {
    NodeId(rendezvous::node_id(name))
}

impl Roster {
    /// Takes in all Nodes of the cluster.
    pub(super) fn set_nodes(&mut self, nodes: &BTreeMap<NodeName, Vec<IpAddr>>) {
        let node = |(name, ips): (&NodeName, &Vec<IpAddr>)| {
            (node_id(name), Node { name: name.clone(), internal_ips: ips.clone() })
        };
        self.nodes = nodes.iter().map(node).collect();
    }

    /// Whether the cluster has no node but `me`.
    pub(super) fn is_alone(&self, me: NodeId) -> bool {
        !self.nodes.is_empty() && self.nodes.keys().all(|id| *id == me)
    }

    /// Where each node but `me` can be reached: at its first InternalIP, then at one address on each other segment. What
    /// would have to leave through a dead segment of this node, or come in through a dead interface of the other, is left
    /// out, if anything else is left.
    pub(super) fn seeds(&self, me: NodeId, members: &Members, dead_segments: &BTreeSet<IpNet>) -> Vec<Seed> {
        let others = self.nodes.iter().filter(|(id, _)| **id != me);
        let seed = |(id, node): (&NodeId, &Node)| {
            let internal = node.internal_ips.first();
            let mut addresses = Vec::from_iter(internal.copied());
            let interfaces = || members.facts(*id).into_iter().flat_map(|facts| &facts.interfaces);
            for interface in interfaces() {
                let own: Vec<IpAddr> = interface.prefixes.iter().map(IpNet::addr).collect();
                if !own.iter().any(|address| node.internal_ips.contains(address)) {
                    addresses.extend(own.first());
                }
            }
            let dead_there = interfaces().filter(|interface| !interface.carrier);
            let dead_there: BTreeSet<IpNet> =
                dead_there.flat_map(|interface| &interface.prefixes).map(IpNet::trunc).collect();
            let is_alive = |address: &IpAddr| {
                !dead_segments.iter().chain(&dead_there).any(|segment| segment.contains(address))
            };
            if addresses.iter().any(is_alive) {
                addresses.retain(is_alive);
            }
            let addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, PORT)).collect();
            Seed { node: *id, addresses }
        };
        others.map(seed).collect()
    }

    /// Learns the hardware addresses that members tell of themselves, and gives all but those of `me`.
    pub(super) fn learn(&mut self, me: NodeId, members: &Members) -> BTreeSet<MacAddr> {
        self.by_mac.clear();
        for id in self.nodes.keys().filter(|id| **id != me) {
            for interface in members.facts(*id).into_iter().flat_map(|facts| &facts.interfaces) {
                self.by_mac.insert(MacAddr(interface.mac), *id);
            }
        }
        self.by_mac.keys().copied().collect()
    }

    /// The segments on which some other member has an interface with a carrier.
    pub(super) fn segments(&self, me: NodeId, members: &Members) -> BTreeSet<IpNet> {
        let others = members.members().filter(|id| *id != me);
        let interfaces = others.filter_map(|id| members.facts(id)).flat_map(|facts| &facts.interfaces);
        let working = interfaces.filter(|interface| interface.carrier);
        working.flat_map(|interface| &interface.prefixes).map(IpNet::trunc).collect()
    }

    /// The node with this hardware address.
    pub(super) fn by_mac(&self, mac: MacAddr) -> Option<NodeId> {
        self.by_mac.get(&mac).copied()
    }

    /// The name of a node, for people.
    pub(super) fn name(&self, node: NodeId) -> String {
        self.nodes.get(&node).map_or_else(|| node.to_string(), |node| node.name.to_string())
    }

    /// The hardware address with which a node answers for `vip`: of its interface on the VIP's segment, else of the one
    /// with its InternalIP.
    pub(super) fn mac(&self, node: NodeId, facts: &Facts, vip: IpAddr) -> Option<MacAddr> {
        self.interface(node, facts, vip).map(|interface| MacAddr(interface.mac))
    }

    /// The same interface, with an address of its own that is of the VIP's family.
    pub(super) fn station(&self, node: NodeId, facts: &Facts, vip: IpAddr) -> Option<(MacAddr, IpAddr)> {
        let interface = self.interface(node, facts, vip)?;
        let own = interface.prefixes.iter().map(IpNet::addr).find(|own| own.is_ipv4() == vip.is_ipv4())?;
        Some((MacAddr(interface.mac), own))
    }

    fn interface<'a>(
        &self,
        node: NodeId,
        facts: &'a Facts,
        vip: IpAddr,
    ) -> Option<&'a keryx_membership::Interface> {
        let containing = |interface: &&keryx_membership::Interface| {
            interface.prefixes.iter().filter(|net| net.contains(&vip)).map(IpNet::prefix_len).max()
        };
        let on_segment = facts.interfaces.iter().filter(|i| containing(i).is_some()).max_by_key(containing);
        let internal_ips = self.nodes.get(&node).map(|node| &*node.internal_ips).unwrap_or_default();
        let is_internal = |interface: &&keryx_membership::Interface| {
            interface.prefixes.iter().any(|net| internal_ips.contains(&net.addr()))
        };
        on_segment.or_else(|| facts.interfaces.iter().find(is_internal))
    }
}
