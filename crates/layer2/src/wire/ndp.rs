//! Neighbor solicitations and advertisements (RFC 4861) over Ethernet, with the headers they travel in.
//!
//! Extension headers are not read: a message behind one is refused. RFC 6980 §5 forbids the fragment header, and no
//! neighbour discovery of an operating system sends another one.

use std::net::Ipv6Addr;

use etherparse::checksum::Sum16BitWords;
use etherparse::err::ipv6::{HeaderError, HeaderSliceError};
use etherparse::{EtherType, Ethernet2Slice, Icmpv6Slice, IpNumber, Ipv6HeaderSlice};

use super::{ETHERNET_HEADER_LEN, Frame, MacAddr, ParseError, too_short};

/// ff02::1, every node of the segment.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Octets of a nonce that has one option unit, as every system sends it (RFC 3971 §5.3.2: at least 6).
pub const NONCE_LEN: usize = 6;

const IPV6_HEADER_LEN: usize = 40;
/// Type, code, checksum, flags and target; options follow.
const MESSAGE_LEN: usize = 24;
/// Each option that is sent here has one unit of 8 octets.
const OPTION_LEN: usize = 8;
/// RFC 4861 §4.3, §4.4: what comes with a lower one has passed a router.
const HOP_LIMIT: u8 = 255;

const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

const SOURCE_LINK_LAYER_ADDRESS: u8 = 1;
const TARGET_LINK_LAYER_ADDRESS: u8 = 2;
/// RFC 3971 §5.3.2, used by RFC 7527.
const NONCE: u8 = 14;

const FLAG_ROUTER: u8 = 0x80;
const FLAG_SOLICITED: u8 = 0x40;
const FLAG_OVERRIDE: u8 = 0x20;

/// The group that whoever uses `address` listens to (RFC 4291 §2.7.1): ff02::1:ff and its last 24 bits.
#[must_use]
pub fn solicited_node_group(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]))
}

/// One frame of neighbor discovery, only with values that are legal on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NdpPacket {
    /// Destination in the Ethernet header.
    pub ethernet_destination: MacAddr,
    /// Source in the Ethernet header; a switch learns from it.
    pub ethernet_source: MacAddr,
    /// Who asks or tells; `::` in duplicate address detection.
    pub source: Ipv6Addr,
    /// A node, or a group.
    pub destination: Ipv6Addr,
    /// The address that it is about; never a group.
    pub target: Ipv6Addr,
    /// What it asks or says about the target.
    pub message: Message,
}

/// What a packet asks or says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// Who has the target?
    Solicitation {
        /// Where to send the answer: the source link-layer address option.
        source_mac: Option<MacAddr>,
        /// Tells a solicitation that came back from one of another node (RFC 7527 §4.2). `None` also for one of
        /// another length than [`NONCE_LEN`], which cannot be ours.
        nonce: Option<[u8; NONCE_LEN]>,
    },
    /// The target is here.
    Advertisement {
        /// Where: the target link-layer address option. Without it the receiver keeps what it knows.
        target_mac: Option<MacAddr>,
        /// The R flag: the sender is a router.
        is_router: bool,
        /// The S flag: an answer to a solicitation, which confirms that the target is reachable.
        is_solicited: bool,
        /// The O flag: replaces another address that is known.
        overrides: bool,
    },
}

impl NdpPacket {
    /// Reads an Ethernet frame without its checksum. Octets after the IPv6 payload are padding and ignored.
    ///
    /// # Errors
    /// Says which rule of RFC 4861 §7.1.1 or §7.1.2 makes a node drop it silently, or that it is something else than
    /// a solicitation or advertisement.
    pub fn parse(frame: &[u8]) -> Result<Self, ParseError> {
        let ethernet = Ethernet2Slice::from_slice_without_fcs(frame).map_err(too_short)?;
        if ethernet.ether_type() != EtherType::IPV6 {
            return Err(ParseError::EtherType(ethernet.ether_type().0));
        }
        let packet = ethernet.payload_slice();
        let ip = Ipv6HeaderSlice::from_slice(packet).map_err(|error| match error {
            HeaderSliceError::Len(error) => too_short(error),
            HeaderSliceError::Content(HeaderError::UnexpectedVersion { .. }) => ParseError::Version,
        })?;
        if ip.next_header() != IpNumber::IPV6_ICMP {
            return Err(ParseError::NextHeader(ip.next_header().0));
        }
        // §7.1.1, §7.1.2: "The IP Hop Limit field has a value of 255".
        if ip.hop_limit() != HOP_LIMIT {
            return Err(ParseError::HopLimit(ip.hop_limit()));
        }
        let payload = octets(packet, IPV6_HEADER_LEN, ip.payload_length().into())?;
        let icmp = Icmpv6Slice::from_slice(payload).map_err(too_short)?;
        // "ICMP Checksum is valid", "ICMP Code is 0", "ICMP length is 24 or more octets".
        if !icmp.is_checksum_valid(ip.source(), ip.destination()) {
            return Err(ParseError::Checksum);
        }
        let (kind, code) = (icmp.type_u8(), icmp.code_u8());
        if !matches!((kind, code), (SOLICITATION | ADVERTISEMENT, 0)) {
            return Err(ParseError::IcmpType { kind, code });
        }
        let target = octets(payload, 8, 16)?.try_into().map(<Ipv6Addr as From<[u8; 16]>>::from);
        let target = target.expect("16 octets are an IPv6 address");
        // "Target Address is not a multicast address".
        if target.is_multicast() {
            return Err(ParseError::MulticastTarget(target));
        }
        let options = Options::parse(&payload[MESSAGE_LEN..])?;
        let (source, destination) = (ip.source_addr(), ip.destination_addr());
        let message = if kind == SOLICITATION {
            solicitation(source, destination, &options)?
        } else {
            advertisement(destination, icmp.bytes5to8()[0], &options)?
        };
        Ok(Self {
            ethernet_destination: MacAddr(ethernet.destination()),
            ethernet_source: MacAddr(ethernet.source()),
            source,
            destination,
            target,
            message,
        })
    }

    /// Writes the frame, ready for a raw packet socket: 86 octets with an option, 78 without. Only the first of two
    /// options of a solicitation is written; nobody sends both (RFC 4861 §4.3 with RFC 7527 §4.1).
    #[must_use]
    pub fn emit(&self) -> Frame {
        let (kind, flags, option) = match self.message {
            Message::Solicitation { source_mac: Some(mac), .. } => {
                (SOLICITATION, 0, Some((SOURCE_LINK_LAYER_ADDRESS, mac.0)))
            }
            Message::Solicitation { source_mac: None, nonce } => {
                (SOLICITATION, 0, nonce.map(|nonce| (NONCE, nonce)))
            }
            Message::Advertisement { target_mac, is_router, is_solicited, overrides } => {
                let flag = |is_set: bool, flag| if is_set { flag } else { 0 };
                let flags = flag(is_router, FLAG_ROUTER)
                    | flag(is_solicited, FLAG_SOLICITED)
                    | flag(overrides, FLAG_OVERRIDE);
                (ADVERTISEMENT, flags, target_mac.map(|mac| (TARGET_LINK_LAYER_ADDRESS, mac.0)))
            }
        };
        let mut message = [0; MESSAGE_LEN + OPTION_LEN];
        message[0] = kind;
        message[4] = flags;
        message[8..MESSAGE_LEN].copy_from_slice(&self.target.octets());
        if let Some((kind, value)) = option {
            message[MESSAGE_LEN..MESSAGE_LEN + 2].copy_from_slice(&[kind, 1]);
            message[MESSAGE_LEN + 2..].copy_from_slice(&value);
        }
        let length = MESSAGE_LEN + if option.is_some() { OPTION_LEN } else { 0 };
        let message = &mut message[..length];
        let checksum = self.checksum(message);
        message[2..4].copy_from_slice(&checksum);
        self.frame(message)
    }

    /// RFC 4443 §2.3: over the pseudo-header and the message, whose checksum field is zero here. As the wire has it.
    fn checksum(&self, message: &[u8]) -> [u8; 2] {
        Sum16BitWords::new()
            .add_16bytes(self.source.octets())
            .add_16bytes(self.destination.octets())
            .add_4bytes((message.len() as u32).to_be_bytes())
            .add_2bytes([0, IpNumber::IPV6_ICMP.0])
            .add_slice(message)
            .ones_complement()
            .to_ne_bytes()
    }

    fn frame(&self, message: &[u8]) -> Frame {
        let mut frame = [0; ETHERNET_HEADER_LEN + IPV6_HEADER_LEN + MESSAGE_LEN + OPTION_LEN];
        let mut length = 0;
        let payload_length = (message.len() as u16).to_be_bytes();
        for part in [
            &self.ethernet_destination.0[..],
            &self.ethernet_source.0,
            &EtherType::IPV6.0.to_be_bytes(),
            // Version 6, traffic class and flow label 0.
            &[0x60, 0, 0, 0],
            &payload_length,
            &[IpNumber::IPV6_ICMP.0, HOP_LIMIT],
            &self.source.octets(),
            &self.destination.octets(),
            message,
        ] {
            frame[length..length + part.len()].copy_from_slice(part);
            length += part.len();
        }
        Frame::new(&frame[..length])
    }
}

fn octets(of: &[u8], offset: usize, length: usize) -> Result<&[u8], ParseError> {
    let part = of.get(offset..).and_then(|rest| rest.get(..length));
    part.ok_or(ParseError::TooShort { required: offset + length, actual: of.len() })
}

fn solicitation(source: Ipv6Addr, destination: Ipv6Addr, options: &Options) -> Result<Message, ParseError> {
    if source.is_unspecified() {
        // §7.1.1: then "the IP destination address is a solicited-node multicast address" …
        if destination != solicited_node_group(destination) {
            return Err(ParseError::DetectionDestination(destination));
        }
        // … and "there is no source link-layer address option in the message".
        if options.source_mac.is_some() {
            return Err(ParseError::DetectionSource);
        }
    }
    Ok(Message::Solicitation { source_mac: options.source_mac, nonce: options.nonce })
}

fn advertisement(destination: Ipv6Addr, flags: u8, options: &Options) -> Result<Message, ParseError> {
    let is_solicited = flags & FLAG_SOLICITED != 0;
    // §7.1.2: "If the IP Destination Address is a multicast address the Solicited flag is zero."
    if is_solicited && destination.is_multicast() {
        return Err(ParseError::SolicitedByGroup);
    }
    Ok(Message::Advertisement {
        target_mac: options.target_mac,
        is_router: flags & FLAG_ROUTER != 0,
        is_solicited,
        overrides: flags & FLAG_OVERRIDE != 0,
    })
}

/// The options that matter here, each the first of its kind.
#[derive(Default)]
struct Options {
    source_mac: Option<MacAddr>,
    target_mac: Option<MacAddr>,
    nonce: Option<[u8; NONCE_LEN]>,
}

impl Options {
    /// §4.6: units of 8 octets; "Nodes MUST silently discard an ND packet that contains an option with length zero".
    /// §7.1.1: options that are not known or not specified for the message are ignored.
    fn parse(mut rest: &[u8]) -> Result<Self, ParseError> {
        let mut options = Self::default();
        while let [kind, units, ..] = *rest {
            let length = usize::from(units) * OPTION_LEN;
            if length == 0 || length > rest.len() {
                return Err(ParseError::OptionLength(kind));
            }
            let (option, after) = rest.split_at(length);
            let value: Option<[u8; 6]> = option[2..].try_into().ok();
            match kind {
                SOURCE_LINK_LAYER_ADDRESS | TARGET_LINK_LAYER_ADDRESS => {
                    // RFC 2464 §6: one unit over Ethernet.
                    let mac = MacAddr(value.ok_or(ParseError::OptionLength(kind))?);
                    let known = if kind == SOURCE_LINK_LAYER_ADDRESS {
                        &mut options.source_mac
                    } else {
                        &mut options.target_mac
                    };
                    known.get_or_insert(mac);
                }
                NONCE => options.nonce = options.nonce.or(value),
                _ => {}
            }
            rest = after;
        }
        // A last octet alone has no length.
        match rest {
            [] => Ok(options),
            [kind, ..] => Err(ParseError::OptionLength(*kind)),
        }
    }
}

#[cfg(test)]
mod tests;
