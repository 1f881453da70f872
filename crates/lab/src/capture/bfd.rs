use std::net::SocketAddr;

#[cfg(test)]
mod tests;

/// UDP destination ports of control packets over one hop (RFC 5881 section 4) and over several (RFC 5883 section 5).
const PORTS: [u16; 2] = [3784, 4784];
/// Octets of a control packet without authentication.
const LEN_MIN: u8 = 24;
const VERSION: u8 = 1;

/// A BFD control packet of version 1 (RFC 5880 section 4.1), with the numbers that stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BfdControl {
    /// Source address and port.
    pub source: SocketAddr,
    /// Destination address and port: 3784 over one hop, 4784 over several.
    pub destination: SocketAddr,
    /// TTL or hop limit; 255 if it has passed no router (RFC 5881 section 5).
    pub ttl: u8,
    /// Why the sender's session last went down (RFC 5880 section 4.1), 0 to 31.
    pub diagnostic: u8,
    /// The sender's session state.
    pub state: BfdState,
    /// The P flag: an answer with F is wanted at once.
    pub is_poll: bool,
    /// The F flag: the answer to P.
    pub is_final: bool,
    /// The C flag.
    pub is_control_plane_independent: bool,
    /// The A flag: an authentication section follows, which is not decoded.
    pub is_authenticated: bool,
    /// The D flag.
    pub is_demand: bool,
    /// The M flag, which no sender may set.
    pub is_multipoint: bool,
    /// Packets in a row that may be lost before the session is down.
    pub detect_multiplier: u8,
    /// The sender's own name of the session.
    pub my_discriminator: u32,
    /// The name that the sender has heard from the other side; 0 if none.
    pub your_discriminator: u32,
    /// Desired Min TX Interval, microseconds.
    pub desired_min_tx_micros: u32,
    /// Required Min RX Interval, microseconds.
    pub required_min_rx_micros: u32,
    /// Required Min Echo RX Interval, microseconds; 0 if the sender takes no echo packets.
    pub required_min_echo_rx_micros: u32,
}

/// State of a BFD session at one end (RFC 5880 section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BfdState {
    /// Held down by its own side.
    AdminDown,
    /// Hears nothing.
    Down,
    /// Hears the other side, and does not know of being heard.
    Init,
    /// Both sides hear each other.
    Up,
}

/// The ends of a datagram and its TTL or hop limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) ttl: u8,
}

impl BfdControl {
    /// Reads the payload of a datagram. `None` if it is to no port of BFD's control packets, of another version, shorter
    /// than it says, or says that it is shorter than a control packet. Rules about values are left to the tests.
    pub(super) fn decode(ends: Ends, payload: &[u8]) -> Option<BfdControl> {
        let Ends { source, destination, ttl } = ends;
        let (header, _) = payload.split_first_chunk::<{ LEN_MIN as usize }>()?;
        let [version_and_diagnostic, state_and_flags, detect_multiplier, len, ..] = *header;
        let is_whole = len >= LEN_MIN && usize::from(len) <= payload.len();
        if !PORTS.contains(&destination.port()) || version_and_diagnostic >> 5 != VERSION || !is_whole {
            return None;
        }
        let word = |index: usize| {
            let at = index * 4;
            u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let flag = |bit: u8| state_and_flags & bit != 0;
        Some(BfdControl {
            source,
            destination,
            ttl,
            diagnostic: version_and_diagnostic & 0x1f,
            state: BfdState::from_bits(state_and_flags >> 6),
            is_poll: flag(0x20),
            is_final: flag(0x10),
            is_control_plane_independent: flag(0x08),
            is_authenticated: flag(0x04),
            is_demand: flag(0x02),
            is_multipoint: flag(0x01),
            detect_multiplier,
            my_discriminator: word(1),
            your_discriminator: word(2),
            desired_min_tx_micros: word(3),
            required_min_rx_micros: word(4),
            required_min_echo_rx_micros: word(5),
        })
    }
}

impl BfdState {
    fn from_bits(bits: u8) -> BfdState {
        match bits & 3 {
            0 => BfdState::AdminDown,
            1 => BfdState::Down,
            2 => BfdState::Init,
            _ => BfdState::Up,
        }
    }
}
