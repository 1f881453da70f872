//! Two nodes whose digests differ compare their tables and fetch what they lack.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::table::News;
use super::{Event, Members};
use crate::holds::{GROUPS_MAX, Holds};
use crate::wire::{BUCKETS, FACTS_PULL_MAX, Message, Record, SUMMARY_MAX, Standing, SummaryEntry};
use crate::{GroupId, NodeId, Term};

/// From one comparison with a node to the next.
const EXCHANGE_INTERVAL: Duration = Duration::from_millis(100);
/// With many nodes, from one comparison with anyone to the next: when all start at once, each hears from all.
const EXCHANGE_INTERVAL_WITH_MANY: Duration = Duration::from_millis(20);
/// From one request for a chunk to its repetition.
const PULL_INTERVAL: Duration = Duration::from_millis(50);
/// Repetitions and restarts of one pull. The next difference of digests begins another.
const PULL_TRIES: u32 = 20;
/// Pulls at a time.
const PULLS_MAX: usize = 1_024;

/// The holds of a node are being fetched, chunk by chunk.
#[derive(Debug)]
pub(crate) struct Pull {
    /// From whom: the node itself, or another that knows.
    from: NodeId,
    boot: u64,
    /// Of the first chunk; if the rest is newer, all begins anew.
    version: Option<u32>,
    groups: BTreeMap<GroupId, Term>,
    /// When to ask again.
    pub(crate) due: Instant,
    tries: u32,
}

impl Pull {
    fn after(&self) -> Option<GroupId> {
        self.groups.keys().next_back().copied()
    }

    fn restart(&mut self) {
        self.version = None;
        self.groups.clear();
        self.tries += 1;
    }
}

/// A chunk that came.
pub(super) struct Chunk {
    pub(super) node: NodeId,
    pub(super) boot: u64,
    pub(super) version: u32,
    pub(super) after: Option<GroupId>,
    pub(super) last: bool,
    pub(super) holds: Vec<(GroupId, Term)>,
}

impl Members {
    /// A heartbeat of `node` came with the digest of its table.
    pub(super) fn compare_digest(&mut self, node: NodeId, digest: u64, node_synced: bool, now: Instant) {
        let same = digest == self.table.digest();
        if same && node_synced && !self.catching_up {
            self.end_sync();
        }
        let wait = self.are_many() && now < self.next_exchange;
        let Some(local) = self.table.local(node) else { return };
        *local.agrees = same && node_synced;
        if same || wait || local.next_exchange.is_some_and(|next| now < next) {
            return;
        }
        *local.next_exchange = Some(now + EXCHANGE_INTERVAL);
        self.next_exchange = now + EXCHANGE_INTERVAL_WITH_MANY;
        self.counters.exchanges += 1;
        if self.table.len() > SUMMARY_MAX {
            let digests = self.table.buckets().to_vec();
            self.send(node, &Message::Digests(digests));
        } else {
            self.send_summary(node, u64::MAX, true);
        }
    }

    /// The start is over.
    pub(super) fn end_sync(&mut self) {
        if self.sync_by.take().is_some() {
            self.events.push_back(Event::Synced);
        }
    }

    pub(super) fn handle_digests(&mut self, from: NodeId, digests: &[u64]) {
        let own = self.table.buckets().iter().zip(digests).enumerate();
        let mask =
            own.filter(|(_, (own, other))| own != other).fold(0, |mask, (bucket, _)| mask | 1 << bucket);
        if mask != 0 && digests.len() == BUCKETS {
            self.send_summary(from, mask, true);
        }
    }

    /// Only the last part asks for an answer, so that there is one.
    fn send_summary(&mut self, to: NodeId, mask: u64, reply: bool) {
        let entries = self.table.summaries(mask);
        let mut parts = entries.chunks(SUMMARY_MAX).peekable();
        if parts.peek().is_none() {
            self.send(to, &Message::Summary { mask, reply, entries: Vec::new() });
        }
        while let Some(part) = parts.next() {
            let reply = reply && parts.peek().is_none();
            self.send(to, &Message::Summary { mask, reply, entries: part.to_vec() });
        }
    }

    pub(super) fn handle_summary(
        &mut self,
        from: NodeId,
        mask: u64,
        reply: bool,
        entries: &[SummaryEntry],
        now: Instant,
    ) {
        let stale_facts: Vec<_> = entries.iter().filter_map(|entry| self.merge(from, entry, now)).collect();
        for nodes in stale_facts.chunks(FACTS_PULL_MAX) {
            self.send(from, &Message::FactsPull(nodes.to_vec()));
        }
        if reply {
            self.send_summary(from, mask, false);
        }
        self.ask_if_synced(from);
    }

    /// Takes over what is newer in a line of another's table; `Some` if the node's facts have to be fetched.
    fn merge(&mut self, from: NodeId, line: &SummaryEntry, now: Instant) -> Option<NodeId> {
        let node = line.node;
        if node == self.node {
            self.told_of_self(&line.record(), from, now);
            return None;
        }
        if self.doubts(&line.record(), from, now) {
            return None;
        }
        let news = self.apply(&line.record(), line.standing == Standing::Lost, now);
        if news == News::Known && line.standing == Standing::Up {
            self.revise(node, now, |entry| entry.lost = false);
        }
        let entry = self.table.get(node).filter(|entry| entry.boot() == Some(line.boot))?;
        let (version, digest) = (entry.holds.version(), entry.holds.digest());
        let stale_facts = line.facts_version > entry.facts_version;
        if line.holds_version > version || (line.holds_version == version && line.holds_digest != digest) {
            self.pull(node, line.boot, from, now);
        }
        stale_facts.then_some(node)
    }

    /// Takes over a record if it counts more than the known one. `lost`: who tells it does not hear the node.
    pub(super) fn apply(&mut self, record: &Record, lost: bool, now: Instant) -> News {
        let node = record.node;
        let Some(news) = self.table.get(node).map(|entry| entry.compare(record)) else { return News::Old };
        if let News::New { rebooted } = news {
            if rebooted {
                self.pulls.remove(&node);
                self.replace_holds(node, Holds::default());
            }
            self.revise(node, now, |entry| {
                if rebooted {
                    entry.facts_version = 0;
                }
                entry.record = Some(*record);
                entry.lost = lost;
            });
        }
        news
    }

    /// Begins to fetch what `node` holds, unless that is under way.
    pub(super) fn pull(&mut self, node: NodeId, boot: u64, from: NodeId, now: Instant) {
        if self.pulls.contains_key(&node) || self.pulls.len() >= PULLS_MAX {
            return;
        }
        self.counters.pulls += 1;
        let due = now + PULL_INTERVAL;
        self.pulls.insert(node, Pull { from, boot, version: None, groups: BTreeMap::new(), due, tries: 0 });
        self.send(from, &Message::HoldsPull { node, boot, after: None });
    }

    pub(super) fn repeat_pulls(&mut self, now: Instant) {
        self.pulls.retain(|_, pull| pull.tries < PULL_TRIES);
        let mut requests = Vec::new();
        for (node, pull) in self.pulls.iter_mut().filter(|(_, pull)| pull.due <= now) {
            pull.due = now + PULL_INTERVAL;
            pull.tries += 1;
            requests
                .push((pull.from, Message::HoldsPull { node: *node, boot: pull.boot, after: pull.after() }));
        }
        for (from, request) in requests {
            self.send(from, &request);
        }
    }

    pub(super) fn answer_pull(&mut self, to: NodeId, node: NodeId, boot: u64, after: Option<GroupId>) {
        let Some(entry) = self.table.get(node).filter(|entry| entry.boot() == Some(boot)) else { return };
        let (holds, last) = entry.holds.chunk(after);
        let version = entry.holds.version();
        self.send(to, &Message::HoldsChunk { node, boot, version, after, last, holds });
    }

    pub(super) fn handle_chunk(&mut self, from: NodeId, chunk: Chunk, now: Instant) {
        let node = chunk.node;
        let Some(pull) = self.pulls.get_mut(&node) else { return };
        if pull.from != from || pull.boot != chunk.boot || pull.after() != chunk.after {
            return;
        }
        pull.due = now + PULL_INTERVAL;
        if *pull.version.get_or_insert(chunk.version) != chunk.version {
            pull.restart();
        } else {
            let before = pull.groups.len();
            pull.groups.extend(chunk.holds.into_iter().filter(|(group, _)| Some(*group) > chunk.after));
            let grown = pull.groups.len() > before;
            if pull.groups.len() > GROUPS_MAX || !(grown || chunk.last) {
                self.pulls.remove(&node);
                return;
            }
            if chunk.last {
                let groups = std::mem::take(&mut pull.groups);
                self.pulls.remove(&node);
                self.complete(node, Holds::complete(groups, chunk.version));
                self.ask_if_synced(from);
                return;
            }
        }
        let request = Message::HoldsPull { node, boot: pull.boot, after: pull.after() };
        self.send(from, &request);
    }

    fn complete(&mut self, node: NodeId, holds: Holds) {
        let known = self.table.get(node).map(|entry| entry.holds.version());
        if known.is_some_and(|version| version <= holds.version()) {
            self.replace_holds(node, holds);
        }
    }

    /// A starting node that has fetched all does not wait for the next heartbeat to learn that it has.
    fn ask_if_synced(&mut self, node: NodeId) {
        if !self.synced() && self.pulls.is_empty() {
            let question = self.heartbeat(true);
            self.send(node, &question);
        }
    }
}
