//! The decision for one group: which node announces it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use keryx_api::exposure::{AnnounceFrom, WithoutEndpoints};
use keryx_api::l2_advertisement::ConflictDetection;

use crate::advertisements::{Advertisements, Reach};
use crate::group::{Group, GroupPort, Vip};
use crate::nodes::Nodes;
use crate::{CANDIDATES_MAX, GroupPlan, NodeName, Reason, TrafficPolicy, rendezvous};

/// How fit a node is, best last: by ports covered, then by what its advertisements prefer, then by an endpoint of its own, then
/// by the rendezvous score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fitness {
    covered: usize,
    preference: u32,
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
    /// What is said of each address.
    reaches: BTreeMap<IpAddr, Reach<'a>>,
    /// What is said of the group as a whole.
    reach: Reach<'a>,
    /// The same is said of every address.
    is_uniform: bool,
    holder: Option<(usize, Fitness)>,
}

impl<'a> Placement<'a> {
    pub(crate) fn new(group: &'a Group, nodes: &'a Nodes, advertisements: &'a Advertisements) -> Self {
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
        let abouts = || group.vips.values().map(|vip| vip.about.as_ref());
        let about_group = abouts().flatten().flatten().cloned().collect();
        let reaches =
            group.vips.iter().map(|(address, vip)| (*address, advertisements.merged(vip.about.as_ref())));
        let mut placement = Self {
            group,
            nodes,
            group_id: rendezvous::group_id(&group.key),
            endpoints_exist: group.ports.iter().any(|port| port.endpoints.exist()),
            endpoints_have_nodes: group.ports.iter().any(|port| !port.endpoints.nodes.is_empty()),
            covered_by_all,
            local,
            reaches: reaches.collect(),
            reach: advertisements.merged((!advertisements.is_default()).then_some(&about_group)),
            is_uniform: abouts().all(|about| about.is_none_or(|about| *about == about_group)),
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
        match &self.nodes.standings()[place].obstacle {
            Some(obstacle) => Err(obstacle.clone()),
            None => self.fitness_if_eligible(place),
        }
    }

    fn fitness_if_eligible(&self, place: usize) -> Result<Fitness, Reason> {
        let standing = &self.nodes.standings()[place];
        let preference = self.reach.preference(place).ok_or(Reason::NodeNotSelected)?;
        let local = self.local[place].is_some();
        let covered = self.covered(place);
        if self.endpoints_exist {
            if covered == 0 || (self.is_local_required() && !local) {
                return Err(Reason::NoLocalEndpoint);
            }
        } else if self.group.vips.values().all(|vip| vip.without_endpoints == WithoutEndpoints::Withdraw) {
            return Err(Reason::NoEndpoints);
        }
        Ok(Fitness { covered, preference, local, score: rendezvous::score(self.group_id, standing.id) })
    }

    /// The ports that a node covers on one of their addresses for which it is selected.
    fn covered(&self, place: usize) -> usize {
        if self.is_uniform {
            return self.covered_by_all + self.local[place].unwrap_or(0);
        }
        let node = &self.nodes.standings()[place].name;
        let is_selected = |address: &IpAddr| self.reach_of(*address).preference(place).is_some();
        let covers = |port: &&GroupPort| port.is_covered_by(node) && port.addresses.iter().any(is_selected);
        self.group.ports.iter().filter(covers).count()
    }

    fn reach_of(&self, address: IpAddr) -> &Reach<'a> {
        self.reaches.get(&address).unwrap_or(&self.reach)
    }

    /// Endpoints without a node name could be anywhere: if there are only such, none can be asked to be local.
    fn is_local_required(&self) -> bool {
        self.group.announce_from == AnnounceFrom::LocalEndpoints && self.endpoints_have_nodes
    }

    /// The node that announces one of the group's addresses if no node holds the group yet, or why none does.
    pub(crate) fn announcer(&self, address: IpAddr, vip: &Vip) -> Result<&'a NodeName, Reason> {
        self.is_wanted(address, vip)?;
        let Some((holder, _)) = self.holder else {
            let standings = self.nodes.standings().iter().enumerate();
            let mut eligible = standings
                .filter(|(place, it)| it.obstacle.is_none() && self.reach.preference(*place).is_some());
            let any_eligible = eligible.next().is_some();
            return Err(if any_eligible { Reason::NoEndpointOnEligibleNode } else { Reason::NoEligibleNode });
        };
        let holder = &self.nodes.standings()[holder].name;
        self.while_holding(holder, address, vip)?;
        Ok(holder)
    }

    /// Whether a node that holds the group announces one of its addresses, or why it does not.
    pub(crate) fn while_holding(&self, holder: &NodeName, address: IpAddr, vip: &Vip) -> Result<(), Reason> {
        self.is_wanted(address, vip)?;
        let place = self.nodes.place(holder);
        if place.is_some_and(|place| self.reach_of(address).preference(place).is_none()) {
            return Err(Reason::HolderNotSelected { node: holder.clone() });
        }
        if self.has_endpoints(address) && !self.ports_of(address).any(|port| port.is_covered_by(holder)) {
            return Err(Reason::HolderLacksEndpoint { node: holder.clone() });
        }
        Ok(())
    }

    /// Whether any node should announce the address.
    fn is_wanted(&self, address: IpAddr, vip: &Vip) -> Result<(), Reason> {
        if self.reach_of(address).is_nowhere() {
            return Err(Reason::NoAdvertisement);
        }
        if vip.without_endpoints == WithoutEndpoints::Refuse || self.has_endpoints(address) {
            Ok(())
        } else {
            Err(Reason::NoEndpoints)
        }
    }

    fn has_endpoints(&self, address: IpAddr) -> bool {
        self.ports_of(address).any(|port| port.endpoints.exist())
    }

    fn ports_of(&self, address: IpAddr) -> impl Iterator<Item = &GroupPort> {
        self.group.ports.iter().filter(move |port| port.addresses.contains(&address))
    }

    /// Who may hold the group, as seen from a node; `None` if no address of it can be announced anywhere.
    pub(crate) fn plan(&self, me: &NodeName) -> Option<GroupPlan> {
        let vips = self.group.vips.iter();
        if !vips.clone().any(|(address, vip)| self.is_wanted(*address, vip).is_ok()) {
            return None;
        }
        let places = 0..self.nodes.standings().len();
        let mut ranked: Vec<(Fitness, usize)> =
            places.clone().filter_map(|place| Some((self.fitness(place).ok()?, place))).collect();
        let most = ranked.iter().map(|(fitness, _)| fitness.covered).max();
        ranked.retain(|(fitness, _)| Some(fitness.covered) == most);
        ranked.sort_unstable_by_key(|ranked| Reverse(*ranked));
        ranked.truncate(CANDIDATES_MAX);
        let name = |(_, place): &(Fitness, usize)| self.nodes.standings()[*place].name.clone();
        let is_unready = |place: &usize| {
            self.nodes.standings()[*place].obstacle == Some(Reason::SpeakerNotReady)
                && self.fitness_if_eligible(*place).is_ok_and(|fitness| Some(fitness.covered) >= most)
        };
        let unready = places.filter(is_unready).map(|place| self.nodes.standings()[place].name.clone());
        let covers = |port: &GroupPort| port.is_covered_by(me);
        Some(GroupPlan {
            id: self.group_id,
            vips: vips.map(|(address, _)| *address).collect(),
            candidates: ranked.iter().map(name).collect(),
            unready: unready.collect(),
            forwards: !self.endpoints_exist || self.group.ports.iter().any(covers),
            lingers: self.is_local_required() && self.covered_by_all > 0,
            revert: self.reach.revert(),
        })
    }

    /// The interfaces on which `node` announces an address; `None` for any.
    pub(crate) fn interfaces(&self, node: &NodeName, address: IpAddr) -> Option<BTreeSet<Arc<str>>> {
        self.reach_of(address).interfaces(self.nodes.place(node)?)
    }

    /// How thoroughly an address is checked before its first use.
    pub(crate) fn conflict_detection(&self, address: IpAddr) -> ConflictDetection {
        self.reach_of(address).conflict_detection()
    }

    /// The names of the advertisements about each address.
    pub(crate) fn advertisements(&self) -> BTreeMap<IpAddr, Vec<Arc<str>>> {
        self.reaches.iter().map(|(address, reach)| (*address, reach.names())).collect()
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
    /// Whether traffic for the port that comes to a node is served.
    pub(crate) fn is_covered_by(&self, node: &NodeName) -> bool {
        match self.policy {
            TrafficPolicy::Cluster => self.endpoints.exist(),
            TrafficPolicy::Local => self.endpoints.nodes.contains(node),
        }
    }
}
