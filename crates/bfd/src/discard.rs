//! Why a datagram is discarded, and how often that happened.

use crate::packet::{DecodeError, Discriminator};

/// Why a datagram changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Discard {
    /// It has come over more routers than it may (RFC 5881 §5, RFC 5082 §3): forged, or the
    /// peer is farther than configured.
    #[error("TTL {received} is below {minimum}")]
    Ttl {
        /// As received.
        received: u8,
        /// What it would have to be at least.
        minimum: u8,
    },
    /// It is no control packet that any session could take.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It names a session that is not here, or no longer.
    #[error("no session has discriminator {0}")]
    UnknownSession(Discriminator),
    /// It names no session, and there is none with its source.
    #[error("no session with this source is configured")]
    UnknownPeer,
    /// It names a session that is bound to another interface, or has another number of hops.
    #[error("session {0} does not take packets on this path")]
    WrongPath(Discriminator),
}

/// Datagrams discarded since the start, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Discards {
    /// [`Discard::Ttl`]
    pub ttl: u64,
    /// [`DecodeError::TooShort`]
    pub too_short: u64,
    /// [`DecodeError::Version`]
    pub version: u64,
    /// [`DecodeError::Length`]
    pub length: u64,
    /// [`DecodeError::DetectMultiplier`]
    pub detect_multiplier: u64,
    /// [`DecodeError::Multipoint`]
    pub multipoint: u64,
    /// [`DecodeError::MyDiscriminator`]
    pub my_discriminator: u64,
    /// [`DecodeError::YourDiscriminator`]
    pub your_discriminator: u64,
    /// [`DecodeError::Authentication`]
    pub authentication: u64,
    /// [`Discard::UnknownSession`]
    pub unknown_session: u64,
    /// [`Discard::UnknownPeer`]
    pub unknown_peer: u64,
    /// [`Discard::WrongPath`]
    pub wrong_path: u64,
}

impl Discards {
    pub(crate) fn count(&mut self, cause: &Discard) {
        let counter = match cause {
            Discard::Ttl { .. } => &mut self.ttl,
            Discard::Decode(DecodeError::TooShort(_)) => &mut self.too_short,
            Discard::Decode(DecodeError::Version(_)) => &mut self.version,
            Discard::Decode(DecodeError::Length { .. }) => &mut self.length,
            Discard::Decode(DecodeError::DetectMultiplier) => &mut self.detect_multiplier,
            Discard::Decode(DecodeError::Multipoint) => &mut self.multipoint,
            Discard::Decode(DecodeError::MyDiscriminator) => &mut self.my_discriminator,
            Discard::Decode(DecodeError::YourDiscriminator(_)) => &mut self.your_discriminator,
            Discard::Decode(DecodeError::Authentication) => &mut self.authentication,
            Discard::UnknownSession(_) => &mut self.unknown_session,
            Discard::UnknownPeer => &mut self.unknown_peer,
            Discard::WrongPath(_) => &mut self.wrong_path,
        };
        *counter += 1;
    }

    /// The sum over all causes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.ttl
            + self.too_short
            + self.version
            + self.length
            + self.detect_multiplier
            + self.multipoint
            + self.my_discriminator
            + self.your_discriminator
            + self.authentication
            + self.unknown_session
            + self.unknown_peer
            + self.wrong_path
    }
}
