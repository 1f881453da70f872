//! All sessions of a node.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::num::NonZeroU32;
use std::time::Instant;

use crate::config::{Config, ConfigError};
use crate::discard::Discards;
use crate::event::Event;
use crate::packet::{Discriminator, PACKET_LEN};
use crate::peer::Peer;
use crate::random::Random;
use crate::session::Session;
use entry::Entry;
pub use status::Status;

mod entry;
mod input;
mod status;
#[cfg(test)]
mod tests;

/// Who shares a session; the numbers are the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

/// A control packet to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The session; each needs a UDP source port of its own, 49152 to 65535, that never changes (RFC 5881 §4).
    pub session: Discriminator,
    /// Where to: the address, and the port by its [`Hops`](crate::Hops). The TTL is [`TTL`](crate::TTL).
    pub peer: Peer,
    /// The UDP payload.
    pub payload: [u8; PACKET_LEN],
}

/// The BFD sessions of a node, one per peer, shared by whoever asks for it.
///
/// Cardinality: one deadline per session, in one ordered set. A packet finds its session by one look-up in a hash table,
/// and a session's timer costs O(log n); neither looks at any other session. Nothing grows with what comes in. Every
/// packet is built when it is handed out, so none is sent for a session that is gone.
#[derive(Debug)]
pub struct Sessions {
    // Only looked up, never walked through, so its order does not matter. Its keys are drawn here, not given by others.
    entries: HashMap<Discriminator, Entry, BuildHasherDefault<DefaultHasher>>,
    by_peer: BTreeMap<Peer, Discriminator>,
    deadlines: BTreeSet<(Instant, Discriminator)>,
    /// Sessions that owe packets, each once.
    ready: VecDeque<Discriminator>,
    /// Sessions with something to tell, each once.
    news: VecDeque<Discriminator>,
    discards: Discards,
    random: Random,
}

impl Sessions {
    /// No session yet. Discriminators and jitter follow from `seed`, which should be 64 bits from the system's random
    /// source: a peer that remembers an earlier start must not find its old discriminator in use.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            entries: HashMap::default(),
            by_peer: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            ready: VecDeque::new(),
            news: VecDeque::new(),
            discards: Discards::default(),
            random: Random::new(seed),
        }
    }

    /// Has a session with `peer` for `client`, as `config` says; called again, changes what the client asks for. Clients of
    /// one peer share one session, whose parameters are merged from all their wishes: the shortest intervals, the
    /// multiplier that gives the shortest detection time that anybody asked for, passive only if all are, and the highest
    /// minimum TTL. A session that is on its way out comes back. Who joins one that is Up already gets no event: see
    /// [`status`](Self::status).
    ///
    /// # Errors
    /// An interval is out of its limits. Then nothing changes.
    pub fn acquire(
        &mut self,
        peer: Peer,
        client: ClientId,
        config: Config,
        now: Instant,
    ) -> Result<Discriminator, ConfigError> {
        config.check()?;
        let session = match self.by_peer.get(&peer) {
            Some(known) => *known,
            None => self.create(peer, &config, now),
        };
        if let Some(entry) = self.entries.get_mut(&session) {
            entry.set_client(client, config, now);
        }
        self.settle(session);
        Ok(session)
    }

    /// Ends a client's share. After the last one the peer is told AdminDown for a detection time, so that it does not take
    /// the end for a failure; then the session is gone. So a node that stops releases all it has and goes on until
    /// [`is_empty`](Self::is_empty). Nothing if the client has no share.
    pub fn release(&mut self, session: Discriminator, client: ClientId, now: Instant) {
        if let Some(entry) = self.entries.get_mut(&session) {
            entry.remove_client(client, now);
        }
        self.settle(session);
    }

    /// Switches a session off (AdminDown) or on again, for all its clients, those to come included, until it is gone
    /// (RFC 5880 §6.8.16). Nothing if there is no such session.
    pub fn set_enabled(&mut self, session: Discriminator, is_enabled: bool, now: Instant) {
        if let Some(entry) = self.entries.get_mut(&session) {
            entry.set_enabled(is_enabled, now);
        }
        self.settle(session);
    }

    /// Does what is due. Calling it too early or twice does nothing. Before it, every datagram that has arrived must have
    /// been handed to [`handle_input`](Self::handle_input): else a peer is taken for silent whose packets only lie unread.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(due, session)) = self.deadlines.first()
            && due <= now
        {
            if let Some(entry) = self.entries.get_mut(&session) {
                entry.handle_timeout(now);
            }
            self.settle(session);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; `None` while nothing is.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|&(due, _)| due)
    }

    /// The next packet to send, until there is none. To be sent at once: intervals count from when it fell due.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        while let Some(&session) = self.ready.front() {
            if let Some(entry) = self.entries.get_mut(&session) {
                if let Some(packet) = entry.poll_transmit() {
                    return Some(Transmit { session, peer: entry.peer(), payload: packet.encode() });
                }
                entry.is_ready = false;
            }
            self.ready.pop_front();
        }
        None
    }

    /// The next thing to tell clients, until there is none. If a session goes down and comes up again between two calls,
    /// both is told; if it comes up and goes down, nothing is, since that would be what is known already.
    pub fn poll_event(&mut self) -> Option<Event> {
        while let Some(&session) = self.news.front() {
            if let Some(entry) = self.entries.get_mut(&session) {
                if let Some(event) = entry.poll_event(session) {
                    return Some(event);
                }
                entry.has_news = false;
            }
            self.news.pop_front();
        }
        None
    }

    /// The session with a peer, if there is one; also one that is on its way out.
    #[must_use]
    pub fn session(&self, peer: &Peer) -> Option<Discriminator> {
        self.by_peer.get(peer).copied()
    }

    /// All sessions, in the order of their peers; also those that are on their way out.
    pub fn iter(&self) -> impl Iterator<Item = (Peer, Discriminator)> {
        self.by_peer.iter().map(|(peer, session)| (*peer, *session))
    }

    /// True if there is no session, nor one on its way out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_peer.is_empty()
    }

    /// The clients that share a session.
    pub fn clients(&self, session: Discriminator) -> impl Iterator<Item = ClientId> {
        self.entries.get(&session).into_iter().flat_map(Entry::clients)
    }

    /// How a session is; `None` if there is no such session.
    #[must_use]
    pub fn status(&self, session: Discriminator) -> Option<Status> {
        self.entries.get(&session).map(Entry::status)
    }

    /// Datagrams that were discarded since the start.
    #[must_use]
    pub fn discards(&self) -> Discards {
        self.discards
    }

    fn create(&mut self, peer: Peer, config: &Config, now: Instant) -> Discriminator {
        let discriminator = loop {
            let drawn = NonZeroU32::new(self.random.draw_u32()).map(Discriminator);
            if let Some(free) = drawn.filter(|drawn| !self.entries.contains_key(drawn)) {
                break free;
            }
        };
        let session = Session::new(discriminator, config, self.random.draw(), now);
        self.entries.insert(discriminator, Entry::new(peer, session));
        self.by_peer.insert(peer, discriminator);
        discriminator
    }

    /// Brings what is kept beside a session to what the session says now. To be called after everything that touches one.
    fn settle(&mut self, session: Discriminator) {
        let Some(entry) = self.entries.get_mut(&session) else { return };
        let due = if entry.is_gone() { None } else { entry.next_due() };
        if due != entry.due {
            if let Some(before) = entry.due {
                self.deadlines.remove(&(before, session));
            }
            self.deadlines.extend(due.map(|due| (due, session)));
            entry.due = due;
        }
        if entry.is_gone() {
            self.by_peer.remove(&entry.peer());
            self.entries.remove(&session);
            return;
        }
        if entry.has_transmit() && !entry.is_ready {
            entry.is_ready = true;
            self.ready.push_back(session);
        }
        if entry.has_event() && !entry.has_news {
            entry.has_news = true;
            self.news.push_back(session);
        }
    }
}
