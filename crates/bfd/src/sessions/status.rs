//! How a session is.

use std::time::Duration;

use super::entry::Counts;
use crate::packet::{Diagnostic, Discriminator, State};
use crate::session::Session;

/// A session as it is now, for those who want to see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// This side's state.
    pub state: State,
    /// Why it last went down.
    pub diagnostic: Diagnostic,
    /// The peer's state, as it last said.
    pub remote_state: State,
    /// Why it last went down there.
    pub remote_diagnostic: Diagnostic,
    /// The peer's discriminator; `None` if it has not been heard for a detection time.
    pub remote_discriminator: Option<Discriminator>,
    /// True if the peer says that its BFD goes on when its control plane restarts (RFC 5882 §4.3).
    pub is_remote_control_plane_independent: bool,
    /// The negotiated interval between packets to the peer, before jitter (RFC 5880 §6.8.2). None are sent all the same if
    /// the peer wants none.
    pub transmit_interval: Duration,
    /// How long the peer may be silent (RFC 5880 §6.8.4); zero if it is not known.
    pub detection_time: Duration,
    /// Packets taken from the peer.
    pub packets_received: u64,
    /// Packets handed out to be sent.
    pub packets_sent: u64,
    /// How often it came up.
    pub ups: u64,
    /// How often it was up no longer.
    pub downs: u64,
}

impl Status {
    pub(super) fn new(session: &Session, counts: Counts) -> Self {
        let remote = session.remote();
        Self {
            state: session.state(),
            diagnostic: session.diagnostic(),
            remote_state: remote.state,
            remote_diagnostic: remote.diagnostic,
            remote_discriminator: remote.discriminator,
            is_remote_control_plane_independent: remote.is_control_plane_independent,
            transmit_interval: session.transmit_interval(),
            detection_time: session.detection_time(),
            packets_received: counts.received,
            packets_sent: counts.sent,
            ups: counts.ups,
            downs: counts.downs,
        }
    }
}
