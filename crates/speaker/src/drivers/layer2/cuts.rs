//! Whether this node is cut off from a segment, although gossip reaches it on another network.
//!
//! That gossip is silent on a segment proves nothing: a firewall may drop it there, and then every node would give its
//! addresses up at once. So the kernels of the silent neighbours are asked for their own addresses; only if none
//! answers, this node is the one that is cut off. As long as gossip stays silent, they are asked again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use keryx_layer2::IfIndex;
use keryx_membership::NodeId;
use tracing::{info, warn};

use super::machines::Machines;

/// From one look at a silent segment to the next.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The segments on which gossip is silent, by interface.
#[derive(Debug, Default)]
pub(super) struct Cuts(BTreeMap<IfIndex, Suspicion>);

#[derive(Debug)]
struct Suspicion {
    /// Questions whose answer is still to come.
    left: usize,
    answered: bool,
    /// When to ask next.
    due: Instant,
}

impl Cuts {
    /// When to look again.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.0.values().map(|suspicion| suspicion.due).min()
    }
}

impl Machines {
    /// Asks on segments on which gossip is silent, as far as that is due. One where it is heard again is no longer cut off.
    pub(super) fn look_for_cuts(&mut self, now: Instant) {
        let silent = self.paths.silent(&self.placing, |node| self.members.is_up(node));
        self.cuts.0.retain(|index, _| silent.contains_key(index));
        self.placing.cut_off.retain(|index| silent.contains_key(index));
        for (index, nodes) in silent {
            if self.cuts.0.get(&index).is_none_or(|suspicion| suspicion.due <= now) {
                let left = self.ask_kernels_on(index, &nodes, now);
                self.cuts.0.insert(index, Suspicion { left, answered: false, due: now + LOOK_AGAIN });
                if left == 0 {
                    self.conclude(index, false, now);
                }
            }
        }
    }

    /// Asks the kernels of these nodes for their own addresses on an interface's segments. Says how many were asked.
    pub(super) fn ask_kernels_on(&mut self, index: IfIndex, nodes: &BTreeSet<NodeId>, now: Instant) -> usize {
        self.use_interface(index, now);
        let addresses = self.placing.link(index).map(|link| link.addresses.clone()).unwrap_or_default();
        let mut asked = 0;
        for node in nodes {
            let Some(facts) = self.members.facts(*node) else { continue };
            let station = addresses.iter().find_map(|net| {
                let (mac, own) = self.roster.station(*node, facts, net.addr())?;
                net.contains(&own).then_some((mac, own))
            });
            let Some((mac, own)) = station else { continue };
            if let Ok(question) = self.announcer.ask_station(index, own, mac, now) {
                self.questions.asked_on_segment(question, index);
                asked += 1;
            }
        }
        asked
    }

    /// Takes whether a neighbour's kernel answered on a silent segment.
    pub(super) fn take_segment_answer(&mut self, index: IfIndex, answered: bool, now: Instant) {
        let Some(suspicion) = self.cuts.0.get_mut(&index) else {
            return self.take_kernel_heard(answered, now);
        };
        suspicion.answered |= answered;
        suspicion.left = suspicion.left.saturating_sub(1);
        if suspicion.answered || suspicion.left == 0 {
            let answered = suspicion.answered;
            self.conclude(index, answered, now);
        }
    }

    fn conclude(&mut self, index: IfIndex, answered: bool, now: Instant) {
        let interface = self.interface_name(index);
        let changed =
            if answered { self.placing.cut_off.remove(&index) } else { self.placing.cut_off.insert(index) };
        if !changed {
            return;
        }
        if answered {
            info!(interface, "other nodes answer on this segment again");
        } else {
            warn!(
                interface,
                "no other node is heard or answers on this segment, and they are heard elsewhere"
            );
        }
        self.place_anew(now);
    }
}
