//! What a datagram does.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::exchange::Chunk;
use super::table::News;
use super::{Event, Members, changed};
use crate::NodeId;
use crate::facts::Facts;
use crate::holds::{Change, Gap};
use crate::seal::{Opened, Rejected};
use crate::wire::{Message, Record};

/// From one challenge to a node to the next.
const CHALLENGE_INTERVAL: Duration = Duration::from_millis(10);

impl Members {
    /// Takes a datagram that came from the address `from`.
    ///
    /// # Errors
    /// If nothing of it counts. All is counted, so a driver has nothing to do about it.
    pub fn handle_input(&mut self, from: SocketAddr, datagram: &[u8], now: Instant) -> Result<(), Rejected> {
        self.notice_stall(now);
        let taken = self.take(from, datagram, now);
        match taken {
            Ok(()) => self.counters.accepted += 1,
            Err(rejected) => self.counters.rejected[rejected.index()] += 1,
        }
        taken
    }

    fn take(&mut self, from: SocketAddr, datagram: &[u8], now: Instant) -> Result<(), Rejected> {
        let opened = self.seal.open(datagram, |node| self.table.get(node).is_some())?;
        let message = Message::decode(&opened.content).map_err(|_| Rejected::Malformed)?;
        let node = opened.from;
        if let Message::Challenge { nonce } = message {
            self.answer(node, from, &Message::Echo { nonce });
        } else if let Message::Echo { nonce } = message {
            self.believe(&opened, nonce, from, now);
        } else if opened.proven {
            self.heard_from(node, from, now);
            self.handle(&opened, message, from, now);
        } else {
            self.challenge(node, from, datagram, now);
            return Err(Rejected::UnprovenBoot);
        }
        Ok(())
    }

    /// Asks a boot that is not proven for an echo, and keeps what it said.
    fn challenge(&mut self, node: NodeId, from: SocketAddr, datagram: &[u8], now: Instant) {
        let Some(local) = self.table.local(node) else { return };
        *local.held_back = Some((from, datagram.to_vec()));
        if local.next_challenge.is_none_or(|next| next <= now) {
            *local.next_challenge = Some(now + CHALLENGE_INTERVAL);
            let nonce = self.seal.challenge(node);
            self.answer(node, from, &Message::Challenge { nonce });
        }
    }

    /// A boot has echoed what only a living one can know: what it said before counts now.
    fn believe(&mut self, echo: &Opened, nonce: u64, from: SocketAddr, now: Instant) {
        if !self.seal.prove(echo, nonce) {
            return;
        }
        self.heard_from(echo.from, from, now);
        let held_back = self.table.local(echo.from).and_then(|local| local.held_back.take());
        if let Some((from, datagram)) = held_back {
            // If it is of another boot, it is held back again.
            let _counted_before = self.take(from, &datagram, now);
        }
    }

    fn handle(&mut self, opened: &Opened, message: Message, address: SocketAddr, now: Instant) {
        let from = opened.from;
        match message {
            Message::Heartbeat { epoch, digest, reply, synced } => {
                let record = Record { node: from, epoch, boot: opened.boot, down: false };
                self.handle_heartbeat(&record, now);
                if reply {
                    let heartbeat = self.heartbeat(false);
                    self.answer(from, address, &heartbeat);
                }
                self.compare_digest(from, digest, synced, now);
            }
            // Handled before the boot was asked for.
            Message::Challenge { .. } | Message::Echo { .. } => {}
            Message::Inquiry { target } => self.inquire(from, target, now),
            Message::Sighting { target, age_ms } => self.sighted(target, age_ms, now),
            Message::Records(records) => {
                records.iter().for_each(|record| self.handle_record(from, record, now))
            }
            Message::Digests(digests) => self.handle_digests(from, &digests),
            Message::Summary { mask, reply, entries } => {
                self.handle_summary(from, mask, reply, &entries, now)
            }
            Message::FactsPull(nodes) => {
                for facts in nodes.iter().filter_map(|node| self.facts_message(*node)).collect::<Vec<_>>() {
                    self.send(from, &facts);
                }
            }
            Message::Facts { node, boot, version, facts } => self.handle_facts(node, boot, version, facts),
            Message::HoldsPull { node, boot, after } => self.answer_pull(from, node, boot, after),
            Message::HoldsChunk { node, boot, version, after, last, holds } => {
                self.handle_chunk(from, Chunk { node, boot, version, after, last, holds }, now);
            }
            Message::HoldsDelta { node, boot, from: version, changes } => {
                self.handle_changes(from, node, (boot, version), changes, now);
            }
        }
    }

    /// Answers where the question came from, if that is an address of the node; never to a stranger's address.
    fn answer(&mut self, node: NodeId, from: SocketAddr, message: &Message) {
        let paths = self.table.get(node).into_iter().flat_map(|entry| &entry.paths);
        match paths.map(|path| path.address).find(|address| address.ip() == from.ip()) {
            Some(address) => self.send_to(node, address, message),
            None => self.send(node, message),
        }
    }

    fn handle_heartbeat(&mut self, record: &Record, now: Instant) {
        let node = record.node;
        match self.apply(record, false, now) {
            News::New { .. } => self.rumour(node, now),
            News::Known => {}
            News::Old => {
                let known = self.table.get(node).and_then(|entry| entry.record);
                self.send(node, &Message::Records(known.into_iter().collect()));
            }
        }
    }

    fn handle_record(&mut self, from: NodeId, record: &Record, now: Instant) {
        if record.node == self.node {
            self.told_of_self(record, from, now);
        } else if !self.doubts(record, from, now)
            && matches!(self.apply(record, false, now), News::New { .. })
            && self.are_many()
        {
            self.rumour(record.node, now);
        }
    }

    fn handle_facts(&mut self, node: NodeId, boot: u64, version: u32, facts: Facts) {
        if node == self.node {
            return;
        }
        let newer = self.table.update(node, |entry| {
            let newer = entry.boot() == Some(boot) && version > entry.facts_version;
            if newer {
                entry.facts_version = version;
                entry.facts = Some(facts);
            }
            newer
        });
        if newer == Some(true) {
            self.events.push_back(Event::Facts(node));
            if self.are_many() {
                self.push_facts(node);
            }
        }
    }

    fn handle_changes(
        &mut self,
        from: NodeId,
        node: NodeId,
        (boot, version): (u64, u32),
        changes: Vec<Change>,
        now: Instant,
    ) {
        if node == self.node || self.table.get(node).and_then(|entry| entry.boot()) != Some(boot) {
            return;
        }
        match self.table.update(node, |entry| entry.holds.follow(version, &changes)) {
            Some(Ok(true)) => {
                self.events.extend(changes.iter().map(|change| changed(node, *change)));
                if self.are_many() {
                    self.push(&Message::HoldsDelta { node, boot, from: version, changes });
                }
            }
            Some(Err(Gap)) => self.pull(node, boot, from, now),
            Some(Ok(false)) | None => {}
        }
    }
}
