//! A session with those who share it.

use std::collections::BTreeMap;
use std::time::Instant;

use super::{ClientId, Status};
use crate::config::Config;
use crate::event::{DownCause, Event};
use crate::packet::{Discriminator, Packet, State};
use crate::peer::Peer;
use crate::session::{Change, Session};

#[derive(Debug)]
pub(super) struct Entry {
    peer: Peer,
    session: Session,
    clients: BTreeMap<ClientId, Config>,
    /// What a user has set.
    is_enabled: bool,
    minimum_ttl: u8,
    /// What clients have been told.
    is_told_up: bool,
    /// Why it went down, as long as clients have been told that it is up.
    untold: Option<DownCause>,
    counts: Counts,
    /// Its key in the deadlines.
    pub(super) due: Option<Instant>,
    /// True while it waits to send.
    pub(super) is_ready: bool,
    /// True while it waits to tell.
    pub(super) has_news: bool,
}

/// What a session has done so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) ups: u64,
    pub(super) downs: u64,
}

impl Entry {
    /// Without clients yet; they come before anything else happens.
    pub(super) fn new(peer: Peer, session: Session) -> Self {
        Self {
            peer,
            session,
            clients: BTreeMap::new(),
            is_enabled: true,
            minimum_ttl: u8::MAX,
            is_told_up: false,
            untold: None,
            counts: Counts::default(),
            due: None,
            is_ready: false,
            has_news: false,
        }
    }

    pub(super) fn set_client(&mut self, client: ClientId, config: Config, now: Instant) {
        self.clients.insert(client, config);
        self.merge();
        if self.is_enabled {
            self.session.enable(now);
        }
    }

    pub(super) fn remove_client(&mut self, client: ClientId, now: Instant) {
        if self.clients.remove(&client).is_none() {
            return;
        }
        if self.clients.is_empty() {
            let change = self.session.disable(now);
            self.note(change);
            // Nobody is left to be told, and whoever comes next begins with a session that is not Up.
            self.is_told_up = false;
            self.untold = None;
        } else {
            self.merge();
        }
    }

    pub(super) fn set_enabled(&mut self, is_enabled: bool, now: Instant) {
        self.is_enabled = is_enabled;
        if !is_enabled {
            let change = self.session.disable(now);
            self.note(change);
        } else if !self.clients.is_empty() {
            self.session.enable(now);
        }
    }

    pub(super) fn handle_packet(&mut self, packet: &Packet, now: Instant) {
        self.counts.received += 1;
        let change = self.session.handle_packet(packet, now);
        self.note(change);
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        let change = self.session.handle_timeout(now);
        self.note(change);
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Packet> {
        let packet = self.session.poll_transmit()?;
        self.counts.sent += 1;
        Some(packet)
    }

    pub(super) fn poll_event(&mut self, session: Discriminator) -> Option<Event> {
        let peer = self.peer;
        if let Some(cause) = self.untold.take() {
            self.is_told_up = false;
            return Some(Event::Down { session, peer, cause });
        }
        if self.has_event() {
            self.is_told_up = true;
            return Some(Event::Up { session, peer });
        }
        None
    }

    pub(super) fn has_event(&self) -> bool {
        self.untold.is_some() || (self.session.state() == State::Up && !self.is_told_up)
    }

    pub(super) fn has_transmit(&self) -> bool {
        self.session.has_transmit()
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.session.poll_timeout()
    }

    /// True if nobody wants the session and its end need not be told any more.
    pub(super) fn is_gone(&self) -> bool {
        self.clients.is_empty() && self.session.is_over()
    }

    pub(super) fn peer(&self) -> Peer {
        self.peer
    }

    pub(super) fn minimum_ttl(&self) -> u8 {
        self.minimum_ttl
    }

    pub(super) fn clients(&self) -> impl Iterator<Item = ClientId> {
        self.clients.keys().copied()
    }

    pub(super) fn status(&self) -> Status {
        Status::new(&self.session, self.counts)
    }

    fn merge(&mut self) {
        if let Some(merged) = Config::merged(self.clients.values()) {
            self.minimum_ttl = merged.minimum_ttl;
            self.session.set_config(&merged);
        }
    }

    fn note(&mut self, change: Option<Change>) {
        match change {
            Some(Change::Up) => self.counts.ups += 1,
            Some(Change::Down(cause)) => {
                self.counts.downs += 1;
                // A failure must not hide behind somebody's switching off.
                let is_news = self.untold.is_none_or(|before| !before.is_failure() && cause.is_failure());
                if self.is_told_up && is_news {
                    self.untold = Some(cause);
                }
            }
            None => {}
        }
    }
}
