//! One TCP connection with the peer, and how far it has come.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::config::Config;
use super::event::{ConnectionId, Session};
use crate::values::{HoldTime, PerFamily, RouterId};
use crate::wire::{Capabilities, Encoding, Framer, Open, RestartCapability, write_keepalive};

/// How long a TCP connection may take to come up.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the peer's OPEN may take (RFC 4271 §8.2.2 suggests 4 minutes).
pub(super) const OPEN_TIMEOUT: Duration = Duration::from_secs(240);
/// How long a peer may take nothing, at least (RFC 9687 §3); twice the hold time if that is longer.
const SEND_HOLD_MIN: Duration = Duration::from_secs(480);

/// Where a connection stands: the states of RFC 4271 §8.2.2 that have one.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// Connect.
    Connecting,
    OpenSent,
    OpenConfirm(Box<Agreed>),
    Established(Box<Agreed>),
}

/// What both OPENs come to.
#[derive(Clone, Debug)]
pub(super) struct Agreed {
    pub(super) session: Session,
    pub(super) encoding: Encoding,
}

/// A connection. Cardinality: at most three for a moment, and one once a session stands.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    /// By us; else by the peer.
    pub(super) dialed: bool,
    pub(super) stage: Stage,
    /// Our address; what it is while dialling does not matter.
    pub(super) local: IpAddr,
    pub(super) framer: Framer,
    /// OPEN and the KEEPALIVE that confirms the peer's, until they are taken.
    pub(super) control: Vec<u8>,
    pub(super) keepalive_due: bool,
    /// Until when the next step has to be seen: the connection, an OPEN, or (as hold timer) a sign of life.
    pub(super) deadline: Option<Instant>,
    pub(super) keepalive_at: Option<Instant>,
    /// Since when a KEEPALIVE has been due that was not taken.
    pub(super) blocked_since: Option<Instant>,
    pub(super) established_at: Option<Instant>,
    /// Families whose UPDATEs could not be read.
    pub(super) unreadable: PerFamily<bool>,
}

impl Connection {
    pub(super) fn new(id: ConnectionId, dialed: bool, local: IpAddr, now: Instant) -> Self {
        Self {
            id,
            dialed,
            stage: Stage::Connecting,
            local: local.to_canonical(),
            framer: Framer::default(),
            control: Vec::new(),
            keepalive_due: false,
            deadline: Some(now + CONNECT_TIMEOUT),
            keepalive_at: None,
            blocked_since: None,
            established_at: None,
            unreadable: PerFamily::default(),
        }
    }

    /// The connection is up: our OPEN is the first thing to say.
    pub(super) fn open(&mut self, local: IpAddr, config: &Config, restarting: bool, now: Instant) {
        self.local = local.to_canonical();
        self.stage = Stage::OpenSent;
        self.deadline = Some(now + OPEN_TIMEOUT);
        let capabilities = offered(config, self.local, restarting);
        let open = Open {
            my_as: config.local_as.two_octets(),
            hold_time_secs: config.hold_time.as_secs(),
            identifier: config.router_id.get(),
            capabilities,
        };
        open.write(&mut self.control);
    }

    /// The peer's OPEN is acceptable.
    pub(super) fn confirm(&mut self, agreed: Agreed, now: Instant) {
        write_keepalive(&mut self.control);
        self.stage = Stage::OpenConfirm(Box::new(agreed));
        self.restart_hold_timer(now);
    }

    pub(super) fn restart_hold_timer(&mut self, now: Instant) {
        self.deadline = self.hold_time().and_then(HoldTime::duration).map(|hold| now + hold);
    }

    /// What has been agreed, once it has.
    pub(super) fn agreed(&self) -> Option<&Agreed> {
        match &self.stage {
            Stage::Connecting | Stage::OpenSent => None,
            Stage::OpenConfirm(agreed) | Stage::Established(agreed) => Some(agreed),
        }
    }

    pub(super) fn is_established(&self) -> bool {
        matches!(self.stage, Stage::Established(_))
    }

    pub(super) fn hold_time(&self) -> Option<HoldTime> {
        self.agreed().map(|agreed| agreed.session.hold_time)
    }

    /// The peer's identifier, once it is known.
    pub(super) fn remote_id(&self) -> Option<RouterId> {
        self.agreed().map(|agreed| agreed.session.remote_id)
    }

    /// Between two KEEPALIVEs, before jitter (RFC 4271 §4.4); `None` if none are sent.
    pub(super) fn keepalive_interval(&self, config: &Config) -> Option<Duration> {
        let third = self.hold_time()?.duration()? / 3;
        // Not more than one in a second (RFC 4271 §4.4).
        Some(config.keepalive_interval.map_or(third, |wanted| wanted.min(third)).max(Duration::from_secs(1)))
    }

    /// When a peer that takes nothing is given up (RFC 9687).
    pub(super) fn send_hold_deadline(&self) -> Option<Instant> {
        let hold = self.hold_time()?.duration()?;
        Some(self.blocked_since? + (2 * hold).max(SEND_HOLD_MIN))
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        [self.deadline, self.keepalive_at, self.send_hold_deadline()].into_iter().flatten().min()
    }
}

/// What we offer on a connection with this local address.
pub(super) fn offered(config: &Config, local: IpAddr, restarting: bool) -> Capabilities {
    Capabilities {
        multiprotocol: Some(config.families),
        four_octet_as: Some(config.local_as.get()),
        route_refresh: true,
        ipv4_over_ipv6: config.families.ipv4 && local.is_ipv6(),
        graceful_restart: config.graceful_restart.map(|restart| RestartCapability {
            restarting,
            notification: restart.over_notification,
            time_secs: u16::try_from(restart.restart_time.as_secs()).unwrap_or(u16::MAX).min(4095),
            // Who forwards is the node, and it does so whatever becomes of its speaker.
            forwarding: config.families,
        }),
    }
}
