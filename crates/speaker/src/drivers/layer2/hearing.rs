//! Whether this node hears anybody at all.
//!
//! A node whose interface sends and receives nothing is taken for sound by the others, who hear its heartbeats, while no
//! question of a client reaches it. It cannot know that: that it hears nobody is just what it sees if all others are dead. So
//! it decides nothing by itself. Once gossip is silent, and the kernels of the nodes that it knew leave questions unanswered, it
//! says that it hands over, as if it were drained. Who hears that is not dead, and takes what it holds; if nobody does, it goes
//! on. Whatever comes in takes that back.

use std::time::{Duration, Instant};

use keryx_layer2::IfIndex;
use keryx_membership::NodeId;
use tracing::{info, warn};

use super::machines::Machines;

/// So many kernels are asked in a round; one answer is enough.
const ASKED_MAX: usize = 8;
/// So many rounds in a row have to stay without any answer. In each, every kernel is asked twice.
const SILENT_ROUNDS: u32 = 2;
/// From one round to the next once that is known.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What this node hears while gossip is silent.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    /// Gossip reaches nobody, and reached somebody before.
    isolated: bool,
    /// Questions whose answer is still to come.
    left: usize,
    /// Rounds in a row that stayed without an answer.
    silent_rounds: u32,
    /// When to ask next; `None` while answers are waited for, or nobody has to be asked.
    due: Option<Instant>,
    /// It hands over.
    deaf: bool,
    /// That was said since gossip fell silent.
    told: bool,
}

impl Hearing {
    /// When to ask next.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// True while this node hears nothing, and so hands over what it holds.
    pub(super) fn is_deaf(&self) -> bool {
        self.deaf
    }
}

impl Machines {
    /// Takes whether gossip hears anybody now.
    pub(super) fn note_isolation(&mut self, now: Instant) {
        let is_isolated = !self.members.joined() && !self.known_nodes().is_empty();
        if is_isolated == self.hearing.isolated {
            return;
        }
        self.note_heard(now);
        if self.hearing.told && !is_isolated {
            info!("other speakers are heard again");
        }
        self.hearing =
            Hearing { isolated: is_isolated, due: is_isolated.then_some(now), ..Hearing::default() };
    }

    /// Something came in: a datagram of a speaker, or a frame about an address of this node.
    pub(super) fn note_heard(&mut self, now: Instant) {
        if !self.hearing.isolated {
            return;
        }
        self.hearing.silent_rounds = 0;
        if std::mem::take(&mut self.hearing.deaf) {
            self.hearing.due = Some(now + ASK_AGAIN);
            self.say_deafness();
        }
    }

    /// Asks the kernels of the nodes that were members, if that is due.
    pub(super) fn ask_whom_it_hears(&mut self, now: Instant) {
        if self.hearing.due.is_none_or(|due| due > now) {
            return;
        }
        self.hearing.due = None;
        let nodes = self.known_nodes().into_iter().take(ASKED_MAX).collect();
        let interfaces: Vec<IfIndex> = self.placing.segments_by_interface().map(|(index, _)| index).collect();
        self.hearing.left = interfaces.into_iter().map(|index| self.ask_kernels_on(index, &nodes, now)).sum();
        if self.hearing.left == 0 {
            // An interface without carrier is an obstacle already.
            self.hearing.due = Some(now + ASK_AGAIN);
        }
    }

    /// Takes whether a kernel answered.
    pub(super) fn take_kernel_heard(&mut self, answered: bool, now: Instant) {
        self.hearing.left = self.hearing.left.saturating_sub(1);
        if answered {
            self.note_heard(now);
            self.hearing.due = Some(now + ASK_AGAIN);
        } else if self.hearing.left == 0 && self.hearing.due.is_none() && self.hearing.isolated {
            self.hearing.silent_rounds += 1;
            let is_deaf = self.hearing.silent_rounds >= SILENT_ROUNDS;
            self.hearing.due = Some(if is_deaf { now + ASK_AGAIN } else { now });
            if is_deaf && !std::mem::replace(&mut self.hearing.deaf, true) {
                self.say_deafness();
            }
        }
    }

    fn say_deafness(&mut self) {
        let deaf = self.hearing.deaf;
        self.metrics.is_deaf.set(i64::from(deaf));
        if deaf && !std::mem::replace(&mut self.hearing.told, true) {
            warn!(
                "no other speaker is heard and no node answers; handing over what is held here, should anybody hear that"
            );
        }
        self.tell_facts();
    }

    /// The other nodes whose interfaces are known.
    fn known_nodes(&self) -> std::collections::BTreeSet<NodeId> {
        self.seeds.iter().map(|seed| seed.node).filter(|node| self.members.facts(*node).is_some()).collect()
    }
}
