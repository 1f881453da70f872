//! What falls due: ConnectRetryTimer, the wait in Idle, HoldTimer, KeepaliveTimer, SendHoldTimer (RFC 4271 §8.1.3,
//! RFC 9687).

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use super::connection::Stage;
use super::event::{Action, ConnectionId, Reason};
use super::{End, Peer, Rest};
use crate::wire::{ErrorCode, Notification};

/// The wait after the first failure, before jitter.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// How long a session has to stand for the next failure to count as the first one.
pub(super) const STABLE_AFTER: Duration = Duration::from_secs(30);

impl Peer {
    /// Does what is due: dials, sends KEEPALIVEs, gives up what is silent. Calling it too early or twice does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.idle_until.is_some_and(|due| due <= now) {
            self.begin(now);
        }
        if self.retry_at.is_some_and(|due| due <= now) {
            self.dial(now);
        }
        let ids: Vec<_> = self.connections.iter().map(|connection| connection.id).collect();
        for id in ids {
            self.handle_deadlines(id, now);
            self.handle_keepalive(id, now);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; `None` while nothing is.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let connections = self.connections.iter().filter_map(super::Connection::poll_timeout);
        connections.chain(self.idle_until).chain(self.retry_at).min()
    }

    fn handle_deadlines(&mut self, id: ConnectionId, now: Instant) {
        let Some(connection) = self.connection(id) else { return };
        let is_due = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        let end = if is_due(connection.deadline) {
            if matches!(connection.stage, Stage::Connecting) {
                End { rest: Rest::Active, ..End::silent(Reason::ConnectTimeout) }
            } else {
                End::tell(Notification::new(ErrorCode::HOLD_TIMER_EXPIRED, Vec::new()))
            }
        } else if is_due(connection.send_hold_deadline()) {
            End::tell(Notification::new(ErrorCode::SEND_HOLD_TIMER_EXPIRED, Vec::new()))
        } else {
            return;
        };
        self.end(id, end, now);
    }

    fn handle_keepalive(&mut self, id: ConnectionId, now: Instant) {
        let Some(connection) = self.connection_mut(id) else { return };
        if connection.keepalive_at.is_none_or(|due| due > now) {
            return;
        }
        if connection.keepalive_due {
            connection.blocked_since.get_or_insert(now);
        }
        connection.keepalive_due = true;
        self.arm_keepalive(id, now);
    }

    /// Sets when the next KEEPALIVE is due.
    pub(super) fn arm_keepalive(&mut self, id: ConnectionId, now: Instant) {
        let Self { config, random, connections, .. } = self;
        if let Some(connection) = connections.iter_mut().find(|connection| connection.id == id) {
            let interval = connection.keepalive_interval(config);
            connection.keepalive_at = interval.map(|interval| now + random.jitter(interval));
        }
    }

    /// Leaves Idle.
    pub(super) fn begin(&mut self, now: Instant) {
        self.idle_until = None;
        if self.config.dial {
            self.dial(now);
        }
    }

    fn dial(&mut self, now: Instant) {
        self.retry_at = None;
        self.counters.dials += 1;
        let id = self.add_connection(true, IpAddr::V4(Ipv4Addr::UNSPECIFIED), now);
        self.actions.push_back(Action::Connect(id));
    }

    /// Goes to Idle or Active for the back-off, if the last connection is gone.
    pub(super) fn rest(&mut self, rest: Rest, now: Instant) {
        if !self.running || !self.connections.is_empty() {
            return;
        }
        let doubled = RETRY_MIN.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let due = Some(now + self.random.jitter(doubled.min(self.config.connect_retry_max.max(RETRY_MIN))));
        match rest {
            Rest::Idle => self.idle_until = due,
            Rest::Active if self.config.dial => self.retry_at = due,
            Rest::Active => {}
        }
    }
}
