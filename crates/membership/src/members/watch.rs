//! Heartbeats, silence, and what follows from it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use super::{Event, Members, Timing, ms};
use crate::NodeId;
use crate::wire::{Message, Record};

/// Others that are asked about a silent neighbour at a time (SWIM §3.1).
const HELPERS: usize = 3;
/// After so many heartbeats without a datagram from an address, it is not reachable. About as long as a node is given: a
/// segment that is lost is as grave for the addresses on it.
const PATH_DOWN_AFTER: u32 = 3;
/// Questions of others that are open. Each lasts no longer than a suspicion.
const INQUIRIES_MAX: usize = 64;
/// Nodes that are sought at a time while nobody is found, and how often.
const SEARCH_ALONE: (usize, u32) = (16, 100);
/// The same while others are alive.
const SEARCH_JOINED: (usize, u32) = (2, 250);

/// A neighbour on the ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    /// When it last gave a sign of life, here or at another that told; at first, when it became a neighbour.
    seen: Instant,
    /// No question before this.
    next_probe: Instant,
}

/// A question of another that this node put to `target` on its behalf.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inquiry {
    from: NodeId,
    target: NodeId,
    until: Instant,
}

impl Watch {
    fn new(now: Instant) -> Self {
        Self { seen: now, next_probe: now }
    }

    /// When something has to be done about its silence, if that goes on.
    pub(crate) fn due(&self, timing: &Timing) -> Instant {
        let probe = self.next_probe.max(self.seen + ms(timing.suspect_ms));
        probe.min(self.seen + ms(timing.down_ms))
    }
}

impl Members {
    /// If this is called much later than asked for, the silence of others proves nothing: they are given time again.
    pub(super) fn notice_stall(&mut self, now: Instant) {
        let Some(due) = self.poll_timeout() else { return };
        let late = now.saturating_duration_since(due.max(self.excused));
        if late < ms(self.timing.stall_ms) {
            return;
        }
        self.excused = now;
        self.counters.stalls += 1;
        self.events.push_back(Event::Stalled(late));
        self.watches.values_mut().for_each(|watch| *watch = Watch::new(now));
    }

    pub(super) fn heartbeat(&self, reply: bool) -> Message {
        let (epoch, digest) = (self.table.own().epoch, self.table.digest());
        Message::Heartbeat { epoch, digest, reply, synced: self.synced() }
    }

    pub(super) fn beat(&mut self, now: Instant) {
        let interval = ms(self.timing.heartbeat_ms);
        let next = self.next_heartbeat + interval;
        // A node that was stopped does not make up for the heartbeats it missed.
        self.next_heartbeat = if next > now { next } else { now + interval };
        let heartbeat = self.heartbeat(false);
        let neighbours: Vec<_> = self.watches.keys().copied().collect();
        for node in neighbours {
            self.send_on_all_paths(node, &heartbeat);
            self.check_paths(node, now);
        }
    }

    /// A path is down if the node was heard on another one since. If it is silent on all, it is the node that is missed.
    fn check_paths(&mut self, node: NodeId, now: Instant) {
        let interval = ms(self.timing.heartbeat_ms);
        let Some(local) = self.table.local(node) else { return };
        let Some(latest) = local.paths.iter().filter_map(|path| path.heard).max() else { return };
        for path in local.paths.iter_mut().filter(|path| path.up) {
            let Some(heard) = path.heard else { continue };
            // Heartbeats leave on all paths at once, and arrive nearly so.
            let heard_since = latest.saturating_duration_since(heard) >= interval + interval / 2;
            if heard_since && now.saturating_duration_since(heard) > interval * PATH_DOWN_AFTER {
                path.up = false;
                self.events.push_back(Event::PathDown { node, address: path.address });
            }
        }
    }

    /// Some node is not alive, as far as this one knows.
    pub(super) fn is_searching(&self) -> bool {
        self.table.len() > self.table.up().len() + 1
    }

    /// Calls nodes that are not alive: those that just started, and the other side of a partition.
    pub(super) fn search(&mut self, now: Instant) {
        let (count, interval_ms) = if self.joined() { SEARCH_JOINED } else { SEARCH_ALONE };
        self.next_search = now + ms(interval_ms);
        let absent = self.table.iter().filter(|(node, entry)| *node != self.node && !entry.is_up());
        let absent = absent.map(|(node, _)| node).collect();
        let call = self.heartbeat(true);
        // One that does not hear this node's questions cannot ask for what it says of itself.
        let facts = if self.joined() { None } else { self.facts_message(self.node) };
        for node in self.random.choose(absent, count) {
            self.send_on_all_paths(node, &call);
            if let Some(facts) = &facts {
                self.send_on_all_paths(node, facts);
            }
        }
    }

    /// Asks for neighbours that are silent, and accuses those that stay so.
    pub(super) fn watch_over(&mut self, now: Instant) {
        let due: Vec<_> = self
            .watches
            .iter()
            .filter(|(_, watch)| watch.due(&self.timing) <= now)
            .map(|(node, _)| *node)
            .collect();
        for node in due {
            // Accusing one may have ended the watch over the other.
            let Some(watch) = self.watches.get_mut(&node) else { continue };
            if watch.seen + ms(self.timing.down_ms) <= now {
                let seen = watch.seen;
                self.condemn(node, seen, now);
                continue;
            }
            // Questions of an earlier suspicion were put before the answer that ended it.
            let first = watch.next_probe <= watch.seen + ms(self.timing.suspect_ms);
            watch.next_probe = now + ms(self.timing.probe_ms);
            self.counters.suspicions += u64::from(first);
            self.probe(node, first);
        }
    }

    /// Mostly only a heartbeat was lost, so the first question is put to the neighbour alone.
    fn probe(&mut self, target: NodeId, first: bool) {
        let question = self.heartbeat(true);
        self.send_on_all_paths(target, &question);
        if first {
            return;
        }
        let others = self.table.up().iter().copied().filter(|node| *node != target).collect();
        for helper in self.random.choose(others, HELPERS) {
            self.send(helper, &Message::Inquiry { target });
        }
    }

    /// A neighbour has not been seen since `seen`. If others were heard while it was asked for, it is dead; if not,
    /// this node is the one that is cut off.
    fn condemn(&mut self, node: NodeId, seen: Instant, now: Instant) {
        let suspected = seen + ms(self.timing.suspect_ms);
        let hears = |heard: &(NodeId, Instant)| heard.0 != node && heard.1 >= suspected;
        if !self.last_heard.iter().flatten().any(hears) {
            self.counters.isolations += 1;
            let all: Vec<_> = self.members().collect();
            for node in all {
                self.revise(node, now, |entry| entry.lost = true);
            }
            return;
        }
        self.counters.accusations += 1;
        let record = self.revise(node, now, |entry| {
            entry.record.iter_mut().for_each(|record| record.down = true);
            entry.record
        });
        self.rumour(node, now);
        // If it lives, it shall know at once.
        if let Some(Some(record)) = record {
            self.send_on_all_paths(node, &Message::Records(vec![record]));
        }
    }

    /// A datagram came from the node itself.
    pub(super) fn heard_from(&mut self, node: NodeId, from: SocketAddr, now: Instant) {
        if self.last_heard[0].is_none_or(|(last, _)| last != node) {
            self.last_heard[1] = self.last_heard[0];
        }
        self.last_heard[0] = Some((node, now));
        let Some(local) = self.table.local(node) else { return };
        *local.heard = Some(now);
        let several = local.paths.len() > 1;
        if let Some(path) = local.paths.iter_mut().find(|path| path.address.ip() == from.ip()) {
            path.heard = Some(now);
            let came_up = !std::mem::replace(&mut path.up, true) && several;
            let address = path.address;
            self.events.extend(came_up.then_some(Event::PathUp { node, address }));
        }
        self.seen_alive(node, now, now);
        let (asked, open): (Vec<_>, Vec<_>) = self
            .inquiries
            .drain(..)
            .filter(|inquiry| inquiry.until > now)
            .partition(|inquiry| inquiry.target == node);
        self.inquiries = open;
        for inquiry in asked {
            self.send(inquiry.from, &Message::Sighting { target: node, age_ms: 0 });
        }
    }

    /// The node gave a sign of life at `seen`.
    pub(super) fn seen_alive(&mut self, node: NodeId, seen: Instant, now: Instant) {
        if let Some(watch) = self.watches.get_mut(&node)
            && watch.seen < seen
        {
            watch.seen = seen;
        }
        if self.table.get(node).is_some_and(|entry| entry.lost) {
            self.revise(node, now, |entry| entry.lost = false);
        }
    }

    /// Another node does not hear `target`. It is told at once what this one knows, which also shows that it hears at
    /// all; and again should `target` answer.
    pub(super) fn inquire(&mut self, from: NodeId, target: NodeId, now: Instant) {
        let Some(entry) = self.table.get(target).filter(|_| target != self.node) else { return };
        let age = entry.heard.map(|heard| now.saturating_duration_since(heard).as_millis());
        let age_ms = age.and_then(|age| u16::try_from(age).ok()).unwrap_or(u16::MAX);
        self.send(from, &Message::Sighting { target, age_ms });
        let question = self.heartbeat(true);
        self.send_on_all_paths(target, &question);
        if self.inquiries.len() < INQUIRIES_MAX {
            let until = now + ms(self.timing.down_ms);
            self.inquiries.push(Inquiry { from, target, until });
        }
    }

    /// Another node heard `target` so long ago.
    pub(super) fn sighted(&mut self, target: NodeId, age_ms: u16, now: Instant) {
        let Some(seen) = now.checked_sub(ms(age_ms.into())) else { return };
        if u32::from(age_ms) < self.timing.down_ms {
            self.seen_alive(target, seen, now);
        }
    }

    /// Watches over the neighbours of now. A new one gets full time.
    pub(super) fn reform_ring(&mut self, now: Instant) {
        let neighbours = self.table.neighbours();
        let fresh: Vec<NodeId> =
            neighbours.iter().filter(|node| !self.watches.contains_key(node)).copied().collect();
        let mut old = std::mem::take(&mut self.watches);
        let keep = |node| (node, old.remove(&node).unwrap_or_else(|| Watch::new(now)));
        let watches: BTreeMap<_, _> = neighbours.into_iter().map(keep).collect();
        for node in fresh {
            // It was not asked to speak on all its paths before.
            let Some(local) = self.table.local(node) else { continue };
            local.paths.iter_mut().filter(|path| path.up).for_each(|path| path.heard = Some(now));
        }
        self.watches = watches;
    }

    /// Another says that a node is dead which this one holds alive. That is not believed if the node was heard just
    /// now, nor from somebody who is not up, or came up so lately that it cannot have watched the node since: two halves
    /// that find each other again tell of each other's dead. Instead the node is told, so that it can contradict; if it does
    /// not, digests differ until it is believed.
    pub(super) fn doubts(&mut self, record: &Record, from: NodeId, now: Instant) -> bool {
        let node = record.node;
        if !record.down || node == from || !self.is_up(node) || !self.synced() {
            return false;
        }
        let lately = |since: Option<Instant>, within_ms| {
            since.is_some_and(|since| now.saturating_duration_since(since) < ms(within_ms))
        };
        let heard = self.table.get(node).and_then(|entry| entry.heard);
        let came = self.table.get(from).and_then(|entry| entry.up_since);
        let stranger = !self.is_up(from) || lately(came, self.timing.down_ms);
        let doubts = stranger || lately(heard, self.timing.suspect_ms);
        if doubts {
            self.send(node, &Message::Records(vec![*record]));
        }
        doubts
    }

    /// Another says that this node is dead, or tells of an earlier boot of it: a new epoch outranks that.
    pub(super) fn told_of_self(&mut self, record: &Record, from: NodeId, now: Instant) {
        let own = self.table.own();
        let same = record.boot == own.boot && !record.down;
        if record.epoch < own.epoch || (record.epoch == own.epoch && same) {
            return;
        }
        self.counters.refutations += 1;
        self.table.update(self.node, |entry| {
            entry.record.iter_mut().for_each(|own| own.epoch = record.epoch.saturating_add(1));
        });
        self.rumour(self.node, now);
        let heartbeat = self.heartbeat(false);
        self.send(from, &heartbeat);
    }
}
