//! What a peer asks of its driver, and what it tells.

use std::time::Duration;

use crate::values::{Asn, Family, HoldTime, PerFamily, RouterId};
use crate::wire::Notification;

/// A TCP connection with the peer, or an attempt at one. None has the number of another one of the same peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(super) u64);

/// Something that the driver has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Dial the peer, and tell by [`handle_connected`](super::Peer::handle_connected) or
    /// [`handle_closed`](super::Peer::handle_closed) what came of it.
    Connect(ConnectionId),
    /// Close a connection, or give up dialling. Nothing that is told of it matters any more.
    Close {
        /// Which one.
        connection: ConnectionId,
        /// A last message, to be sent after what [`poll_transmit`](super::Peer::poll_transmit) has already given, if
        /// the connection takes it without waiting.
        notification: Option<Vec<u8>>,
    },
}

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A session stands.
    Established(Session),
    /// A session that stood is over.
    Down(Reason),
    /// An attempt has not become a session.
    Failed(Reason),
    /// The peer has all of a family that it was to know.
    EndOfRibSent(Family),
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The peer has said why.
    #[error("the peer said: {0}")]
    Received(Notification),
    /// We have said why.
    #[error("told the peer: {0}")]
    Sent(Notification),
    /// The connection was closed or reset without a word.
    #[error("the connection was closed without a NOTIFICATION")]
    Closed,
    /// Dialling failed.
    #[error("the peer takes no connection")]
    ConnectFailed,
    /// Dialling came to nothing in time.
    #[error("the peer does not answer")]
    ConnectTimeout,
    /// A NOTIFICATION that cannot be read. It must not be answered with another (RFC 4271 §6.4).
    #[error("the peer sent a malformed NOTIFICATION")]
    MalformedNotification,
    /// The peer opened a new connection while its old one stood, and has negotiated graceful restart (RFC 4724 §4.2).
    #[error("the peer has restarted")]
    PeerRestarted,
    /// BFD called the path down, and the peer was not told to drop our routes.
    #[error("BFD is down; the peer keeps the routes")]
    BfdDown,
    /// [`Stop::Restart`].
    #[error("this speaker restarts; a peer with graceful restart keeps the routes")]
    Restart,
}

/// Why a peer is stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// By its operator, for good: Administrative Shutdown. The text (RFC 9003) is for the peer's operator; 255 octets
    /// of it are sent.
    Shutdown {
        /// What to say; may be empty.
        text: String,
    },
    /// It is no peer of ours any more.
    Deconfigured,
    /// By its operator, to begin anew: the peer starts again after its back-off.
    Reset {
        /// What to say; may be empty.
        text: String,
    },
    /// This speaker goes away and comes back. Nothing is said, so that a peer with graceful restart keeps our routes.
    Restart,
}

/// What was agreed with the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The connection that carries it.
    pub connection: ConnectionId,
    /// The peer's AS.
    pub remote_as: Asn,
    /// The peer's BGP identifier.
    pub remote_id: RouterId,
    /// The lower of both hold times.
    pub hold_time: HoldTime,
    /// Whether routes of a family are sent, and why not.
    pub delivery: PerFamily<Delivery>,
    /// AS numbers have four octets (RFC 6793).
    pub four_octet_as: bool,
    /// The peer may ask for all routes again (RFC 2918).
    pub route_refresh: bool,
    /// How long the peer keeps our routes; `None` if either side does not know graceful restart.
    pub graceful_restart: Option<RestartAgreed>,
}

/// What was agreed on graceful restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartAgreed {
    /// How long the peer may take to come back, by its own word.
    pub remote_restart_time: Duration,
    /// Both sides keep routes over a NOTIFICATION (RFC 8538).
    pub over_notification: bool,
}

/// Whether routes of a family are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// They are.
    Sent,
    /// We do not offer the family.
    NotConfigured,
    /// The peer does not offer the family.
    NotOffered,
    /// There is no next hop to tell: the connection has an address of the other family, and none is configured; or, for
    /// IPv4, the peer takes no IPv6 next hop.
    NoNextHop,
}
