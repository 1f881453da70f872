//! From the plan, the interfaces and the members to what this node announces.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use keryx_api::l2_advertisement::ConflictDetection;
use keryx_layer2::IfIndex;
use keryx_membership::{Candidacy, Facts, GroupId, NodeId, Outgoing};
use keryx_netio::link::Links;
use keryx_plan::{Decision, GroupKey, GroupPlan, Plan, VipPlan};
use tracing::{info, warn};

use super::machines::{Group, Machines};
use super::placing;
use super::roster::node_id;
use crate::orders::Orders;

impl Machines {
    /// Takes in the plan and the interfaces. Gives the interfaces that came back.
    pub(super) fn follow(&mut self, orders: &Orders, links: &Links, now: Instant) -> Vec<IfIndex> {
        let links: Vec<_> = links.values().map(placing::link).collect();
        let links_changed = self.placing.links != links;
        let returned = self.follow_links(links, now);
        let internal_changed = self.placing.internal_ips != orders.internal_ips;
        self.placing.internal_ips.clone_from(&orders.internal_ips);
        let limited =
            orders.plan.vips.iter().filter_map(|(vip, plan)| Some((*vip, plan.interfaces.clone()?)));
        let limits_changed = self.placing.limit(limited.collect());
        self.draining = orders.draining;
        self.roster.set_nodes(&orders.nodes);
        // First which ways are open, then what is told on them.
        self.learn(now);
        self.tell_facts();
        self.follow_plan(&orders.plan, now);
        if links_changed || limits_changed || internal_changed {
            self.look_for_cuts(now);
            self.place_anew(now);
        }
        self.settle(now);
        returned
    }

    fn follow_links(&mut self, links: Vec<keryx_layer2::interface::Link>, now: Instant) -> Vec<IfIndex> {
        let works = |link: &keryx_layer2::interface::Link| link.up && link.carrier;
        let worked = |index: IfIndex| self.placing.link(index).is_some_and(works);
        let returned: Vec<IfIndex> =
            links.iter().filter(|link| works(link) && !worked(link.index)).map(|link| link.index).collect();
        let gone: Vec<IfIndex> = self
            .announcer
            .interfaces()
            .filter(|index| links.iter().all(|link| link.index != *index))
            .collect();
        for index in gone {
            self.announcer.remove_interface(index);
            self.on_wire.retain(|_, on| *on != index);
        }
        self.placing.links = links;
        for link in &self.placing.links {
            // Only what has been used so far: an interface is made known when a VIP comes to it.
            if let Some(mac) = link.mac
                && self.announcer.interfaces().any(|index| index == link.index)
            {
                self.announcer.set_interface(link.index, mac, now);
                let _known = self.announcer.set_addresses(link.index, &link.addresses);
            }
        }
        for index in &returned {
            for (vip, _) in self.on_wire.iter().filter(|(_, on)| *on == index) {
                self.announcer.burst(*index, *vip, now);
            }
        }
        returned
    }

    /// Tells the other speakers what this node is like.
    pub(super) fn tell_facts(&mut self) {
        let facts = Facts {
            interfaces: self.placing.facts(),
            draining: self.draining || self.hearing.is_deaf(),
            restarting_secs: self.restarting_secs,
        };
        if let Err(error) = self.members.set_facts(facts) {
            warn!("failed to tell the other speakers about this node's interfaces: {error}");
        }
    }

    /// Takes in what the members tell of themselves.
    pub(super) fn learn(&mut self, now: Instant) {
        let macs = self.roster.learn(self.me, &self.members);
        self.announcer.set_members(macs);
        self.placing.segments = self.roster.segments(self.me, &self.members);
        let seeds = self.roster.seeds(self.me, &self.members, &self.placing.dead_segments());
        if self.seeds != seeds {
            self.members.set_seeds(&seeds, now);
            self.seeds = seeds;
        }
    }

    /// Takes in those groups of the plan that are not the very same as before.
    fn follow_plan(&mut self, plan: &Arc<Plan>, now: Instant) {
        let before = std::mem::replace(&mut self.plan, Arc::clone(plan));
        let changed: Vec<&Arc<GroupPlan>> = plan
            .groups
            .iter()
            .filter(|(key, planned)| !is_as_before(key, planned, &before, plan))
            .map(|(_, planned)| planned)
            .collect();
        let gone = before.groups.iter().filter(|(key, _)| !plan.groups.contains_key(key));
        let gone: Vec<GroupId> = gone.map(|(_, planned)| GroupId(planned.id)).collect();
        // First out, then in: VIPs can pass from one group to another.
        let mut left: BTreeSet<IpAddr> = BTreeSet::new();
        let mut old_groups = BTreeMap::new();
        for id in gone.iter().copied().chain(changed.iter().map(|planned| GroupId(planned.id))) {
            let Some(group) = self.groups.remove(&id) else { continue };
            for vip in group.vips() {
                self.group_of.remove(vip);
                left.insert(*vip);
            }
            old_groups.insert(id, group);
        }
        for planned in &changed {
            let id = GroupId(planned.id);
            self.group_of.extend(planned.vips.iter().map(|vip| (*vip, id)));
            self.groups.insert(id, Group::of(planned, plan));
        }
        for id in gone {
            self.takeover.remove_group(id, now);
        }
        for planned in changed {
            let id = GroupId(planned.id);
            self.say_obstacle(id, now);
            self.takeover.set_group(id, self.candidacy(planned), now);
            if old_groups.get(&id) != self.groups.get(&id) {
                self.bring(id, now);
            }
        }
        for vip in left {
            if !self.group_of.contains_key(&vip) {
                self.unplaced.remove(&vip);
                self.take_off_wire(vip);
            }
        }
    }

    /// Who may hold a group, for the takeover machine.
    fn candidacy(&self, planned: &GroupPlan) -> Candidacy {
        let id = GroupId(planned.id);
        let mut ranked: Vec<NodeId> = planned.candidates.iter().map(node_id).collect();
        // The last in rank, so that it keeps what it holds and takes nothing.
        let holder = self.takeover.holder(id).map(|(holder, _)| holder);
        ranked.extend(planned.unready.iter().map(node_id).filter(|node| Some(*node) == holder));
        let detection = self.groups.get(&id).map(|group| group.conflict_detection);
        Candidacy {
            ranked,
            outgoing: if planned.forwards { Outgoing::Forwards } else { Outgoing::DeadEnd },
            lingers: planned.lingers,
            checks_thoroughly: detection == Some(ConflictDetection::Full),
            revert: planned.revert,
        }
    }

    /// Tells the takeover machine whether this node can announce a group at all.
    pub(super) fn say_obstacle(&mut self, id: GroupId, now: Instant) {
        let Some(group) = self.groups.get(&id) else { return };
        let mut obstacle = None;
        let mut is_placed = false;
        for vip in group.vips() {
            match self.placing.choose(*vip) {
                Ok(_) => {
                    is_placed = true;
                    self.unplaced.remove(vip);
                }
                Err(hindered) => {
                    obstacle = Some(hindered.obstacle);
                    if self.unplaced.insert(*vip) {
                        info!("{}", hindered.why);
                    }
                }
            }
        }
        // What can be announced of a group is announced.
        let obstacle = obstacle.filter(|_| !is_placed);
        self.takeover.handle_obstacle(id, obstacle, now);
    }

    /// Interfaces, members or both have changed: every group is looked at again.
    pub(super) fn place_anew(&mut self, now: Instant) {
        for id in self.groups.keys().copied().collect::<Vec<_>>() {
            self.say_obstacle(id, now);
            self.bring(id, now);
        }
    }

    /// Announces what of a group should be announced, where it should be, and nothing else.
    pub(super) fn bring(&mut self, id: GroupId, now: Instant) {
        let Some(group) = self.groups.get(&id) else { return };
        let is_held = self.held.contains_key(&id);
        let planned = Arc::clone(&group.planned);
        for &vip in &planned.vips {
            let wanted = is_held && self.groups.get(&id).is_some_and(|group| !group.withheld.contains(&vip));
            let place = wanted.then(|| self.placing.choose(vip));
            match place {
                Some(Ok(index)) => {
                    if self.on_wire.get(&vip) != Some(&index) {
                        self.take_off_wire(vip);
                        self.put_on_wire(vip, index, now);
                    }
                }
                Some(Err(_)) | None => self.take_off_wire(vip),
            }
        }
    }

    fn put_on_wire(&mut self, vip: IpAddr, index: IfIndex, now: Instant) {
        self.use_interface(index, now);
        match self.announcer.announce(index, vip, now) {
            Ok(()) => {
                self.on_wire.insert(vip, index);
                self.cuts.note_use(index, now);
            }
            Err(error) => warn!("failed to announce {vip}: {error}"),
        }
    }

    fn take_off_wire(&mut self, vip: IpAddr) {
        if let Some(index) = self.on_wire.remove(&vip) {
            self.announcer.withdraw(index, vip);
        }
    }

    /// Makes an interface known to the announcer, if it is not.
    pub(super) fn use_interface(&mut self, index: IfIndex, now: Instant) {
        let Some((mac, addresses)) =
            self.placing.link(index).and_then(|link| Some((link.mac?, link.addresses.clone())))
        else {
            return;
        };
        self.announcer.set_interface(index, mac, now);
        // It is known since the line before.
        let _known = self.announcer.set_addresses(index, &addresses);
    }

    /// What of a group is announced.
    pub(super) fn on_wire(&self, id: GroupId) -> Vec<(IfIndex, IpAddr)> {
        let vips = self.groups.get(&id).map(Group::vips).unwrap_or_default();
        vips.iter().filter_map(|vip| Some((*self.on_wire.get(vip)?, *vip))).collect()
    }
}

impl Group {
    fn of(planned: &Arc<GroupPlan>, plan: &Plan) -> Self {
        let is_announced = |vip: &VipPlan| vip.while_holding == Decision::Announce;
        let vips = || planned.vips.iter().map(|vip| (*vip, plan.vips.get(vip).map(|vip| &**vip)));
        let withheld = vips().filter(|(_, plan)| !plan.is_some_and(is_announced));
        let detections = vips().filter_map(|(_, plan)| Some(plan?.conflict_detection));
        Self {
            planned: Arc::clone(planned),
            withheld: withheld.map(|(vip, _)| vip).collect(),
            conflict_detection: detections.max().unwrap_or_default(),
        }
    }
}

/// Whether nothing about a group has changed from one plan to the next. Of one with a speaker that is not Ready, it also matters
/// who holds it, which is no part of the plan.
fn is_as_before(key: &GroupKey, planned: &Arc<GroupPlan>, before: &Plan, plan: &Plan) -> bool {
    let same_vip = |vip: &IpAddr| match (before.vips.get(vip), plan.vips.get(vip)) {
        (Some(before), Some(now)) => Arc::ptr_eq(before, now),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    planned.unready.is_empty()
        && before.groups.get(key).is_some_and(|before| Arc::ptr_eq(before, planned))
        && planned.vips.iter().all(same_vip)
}
