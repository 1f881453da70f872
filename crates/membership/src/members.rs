//! The machine that finds out which nodes are alive and spreads what each tells of itself.
//!
//! **Who watches whom.** The living form a ring in the order of their ids, and neighbours send each other a heartbeat
//! every 100 ms: with three nodes everyone hears everyone, with a thousand the load of a node is the same. After 150 ms
//! of silence a node asks harder: it pings its neighbour on all addresses, and 30 ms later has others ping it too (SWIM
//! §3.1), again and again. After 350 ms without any answer, the neighbour is dead and all are told. So loss costs traffic where it is,
//! and not detection time everywhere.
//!
//! **Who may accuse.** Only a node that hears someone else meanwhile. One that hears nobody holds itself for the one
//! that is cut off: it counts all others as down and spreads nothing. A node that was kept from running first gives
//! all others time to be heard. A node that learns it is called dead begins a new epoch, which outranks that (SWIM
//! §4.2).
//!
//! **How news spreads.** To all at once while at most 16 are alive, else each node passes on what is new to it to eight
//! at random. Heartbeats carry a digest over all that the sender knows; if two differ, they compare tables and fetch
//! what they lack. So news needs one trip, and what was lost comes with the next heartbeats.
//!
//! **Why not plain SWIM.** SWIM probes one random member per period, so detection takes some periods, and a suspicion
//! is only lifted if news of it reaches the suspect and news of its answer comes back in time. The `foca` crate was
//! measured in the same network (0.3 to 0.7 ms, probes every 100 ms, 2 kB/s per node): with ten nodes a death is known
//! to all after up to 593 ms (suspicion of 300 ms; 627 ms with 150 ms), and 10 % loss brings 17 false deaths an hour;
//! with three nodes, where only one other can be asked, the first comes within minutes. This machine: 352 ms, and none
//! in 100,000 s.

mod config;
mod event;
mod exchange;
mod input;
mod spread;
mod table;
mod watch;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub use self::config::{Config, Seed, Timing};
pub use self::event::{Counters, Event, Transmit};
use self::exchange::Pull;
use self::table::{Entry, Path, Table};
use self::watch::{Inquiry, Watch};
use crate::facts::{Facts, FactsError};
use crate::holds::{Change, Holds, Word};
use crate::random::Random;
use crate::seal::{Keys, Seal};
use crate::wire::Message;
use crate::{GroupId, NodeId, Term};

/// Datagrams that wait for [`Members::poll_transmit`]. A driver that drains after each input comes nowhere near.
const OUTBOX_MAX: usize = 65_536;
/// Members that are asked at once for what was missed; one answer is enough.
const RESYNC_ASKED: usize = 8;

/// One node's view of the cluster. The head of `members.rs` says how it works.
///
/// Cardinality: an entry per node of the cluster, a map of what each holds, two watches, and timers that are computed
/// from these. A heartbeat costs the same whatever the size; a change costs as much as the change.
#[derive(Debug)]
pub struct Members {
    timing: Timing,
    node: NodeId,
    seal: Seal,
    random: Random,
    table: Table,
    watches: BTreeMap<NodeId, Watch>,
    inquiries: Vec<Inquiry>,
    /// Who was heard last, and who before of the others.
    last_heard: [Option<(NodeId, Instant)>; 2],
    pulls: BTreeMap<NodeId, Pull>,
    /// Nodes whose records are to be told to others.
    rumours: BTreeSet<NodeId>,
    rumours_due: Option<Instant>,
    last_rumours: Option<Instant>,
    /// Own changes that nobody was told yet, in order.
    changes: Vec<Change>,
    next_heartbeat: Instant,
    next_search: Instant,
    /// No comparison of tables with anyone before this, while many are alive.
    next_exchange: Instant,
    /// Ends the wait for the sync; `None` once it has ended.
    sync_by: Option<Instant>,
    /// What came in before [`Members::resync`] is being handed over.
    catching_up: bool,
    /// A stall before this was noticed.
    excused: Instant,
    outbox: VecDeque<Outgoing>,
    events: VecDeque<Event>,
    counters: Counters,
}

/// A message to send. Sealed when it is handed out, so that counters leave in order.
#[derive(Debug)]
struct Outgoing {
    node: NodeId,
    address: SocketAddr,
    content: Vec<u8>,
}

impl Members {
    /// Knows no other node yet. `seed` has to be 64 bits from the system's random source, new at every start: the boot
    /// id that keeps nonces apart is made from it.
    #[must_use]
    pub fn new(config: Config, node: NodeId, seed: u64, now: Instant) -> Self {
        let seal = Seal::new(&config.cluster, node, &config.keys, seed);
        let mut random = Random::new(seed);
        // Nodes that start together shall not go on in step.
        let first_ms = random.draw() % u64::from(config.timing.heartbeat_ms.max(1));
        Self {
            table: Table::new(node, seal.boot()),
            timing: config.timing,
            node,
            seal,
            random,
            watches: BTreeMap::new(),
            inquiries: Vec::new(),
            last_heard: [None; 2],
            pulls: BTreeMap::new(),
            rumours: BTreeSet::new(),
            rumours_due: None,
            last_rumours: None,
            changes: Vec::new(),
            next_heartbeat: now + Duration::from_millis(first_ms),
            next_search: now,
            next_exchange: now,
            sync_by: Some(now + ms(config.timing.sync_limit_ms)),
            catching_up: false,
            excused: now,
            outbox: VecDeque::new(),
            events: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Names all nodes of the cluster; whether this one is among them does not matter. No other is ever a member. One
    /// that is named no longer is forgotten, with all it held.
    pub fn set_seeds(&mut self, seeds: &[Seed], now: Instant) {
        let named: BTreeSet<_> = seeds.iter().map(|seed| seed.node).chain([self.node]).collect();
        let gone: Vec<_> =
            self.table.iter().map(|(node, _)| node).filter(|node| !named.contains(node)).collect();
        for node in gone {
            self.forget(node);
        }
        for seed in seeds {
            self.table.add(seed.node);
            let Some(local) = self.table.local(seed.node) else { continue };
            let known = std::mem::take(local.paths);
            *local.paths = seed.addresses.iter().map(|address| path_to(*address, &known)).collect();
        }
        self.next_search = now;
        self.reform_ring(now);
    }

    fn forget(&mut self, node: NodeId) {
        let Some(entry) = self.table.remove(node) else { return };
        self.seal.forget(node);
        self.pulls.remove(&node);
        self.rumours.remove(&node);
        self.events.extend(entry.is_up().then_some(Event::Down(node)));
        let groups = entry.holds.groups().keys();
        self.events.extend(groups.map(|group| Event::Released { node, group: *group, term: Term(0) }));
    }

    /// This node was kept from running: from now on it tells the others that it does not know what they know. Hand over then
    /// what came in meanwhile, and call [`resync`](Self::resync).
    pub fn begin_resync(&mut self, now: Instant) {
        self.sync_by = Some(now + ms(self.timing.sync_limit_ms));
        self.catching_up = true;
    }

    /// Learns anew what the others know, as at the start: [`Event::Synced`] comes again. For a node that was kept from
    /// running, since others may have taken over from it meanwhile. Hand over first what came in before this, or it
    /// passes for news.
    pub fn resync(&mut self, now: Instant) {
        self.catching_up = false;
        self.sync_by = Some(now + ms(self.timing.sync_limit_ms));
        let hello = self.heartbeat(true);
        for node in self.table.up().iter().copied().take(RESYNC_ASKED).collect::<Vec<_>>() {
            self.send_on_all_paths(node, &hello);
        }
    }

    /// Seals with other keys from now on.
    pub fn set_keys(&mut self, keys: &Keys) {
        self.seal.set_keys(keys);
    }

    /// Tells all members what this node is like now. The same as before is not told again.
    ///
    /// # Errors
    /// If they fit no datagram; then the old ones stay.
    pub fn set_facts(&mut self, facts: Facts) -> Result<(), FactsError> {
        facts.check()?;
        let told = self.table.update(self.node, |own| {
            if own.facts.as_ref() == Some(&facts) {
                return false;
            }
            own.facts = Some(facts);
            own.facts_version = own.facts_version.saturating_add(1);
            true
        });
        if told == Some(true) {
            self.push_facts(self.node);
        }
        Ok(())
    }

    /// Tells all members that this node holds a group, with the next [`poll_transmit`](Self::poll_transmit). Beyond
    /// 65,536 groups a hold is not told.
    pub fn hold(&mut self, group: GroupId, term: Term) {
        self.change((group, Word::Held(term)));
    }

    /// Tells all members that this node no longer holds a group, and the highest term that it knows of.
    pub fn release(&mut self, group: GroupId, term: Term) {
        self.change((group, Word::Released(term)));
    }

    fn change(&mut self, change: Change) {
        if self.table.update(self.node, |own| own.holds.change(change)) == Some(true) {
            self.changes.push(change);
        }
    }

    /// Does what is due: heartbeats, questions, accusations, repetitions. Read all datagrams that wait in the socket
    /// before calling this, so that no one is accused whose answer is already there.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.notice_stall(now);
        self.watch_over(now);
        if self.next_heartbeat <= now {
            self.beat(now);
        }
        if self.is_searching() && self.next_search <= now {
            self.search(now);
        }
        if self.rumours_due.is_some_and(|due| due <= now) {
            self.rumours_due = None;
            self.last_rumours = Some(now);
            self.push_rumours();
        }
        self.repeat_pulls(now);
        if self.sync_by.is_some_and(|limit| limit <= now) {
            self.end_sync();
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; heartbeats always are.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let watches = self.watches.values().map(|watch| watch.due(&self.timing));
        let pulls = self.pulls.values().map(|pull| pull.due);
        [Some(self.next_heartbeat), self.is_searching().then_some(self.next_search)]
            .into_iter()
            .chain([self.rumours_due, self.sync_by])
            .flatten()
            .chain(watches)
            .chain(pulls)
            .min()
    }

    /// The next datagram to send, until there is none. Ask after every other call.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        if self.outbox.is_empty() {
            self.push_changes();
        }
        let outgoing = self.outbox.pop_front()?;
        let datagram = self.seal.seal(outgoing.node, &outgoing.content);
        self.counters.sent += 1;
        self.counters.sent_octets += datagram.len() as u64;
        Some(Transmit { to: outgoing.address, datagram })
    }

    /// The next event, until there is none.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The other members that are alive, in the order of their ids.
    pub fn members(&self) -> impl Iterator<Item = NodeId> {
        self.table.up().iter().copied()
    }

    /// True if a node, other than this one, is alive.
    #[must_use]
    pub fn is_up(&self, node: NodeId) -> bool {
        self.table.up().contains(&node)
    }

    /// What a node last told of itself, be it before its speaker was restarted; this node counts too. `None` if it never
    /// did.
    #[must_use]
    pub fn facts(&self, node: NodeId) -> Option<&Facts> {
        self.table.get(node)?.facts.as_ref()
    }

    /// What a node last said that it holds; this node counts too. For a node that is down: what it held.
    pub fn holds(&self, node: NodeId) -> impl Iterator<Item = (GroupId, Term)> {
        let groups = self.table.get(node).map(|entry| entry.holds.groups());
        groups.into_iter().flatten().map(|(group, term)| (*group, *term))
    }

    /// True if the node, by its last heartbeat, is synced and knows just what this one knows. As long as that is not so, it
    /// may leave out what it holds, or have given up what it is known to hold.
    #[must_use]
    pub fn agrees(&self, node: NodeId) -> bool {
        self.table.get(node).is_some_and(|entry| entry.agrees)
    }

    /// At least one other node is alive.
    #[must_use]
    pub fn joined(&self) -> bool {
        !self.table.up().is_empty()
    }

    /// [`Event::Synced`] has come or is about to.
    #[must_use]
    pub fn synced(&self) -> bool {
        self.sync_by.is_none()
    }

    /// What has happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Changes what all know of a node, and tells the rest of the speaker if it came or went by that.
    fn revise<R>(&mut self, node: NodeId, now: Instant, change: impl FnOnce(&mut Entry) -> R) -> Option<R> {
        let was_up = self.is_up(node);
        let result = self.table.update(node, |entry| {
            let result = change(entry);
            if !was_up && entry.is_up() {
                entry.up_since = Some(now);
            }
            entry.agrees &= entry.is_up();
            result
        });
        let is_up = self.is_up(node);
        if was_up != is_up {
            self.events.push_back(if is_up { Event::Up(node) } else { Event::Down(node) });
            // While nobody was sought, nothing was due.
            self.next_search = self.next_search.max(now);
            self.reform_ring(now);
        }
        result
    }

    /// Takes over what a node holds, and tells what that changes.
    fn replace_holds(&mut self, node: NodeId, holds: Holds) {
        let old = self.table.update(node, |entry| std::mem::replace(&mut entry.holds, holds));
        let (Some(old), Some(entry)) = (old, self.table.get(node)) else { return };
        let changes = crate::holds::difference(old.groups(), entry.holds.groups());
        self.events.extend(changes.into_iter().map(|change| changed(node, change)));
    }

    fn send(&mut self, node: NodeId, message: &Message) {
        match self.table.get(node).and_then(Entry::best_address) {
            Some(address) => self.send_to(node, address, message),
            None => self.counters.dropped += 1,
        }
    }

    fn send_on_all_paths(&mut self, node: NodeId, message: &Message) {
        let addresses: Vec<_> = self
            .table
            .get(node)
            .into_iter()
            .flat_map(|entry| &entry.paths)
            .map(|path| path.address)
            .collect();
        for address in addresses {
            self.send_to(node, address, message);
        }
    }

    fn send_to(&mut self, node: NodeId, address: SocketAddr, message: &Message) {
        if self.outbox.len() < OUTBOX_MAX {
            self.outbox.push_back(Outgoing { node, address, content: message.encode() });
        } else {
            self.counters.dropped += 1;
        }
    }
}

fn changed(node: NodeId, (group, word): Change) -> Event {
    match word {
        Word::Held(term) => Event::Held { node, group, term },
        Word::Released(term) => Event::Released { node, group, term },
    }
}

/// The path to an address, as it is known already.
fn path_to(address: SocketAddr, known: &[Path]) -> Path {
    let known = known.iter().find(|path| path.address == address);
    known.copied().unwrap_or(Path { address, heard: None, up: false })
}

fn ms(milliseconds: u32) -> Duration {
    Duration::from_millis(milliseconds.into())
}

#[cfg(test)]
mod tests;
