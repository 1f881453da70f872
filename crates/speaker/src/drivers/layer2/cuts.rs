//! Whether this node is cut off from a segment, although gossip reaches it on another network.
//!
//! That gossip is silent on a segment proves nothing: a firewall may drop it there, and then every node would give its
//! addresses up at once. So the kernels of the silent neighbours are asked for their own addresses; only if none
//! answers, this node is the one that is cut off. As long as gossip stays silent, they are asked again and again.
//!
//! That gossip is heard there proves as little: what this node sends may be lost. So while it announces on such a segment it
//! asks two neighbours' kernels four times a second, and is cut off once three rounds in a row have stayed without an answer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use keryx_layer2::IfIndex;
use keryx_membership::NodeId;
use tracing::{info, warn};

use super::machines::Machines;

/// From one look at a silent segment to the next.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// The same where gossip is heard.
const LOOK_AGAIN_WHERE_HEARD: Duration = Duration::from_millis(250);
/// So many neighbours must be on it. One alone may be cut off itself.
const NEIGHBOURS_MIN: usize = 2;
/// So many are asked after a round that stayed without an answer: those who were asked first may be cut off themselves.
const NEIGHBOURS_MAX: usize = 8;
/// So many rounds in a row have to stay without an answer there.
const SILENT_ROUNDS_WHERE_HEARD: u32 = 3;

/// The segments on which this node may be cut off, by interface.
#[derive(Debug, Default)]
pub(super) struct Cuts {
    suspicions: BTreeMap<IfIndex, Suspicion>,
    /// When to look at all interfaces: another one has begun to announce.
    look_at: Option<Instant>,
}

#[derive(Debug)]
struct Suspicion {
    /// Gossip is heard on the segment.
    is_heard: bool,
    /// Questions whose answer is still to come.
    left: usize,
    answered: bool,
    /// Rounds in a row that stayed without an answer.
    silent_rounds: u32,
    /// When to ask next.
    due: Instant,
}

impl Cuts {
    /// When to look again.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.suspicions.values().map(|suspicion| suspicion.due).chain(self.look_at).min()
    }

    /// Takes that an interface announces.
    pub(super) fn note_use(&mut self, index: IfIndex, now: Instant) {
        if !self.suspicions.contains_key(&index) {
            self.look_at = Some(now);
        }
    }
}

impl Machines {
    /// Asks on segments on which this node may be cut off, as far as that is due. Where it may not any more, it is not.
    pub(super) fn look_for_cuts(&mut self, now: Instant) {
        self.cuts.look_at = None;
        let silent = self.paths.silent(&self.placing, |node| self.members.is_up(node));
        let heard = self.heard_where_announced();
        let is_suspect = |index: &IfIndex| silent.contains_key(index) || heard.contains_key(index);
        self.cuts.suspicions.retain(|index, _| is_suspect(index));
        self.placing.cut_off.retain(is_suspect);
        let heard = heard.into_iter().filter(|(index, _)| !silent.contains_key(index));
        let heard: Vec<_> = heard.map(|(index, nodes)| (index, nodes, true)).collect();
        let silent = silent.into_iter().map(|(index, nodes)| (index, nodes, false));
        for (index, mut nodes, is_heard) in silent.chain(heard) {
            let known = self.cuts.suspicions.get(&index).filter(|known| known.is_heard == is_heard);
            if known.is_some_and(|known| known.due > now) {
                continue;
            }
            let silent_rounds = known.map_or(0, |known| known.silent_rounds);
            if is_heard && silent_rounds == 0 {
                nodes = nodes.into_iter().take(NEIGHBOURS_MIN).collect();
            }
            let left = self.ask_kernels_on(index, &nodes, now);
            let due = now + if is_heard { LOOK_AGAIN_WHERE_HEARD } else { LOOK_AGAIN };
            let suspicion = Suspicion { is_heard, left, answered: false, silent_rounds, due };
            self.cuts.suspicions.insert(index, suspicion);
            if left == 0 && !is_heard {
                self.conclude(index, false, now);
            }
        }
    }

    /// The interfaces that announce, or would if they were not cut off, and whose neighbours are heard on another network too.
    fn heard_where_announced(&self) -> BTreeMap<IfIndex, BTreeSet<NodeId>> {
        let used: BTreeSet<IfIndex> = self.on_wire.values().chain(&self.placing.cut_off).copied().collect();
        let several = self.seeds.iter().filter(|seed| seed.addresses.len() > 1);
        let living: Vec<NodeId> =
            several.map(|seed| seed.node).filter(|node| self.members.is_up(*node)).collect();
        let segments = self.placing.segments_by_interface().filter(|(index, _)| used.contains(index));
        segments
            .filter_map(|(index, segments)| {
                let is_on_it = |node: &&NodeId| {
                    let facts = self.members.facts(**node);
                    let interfaces = facts.into_iter().flat_map(|facts| &facts.interfaces);
                    let mut working = interfaces.filter(|interface| interface.carrier);
                    working.any(|one| one.prefixes.iter().any(|net| segments.contains(&net.trunc())))
                };
                let nodes: BTreeSet<NodeId> =
                    living.iter().filter(is_on_it).take(NEIGHBOURS_MAX).copied().collect();
                (nodes.len() >= NEIGHBOURS_MIN).then_some((index, nodes))
            })
            .collect()
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
        let Some(suspicion) = self.cuts.suspicions.get_mut(&index) else {
            return self.take_kernel_heard(answered, now);
        };
        suspicion.answered |= answered;
        suspicion.left = suspicion.left.saturating_sub(1);
        if suspicion.answered {
            suspicion.silent_rounds = 0;
            self.conclude(index, true, now);
        } else if suspicion.left == 0 {
            suspicion.silent_rounds += 1;
            let rounds_needed = if suspicion.is_heard { SILENT_ROUNDS_WHERE_HEARD } else { 1 };
            if suspicion.silent_rounds >= rounds_needed {
                self.conclude(index, false, now);
            } else {
                suspicion.due = now;
            }
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
            warn!(interface, "no other node answers on this segment, and they are heard elsewhere");
        }
        self.place_anew(now);
    }
}
