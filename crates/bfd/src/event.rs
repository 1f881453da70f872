//! What [`Sessions`](crate::Sessions) find out.

use std::fmt;

use crate::packet::{Diagnostic, Discriminator};
use crate::peer::Peer;

/// Something that the clients of a session have to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Both sides hear each other.
    Up {
        /// The session.
        session: Discriminator,
        /// Whom it is with.
        peer: Peer,
    },
    /// The session was Up and is no longer. A session that never came up tells nothing (RFC 5882 §3.3).
    Down {
        /// The session.
        session: Discriminator,
        /// Whom it is with.
        peer: Peer,
        /// Why.
        cause: DownCause,
    },
}

/// Why a session is no longer Up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownCause {
    /// No packet came for a detection time.
    DetectionTimeExpired,
    /// The peer is down, and says why: it hears nothing, or has begun anew.
    PeerDown(Diagnostic),
    /// Somebody has switched the session off at the peer.
    PeerAdminDown(Diagnostic),
    /// Somebody has switched the session off here.
    Disabled,
}

impl DownCause {
    /// True if the path must be taken for dead. Switching BFD off at either end says nothing about the path, and a
    /// routing protocol should do nothing about it (RFC 5882 §4.2).
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::DetectionTimeExpired | Self::PeerDown(_))
    }

    /// What this side tells its peer: bfd.LocalDiag.
    #[must_use]
    pub const fn diagnostic(self) -> Diagnostic {
        match self {
            Self::DetectionTimeExpired => Diagnostic::CONTROL_DETECTION_TIME_EXPIRED,
            Self::PeerDown(_) | Self::PeerAdminDown(_) => Diagnostic::NEIGHBOR_SIGNALED_SESSION_DOWN,
            Self::Disabled => Diagnostic::ADMINISTRATIVELY_DOWN,
        }
    }
}

impl fmt::Display for DownCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DetectionTimeExpired => f.write_str("the peer was silent for the detection time"),
            Self::PeerDown(diagnostic) => write!(f, "the peer says that the session is down ({diagnostic})"),
            Self::PeerAdminDown(_) => f.write_str("the session was switched off at the peer"),
            Self::Disabled => f.write_str("the session was switched off on this node"),
        }
    }
}
