//! Frames as values. Parsing trusts nothing and never panics; emitting is its mirror.

pub mod arp;

use std::fmt;

/// A 48-bit Ethernet address, in the order of the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// All stations of the segment.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// "Not known": the target hardware address of a request.
    pub const ZERO: Self = Self([0; 6]);

    /// True for the address of one station: neither a group address (broadcast is one) nor zero.
    #[must_use]
    pub fn is_unicast(self) -> bool {
        // IEEE 802: the lowest bit of the first octet marks a group address.
        self.0[0] & 1 == 0 && self != Self::ZERO
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
    /// Another protocol than the one asked for.
    #[error("ethertype {0:#06x} is not ARP (0x0806)")]
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
}
