//! From the index to the plan, group by group.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::bgp::decision::{self, Advertiser};
use crate::bgp::objects::Objects;
use crate::bgp::peers::Sessions;
use crate::bgp::routes::Routes;
use crate::bgp::{BgpDecision, BgpExplanation};
use crate::group::{Group, Vip};
use crate::nodes::Nodes;
use crate::placement::Placement;
use crate::{
    Changes, Decision, GroupExplanation, GroupKey, Index, NodeName, OwnerKey, Plan, Refusal, SharedMap,
    VipPlan,
};

/// The plan, and which part of it came from which group.
#[derive(Debug, Default)]
pub(crate) struct Planned {
    /// Shared with whoever was given it; an update writes to a copy if there is such a reader.
    plan: Arc<Plan>,
    /// The node that the plan is for.
    me: Option<NodeName>,
    groups: BTreeMap<GroupKey, Entries>,
    /// The group of each owner that another leads; a leader's group has its own key.
    led_by: BTreeMap<OwnerKey, GroupKey>,
    /// What the addresses come to by BGP.
    routes: Routes,
}

/// Where a group stands in the plan.
#[derive(Debug)]
struct Entries {
    /// Its owners but the first, which the group's key names.
    followers: Box<[OwnerKey]>,
    vips: Box<[IpAddr]>,
    refused: Box<[(OwnerKey, IpAddr)]>,
}

impl Index {
    /// Computes every group anew that changed since the last update, as seen from node `me`, and returns where the
    /// plan differs from the last. A change of what a Node, speaker or advertisement means to the plan, or of `me`, touches all
    /// groups.
    pub fn update(&mut self, me: &NodeName) -> Changes {
        let nodes_stale = self.nodes.is_stale();
        let nodes_changed = self.nodes.refresh();
        let is_new = self.planned.me.as_ref() != Some(me);
        self.advertisements.set_bgp_exists(self.bgp.are_advertised());
        let advertised_anew = self.advertisements.refresh(&self.nodes, nodes_stale);
        let bgp = self.bgp.refresh(&self.nodes, me, nodes_stale || is_new);
        let bgp_changed = bgp.advertisements || bgp.sessions;
        let mut dirty = std::mem::take(&mut self.dirty);
        if nodes_changed || advertised_anew || bgp_changed || is_new {
            self.planned.me = Some(me.clone());
            dirty.extend(self.services.keys().cloned().map(OwnerKey::Service));
            dirty.extend(self.exposures.keys().cloned().map(OwnerKey::Exposure));
        }
        // First out, then in: owners and addresses can pass from one group to another. An owner that is taken out with
        // a dirty one comes in again, dirty or not. A chain of ties led from it to the dirty one: if all of them stand,
        // both are still of one group; if not, the first that does not ends, on this owner's side, at a dirty owner,
        // since both ends of a tie that comes or goes are marked.
        let mut before = Plan::default();
        for owner in &dirty {
            self.planned.take_out(owner, &mut before);
        }
        let mut groups_computed = 0;
        let mut after = Plan::default();
        while let Some(owner) = dirty.pop_first() {
            let Some(group) = self.group(&owner) else { continue };
            for member in &group.members {
                dirty.remove(member);
            }
            groups_computed += 1;
            let placement = Placement::new(&group, &self.nodes, &self.advertisements);
            enter(&group, &placement, me, &mut after);
            let advertiser = Advertiser { node: me, sessions: self.bgp.sessions() };
            enter_bgp(&group, &self.nodes, &self.bgp, advertiser, &mut after);
            self.planned.remember(&group);
            let ports = |vip: Vip| vip.claimed_ports.into_iter().collect();
            after.guard.vips.extend(group.vips.into_iter().map(|(address, vip)| (address, ports(vip))));
        }
        let plan = Arc::make_mut(&mut self.planned.plan);
        before.vips.values().for_each(|vip| self.planned.routes.remove(&vip.bgp));
        after.vips.values().for_each(|vip| self.planned.routes.add(&vip.bgp));
        if bgp_changed {
            self.planned.routes.forget_told();
        }
        if bgp.sessions {
            let Sessions { peers, unusable } = self.bgp.sessions();
            (plan.bgp.peers, plan.bgp.unusable) = (peers.clone(), unusable.clone());
        }
        let leaving = decision::leaves(&self.nodes, me).unwrap_or_default();
        let changes = Changes {
            bgp_routes: self.planned.routes.settle(&self.bgp, leaving, &mut plan.bgp.routes),
            bgp_sessions: bgp.sessions,
            vips: differing_keys(&before.vips, &after.vips),
            groups: differing_keys(&before.groups, &after.groups),
            guard: differing_keys(&before.guard.vips, &after.guard.vips),
            refused: differing_keys(&before.refused, &after.refused),
            groups_computed,
        };
        enter_changed(&mut plan.vips, before.vips, after.vips);
        enter_changed(&mut plan.groups, before.groups, after.groups);
        enter_changed(&mut plan.guard.vips, before.guard.vips, after.guard.vips);
        plan.refused.extend(after.refused);
        changes
    }

    /// The plan as of the last [`Index::update`].
    pub fn plan(&self) -> &Arc<Plan> {
        &self.planned.plan
    }

    /// How the plan came to its decision for the group that an owner is in; `None` if there is no such owner. Current
    /// only after an [`Index::update`].
    pub fn explain(&self, owner: &OwnerKey) -> Option<GroupExplanation> {
        let group = self.group(owner)?;
        let owners = group.members.iter().filter_map(|member| self.owner(member)).collect();
        let sharing_key = self.sharing_key(owner).map(str::to_owned);
        let bgp = BgpExplanation::new(&group, &self.nodes, &self.bgp, self.planned.me.as_ref());
        Some(GroupExplanation::new(&group, owners, sharing_key, &self.nodes, &self.advertisements, bgp))
    }
}

impl Planned {
    /// Moves all that came from an owner's group out of the plan, into `before`.
    fn take_out(&mut self, owner: &OwnerKey, before: &mut Plan) {
        let key = self.led_by.get(owner).cloned().unwrap_or_else(|| GroupKey(owner.clone()));
        let Some(entries) = self.groups.remove(&key) else { return };
        let plan = Arc::make_mut(&mut self.plan);
        before.groups.extend(plan.groups.remove_entry(&key));
        for address in entries.vips {
            before.vips.extend(plan.vips.remove_entry(&address));
            before.guard.vips.extend(plan.guard.vips.remove_entry(&address));
        }
        for refused in entries.refused {
            before.refused.extend(plan.refused.remove_entry(&refused));
        }
        for follower in &entries.followers {
            self.led_by.remove(follower);
        }
    }

    /// Notes where the group stands in the plan.
    fn remember(&mut self, group: &Group) {
        let followers: Box<[OwnerKey]> = group.members[1..].into();
        for follower in &followers {
            self.led_by.insert(follower.clone(), group.key.clone());
        }
        let refused = group.refused.iter().map(|refused| (refused.member.clone(), refused.address));
        let entries =
            Entries { followers, vips: group.vips.keys().copied().collect(), refused: refused.collect() };
        self.groups.insert(group.key.clone(), entries);
    }
}

/// Writes what is decided for one group into a plan.
fn enter(group: &Group, placement: &Placement<'_>, me: &NodeName, plan: &mut Plan) {
    for (&address, vip) in &group.vips {
        let (decision, announcer) = match placement.announcer(address, vip) {
            Ok(announcer) => {
                let decision = placement.why_not(me).map_or(Decision::Announce, Decision::Skip);
                (decision, Some(announcer.clone()))
            }
            Err(reason) => (Decision::Skip(reason), None),
        };
        let while_holding =
            placement.while_holding(me, address, vip).map_or_else(Decision::Skip, |()| Decision::Announce);
        let vip_plan = VipPlan {
            owners: vip.owners.as_slice().into(),
            group: group.key.clone(),
            decision,
            while_holding,
            announcer,
            interfaces: vip.interfaces.within(placement.interfaces(me, address)).map(Arc::new),
            conflict_detection: placement.conflict_detection(address),
            bgp: BgpDecision::default(),
        };
        plan.vips.insert(address, Arc::new(vip_plan));
    }
    plan.groups.extend(placement.plan(me).map(|group_plan| (group.key.clone(), Arc::new(group_plan))));
    for refused in &group.refused {
        let refusal = Refusal { owner: refused.owner.clone(), reason: refused.reason.clone() };
        plan.refused.insert((refused.member.clone(), refused.address), refusal);
    }
}

/// Writes what is said of a group's addresses by BGP into a plan that has them already.
fn enter_bgp(group: &Group, nodes: &Nodes, objects: &Objects, advertiser: Advertiser<'_>, plan: &mut Plan) {
    if !objects.are_advertised() {
        return;
    }
    for &address in group.vips.keys() {
        if let Some(vip) = plan.vips.get_mut(&address) {
            Arc::make_mut(vip).bgp = decision::decide(group, address, nodes, objects, advertiser);
        }
    }
}

/// Enters what came out of an update into `plan`, those entries that are as they were `before` as the very same.
fn enter_changed<K: Ord + Clone, V: PartialEq + ?Sized>(
    plan: &mut SharedMap<K, Arc<V>>,
    mut before: SharedMap<K, Arc<V>>,
    after: SharedMap<K, Arc<V>>,
) {
    plan.extend(after.into_iter().map(|(key, new)| match before.remove(&key) {
        Some(old) if old == new => (key, old),
        Some(_) | None => (key, new),
    }));
}

/// Keys whose entry is in only one of the maps, or differs.
fn differing_keys<K: Ord + Clone, V: PartialEq>(
    before: &SharedMap<K, V>,
    after: &SharedMap<K, V>,
) -> BTreeSet<K> {
    let keys = before.keys().chain(after.keys());
    keys.filter(|key| before.get(key) != after.get(key)).cloned().collect()
}
