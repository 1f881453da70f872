//! The state machine of one peer (RFC 4271 §8), which keeps the peer's knowledge of our routes as it is wanted.
//!
//! ```text
//!  driver ── start, stop, BFD down ───────────┐                ┌──▶ connect, close ─────────▶ driver
//!  sockets ─ connected, closed, octets ───────┼──▶   Peer   ──┼──▶ octets, when asked for ──▶ sockets
//!  plan ──── routes ──────────────────────────┘                └──▶ established, down, why ──▶ status
//! ```
//!
//! What RFC 4271 leaves open, and what is done:
//!
//! - A connection that cannot be dialled, or that is closed before an OPEN has come on it, leads to Active, so that the
//!   peer can dial us; every other end of the last connection leads to Idle, where none is accepted (§8.2.2,
//!   DampPeerOscillations). Both last for the back-off, then the machine starts by itself. Only a session that has stood
//!   for 30 s sets the back-off back: a peer that takes every OPEN and then refuses is not hammered.
//! - DelayOpen is not there (§8.1.1: optional). A connection is dialled for 10 s at most.
//! - A NOTIFICATION is never answered, in OpenSent neither.
//! - Of two connections the one stays that the side with the higher identifier dialled (§6.8); one that stands stays
//!   anyway, unless graceful restart was negotiated (RFC 4724 §4.2).
//! - No family in common: Unsupported Capability (RFC 5492 §5). A family of which UPDATEs cannot be read is not heard any
//!   further (RFC 7606 §2); what we announce does not hang on it.
//! - A peer that takes nothing for twice the hold time, at least 8 minutes, is given up (RFC 9687).
//! - There is no MinRouteAdvertisementIntervalTimer (§9.2.1.1): a VIP that moves is on the wire at once. What changes
//!   faster than the connection takes it is merged.
//!
//! A driver tells octets before time: what lay unread is no silence.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;

use crate::attributes::Attributes;
use crate::random::Random;
use crate::rib::{AdjRibOut, Written};
use crate::values::PerFamily;
use crate::wire::{ErrorCode, MESSAGE_MAX_LEN, MessageType, Notification, write_keepalive};

mod config;
mod connection;
mod counters;
mod event;
mod input;
mod opening;
mod timers;

pub use config::{Config, GracefulRestart, NextHops, RemoteAs};
use connection::{Connection, Stage};
pub use counters::{Counters, MessageCounters};
pub use event::{Action, ConnectionId, Delivery, Event, Reason, RestartAgreed, Session, Stop};

/// Octets after which [`Peer::poll_transmit`] begins no further message.
const TRANSMIT_LEN: usize = 16 * 1024;
/// Octets that [`Peer::poll_transmit`] gives at most.
pub const TRANSMIT_MAX_LEN: usize = TRANSMIT_LEN + MESSAGE_MAX_LEN;
/// Events that wait for [`Peer::poll_event`]. A driver that polls after each input never has ten; of one that does not,
/// the oldest ones are lost.
const EVENTS_MAX: usize = 64;

/// The states of RFC 4271 §8.2.2. With two connections, the one that is further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Stopped, or waiting after an error. No connection is accepted.
    Idle,
    /// Waiting to dial again; the peer may dial us.
    Active,
    /// Dialling.
    Connect,
    /// Our OPEN is sent.
    OpenSent,
    /// The peer's OPEN is accepted.
    OpenConfirm,
    /// Routes are sent.
    Established,
}

/// One peer. Cardinality: one value per peer of a speaker.
///
/// Nothing is queued but an OPEN and a KEEPALIVE: UPDATEs are made when the driver asks for octets, from what differs
/// then. So a router that does not read delays only itself, and costs no memory.
#[derive(Debug)]
pub struct Peer {
    config: Config,
    random: Random,
    running: bool,
    /// The R bit of our OPENs.
    restarting: bool,
    /// Ends in a row without a session that stood for long.
    failures: u32,
    /// Idle until then.
    idle_until: Option<Instant>,
    /// ConnectRetryTimer, in Active.
    retry_at: Option<Instant>,
    connections: Vec<Connection>,
    connections_seen: u64,
    rib: AdjRibOut,
    actions: VecDeque<Action>,
    events: VecDeque<Event>,
    counters: Counters,
}

/// How a connection ends.
#[derive(Debug)]
struct End {
    notification: Option<Notification>,
    reason: Reason,
    /// Where the machine goes if it was the last connection.
    rest: Rest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Idle,
    Active,
}

impl End {
    /// With a NOTIFICATION.
    fn tell(notification: Notification) -> Self {
        Self {
            reason: Reason::Sent(notification.clone()),
            notification: Some(notification),
            rest: Rest::Idle,
        }
    }

    /// Without one.
    fn silent(reason: Reason) -> Self {
        Self { notification: None, reason, rest: Rest::Idle }
    }
}

impl Peer {
    /// A peer that is stopped and to which nothing is announced. What jitter follows from `seed` should differ from
    /// node to node and from start to start; it need not be secret.
    #[must_use]
    pub fn new(config: Config, seed: u64) -> Self {
        let restarting = config.graceful_restart.is_some_and(|restart| restart.restarting);
        Self {
            config,
            random: Random::new(seed),
            running: false,
            restarting,
            failures: 0,
            idle_until: None,
            retry_at: None,
            connections: Vec::new(),
            connections_seen: 0,
            rib: AdjRibOut::default(),
            actions: VecDeque::new(),
            events: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Starts it (ManualStart). Nothing if it runs.
    pub fn start(&mut self, now: Instant) {
        if !self.running {
            self.running = true;
            self.failures = 0;
            self.begin(now);
        }
    }

    /// Ends all connections; but for [`Stop::Reset`], it stays stopped until [`start`](Self::start) (ManualStop). Routes
    /// are remembered. A peer that would keep ours over a NOTIFICATION is told by a Hard Reset (RFC 8538 §5.1) to drop
    /// them. Nothing if it is stopped.
    pub fn stop(&mut self, stop: &Stop, now: Instant) {
        if !self.running {
            return;
        }
        self.running = false;
        let notification = match stop {
            Stop::Shutdown { text } => {
                Some(Notification::with_text(ErrorCode::ADMINISTRATIVE_SHUTDOWN, text))
            }
            Stop::Reset { text } => Some(Notification::with_text(ErrorCode::ADMINISTRATIVE_RESET, text)),
            Stop::Deconfigured => Some(Notification::new(ErrorCode::PEER_DECONFIGURED, Vec::new())),
            Stop::Restart => None,
        };
        let ids: Vec<_> = self.connections.iter().map(|connection| connection.id).collect();
        for id in ids {
            let end = match &notification {
                Some(notification) => End::tell(self.hard(id, notification.clone())),
                None => End::silent(Reason::Restart),
            };
            self.end(id, end, now);
        }
        (self.idle_until, self.retry_at) = (None, None);
        if matches!(stop, Stop::Reset { .. }) {
            self.running = true;
            self.rest(Rest::Idle, now);
        }
    }

    /// Takes that BFD calls the path to the peer down: sessions end with the Cease that RFC 9384 names, or so that the
    /// peer keeps our routes, if [`GracefulRestart::over_bfd_down`] says so and graceful restart was negotiated.
    pub fn handle_bfd_down(&mut self, now: Instant) {
        let over_bfd_down = self.config.graceful_restart.is_some_and(|restart| restart.over_bfd_down);
        let ids: Vec<_> = self
            .connections
            .iter()
            .filter(|connection| !matches!(connection.stage, Stage::Connecting))
            .map(|connection| connection.id)
            .collect();
        for id in ids {
            let cease = Notification::new(ErrorCode::BFD_DOWN, Vec::new());
            let agreed = self.restart_agreed(id).filter(|_| over_bfd_down);
            let end = match agreed {
                None => End::tell(self.hard(id, cease)),
                Some(agreed) if agreed.over_notification => End::tell(cease),
                Some(_) => End::silent(Reason::BfdDown),
            };
            self.end(id, end, now);
        }
    }

    /// Takes what is to be announced from now on, prefix by prefix; `None` = nothing. Host bits are cut off. Costs
    /// O(log n) for each prefix, whatever the peer has read of earlier changes.
    pub fn change_routes(&mut self, changes: impl IntoIterator<Item = (IpNet, Option<Arc<Attributes>>)>) {
        for (prefix, attributes) in changes {
            self.rib.change(prefix, attributes);
        }
    }

    /// Takes that all routes of the start have been given. Before that no End-of-RIB is sent, at which a peer drops what
    /// it kept over a restart (RFC 4724 §4.2).
    pub fn set_routes_complete(&mut self) {
        self.rib.set_complete();
    }

    /// What to send next on a connection, at most [`TRANSMIT_MAX_LEN`] octets of whole messages; `None` while there is
    /// nothing. To be asked only when the connection takes octets: what is given counts as sent.
    pub fn poll_transmit(&mut self, id: ConnectionId) -> Option<Vec<u8>> {
        let index = self.connections.iter().position(|connection| connection.id == id)?;
        let connection = &mut self.connections[index];
        connection.blocked_since = None;
        let mut out = std::mem::take(&mut connection.control);
        let sent = &mut self.counters.sent;
        if !out.is_empty() {
            // An OPEN is only ever first; the KEEPALIVE that confirms the peer's stands alone or behind it.
            sent.opens += u64::from(MessageType::from_wire(out[18]) == Some(MessageType::Open));
            sent.keepalives += u64::from(connection.agreed().is_some());
        }
        if std::mem::take(&mut connection.keepalive_due) {
            write_keepalive(&mut out);
            sent.keepalives += 1;
        }
        if let Stage::Established(agreed) = &connection.stage {
            let encoding = agreed.encoding;
            while out.len() < TRANSMIT_LEN
                && let Some(written) = self.rib.write(&encoding, &mut out)
            {
                self.note_written(written);
            }
        }
        (!out.is_empty()).then_some(out)
    }

    fn note_written(&mut self, written: Written) {
        self.counters.sent.updates += 1;
        match written {
            Written::Announced(prefixes) => self.counters.announced += prefixes as u64,
            Written::Withdrawn(prefixes) => self.counters.withdrawn += prefixes as u64,
            Written::EndOfRib(family) => {
                // RFC 4724 §4.1: the restart is over when all is told.
                self.restarting &= self.rib.owes_end_of_rib();
                self.emit(Event::EndOfRibSent(family));
            }
        }
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) has something to give.
    #[must_use]
    pub fn wants_transmit(&self, id: ConnectionId) -> bool {
        self.connection(id).is_some_and(|connection| {
            !connection.control.is_empty()
                || connection.keepalive_due
                || connection.is_established() && self.rib.is_waiting()
        })
    }

    /// What the driver has to do next, in this order; `None` = nothing.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// What has happened, until there is nothing more.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Where the machine is.
    #[must_use]
    pub fn state(&self) -> State {
        let of = |connection: &Connection| match connection.stage {
            Stage::Connecting => State::Connect,
            Stage::OpenSent => State::OpenSent,
            Stage::OpenConfirm(_) => State::OpenConfirm,
            Stage::Established(_) => State::Established,
        };
        let resting = if self.running && self.idle_until.is_none() { State::Active } else { State::Idle };
        self.connections.iter().map(of).max().unwrap_or(resting)
    }

    /// The session that stands, if one does.
    #[must_use]
    pub fn session(&self) -> Option<&Session> {
        let standing = self.connections.iter().find(|connection| connection.is_established())?;
        standing.agreed().map(|agreed| &agreed.session)
    }

    /// How many prefixes are to be announced, by family, whether they can be or not: see [`Session::delivery`].
    #[must_use]
    pub fn prefixes_wanted(&self) -> PerFamily<usize> {
        self.rib.wanted()
    }

    /// What has been sent, received and gone through so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Ends a connection, and says so if it was a session or the last one.
    fn end(&mut self, id: ConnectionId, end: End, now: Instant) {
        let Some(index) = self.connections.iter().position(|connection| connection.id == id) else { return };
        let connection = self.connections.swap_remove(index);
        let notification = end.notification.map(|notification| {
            self.counters.sent.notifications += 1;
            let mut octets = Vec::new();
            notification.write(&mut octets);
            octets
        });
        // A connection on which no OPEN of ours has left has nobody to tell.
        let notification = notification.filter(|_| !matches!(connection.stage, Stage::Connecting));
        self.actions.push_back(Action::Close { connection: id, notification });
        self.note_end(&connection, end.reason, end.rest, now);
    }

    fn note_end(&mut self, connection: &Connection, reason: Reason, rest: Rest, now: Instant) {
        if connection.is_established() {
            let stood = connection
                .established_at
                .map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
            if stood >= timers::STABLE_AFTER {
                self.failures = 0;
            }
            self.rib.stop();
            self.counters.lost += 1;
            self.emit(Event::Down(reason));
        } else if self.connections.is_empty() {
            self.emit(Event::Failed(reason));
        }
        self.rest(rest, now);
    }

    /// The notification as it has to be on this connection for the peer to drop our routes.
    fn hard(&self, id: ConnectionId, notification: Notification) -> Notification {
        let keeps = self.restart_agreed(id).is_some_and(|agreed| agreed.over_notification);
        if keeps { notification.into_hard_reset() } else { notification }
    }

    fn restart_agreed(&self, id: ConnectionId) -> Option<RestartAgreed> {
        self.connection(id)?.agreed()?.session.graceful_restart
    }

    fn emit(&mut self, event: Event) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    fn connection(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections.iter().find(|connection| connection.id == id)
    }

    fn connection_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|connection| connection.id == id)
    }

    fn add_connection(&mut self, dialed: bool, local: IpAddr, now: Instant) -> ConnectionId {
        self.connections_seen += 1;
        let id = ConnectionId(self.connections_seen);
        self.connections.push(Connection::new(id, dialed, local, now));
        id
    }
}
