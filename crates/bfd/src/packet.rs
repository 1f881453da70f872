//! BFD control packets (RFC 5880 §4.1) as values. Decoding trusts nothing and never panics; encoding is its mirror.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-----+---------+---+-+-+-+-+-+-+---------------+---------------+
//! | 1   | diag    |sta|P|F|C|A|D|M| detect mult   | length        |
//! +-----+---------+---+-+-+-+-+-+-+---------------+---------------+
//! | my discriminator                                              |
//! | your discriminator                                            |
//! | desired min tx interval, microseconds                         |
//! | required min rx interval, microseconds                        |
//! | required min echo rx interval, microseconds                   |
//! +---------------------------------------------------------------+
//! ```

use std::fmt;
use std::num::{NonZeroU8, NonZeroU32};
use std::time::Duration;

#[cfg(test)]
mod tests;

/// Octets of a control packet without an authentication section.
pub const PACKET_LEN: usize = 24;

/// Octets of the shortest control packet with an authentication section.
const AUTHENTICATED_LEN: u8 = 26;
const VERSION: u8 = 1;

const POLL: u8 = 0x20;
const FINAL: u8 = 0x10;
const CONTROL_PLANE_INDEPENDENT: u8 = 0x08;
const AUTHENTICATION_PRESENT: u8 = 0x04;
const DEMAND: u8 = 0x02;
const MULTIPOINT: u8 = 0x01;

/// Names a session at one of its two ends (RFC 5880 §6.3). Zero on the wire means "not known" and is no discriminator.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Discriminator(pub NonZeroU32);

impl Discriminator {
    fn from_wire(value: u32) -> Option<Self> {
        NonZeroU32::new(value).map(Self)
    }
}

impl fmt::Display for Discriminator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

impl fmt::Debug for Discriminator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// State of a session at one end (RFC 5880 §6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Held down by its own side. Says nothing about the path.
    AdminDown,
    /// Hears nothing, or has just been created.
    Down,
    /// Hears the other side, which does not hear this one yet as far as is known.
    Init,
    /// Both sides hear each other.
    Up,
}

impl State {
    fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::AdminDown,
            1 => Self::Down,
            2 => Self::Init,
            _ => Self::Up,
        }
    }

    fn bits(self) -> u8 {
        match self {
            Self::AdminDown => 0,
            Self::Down => 1,
            Self::Init => 2,
            Self::Up => 3,
        }
    }
}

/// Why a session last went down (RFC 5880 §4.1): a number of five bits, of which some have names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Diagnostic(u8);

impl Diagnostic {
    /// It has not gone down yet.
    pub const NONE: Self = Self(0);
    /// No packet came for a detection time.
    pub const CONTROL_DETECTION_TIME_EXPIRED: Self = Self(1);
    /// Echo packets did not come back.
    pub const ECHO_FUNCTION_FAILED: Self = Self(2);
    /// The other side said that it is down.
    pub const NEIGHBOR_SIGNALED_SESSION_DOWN: Self = Self(3);
    /// The forwarding plane began anew.
    pub const FORWARDING_PLANE_RESET: Self = Self(4);
    /// Something else than BFD knows that the path is down.
    pub const PATH_DOWN: Self = Self(5);
    /// A path that this one is a part of is down.
    pub const CONCATENATED_PATH_DOWN: Self = Self(6);
    /// Somebody has switched the session off.
    pub const ADMINISTRATIVELY_DOWN: Self = Self(7);
    /// A path that this one is a part of is down in the other direction.
    pub const REVERSE_CONCATENATED_PATH_DOWN: Self = Self(8);

    /// The diagnostic of a code; only its lowest five bits count.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        Self(code & 0x1f)
    }

    /// The number on the wire, 0 to 31.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Self::NONE => "no diagnostic",
            Self::CONTROL_DETECTION_TIME_EXPIRED => "control detection time expired",
            Self::ECHO_FUNCTION_FAILED => "echo function failed",
            Self::NEIGHBOR_SIGNALED_SESSION_DOWN => "neighbor signaled session down",
            Self::FORWARDING_PLANE_RESET => "forwarding plane reset",
            Self::PATH_DOWN => "path down",
            Self::CONCATENATED_PATH_DOWN => "concatenated path down",
            Self::ADMINISTRATIVELY_DOWN => "administratively down",
            Self::REVERSE_CONCATENATED_PATH_DOWN => "reverse concatenated path down",
            Self(other) => return write!(f, "unassigned diagnostic {other}"),
        };
        f.write_str(name)
    }
}

impl fmt::Debug for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({self})", self.0)
    }
}

/// One control packet without authentication, only with values that RFC 5880 §6.8.6 does not discard.
///
/// On the wire an interval is a number of microseconds of 32 bits: [`decode`](Self::decode) gives nothing else,
/// [`encode`](Self::encode) drops fractions and writes what is longer as the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Why the sender's session last went down.
    pub diagnostic: Diagnostic,
    /// The sender's state.
    pub state: State,
    /// P: asks for an answer at once (§6.5).
    pub is_poll: bool,
    /// F: the answer to a poll (§6.5).
    pub is_final: bool,
    /// C: the sender's BFD goes on if its control plane restarts.
    pub is_control_plane_independent: bool,
    /// D: the sender wants no periodic packets while both sides are Up (§6.6).
    pub is_demand: bool,
    /// How many of the sender's packets may be missing in a row, and one more (§6.8.4).
    pub detect_multiplier: NonZeroU8,
    /// The sender's discriminator.
    pub my_discriminator: Discriminator,
    /// The receiver's discriminator, if the sender knows it.
    pub your_discriminator: Option<Discriminator>,
    /// The sender would not send more often than this.
    pub desired_min_tx_interval: Duration,
    /// The sender takes no more than one packet in this time; zero: none but answers to polls.
    pub required_min_rx_interval: Duration,
    /// The sender returns no more than one echo packet in this time; zero: none.
    pub required_min_echo_rx_interval: Duration,
}

impl Packet {
    /// Reads the payload of a UDP datagram. Octets after the packet's own length are ignored (RFC 5880 §6.8.6).
    ///
    /// # Errors
    /// The first reason for which RFC 5880 §6.8.6 discards the packet whatever the session.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let (fixed, _) =
            payload.split_first_chunk::<PACKET_LEN>().ok_or(DecodeError::TooShort(payload.len()))?;
        let [first, second, detect_multiplier, length, words @ ..] = fixed;
        if first >> 5 != VERSION {
            return Err(DecodeError::Version(first >> 5));
        }
        let is_authenticated = second & AUTHENTICATION_PRESENT != 0;
        let length_min = if is_authenticated { AUTHENTICATED_LEN } else { PACKET_LEN as u8 };
        if *length < length_min || usize::from(*length) > payload.len() {
            return Err(DecodeError::Length { field: *length, payload: payload.len() });
        }
        let detect_multiplier = NonZeroU8::new(*detect_multiplier).ok_or(DecodeError::DetectMultiplier)?;
        if second & MULTIPOINT != 0 {
            return Err(DecodeError::Multipoint);
        }
        let word = |index: usize| {
            let octets = words.iter().skip(4 * index).take(4);
            octets.fold(0_u32, |word, octet| word << 8 | u32::from(*octet))
        };
        let micros = |index| Duration::from_micros(word(index).into());
        let my_discriminator = Discriminator::from_wire(word(0)).ok_or(DecodeError::MyDiscriminator)?;
        let your_discriminator = Discriminator::from_wire(word(1));
        let state = State::from_bits(second >> 6);
        if your_discriminator.is_none() && !matches!(state, State::Down | State::AdminDown) {
            return Err(DecodeError::YourDiscriminator(state));
        }
        if is_authenticated {
            return Err(DecodeError::Authentication);
        }
        Ok(Self {
            diagnostic: Diagnostic::from_code(*first),
            state,
            is_poll: second & POLL != 0,
            is_final: second & FINAL != 0,
            is_control_plane_independent: second & CONTROL_PLANE_INDEPENDENT != 0,
            is_demand: second & DEMAND != 0,
            detect_multiplier,
            my_discriminator,
            your_discriminator,
            desired_min_tx_interval: micros(2),
            required_min_rx_interval: micros(3),
            required_min_echo_rx_interval: micros(4),
        })
    }

    /// Writes the packet, ready to be the payload of a UDP datagram.
    #[must_use]
    pub fn encode(&self) -> [u8; PACKET_LEN] {
        let flags = [
            (self.is_poll, POLL),
            (self.is_final, FINAL),
            (self.is_control_plane_independent, CONTROL_PLANE_INDEPENDENT),
            (self.is_demand, DEMAND),
        ];
        let bits = flags.iter().filter(|(is_set, _)| *is_set).fold(0, |bits, (_, flag)| bits | flag);
        let words = [
            self.my_discriminator.0.get(),
            self.your_discriminator.map_or(0, |discriminator| discriminator.0.get()),
            micros(self.desired_min_tx_interval),
            micros(self.required_min_rx_interval),
            micros(self.required_min_echo_rx_interval),
        ];
        let mut octets = [0; PACKET_LEN];
        octets[0] = VERSION << 5 | self.diagnostic.code();
        octets[1] = self.state.bits() << 6 | bits;
        octets[2] = self.detect_multiplier.get();
        octets[3] = PACKET_LEN as u8;
        for (chunk, word) in octets[4..].chunks_exact_mut(4).zip(words) {
            chunk.copy_from_slice(&word.to_be_bytes());
        }
        octets
    }
}

fn micros(interval: Duration) -> u32 {
    u32::try_from(interval.as_micros()).unwrap_or(u32::MAX)
}

/// Why a payload is no control packet to act on (RFC 5880 §6.8.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer octets than the mandatory section has.
    #[error("payload of {0} octets is too short for a control packet (24)")]
    TooShort(usize),
    /// Another version of the protocol.
    #[error("version {0} is not 1")]
    Version(u8),
    /// The length field is less than the sections need, or more than there is.
    #[error("length field {field} does not fit a payload of {payload} octets")]
    Length {
        /// The length field.
        field: u8,
        /// Octets of the payload.
        payload: usize,
    },
    /// Detect Mult is zero.
    #[error("detection multiplier is zero")]
    DetectMultiplier,
    /// The M bit is set, which is reserved for extensions that are not spoken here.
    #[error("multipoint bit is set")]
    Multipoint,
    /// My Discriminator is zero.
    #[error("sender's discriminator is zero")]
    MyDiscriminator,
    /// Your Discriminator is zero in a state that is not reached without knowing it.
    #[error("receiver's discriminator is zero in state {0:?}")]
    YourDiscriminator(State),
    /// The A bit is set; authentication is not in use.
    #[error("packet is authenticated, which is not supported; switch authentication off at the peer")]
    Authentication,
}
