//! Telling what is new: to all while they are few, else to some who tell others.

use std::time::{Duration, Instant};

use super::Members;
use crate::NodeId;
use crate::wire::{CHANGES_MAX, Message, RECORDS_MAX};

/// While at most so many others are alive, the origin tells all of them and nobody passes on.
pub(super) const FEW: usize = 16;
/// Else, so many at random are told by each that hears something new. With eight, a rumour misses one node in 3000
/// (e^-8), and heartbeats' digests find those.
const FAN_OUT: usize = 8;
/// Records that become known within this are passed on together.
const RUMOUR_INTERVAL: Duration = Duration::from_millis(5);

impl Members {
    /// More are alive than one node tells by itself.
    pub(super) fn are_many(&self) -> bool {
        self.table.up().len() > FEW
    }

    /// The record of `node` is to be told to others: at once, or with those that follow shortly after the last.
    pub(super) fn rumour(&mut self, node: NodeId, now: Instant) {
        self.rumours.insert(node);
        let due = self.last_rumours.map_or(now, |last| now.max(last + RUMOUR_INTERVAL));
        self.rumours_due.get_or_insert(due);
    }

    pub(super) fn push_rumours(&mut self) {
        let rumours = std::mem::take(&mut self.rumours);
        let records: Vec<_> = rumours
            .iter()
            .filter_map(|node| self.table.get(*node))
            .filter_map(|entry| entry.record)
            .collect();
        for records in records.chunks(RECORDS_MAX) {
            self.push(&Message::Records(records.to_vec()));
        }
    }

    /// The facts of this node, or of another whose facts were new to this one.
    pub(super) fn push_facts(&mut self, node: NodeId) {
        if let Some(facts) = self.facts_message(node) {
            self.push(&facts);
        }
    }

    pub(super) fn facts_message(&self, node: NodeId) -> Option<Message> {
        let entry = self.table.get(node).filter(|entry| entry.facts_version > 0)?;
        let (boot, version) = (entry.boot()?, entry.facts_version);
        Some(Message::Facts { node, boot, version, facts: entry.facts.clone()? })
    }

    /// What this node has begun or ceased to hold since last time.
    pub(super) fn push_changes(&mut self) {
        let changes = std::mem::take(&mut self.changes);
        let Some(own) = self.table.get(self.node) else { return };
        let boot = self.seal.boot();
        // Every change was one version.
        let mut from = own.holds.version().saturating_sub(u32::try_from(changes.len()).unwrap_or(u32::MAX));
        for changes in changes.chunks(CHANGES_MAX) {
            self.push(&Message::HoldsDelta { node: self.node, boot, from, changes: changes.to_vec() });
            from = from.saturating_add(changes.len() as u32);
        }
    }

    /// On all paths: news is rare, and a path that was cut just now still passes for the best. Who hears nobody tells those
    /// that it heard last: they may hear it all the same.
    pub(super) fn push(&mut self, message: &Message) {
        let mut to: Vec<_> = self.members().collect();
        if to.is_empty() {
            let lost = self.table.iter().filter(|(_, entry)| entry.lost);
            to = lost.map(|(node, _)| node).collect();
        }
        if to.len() > FEW {
            to = self.random.choose(to, FAN_OUT);
        }
        for node in to {
            self.send_on_all_paths(node, message);
        }
    }
}
