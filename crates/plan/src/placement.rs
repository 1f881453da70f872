//! The decision for one group: which node announces it.

use std::net::IpAddr;

use keryx_api::exposure::{AnnounceFrom, WithoutEndpoints};

use crate::group::{Group, GroupPort, Vip};
use crate::nodes::Nodes;
use crate::{NodeName, Reason, TrafficPolicy, rendezvous};

/// How fit a node is, best last: by ports covered, then by an endpoint of its own, then by the rendezvous score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fitness {
    covered: usize,
    local: bool,
    score: u64,
}

/// A group laid out over the nodes. A node is known by its place in [`Nodes::standings`].
#[derive(Debug)]
pub(crate) struct Placement<'a> {
    group: &'a Group,
    nodes: &'a Nodes,
    group_id: u64,
    /// Some port has an endpoint somewhere.
    endpoints_exist: bool,
    /// Some endpoint has a node name.
    endpoints_have_nodes: bool,
    /// Ports that any node covers.
    covered_by_all: usize,
    /// For each node with an endpoint of its own, the number of ports that it covers beyond those.
    local: Vec<Option<usize>>,
    holder: Option<(usize, Fitness)>,
}

impl<'a> Placement<'a> {
    pub(crate) fn new(group: &'a Group, nodes: &'a Nodes) -> Self {
        let mut local = vec![None; nodes.standings().len()];
        let mut covered_by_all = 0;
        for port in &group.ports {
            let beyond = match port.policy {
                TrafficPolicy::Cluster => 0,
                TrafficPolicy::Local => 1,
            };
            covered_by_all += usize::from(port.policy == TrafficPolicy::Cluster && port.endpoints.exist());
            for place in port.endpoints.nodes.iter().filter_map(|node| nodes.place(node)) {
                *local[place].get_or_insert(0) += beyond;
            }
        }
        let mut placement = Self {
            group,
            nodes,
            group_id: rendezvous::group_id(&group.key),
            endpoints_exist: group.ports.iter().any(|port| port.endpoints.exist()),
            endpoints_have_nodes: group.ports.iter().any(|port| !port.endpoints.nodes.is_empty()),
            covered_by_all,
            local,
            holder: None,
        };
        for place in 0..nodes.standings().len() {
            if let Ok(fitness) = placement.fitness(place)
                && placement.holder.is_none_or(|(_, best)| fitness > best)
            {
                placement.holder = Some((place, fitness));
            }
        }
        placement
    }

    /// How fit the node is to announce the group, or why it may not.
    pub(crate) fn fitness(&self, place: usize) -> Result<Fitness, Reason> {
        let standing = &self.nodes.standings()[place];
        if let Some(obstacle) = &standing.obstacle {
            return Err(obstacle.clone());
        }
        let local = self.local[place].is_some();
        let covered = self.covered_by_all + self.local[place].unwrap_or(0);
        if self.endpoints_exist {
            // Endpoints without a node name could be anywhere: if there are only such, none can be asked to be local.
            let local_required =
                self.group.announce_from == AnnounceFrom::LocalEndpoints && self.endpoints_have_nodes;
            if covered == 0 || (local_required && !local) {
                return Err(Reason::NoLocalEndpoint);
            }
        } else if self.group.vips.values().all(|vip| vip.without_endpoints == WithoutEndpoints::Withdraw) {
            return Err(Reason::NoEndpoints);
        }
        Ok(Fitness { covered, local, score: rendezvous::score(self.group_id, standing.id) })
    }

    /// The node that announces one of the group's addresses, or why none does.
    pub(crate) fn announcer(&self, address: IpAddr, vip: &Vip) -> Result<&'a NodeName, Reason> {
        let mut ports = self.group.ports.iter().filter(|port| port.addresses.contains(&address));
        let has_endpoints = ports.clone().any(|port| port.endpoints.exist());
        if !has_endpoints && vip.without_endpoints == WithoutEndpoints::Withdraw {
            return Err(Reason::NoEndpoints);
        }
        let Some((holder, _)) = self.holder else {
            let any_eligible = self.nodes.standings().iter().any(|standing| standing.obstacle.is_none());
            return Err(if any_eligible { Reason::NoEndpointOnEligibleNode } else { Reason::NoEligibleNode });
        };
        let holder = &self.nodes.standings()[holder].name;
        if has_endpoints && !ports.any(|port| port.is_covered_by(holder)) {
            return Err(Reason::HolderLacksEndpoint { node: holder.clone() });
        }
        Ok(holder)
    }

    /// Why a node does not announce the group; `None` for the holder.
    pub(crate) fn why_not(&self, node: &NodeName) -> Option<Reason> {
        let Some(place) = self.nodes.place(node) else { return Some(Reason::NodeUnknown) };
        let covered = match self.fitness(place) {
            Ok(fitness) => fitness.covered,
            Err(reason) => return Some(reason),
        };
        let (holder, best) = self.holder?;
        if holder == place {
            None
        } else if covered < best.covered {
            Some(Reason::CoversFewerPorts { covered, best: best.covered })
        } else {
            Some(Reason::HolderIs { node: self.nodes.standings()[holder].name.clone() })
        }
    }
}

impl GroupPort {
    fn is_covered_by(&self, node: &NodeName) -> bool {
        match self.policy {
            TrafficPolicy::Cluster => self.endpoints.exist(),
            TrafficPolicy::Local => self.endpoints.nodes.contains(node),
        }
    }
}
