//! What the takeover machine wants done.

use std::net::IpAddr;
use std::time::Instant;

use keryx_api::l2_advertisement::ConflictDetection;
use keryx_layer2::{Check, IfIndex};
use keryx_membership::takeover::{Action, Event};
use keryx_membership::{GroupId, HolderAnswer, NodeId, ProbeResult};
use tracing::{debug, info, warn};

use super::machines::{Group, Machines};
use super::reports::Report;
use crate::metrics::CauseLabels;

impl Machines {
    /// Does all that the takeover machine asks for, and passes its events on. Says whether there was anything.
    pub(super) fn act(&mut self, now: Instant) -> bool {
        let mut acted = false;
        while let Some(action) = self.takeover.poll_action() {
            acted = true;
            debug!(?action, "takeover");
            self.perform(action, now);
        }
        while let Some(event) = self.takeover.poll_event() {
            self.tell(event);
        }
        acted
    }

    fn perform(&mut self, action: Action, now: Instant) {
        match action {
            Action::Announce { group, term } => {
                let was_on_wire = self.on_wire(group);
                self.held.insert(group, term);
                self.note_later(now);
                self.bring(group, now);
                was_on_wire.into_iter().for_each(|(index, vip)| self.announcer.burst(index, vip, now));
            }
            Action::Burst { group } => {
                for (index, vip) in self.on_wire(group) {
                    self.announcer.burst(index, vip, now);
                }
            }
            Action::Withdraw { group } => {
                self.held.remove(&group);
                self.note_later(now);
                self.bring(group, now);
            }
            Action::Suspend => {
                // What is held stays noted: a new process may go on with it.
                for group in std::mem::take(&mut self.held).into_keys() {
                    self.bring(group, now);
                }
                self.end_stand_ins();
            }
            Action::StandIn { group, for_node } => self.stand_in(group, for_node, now),
            Action::StandDown { group } => {
                for (index, vip) in self.places(group) {
                    self.announcer.end_stand_in(index, vip);
                }
            }
            Action::AskDead { node, group } => self.ask_dead(node, group, now),
            Action::AskKernel { node, group } => self.ask_kernel(node, group, now),
            Action::AskHolder { group, thorough } => self.ask_holder(group, thorough, now),
            Action::TellHold { group, term } => self.members.hold(group, term),
            Action::TellRelease { group, term } => self.members.release(group, term),
        }
    }

    /// Where the VIPs of a group are announced from this node, if it does.
    fn places(&self, group: GroupId) -> Vec<(IfIndex, IpAddr)> {
        let vips = self.groups.get(&group).map(Group::vips).unwrap_or_default();
        vips.iter().filter_map(|vip| Some((self.placing.choose(*vip).ok()?, *vip))).collect()
    }

    fn end_stand_ins(&mut self) {
        let groups: Vec<GroupId> = self.groups.keys().copied().collect();
        for (index, vip) in groups.iter().flat_map(|group| self.places(*group)).collect::<Vec<_>>() {
            self.announcer.end_stand_in(index, vip);
        }
    }

    fn stand_in(&mut self, group: GroupId, for_node: NodeId, now: Instant) {
        for (index, vip) in self.places(group) {
            let mac = self.members.facts(for_node).and_then(|facts| self.roster.mac(for_node, facts, vip));
            let Some(mac) = mac else { continue };
            self.use_interface(index, now);
            if let Err(error) = self.announcer.stand_in(index, vip, mac) {
                warn!("failed to stand in for {}: {error}", self.roster.name(for_node));
            }
        }
    }

    /// Asks one station. If its hardware address was never told, everybody is asked.
    fn ask_dead(&mut self, node: NodeId, group: GroupId, now: Instant) {
        let asked = self.places(group).into_iter().find_map(|(index, vip)| {
            self.use_interface(index, now);
            let mac = self.members.facts(node).and_then(|facts| self.roster.mac(node, facts, vip));
            let question = match mac {
                Some(mac) => self.announcer.ask_station(index, vip, mac, now),
                None => self.announcer.check_address(index, vip, Check::Fast, now),
            };
            question.ok()
        });
        match asked {
            Some(question) => self.questions.asked_station(question, node),
            // Nothing was asked, so nothing is known: it may live.
            None => self.takeover.handle_probe(ProbeResult::Dead { node, answered: true }, now),
        }
    }

    /// Asks a node's kernel for an address of its own.
    fn ask_kernel(&mut self, node: NodeId, group: GroupId, now: Instant) {
        let asked = self.places(group).into_iter().find_map(|(index, vip)| {
            let facts = self.members.facts(node)?;
            let (mac, own) = self.roster.station(node, facts, vip)?;
            self.use_interface(index, now);
            self.announcer.ask_station(index, own, mac, now).ok()
        });
        if let Some(question) = asked {
            self.questions.asked_kernel(question, node);
        }
    }

    fn ask_holder(&mut self, group: GroupId, thorough: bool, now: Instant) {
        let check = if thorough { Check::Full } else { Check::Fast };
        let places = self.places(group);
        let mut asked = Vec::with_capacity(places.len());
        for (index, vip) in &places {
            self.use_interface(*index, now);
            let question = self.announcer.check_address(*index, *vip, check, now);
            asked.extend(question.ok().map(|question| (question, *index, *vip)));
        }
        if asked.is_empty() || asked.len() < places.len() {
            // Not all could be asked, and what is not asked may be somebody's: asked again later.
            let answer = HolderAnswer::Foreign;
            self.takeover.handle_probe(ProbeResult::Holder { group, answer }, now);
        } else {
            let detection = self.groups.get(&group).map(|group| group.conflict_detection);
            let heeds_strangers = detection != Some(ConflictDetection::Off);
            self.questions.asked_holder(group, asked, heeds_strangers);
        }
    }

    fn tell(&mut self, event: Event) {
        let vips = |machines: &Self, group: GroupId| {
            let vips = machines.groups.get(&group).map(Group::vips).unwrap_or_default();
            vips.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        match event {
            Event::Moved { group, from, cause, .. } => {
                self.metrics.moves.get_or_create(&CauseLabels { cause: cause.code() }).inc();
                let from = from.map(|node| self.roster.name(node));
                info!(
                    vips = vips(self, group),
                    from = from.as_deref().unwrap_or("nobody"),
                    cause = cause.code(),
                    "took over"
                );
                let (interfaces, vips) = self.on_wire(group).into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
                let interfaces = interfaces.into_iter().map(|index| self.interface_name(index)).collect();
                self.reports.push(Report::Announced { vips: vips.into(), interfaces, from, cause });
            }
            Event::Stopped { group, cause } => {
                info!(vips = vips(self, group), cause = cause.code(), "gave up");
            }
            Event::Damped { group } => {
                warn!(
                    vips = vips(self, group),
                    "moved too often in the last minute; stays where it is until that is over"
                );
            }
            // Said with the station's hardware address, when it answered.
            Event::Foreign { .. } => {}
        }
    }
}
