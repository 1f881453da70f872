//! What one machine tells the others.

use std::time::{Duration, Instant};

use keryx_membership::{Liveness, NodeId, ProbeResult, members};
use tracing::{debug, info, warn};

use super::machines::{Machines, Return};
use super::questions::{Next, Stranger};

/// From the return of a member until the takeover machine is told all that it holds. By then the members have compared
/// what they know, so that nothing is told which it has given up meanwhile.
const TELL_AFTER: Duration = Duration::from_millis(200);
/// The same if they do not agree yet. The takeover machine waits for a second.
const TELL_LIMIT: Duration = Duration::from_millis(800);
/// From one look whether they do to the next.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl Machines {
    /// Tells what members hold that have returned: those holds that did not change meanwhile make no event.
    pub(super) fn tell_holds_of_returned(&mut self, now: Instant) {
        for (node, returned) in &mut self.returned {
            if returned.due <= now && returned.limit > now && !self.members.agrees(*node) {
                returned.due = now + LOOK_AGAIN;
            }
        }
        let due: Vec<_> = self.returned.extract_if(.., |_, returned| returned.due <= now).collect();
        for (node, _) in due {
            for (group, term) in self.members.holds(node).collect::<Vec<_>>() {
                self.takeover.handle_hold(node, group, term, now);
            }
        }
    }

    /// Carries what one machine has to say to the others, until none has anything.
    pub(super) fn settle(&mut self, now: Instant) {
        // Nobody is there to be heard.
        if !self.takeover.is_active() && self.roster.is_alone(self.me) {
            self.takeover.handle_synced(now);
        }
        loop {
            let told = self.carry_members(now) | self.carry_segment(now);
            if !self.act(now) && !told {
                break;
            }
        }
        self.forget_conflicts();
        self.count();
    }

    fn carry_members(&mut self, now: Instant) -> bool {
        let mut told = false;
        let mut changed = false;
        while let Some(event) = self.members.poll_event() {
            told = true;
            debug!(?event, "members");
            match event {
                members::Event::Up(node) => {
                    changed = true;
                    self.returned.insert(node, Return { due: now + TELL_AFTER, limit: now + TELL_LIMIT });
                    self.say_liveness(node, now);
                }
                members::Event::Facts(node) => {
                    changed = true;
                    self.say_liveness(node, now);
                }
                members::Event::Down(node) => {
                    changed = true;
                    self.returned.remove(&node);
                    info!(node = self.roster.name(node), "speaker is not heard any more");
                    self.takeover.handle_member(node, Liveness::Dead, now);
                }
                members::Event::Held { node, group, term } => {
                    self.takeover.handle_hold(node, group, term, now)
                }
                members::Event::Released { node, group, term } => {
                    // One that restarts releases nothing: its new process has only not spoken yet. What it tells of itself by
                    // now may be the new one's word already, so what counts is what was told before.
                    if !self.restarting.contains(&node) {
                        self.takeover.handle_release(node, group, term, now);
                    }
                }
                // If nobody is heard, nobody has told anything: the takeover machine asks the segment in time.
                members::Event::Synced if self.members.joined() => self.takeover.handle_synced(now),
                members::Event::Synced => {}
                // Noticed here before, by the same clock.
                members::Event::Stalled(_) => {}
                members::Event::PathUp { node, address } => {
                    info!(node = self.roster.name(node), %address, "path is up");
                    self.paths.set(node, address.ip(), true);
                    changed = true;
                }
                members::Event::PathDown { node, address } => {
                    warn!(node = self.roster.name(node), %address, "path is down; the node is heard on another");
                    self.paths.set(node, address.ip(), false);
                    changed = true;
                }
            }
        }
        if changed {
            self.note_isolation(now);
            self.look_for_cuts(now);
            self.learn(now);
            self.place_anew(now);
            self.heard = self.members.members().count();
            self.metrics.members.set(i64::try_from(self.heard).unwrap_or(i64::MAX));
        }
        told
    }

    fn say_liveness(&mut self, node: NodeId, now: Instant) {
        let facts = self.members.facts(node);
        if facts.is_some_and(|facts| facts.restarting_secs.is_some()) {
            self.restarting.insert(node);
        } else {
            self.restarting.remove(&node);
        }
        let liveness = if let Some(secs) = facts.and_then(|facts| facts.restarting_secs) {
            Liveness::Restarting { back_in: Duration::from_secs(secs.into()) }
        } else if !self.members.is_up(node) {
            Liveness::Dead
        } else if facts.is_some_and(|facts| facts.draining) {
            Liveness::Draining
        } else {
            Liveness::Alive
        };
        self.takeover.handle_member(node, liveness, now);
    }

    fn carry_segment(&mut self, now: Instant) -> bool {
        let mut told = false;
        while let Some(event) = self.announcer.poll_event() {
            told = true;
            debug!(?event, "segment");
            match event {
                keryx_layer2::Event::Decided { question, outcome, seen, .. } => {
                    let roster = &self.roster;
                    match self.questions.decided(question, outcome, &seen, |mac| roster.by_mac(mac)) {
                        Some(Next::Dead(node, answered)) => {
                            self.takeover.handle_probe(ProbeResult::Dead { node, answered }, now);
                        }
                        Some(Next::Kernel(node, answered)) => {
                            self.takeover.handle_probe(ProbeResult::Kernel { node, answered }, now);
                        }
                        Some(Next::Segment(index, answered)) => {
                            self.take_segment_answer(index, answered, now)
                        }
                        Some(Next::Holder(found)) => self.take_holder(found, now),
                        Some(Next::Tests(group, strangers)) => self.test_strangers(group, strangers, now),
                        Some(Next::Claim(stranger, true)) => self.note_proxy(stranger),
                        Some(Next::Claim(stranger, false)) => self.begin_conflict(stranger),
                        None => {}
                    }
                }
                keryx_layer2::Event::Conflict { vip, interface, mac } => {
                    self.test_claimant(Stranger { vip, interface, mac }, now);
                }
                keryx_layer2::Event::ConflictOver { vip, .. } => self.end_conflict(vip),
                keryx_layer2::Event::MemberAnnounces { vip, mac, .. } => {
                    if let (Some(node), Some(group)) = (self.roster.by_mac(mac), self.group_of.get(&vip)) {
                        self.takeover.handle_sighting(node, *group, now);
                    }
                }
            }
        }
        told
    }

    fn count(&mut self) {
        let counters = self.announcer.counters();
        let set = |gauge: &prometheus_client::metrics::gauge::Gauge, length: usize| {
            gauge.set(i64::try_from(length).unwrap_or(i64::MAX));
        };
        set(&self.metrics.vips_announced, self.on_wire.len());
        set(&self.metrics.vips_without_interface, self.unplaced.len());
        set(&self.metrics.vips_in_conflict, self.conflicts.len());
        self.metrics.count(&counters, &self.counted);
        self.counted = counters;
    }
}
