//! Whom a session is with, and how what comes in finds it.

use std::net::IpAddr;

/// UDP destination port of control packets over a single hop (RFC 5881 §4).
pub const SINGLE_HOP_PORT: u16 = 3784;
/// UDP destination port of control packets over several hops (RFC 5883 §5).
pub const MULTIHOP_PORT: u16 = 4784;
/// TTL or hop limit of every packet that is sent, and the only one that is taken over a single hop (RFC 5881 §5).
pub const TTL: u8 = 255;

/// The kernel's number of a network interface, or of a VRF's device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IfIndex(pub u32);

/// What lies between the two ends of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hops {
    /// One link (RFC 5881).
    Single,
    /// Routers (RFC 5883).
    Multi,
}

impl Hops {
    /// The UDP port that packets go to and arrive at.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Single => SINGLE_HOP_PORT,
            Self::Multi => MULTIHOP_PORT,
        }
    }
}

/// The other end of a session. There is one session for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    /// Its address, as it stands as the source of its packets.
    pub address: IpAddr,
    /// The interface that the session is bound to, if any: packets that come in elsewhere are discarded. A link-local
    /// address needs one.
    pub interface: Option<IfIndex>,
    /// How far it is.
    pub hops: Hops,
}

/// A UDP datagram that came in at one of the two ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// What it carries.
    pub payload: &'a [u8],
    /// Source address. An IPv4 address is not to be given as an IPv6-mapped one.
    pub source: IpAddr,
    /// The interface it came in through.
    pub interface: IfIndex,
    /// Which port it came to: [`Hops::port`].
    pub hops: Hops,
    /// TTL or hop limit as received.
    pub ttl: u8,
}
