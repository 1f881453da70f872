//! Messages, from octets and to octets. Nothing outside of this module knows how a message looks.
//!
//! The encoding is our own. The kept codec that was looked at reads capabilities by their values and not by their
//! length, so that a strange one shifts all that follow (RFC 5492 §3 wants it ignored, alone); it knows neither RFC 9072
//! nor the classes of RFC 7606, and its lists grow with what a peer sends. It reads our messages in the tests.

mod capability;
mod framer;
mod notification;
mod octets;
mod open;
mod received;
mod update;

pub(crate) use capability::{Capabilities, RestartCapability};
pub(crate) use framer::Framer;
pub use notification::{ErrorCode, Notification};
pub(crate) use octets::Reader;
pub(crate) use open::Open;
pub(crate) use received::{Reading, Received, Treatment, classify};
pub(crate) use update::{Encoding, NextHop, write_end_of_rib};

/// Longest message, header included (RFC 4271 §4). RFC 8654 is not offered.
pub const MESSAGE_MAX_LEN: usize = 4096;
/// Octets of the header.
pub(crate) const HEADER_LEN: usize = 19;

/// The type octet of the header (RFC 4271 §4.1, RFC 2918 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageType {
    Open,
    Update,
    Notification,
    Keepalive,
    RouteRefresh,
}

impl MessageType {
    const ALL: [(u8, Self); 5] = [
        (1, Self::Open),
        (2, Self::Update),
        (3, Self::Notification),
        (4, Self::Keepalive),
        (5, Self::RouteRefresh),
    ];

    pub(crate) fn from_wire(octet: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == octet).map(|(_, message_type)| message_type)
    }

    pub(crate) fn to_wire(self) -> u8 {
        match self {
            Self::Open => 1,
            Self::Update => 2,
            Self::Notification => 3,
            Self::Keepalive => 4,
            Self::RouteRefresh => 5,
        }
    }
}

/// Appends a message whose body `body` appends. The caller keeps to [`MESSAGE_MAX_LEN`].
pub(crate) fn write_message(out: &mut Vec<u8>, message_type: MessageType, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0xff; 16]);
    out.extend_from_slice(&[0, 0, message_type.to_wire()]);
    body(out);
    let length = out.len() - start;
    debug_assert!(length <= MESSAGE_MAX_LEN, "{length}");
    octets::put_u16_at(out, start + 16, length);
}

/// Appends a KEEPALIVE (RFC 4271 §4.4).
pub(crate) fn write_keepalive(out: &mut Vec<u8>) {
    write_message(out, MessageType::Keepalive, |_| ());
}
