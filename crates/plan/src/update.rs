//! From the index to the plan, group by group.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use keryx_api::Protocol;
use keryx_api::exposure::{AnnounceFrom, AnnouncePolicy, ExposedPort, Exposure, ServedBy, WithoutEndpoints};
use keryx_api::ledger::OwnerKind;

use crate::endpoints::Endpoints;
use crate::group::{Group, GroupPort, Placement};
use crate::service::{PortFacts, ServiceFacts};
use crate::{
    Changes, Decision, Family, GroupExplanation, GroupKey, Index, NodeName, ObjectName, Owner, Plan, Reason,
    Refusal, TrafficPolicy, VipPlan,
};

/// The plan, and which part of it came from which group.
#[derive(Debug, Default)]
pub(crate) struct Planned {
    plan: Plan,
    /// The node that the plan is for.
    me: Option<NodeName>,
    /// Each group's addresses in the plan, kept or refused.
    addresses: BTreeMap<GroupKey, Box<[IpAddr]>>,
}

impl Index {
    /// Computes every group anew that changed since the last update, as seen from node `me`, and returns where the
    /// plan differs from the last. A change of what a Node or speaker means to the plan, or of `me`, touches all groups.
    pub fn update(&mut self, me: &NodeName) -> Changes {
        let nodes_changed = self.nodes.refresh();
        let mut dirty = std::mem::take(&mut self.dirty);
        if nodes_changed || self.planned.me.as_ref() != Some(me) {
            self.planned.me = Some(me.clone());
            dirty.extend(self.services.keys().cloned().map(GroupKey::Service));
            dirty.extend(self.exposures.keys().cloned().map(GroupKey::Exposure));
        }
        // First out, then in: an address can pass from one dirty group to another.
        let mut before = Plan::default();
        for key in &dirty {
            self.planned.take_out(key, &mut before);
        }
        let mut groups_computed = 0;
        let mut after = Plan::default();
        for key in dirty {
            let Some(group) = self.group(&key) else { continue };
            groups_computed += 1;
            let placement = Placement::new(&group, &self.nodes);
            enter(&group, &placement, me, &mut after);
            let addresses = group.addresses.iter().chain(group.refused.keys()).copied();
            self.planned.addresses.insert(key, addresses.collect());
        }
        let changes = Changes {
            vips: differing_keys(&before.vips, &after.vips),
            guard: differing_keys(&before.guard.vips, &after.guard.vips),
            refused: differing_keys(&before.refused, &after.refused),
            groups_computed,
        };
        // Not `append`, which rebuilds the whole map.
        let plan = &mut self.planned.plan;
        plan.vips.extend(after.vips);
        plan.guard.vips.extend(after.guard.vips);
        plan.refused.extend(after.refused);
        changes
    }

    /// The plan as of the last [`Index::update`].
    pub fn plan(&self) -> &Plan {
        &self.planned.plan
    }

    /// How the plan came to its decision for a group; `None` if there is no such group. Current only after an
    /// [`Index::update`].
    pub fn explain(&self, group: &GroupKey) -> Option<GroupExplanation> {
        Some(GroupExplanation::new(&self.group(group)?, &self.nodes))
    }

    fn group(&self, key: &GroupKey) -> Option<Group> {
        match key {
            GroupKey::Exposure(name) => Some(self.gateway_group(key, self.exposures.get(name)?)),
            GroupKey::Service(name) => Some(self.service_group(key, name, self.services.get(name)?)),
        }
    }

    fn gateway_group(&self, key: &GroupKey, exposure: &Exposure) -> Group {
        let (addresses, refused) = self.share_out(key, &exposure.addresses);
        let mut ports = Vec::new();
        for family in families(&addresses) {
            ports.extend(exposure.ports.iter().map(|exposed| match &exposed.served_by {
                ServedBy::Clone { namespace, name } => {
                    let clone = ObjectName::new(namespace, name);
                    self.port(family, exposed.protocol, exposed.port, clone)
                }
                ServedBy::Anchor => anchor_port(family, exposed),
            }));
        }
        Group {
            key: key.clone(),
            owner: gateway(exposure),
            announce: exposure.announce,
            addresses,
            refused,
            ports,
        }
    }

    fn service_group(&self, key: &GroupKey, name: &ObjectName, facts: &ServiceFacts) -> Group {
        let (addresses, mut refused) = self.share_out(key, &facts.assigned);
        for (address, missing_from) in &facts.half_assigned {
            refused.insert(*address, Reason::NotAssigned { missing_from: *missing_from });
        }
        let mut ports = Vec::new();
        for family in families(&addresses) {
            let port = |port: &PortFacts| self.port(family, port.protocol, port.port, name.clone());
            ports.extend(facts.ports.iter().map(port));
        }
        let announce_from = match facts.policy {
            TrafficPolicy::Cluster => AnnounceFrom::AnyNode,
            TrafficPolicy::Local => AnnounceFrom::LocalEndpoints,
        };
        Group {
            key: key.clone(),
            owner: Owner { kind: OwnerKind::Service, name: name.clone() },
            announce: AnnouncePolicy { announce_from, without_endpoints: WithoutEndpoints::Withdraw },
            addresses,
            refused,
            ports,
        }
    }

    /// One port of a group. A clone that is not there yet, or lacks the port, has no endpoints.
    fn port(&self, family: Family, protocol: Protocol, port: u16, service: ObjectName) -> GroupPort {
        let facts = self.services.get(&service);
        let policy = facts.map(|facts| facts.policy).unwrap_or_default();
        let ports = facts.map(|facts| &*facts.ports).unwrap_or_default();
        let facts = ports.iter().find(|facts| facts.protocol == protocol && facts.port == port);
        let endpoints = facts.map(|facts| Endpoints::choose(self.slices_of(&service), family, facts, policy));
        GroupPort {
            family,
            protocol,
            port,
            service: Some(service),
            policy,
            endpoints: endpoints.unwrap_or_default(),
        }
    }

    /// Divides what a group claims into the addresses that it keeps and those that it is refused.
    fn share_out<'a>(
        &self,
        key: &GroupKey,
        claimed: impl IntoIterator<Item = &'a IpAddr>,
    ) -> (BTreeSet<IpAddr>, BTreeMap<IpAddr, Reason>) {
        let mut kept = BTreeSet::new();
        let mut refused = BTreeMap::new();
        for &address in claimed {
            let first = self.claims.of(&address).next().map(|claimant| &claimant.group);
            let first = first.filter(|first| *first != key);
            if let Some(node) = self.nodes.with_address(address) {
                refused.insert(address, Reason::NodeAddress { node: node.clone() });
            } else if let Some(other) = first.and_then(|first| self.owner(first)) {
                refused.insert(address, Reason::DuplicateClaim { other });
            } else {
                kept.insert(address);
            }
        }
        (kept, refused)
    }

    fn owner(&self, key: &GroupKey) -> Option<Owner> {
        match key {
            GroupKey::Exposure(name) => self.exposures.get(name).map(gateway),
            GroupKey::Service(name) => Some(Owner { kind: OwnerKind::Service, name: name.clone() }),
        }
    }
}

impl Planned {
    /// Moves all that came from a group out of the plan, into `before`.
    fn take_out(&mut self, key: &GroupKey, before: &mut Plan) {
        for address in self.addresses.remove(key).unwrap_or_default() {
            let refused_key = (key.clone(), address);
            if let Some(refusal) = self.plan.refused.remove(&refused_key) {
                before.refused.insert(refused_key, refusal);
                continue;
            }
            before.vips.extend(self.plan.vips.remove_entry(&address));
            before.guard.vips.extend(self.plan.guard.vips.remove_entry(&address));
        }
    }
}

/// Writes what follows for one group into a plan.
fn enter(group: &Group, placement: &Placement<'_>, me: &NodeName, plan: &mut Plan) {
    for &address in &group.addresses {
        let (decision, announcer) = match placement.announcer(Family::of(address)) {
            Ok(announcer) => {
                let decision = placement.why_not(me).map_or(Decision::Announce, Decision::Skip);
                (decision, Some(announcer.clone()))
            }
            Err(reason) => (Decision::Skip(reason), None),
        };
        let vip = VipPlan { owner: group.owner.clone(), group: group.key.clone(), decision, announcer };
        plan.vips.insert(address, vip);
        plan.guard.vips.insert(address, group.claimed_ports());
    }
    for (&address, reason) in &group.refused {
        let refusal = Refusal { owner: group.owner.clone(), reason: reason.clone() };
        plan.refused.insert((group.key.clone(), address), refusal);
    }
}

fn anchor_port(family: Family, exposed: &ExposedPort) -> GroupPort {
    GroupPort {
        family,
        protocol: exposed.protocol,
        port: exposed.port,
        service: None,
        policy: TrafficPolicy::Cluster,
        endpoints: Endpoints::default(),
    }
}

fn gateway(exposure: &Exposure) -> Owner {
    let name = ObjectName::new(&exposure.gateway.namespace, &exposure.gateway.name);
    Owner { kind: OwnerKind::Gateway, name }
}

fn families(addresses: &BTreeSet<IpAddr>) -> BTreeSet<Family> {
    addresses.iter().map(|address| Family::of(*address)).collect()
}

/// Keys whose entry is in only one of the maps, or differs.
fn differing_keys<K: Ord + Clone, V: PartialEq>(
    before: &BTreeMap<K, V>,
    after: &BTreeMap<K, V>,
) -> BTreeSet<K> {
    let keys = before.keys().chain(after.keys());
    keys.filter(|key| before.get(key) != after.get(key)).cloned().collect()
}
