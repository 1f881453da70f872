//! What this node knows of every node, in a form whose copies are cheap to compare.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Instant;

use crate::NodeId;
use crate::facts::Facts;
use crate::holds::Holds;
use crate::random::mix;
use crate::wire::{BUCKETS, Record, Standing, SummaryEntry};

/// All nodes of the cluster, this one among them.
#[derive(Debug)]
pub(crate) struct Table {
    me: NodeId,
    entries: BTreeMap<NodeId, Entry>,
    /// The others that are alive.
    up: BTreeSet<NodeId>,
    /// XOR of the digests of the entries whose node id begins with the bucket's six bits.
    buckets: [u64; BUCKETS],
}

/// What is known of one node.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    /// Told to all: the digest covers these.
    pub(crate) record: Option<Record>,
    /// Not heard, while nobody else is heard either.
    pub(crate) lost: bool,
    pub(crate) facts_version: u32,
    /// Those of an earlier boot stay until this one tells its own; then the version is 0.
    pub(crate) facts: Option<Facts>,
    pub(crate) holds: Holds,
    /// Of this node alone.
    pub(crate) paths: Vec<Path>,
    /// When a datagram last came from the node itself.
    pub(crate) heard: Option<Instant>,
    /// By its last heartbeat it is synced, and its table is the same as this node's.
    pub(crate) agrees: bool,
    /// When it last came up.
    pub(crate) up_since: Option<Instant>,
    /// No comparison of tables with it before this.
    pub(crate) next_exchange: Option<Instant>,
    /// No challenge to it before this.
    pub(crate) next_challenge: Option<Instant>,
    /// The latest datagram of a boot that is not proven yet.
    pub(crate) held_back: Option<(SocketAddr, Vec<u8>)>,
}

/// An address of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    pub(crate) address: SocketAddr,
    /// When a datagram last came from there.
    pub(crate) heard: Option<Instant>,
    pub(crate) up: bool,
}

/// How a record compares with the one that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It counts more.
    New {
        /// The node's process is another one than before.
        rebooted: bool,
    },
    /// It is the same.
    Known,
    /// It counts less.
    Old,
}

impl Entry {
    pub(crate) fn is_up(&self) -> bool {
        !self.lost && self.record.is_some_and(|record| !record.down)
    }

    pub(crate) fn boot(&self) -> Option<u64> {
        self.record.map(|record| record.boot)
    }

    pub(crate) fn compare(&self, record: &Record) -> News {
        let Some(known) = self.record else { return News::New { rebooted: false } };
        match record.rank().cmp(&known.rank()) {
            std::cmp::Ordering::Greater => News::New { rebooted: known.boot != record.boot },
            std::cmp::Ordering::Equal => News::Known,
            std::cmp::Ordering::Less => News::Old,
        }
    }

    /// The address to use: the first that the node was heard from lately, else the first.
    pub(crate) fn best_address(&self) -> Option<SocketAddr> {
        let heard = self.paths.iter().find(|path| path.up);
        heard.or(self.paths.first()).map(|path| path.address)
    }

    /// The line of a summary; `None` for a node that never was heard of.
    pub(crate) fn summary(&self) -> Option<SummaryEntry> {
        let Record { node, epoch, boot, down } = self.record?;
        let standing = match (down, self.lost) {
            (true, _) => Standing::Down,
            (false, true) => Standing::Lost,
            (false, false) => Standing::Up,
        };
        let (holds_version, holds_digest) = (self.holds.version(), self.holds.digest());
        Some(SummaryEntry {
            node,
            epoch,
            boot,
            standing,
            facts_version: self.facts_version,
            holds_version,
            holds_digest,
        })
    }

    fn digest(&self) -> u64 {
        let Some(summary) = self.summary() else { return 0 };
        [
            summary.node.0,
            u64::from(summary.epoch) << 8 | summary.standing as u64,
            summary.boot,
            u64::from(summary.facts_version) << 32 | u64::from(summary.holds_version),
            summary.holds_digest,
        ]
        .into_iter()
        .fold(0, |digest, field| mix(digest.rotate_left(1) ^ mix(field.wrapping_add(1))))
    }
}

impl Table {
    /// Holds this node alone.
    pub(crate) fn new(me: NodeId, boot: u64) -> Self {
        let mut table = Self {
            me,
            entries: BTreeMap::from([(me, Entry::default())]),
            up: BTreeSet::new(),
            buckets: [0; BUCKETS],
        };
        let record = Record { node: me, epoch: 0, boot, down: false };
        table.update(me, |entry| entry.record = Some(record));
        table
    }

    pub(crate) fn get(&self, node: NodeId) -> Option<&Entry> {
        self.entries.get(&node)
    }

    /// This node's own record.
    pub(crate) fn own(&self) -> Record {
        let unborn = Record { node: self.me, epoch: 0, boot: 0, down: false };
        self.entries.get(&self.me).and_then(|entry| entry.record).unwrap_or(unborn)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (NodeId, &Entry)> {
        self.entries.iter().map(|(node, entry)| (*node, entry))
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The others that are alive.
    pub(crate) fn up(&self) -> &BTreeSet<NodeId> {
        &self.up
    }

    /// The only way to an entry's inside: keeps digests and the set of the living right.
    pub(crate) fn update<R>(&mut self, node: NodeId, change: impl FnOnce(&mut Entry) -> R) -> Option<R> {
        let entry = self.entries.get_mut(&node)?;
        let before = entry.digest();
        let result = change(entry);
        self.buckets[bucket(node)] ^= before ^ entry.digest();
        if node != self.me && entry.is_up() {
            self.up.insert(node);
        } else {
            self.up.remove(&node);
        }
        Some(result)
    }

    /// The cheap way, for what no digest covers.
    pub(crate) fn local(&mut self, node: NodeId) -> Option<Local<'_>> {
        let entry = self.entries.get_mut(&node)?;
        Some(Local {
            paths: &mut entry.paths,
            heard: &mut entry.heard,
            agrees: &mut entry.agrees,
            next_exchange: &mut entry.next_exchange,
            next_challenge: &mut entry.next_challenge,
            held_back: &mut entry.held_back,
        })
    }

    pub(crate) fn add(&mut self, node: NodeId) {
        self.entries.entry(node).or_default();
    }

    pub(crate) fn remove(&mut self, node: NodeId) -> Option<Entry> {
        let entry = self.entries.remove(&node)?;
        self.buckets[bucket(node)] ^= entry.digest();
        self.up.remove(&node);
        Some(entry)
    }

    pub(crate) fn buckets(&self) -> &[u64; BUCKETS] {
        &self.buckets
    }

    pub(crate) fn digest(&self) -> u64 {
        self.buckets.iter().fold(0, |digest, bucket| digest ^ bucket)
    }

    /// The neighbours of this node on the ring of the living, in the order of node ids; ids are hashes, so nodes of one
    /// rack are not neighbours more often than others.
    pub(crate) fn neighbours(&self) -> BTreeSet<NodeId> {
        let above = self.up.range(self.me..).next().or(self.up.first());
        let below = self.up.range(..self.me).next_back().or(self.up.last());
        above.into_iter().chain(below).copied().collect()
    }

    /// The summaries of all nodes in the buckets whose bit in `mask` is set.
    pub(crate) fn summaries(&self, mask: u64) -> Vec<SummaryEntry> {
        let asked = self.entries.iter().filter(|(node, _)| mask >> bucket(**node) & 1 == 1);
        asked.filter_map(|(_, entry)| entry.summary()).collect()
    }
}

/// The parts of an [`Entry`] that only this node uses.
pub(crate) struct Local<'a> {
    pub(crate) paths: &'a mut Vec<Path>,
    pub(crate) heard: &'a mut Option<Instant>,
    pub(crate) agrees: &'a mut bool,
    pub(crate) next_exchange: &'a mut Option<Instant>,
    pub(crate) next_challenge: &'a mut Option<Instant>,
    pub(crate) held_back: &'a mut Option<(SocketAddr, Vec<u8>)>,
}

/// The first six bits of a node id.
fn bucket(node: NodeId) -> usize {
    (node.0 >> 58) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(nodes: impl IntoIterator<Item = u64>) -> Table {
        let mut table = Table::new(NodeId(50), 1);
        for node in nodes.into_iter().map(NodeId) {
            table.add(node);
            let record = Record { node, epoch: 0, boot: 7, down: false };
            table.update(node, |entry| entry.record = Some(record));
        }
        table
    }

    #[test]
    fn the_ring_closes() {
        let neighbours = |nodes: &[u64]| -> Vec<u64> {
            table(nodes.iter().copied()).neighbours().into_iter().map(|node| node.0).collect()
        };
        assert_eq!(neighbours(&[]), [0; 0]);
        assert_eq!(neighbours(&[10]), [10]);
        assert_eq!(neighbours(&[10, 20]), [10, 20]);
        assert_eq!(neighbours(&[10, 20, 60, 70]), [20, 60]);
        assert_eq!(neighbours(&[60, 70, 80]), [60, 80]);
        assert_eq!(neighbours(&[10, 20, 30]), [10, 30]);
    }

    #[test]
    fn the_digest_depends_on_what_is_known_and_not_on_the_way_there() {
        let there = table([1, 2, 3]);
        let mut back = table([3, 1]);
        assert_ne!(there.digest(), back.digest());
        back.add(NodeId(2));
        back.update(NodeId(2), |entry| {
            entry.record = Some(Record { node: NodeId(2), epoch: 0, boot: 7, down: true });
        });
        assert_ne!(there.digest(), back.digest());
        back.update(NodeId(2), |entry| entry.record.as_mut().unwrap().down = false);
        assert_eq!(there.digest(), back.digest());
        back.update(NodeId(2), |entry| entry.lost = true);
        assert_ne!(there.digest(), back.digest());
        back.remove(NodeId(2));
        assert_eq!(back.digest(), table([1, 3]).digest());
    }
}
