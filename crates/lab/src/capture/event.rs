use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::bfd::BfdControl;

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// `ff:ff:ff:ff:ff:ff`.
    pub const BROADCAST: MacAddr = MacAddr([0xff; 6]);
    /// `00:00:00:00:00:00`, an unknown target in an ARP request.
    pub const UNSPECIFIED: MacAddr = MacAddr([0; 6]);
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

/// A text that is not six hexadecimal bytes with colons between them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an Ethernet address: give six bytes such as 02:00:00:00:00:01")]
pub struct MacAddrError(String);

impl FromStr for MacAddr {
    type Err = MacAddrError;

    fn from_str(text: &str) -> Result<MacAddr, MacAddrError> {
        let byte = |part: &str| {
            let is_byte = part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit());
            is_byte.then(|| u8::from_str_radix(part, 16).ok()).flatten()
        };
        let bytes: Option<Vec<u8>> = text.split(':').map(byte).collect();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(MacAddr).ok_or_else(|| MacAddrError(text.to_owned()))
    }
}

/// One frame of a capture that says something about who answers for which address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// When the kernel saw the frame: nanoseconds since 1970, `CLOCK_REALTIME`; compare with
    /// [`wall_nanos`](super::wall_nanos).
    pub at_nanos: u64,
    /// Whether the captured interface sent or received it.
    pub direction: Direction,
    /// The frame's source address.
    pub source_mac: MacAddr,
    /// The frame's destination address.
    pub destination_mac: MacAddr,
    /// What the frame carries.
    pub packet: Packet,
}

/// Which way a frame passed the captured interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It came in from the wire, whomever it was for.
    Received,
    /// This host sent it.
    Sent,
}

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet {
    /// ARP for IPv4 over Ethernet (RFC 826).
    Arp(Arp),
    /// ICMPv6 neighbor solicitation (RFC 4861 section 4.3).
    NeighborSolicitation(NeighborSolicitation),
    /// ICMPv6 neighbor advertisement (RFC 4861 section 4.4).
    NeighborAdvertisement(NeighborAdvertisement),
    /// A TCP segment.
    Tcp(Segment),
    /// A UDP datagram, or its first fragment.
    Udp(Datagram),
    /// A UDP datagram that is a BFD control packet.
    Bfd(BfdControl),
    /// ICMP or ICMPv6 destination unreachable.
    Unreachable(Unreachable),
}

impl Packet {
    /// The MAC address that the sender claims `ip` for: as sender of an ARP packet or target of a neighbor
    /// advertisement. `None` if the packet makes no such claim. Without a link-layer address option an advertisement
    /// confirms an address that its receiver knows, and says none.
    pub fn claimed_by(&self, ip: IpAddr) -> Option<MacAddr> {
        match self {
            Packet::Arp(arp) => (ip == arp.sender_ip).then_some(arp.sender_mac),
            Packet::NeighborAdvertisement(advertisement) => {
                advertisement.target_link_address.filter(|_| ip == advertisement.target_ip)
            }
            Packet::NeighborSolicitation(_)
            | Packet::Tcp(_)
            | Packet::Udp(_)
            | Packet::Bfd(_)
            | Packet::Unreachable(_) => None,
        }
    }
}

/// An ARP request or reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// Request or reply.
    pub operation: ArpOperation,
    /// Sender hardware address (SHA).
    pub sender_mac: MacAddr,
    /// Sender protocol address.
    pub sender_ip: Ipv4Addr,
    /// Target hardware address (THA).
    pub target_mac: MacAddr,
    /// Target protocol address.
    pub target_ip: Ipv4Addr,
}

impl Arp {
    /// An announcement: the sender names its own address as the target (RFC 5227 section 2.3), as request or reply.
    pub fn is_gratuitous(&self) -> bool {
        self.sender_ip == self.target_ip && !self.sender_ip.is_unspecified()
    }

    /// A question whether an address is free, without a sender address (RFC 5227 section 2.1.1).
    pub fn is_probe(&self) -> bool {
        self.operation == ArpOperation::Request && self.sender_ip.is_unspecified()
    }
}

/// The ARP operations that a segment of hosts uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArpOperation {
    /// Who has it.
    Request,
    /// It is at.
    Reply,
}

/// An ICMPv6 neighbor solicitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighborSolicitation {
    /// The asker; `::` in duplicate address detection.
    pub source_ip: Ipv6Addr,
    /// The target, its solicited-node group, or another address that was asked.
    pub destination_ip: Ipv6Addr,
    /// Whose link-layer address is wanted.
    pub target_ip: Ipv6Addr,
    /// The source link-layer address option.
    pub source_link_address: Option<MacAddr>,
}

/// An ICMPv6 neighbor advertisement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighborAdvertisement {
    /// The sender.
    pub source_ip: Ipv6Addr,
    /// The asker, or all nodes if it is unsolicited.
    pub destination_ip: Ipv6Addr,
    /// The address that is announced.
    pub target_ip: Ipv6Addr,
    /// The target link-layer address option.
    pub target_link_address: Option<MacAddr>,
    /// The R flag.
    pub is_router: bool,
    /// The S flag.
    pub is_solicited: bool,
    /// The O flag.
    pub overrides: bool,
}

/// A TCP segment's addresses and what it does to the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Source address and port.
    pub source: SocketAddr,
    /// Destination address and port.
    pub destination: SocketAddr,
    /// Opens the connection; with `ack`, the answer to that.
    pub syn: bool,
    /// Acknowledges.
    pub ack: bool,
    /// Ends the sender's side.
    pub fin: bool,
    /// Refuses or breaks the connection.
    pub rst: bool,
}

/// A UDP datagram's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Source address and port.
    pub source: SocketAddr,
    /// Destination address and port.
    pub destination: SocketAddr,
}

/// A destination unreachable message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// Who says so.
    pub source_ip: IpAddr,
    /// Who is told.
    pub destination_ip: IpAddr,
    /// The code: for IPv4 3 is "port unreachable" (RFC 792), for IPv6 4 is (RFC 4443 section 3.1).
    pub code: u8,
    /// The packet that did not get through, if it was TCP or UDP and enough of it is quoted.
    pub about: Option<Flow>,
}

/// The addresses and protocol of a packet quoted in an ICMP error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// TCP or UDP.
    pub transport: Transport,
    /// Source address and port.
    pub source: SocketAddr,
    /// Destination address and port.
    pub destination: SocketAddr,
}

/// A transport protocol with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}
