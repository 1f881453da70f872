//! NOTIFICATION (RFC 4271 §4.5), in octets and in words.

use std::fmt;

use super::octets::{Reader, Truncated};
use super::{HEADER_LEN, MESSAGE_MAX_LEN, MessageType, write_message};

/// Octets of text in a Shutdown Communication (RFC 9003 §2).
const TEXT_MAX_LEN: usize = 255;
/// Octets of data that fit behind header, code and subcode.
const DATA_MAX_LEN: usize = MESSAGE_MAX_LEN - HEADER_LEN - 2;

/// An error code and its subcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode {
    /// The code: 1 to 8 are known.
    pub code: u8,
    /// The subcode; 0 = unspecific.
    pub subcode: u8,
}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal / $subcode:literal, $words:literal;)*) => {
        impl ErrorCode {
            $($(#[$doc])* pub const $name: Self = Self { code: $code, subcode: $subcode };)*

            /// Its name in the registry; `None` for one that is not known.
            fn words(self) -> Option<&'static str> {
                match (self.code, self.subcode) {
                    $(($code, $subcode) => Some($words),)*
                    _ => None,
                }
            }
        }
    };
}

error_codes! {
    /// RFC 4271 §6.1.
    CONNECTION_NOT_SYNCHRONIZED = 1/1, "Connection Not Synchronized";
    /// RFC 4271 §6.1; data: the length.
    BAD_MESSAGE_LENGTH = 1/2, "Bad Message Length";
    /// RFC 4271 §6.1; data: the type.
    BAD_MESSAGE_TYPE = 1/3, "Bad Message Type";
    /// RFC 4271 §6.2.
    OPEN_UNSPECIFIC = 2/0, "OPEN Message Error";
    /// RFC 4271 §6.2; data: the version that is spoken here.
    UNSUPPORTED_VERSION_NUMBER = 2/1, "Unsupported Version Number";
    /// RFC 4271 §6.2.
    BAD_PEER_AS = 2/2, "Bad Peer AS";
    /// RFC 4271 §6.2, RFC 6286 §2.2.
    BAD_BGP_IDENTIFIER = 2/3, "Bad BGP Identifier";
    /// RFC 4271 §6.2.
    UNSUPPORTED_OPTIONAL_PARAMETER = 2/4, "Unsupported Optional Parameter";
    /// RFC 4271 §6.2.
    UNACCEPTABLE_HOLD_TIME = 2/6, "Unacceptable Hold Time";
    /// RFC 5492 §5; data: the capabilities that are missed.
    UNSUPPORTED_CAPABILITY = 2/7, "Unsupported Capability";
    /// RFC 9234 §4.2.
    ROLE_MISMATCH = 2/11, "Role Mismatch";
    /// RFC 4271 §6.3.
    MALFORMED_ATTRIBUTE_LIST = 3/1, "Malformed Attribute List";
    /// RFC 4271 §6.3; data: the attribute.
    UNRECOGNIZED_WELL_KNOWN_ATTRIBUTE = 3/2, "Unrecognized Well-known Attribute";
    /// RFC 4271 §6.3; data: the attribute's type.
    MISSING_WELL_KNOWN_ATTRIBUTE = 3/3, "Missing Well-known Attribute";
    /// RFC 4271 §6.3; data: the attribute.
    ATTRIBUTE_FLAGS_ERROR = 3/4, "Attribute Flags Error";
    /// RFC 4271 §6.3; data: the attribute.
    ATTRIBUTE_LENGTH_ERROR = 3/5, "Attribute Length Error";
    /// RFC 4271 §6.3; data: the attribute.
    INVALID_ORIGIN_ATTRIBUTE = 3/6, "Invalid ORIGIN Attribute";
    /// RFC 4271 §6.3; data: the attribute.
    INVALID_NEXT_HOP_ATTRIBUTE = 3/8, "Invalid NEXT_HOP Attribute";
    /// RFC 4271 §6.3; data: the attribute.
    OPTIONAL_ATTRIBUTE_ERROR = 3/9, "Optional Attribute Error";
    /// RFC 4271 §6.3.
    INVALID_NETWORK_FIELD = 3/10, "Invalid Network Field";
    /// RFC 4271 §6.3.
    MALFORMED_AS_PATH = 3/11, "Malformed AS_PATH";
    /// RFC 4271 §6.5.
    HOLD_TIMER_EXPIRED = 4/0, "Hold Timer Expired";
    /// RFC 4271 §6.6.
    FSM_UNSPECIFIC = 5/0, "Finite State Machine Error";
    /// RFC 6608 §3; data: the message's type.
    UNEXPECTED_IN_OPEN_SENT = 5/1, "Unexpected Message in OpenSent State";
    /// RFC 6608 §3; data: the message's type.
    UNEXPECTED_IN_OPEN_CONFIRM = 5/2, "Unexpected Message in OpenConfirm State";
    /// RFC 6608 §3; data: the message's type.
    UNEXPECTED_IN_ESTABLISHED = 5/3, "Unexpected Message in Established State";
    /// RFC 4271 §6.7.
    CEASE = 6/0, "Cease";
    /// RFC 4486 §4.
    MAXIMUM_PREFIXES = 6/1, "Maximum Number of Prefixes Reached";
    /// RFC 4486 §4, RFC 9003.
    ADMINISTRATIVE_SHUTDOWN = 6/2, "Administrative Shutdown";
    /// RFC 4486 §4.
    PEER_DECONFIGURED = 6/3, "Peer De-configured";
    /// RFC 4486 §4, RFC 9003.
    ADMINISTRATIVE_RESET = 6/4, "Administrative Reset";
    /// RFC 4486 §4.
    CONNECTION_REJECTED = 6/5, "Connection Rejected";
    /// RFC 4486 §4.
    OTHER_CONFIGURATION_CHANGE = 6/6, "Other Configuration Change";
    /// RFC 4486 §4.
    COLLISION_RESOLUTION = 6/7, "Connection Collision Resolution";
    /// RFC 4486 §4.
    OUT_OF_RESOURCES = 6/8, "Out of Resources";
    /// RFC 8538 §3; data: the NOTIFICATION that is meant.
    HARD_RESET = 6/9, "Hard Reset";
    /// RFC 9384 §2.
    BFD_DOWN = 6/10, "BFD Down";
    /// RFC 7313 §5.
    ROUTE_REFRESH_LENGTH = 7/1, "Invalid ROUTE-REFRESH Length";
    /// RFC 9687 §4.
    SEND_HOLD_TIMER_EXPIRED = 8/0, "Send Hold Timer Expired";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.words() {
            Some(words) => formatter.write_str(words),
            None => write!(formatter, "error {}/{}", self.code, self.subcode),
        }
    }
}

/// Why a speaker ends a session. Shown in words, a peer's text without its control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// What is wrong.
    pub error: ErrorCode,
    /// What belongs to it, by its code; at most 4,075 octets are sent.
    pub data: Vec<u8>,
}

impl Notification {
    /// With its data.
    #[must_use]
    pub const fn new(error: ErrorCode, data: Vec<u8>) -> Self {
        Self { error, data }
    }

    /// A Cease with a text for the peer's operator (RFC 9003). What is behind 255 octets is cut off, at a character.
    pub(crate) fn with_text(error: ErrorCode, text: &str) -> Self {
        let text = &text[..text.floor_char_boundary(TEXT_MAX_LEN)];
        let mut data = Vec::with_capacity(text.len() + 1);
        if !text.is_empty() {
            super::octets::with_length_u8(&mut data, |data| data.extend_from_slice(text.as_bytes()));
        }
        Self { error, data }
    }

    /// This, so that a peer that would keep routes over a NOTIFICATION drops them (RFC 8538 §3.1).
    pub(crate) fn into_hard_reset(self) -> Self {
        let mut data = vec![self.error.code, self.error.subcode];
        data.extend_from_slice(&self.data);
        Self { error: ErrorCode::HARD_RESET, data }
    }

    /// The body of a message.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Truncated> {
        let mut reader = Reader::new(body);
        let error = ErrorCode { code: reader.u8()?, subcode: reader.u8()? };
        Ok(Self { error, data: reader.rest().to_vec() })
    }

    /// Appends the message.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let data = &self.data[..self.data.len().min(DATA_MAX_LEN)];
        write_message(out, MessageType::Notification, |out| {
            out.extend_from_slice(&[self.error.code, self.error.subcode]);
            out.extend_from_slice(data);
        });
    }

    /// The text of a Shutdown Communication, if there is one and it is well formed.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        if ![ErrorCode::ADMINISTRATIVE_SHUTDOWN, ErrorCode::ADMINISTRATIVE_RESET].contains(&self.error) {
            return None;
        }
        let mut reader = Reader::new(&self.data);
        let length = reader.u8().ok()?;
        let text = std::str::from_utf8(reader.slice(length.into()).ok()?).ok()?;
        let shown: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
        (!shown.is_empty()).then_some(shown)
    }
}

impl fmt::Display for Notification {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(formatter)?;
        if self.error == ErrorCode::HARD_RESET
            && let Ok(inner) = Self::parse(&self.data)
            && inner.error != ErrorCode::HARD_RESET
        {
            return write!(formatter, " ({inner})");
        }
        match self.text() {
            Some(text) => write!(formatter, " \"{text}\""),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_a_character_and_read_back() {
        let sent = Notification::with_text(ErrorCode::ADMINISTRATIVE_SHUTDOWN, &"ü".repeat(200));
        assert_eq!(sent.data.len(), 255);
        assert_eq!(sent.text().unwrap().chars().count(), 127);
        assert_eq!(Notification::with_text(ErrorCode::ADMINISTRATIVE_SHUTDOWN, "").data, []);
    }

    #[test]
    fn words_are_for_people_and_harmless() {
        let shutdown = Notification::with_text(ErrorCode::ADMINISTRATIVE_SHUTDOWN, "back\nat 8");
        assert_eq!(shutdown.to_string(), "Administrative Shutdown \"back at 8\"");
        assert_eq!(
            shutdown.into_hard_reset().to_string(),
            "Hard Reset (Administrative Shutdown \"back at 8\")"
        );
        let unknown = Notification::new(ErrorCode { code: 9, subcode: 7 }, vec![1]);
        assert_eq!(unknown.to_string(), "error 9/7");
        for octets in [&[5, b'a'][..], &[1, 0xff], &[]] {
            let broken = Notification::new(ErrorCode::ADMINISTRATIVE_RESET, octets.to_vec());
            assert_eq!(broken.to_string(), "Administrative Reset");
        }
        // A peer that nests them has no say in how deep we go.
        let nested = Notification::new(ErrorCode::HARD_RESET, [6, 9].repeat(2_000));
        assert_eq!(nested.to_string(), "Hard Reset");
    }
}
