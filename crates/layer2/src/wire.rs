//! Frames as values. Parsing trusts nothing and never panics; emitting is its mirror.

pub mod arp;
pub mod ndp;
pub mod router;

use std::fmt;
use std::net::Ipv6Addr;
use std::ops::Deref;

use etherparse::err::LenError;

/// A 48-bit Ethernet address, in the order of the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// All stations of the segment.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// "Not known": the target hardware address of a request.
    pub const ZERO: Self = Self([0; 6]);

    /// Where IPv6 sends what is for a group (RFC 2464 §7): 33:33 and the last four octets of the group's address.
    #[must_use]
    pub fn of_group(group: Ipv6Addr) -> Self {
        let [.., a, b, c, d] = group.octets();
        Self([0x33, 0x33, a, b, c, d])
    }

    /// True for the address of a group of stations, of which all is one.
    #[must_use]
    pub fn is_group(self) -> bool {
        // IEEE 802: the lowest bit of the first octet marks a group address.
        self.0[0] & 1 == 1
    }

    /// True for the address of one station: neither a group address (broadcast is one) nor zero.
    #[must_use]
    pub fn is_unicast(self) -> bool {
        !self.is_group() && self != Self::ZERO
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Octets of the Ethernet header.
const ETHERNET_HEADER_LEN: usize = 14;

/// Longest frame that is ever sent: a neighbor message with one option.
const FRAME_LEN_MAX: usize = 86;

/// An Ethernet frame to send, from the header to the end of the packet, unpadded and without checksum. At most 86
/// octets, held in place: a frame costs no allocation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    octets: [u8; FRAME_LEN_MAX],
    length: usize,
}

impl Frame {
    /// # Panics
    /// If there are more than 86 octets; no emitter makes them.
    fn new(content: &[u8]) -> Self {
        let mut octets = [0; FRAME_LEN_MAX];
        octets[..content.len()].copy_from_slice(content);
        Self { octets, length: content.len() }
    }
}

impl Deref for Frame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.octets[..self.length]
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// True if the ethertype is that of IPv6; any other frame is left to the ARP parser, which says what it is.
pub(crate) fn is_ipv6(frame: &[u8]) -> bool {
    frame.get(12..ETHERNET_HEADER_LEN) == Some(&[0x86, 0xdd])
}

fn too_short(error: LenError) -> ParseError {
    ParseError::TooShort { required: error.required_len, actual: error.len }
}

/// Why a frame is not one of ours to read. Holds no bytes of the frame, so that refusing costs no allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The frame ends before the packet does.
    #[error("frame too short: {required} octets needed, {actual} present")]
    TooShort {
        /// Octets that the layer needs.
        required: usize,
        /// Octets that the layer has.
        actual: usize,
    },
    /// Neither ARP nor IPv6, or not the one of them that was asked for.
    #[error(
        "ethertype {0:#06x} is neither ARP (0x0806) nor IPv6 (0x86dd), or not the one that was asked for"
    )]
    EtherType(u16),
    /// `ar$hrd` is not Ethernet.
    #[error("ARP hardware type {0} is not Ethernet (1)")]
    HardwareType(u16),
    /// `ar$pro` is not IPv4.
    #[error("ARP protocol type {0:#06x} is not IPv4 (0x0800)")]
    ProtocolType(u16),
    /// `ar$hln` and `ar$pln` do not fit Ethernet and IPv4.
    #[error("ARP address lengths {hardware} and {protocol} are not 6 and 4")]
    AddressLengths {
        /// `ar$hln`
        hardware: u8,
        /// `ar$pln`
        protocol: u8,
    },
    /// `ar$op` is neither request nor reply.
    #[error("ARP operation {0} is neither request (1) nor reply (2)")]
    Operation(u16),
    /// The version field of an IPv6 frame is not 6.
    #[error("IP version is not 6")]
    Version,
    /// Not ICMPv6 right after the IPv6 header.
    #[error("next header {0} is not ICMPv6 (58)")]
    NextHeader(u8),
    /// Has passed a router, which neighbor discovery never does.
    #[error("hop limit {0} is not 255")]
    HopLimit(u8),
    /// Wrong ICMPv6 checksum.
    #[error("ICMPv6 checksum is wrong")]
    Checksum,
    /// Neither a neighbor solicitation nor a neighbor advertisement of code 0.
    #[error(
        "ICMPv6 type {kind}, code {code} is neither neighbor solicitation (135, 0) nor advertisement (136, 0)"
    )]
    IcmpType {
        /// ICMPv6 type.
        kind: u8,
        /// ICMPv6 code.
        code: u8,
    },
    /// Neither a router solicitation nor a router advertisement of code 0.
    #[error(
        "ICMPv6 type {kind}, code {code} is neither router solicitation (133, 0) nor advertisement (134, 0)"
    )]
    RouterIcmpType {
        /// ICMPv6 type.
        kind: u8,
        /// ICMPv6 code.
        code: u8,
    },
    /// A router advertisement that does not say by its source who the router is on the link.
    #[error("router advertisement comes from {0}, which is not link-local")]
    RouterSource(Ipv6Addr),
    /// The target is a group, which nobody can resolve.
    #[error("target {0} is a multicast address")]
    MulticastTarget(Ipv6Addr),
    /// An option of length 0, of a wrong length, or past the end of the message.
    #[error("option of type {0} has a wrong length")]
    OptionLength(u8),
    /// Duplicate address detection that was not sent to a solicited-node group.
    #[error("solicitation from :: goes to {0}, no solicited-node group")]
    DetectionDestination(Ipv6Addr),
    /// Duplicate address detection that names a hardware address to answer to.
    #[error("solicitation from :: has a source link-layer address")]
    DetectionSource,
    /// An advertisement to a group that claims to be an answer.
    #[error("advertisement to a group has its solicited flag set")]
    SolicitedByGroup,
}
