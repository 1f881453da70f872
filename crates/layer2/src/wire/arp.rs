//! ARP for IPv4 over Ethernet (RFC 826), with the Ethernet header it travels in.

use std::net::Ipv4Addr;

use etherparse::{ArpHardwareId, ArpOperation, ArpPacketSlice, EtherType, Ethernet2Slice};
use pnet_packet::arp::{ArpHardwareTypes, ArpOperations, MutableArpPacket};
use pnet_packet::ethernet::{EtherTypes, MutableEthernetPacket};

use super::{ETHERNET_HEADER_LEN, Frame, MacAddr, ParseError, too_short};

/// Octets of an ARP frame: 14 of Ethernet and 28 of ARP. The driver or the NIC pads it to the Ethernet minimum.
pub const FRAME_LEN: usize = ETHERNET_HEADER_LEN + 28;

/// What the packet asks or says (`ar$op`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Who has the target's protocol address?
    Request,
    /// The sender has it.
    Reply,
}

/// One ARP frame, only with values that are legal on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArpPacket {
    /// Destination in the Ethernet header.
    pub ethernet_destination: MacAddr,
    /// Source in the Ethernet header; a switch learns from it, a host does not.
    pub ethernet_source: MacAddr,
    /// Request or reply.
    pub operation: Operation,
    /// Whose binding this is (`ar$sha`).
    pub sender_mac: MacAddr,
    /// The address of that binding (`ar$spa`); 0.0.0.0 in a probe.
    pub sender_ip: Ipv4Addr,
    /// Whom it is for (`ar$tha`); nothing that matters in a request.
    pub target_mac: MacAddr,
    /// The address asked for (`ar$tpa`).
    pub target_ip: Ipv4Addr,
}

impl ArpPacket {
    /// Reads an Ethernet frame without its checksum. Octets after the packet are padding and ignored.
    ///
    /// # Errors
    /// Says what makes the frame something else than a request or reply for IPv4 over Ethernet.
    pub fn parse(frame: &[u8]) -> Result<Self, ParseError> {
        let ethernet = Ethernet2Slice::from_slice_without_fcs(frame).map_err(too_short)?;
        if ethernet.ether_type() != EtherType::ARP {
            return Err(ParseError::EtherType(ethernet.ether_type().0));
        }
        let arp = ArpPacketSlice::from_slice(ethernet.payload_slice()).map_err(too_short)?;
        // RFC 826, "Packet Reception": hardware type, protocol type, and only in the end the operation.
        if arp.hw_addr_type() != ArpHardwareId::ETHERNET {
            return Err(ParseError::HardwareType(arp.hw_addr_type().0));
        }
        if arp.proto_addr_type() != EtherType::IPV4 {
            return Err(ParseError::ProtocolType(arp.proto_addr_type().0));
        }
        let lengths =
            || ParseError::AddressLengths { hardware: arp.hw_addr_size(), protocol: arp.proto_addr_size() };
        let mac = |octets: &[u8]| octets.try_into().map(MacAddr).map_err(|_| lengths());
        let ip = |octets: &[u8]| <[u8; 4]>::try_from(octets).map(Ipv4Addr::from).map_err(|_| lengths());
        Ok(Self {
            ethernet_destination: MacAddr(ethernet.destination()),
            ethernet_source: MacAddr(ethernet.source()),
            sender_mac: mac(arp.sender_hw_addr())?,
            sender_ip: ip(arp.sender_protocol_addr())?,
            target_mac: mac(arp.target_hw_addr())?,
            target_ip: ip(arp.target_protocol_addr())?,
            operation: match arp.operation() {
                ArpOperation::REQUEST => Operation::Request,
                ArpOperation::REPLY => Operation::Reply,
                ArpOperation(other) => return Err(ParseError::Operation(other)),
            },
        })
    }

    /// Writes the frame, ready for a raw packet socket.
    #[must_use]
    pub fn emit(&self) -> Frame {
        let mut frame = [0; FRAME_LEN];
        let (header, payload) = frame.split_at_mut(ETHERNET_HEADER_LEN);
        let mut ethernet = MutableEthernetPacket::new(header).expect("14 octets hold an Ethernet header");
        ethernet.set_destination(self.ethernet_destination.0.into());
        ethernet.set_source(self.ethernet_source.0.into());
        ethernet.set_ethertype(EtherTypes::Arp);
        let mut arp = MutableArpPacket::new(payload).expect("28 octets hold an ARP packet");
        arp.set_hardware_type(ArpHardwareTypes::Ethernet);
        arp.set_protocol_type(EtherTypes::Ipv4);
        arp.set_hw_addr_len(6);
        arp.set_proto_addr_len(4);
        arp.set_operation(match self.operation {
            Operation::Request => ArpOperations::Request,
            Operation::Reply => ArpOperations::Reply,
        });
        arp.set_sender_hw_addr(self.sender_mac.0.into());
        arp.set_sender_proto_addr(self.sender_ip);
        arp.set_target_hw_addr(self.target_mac.0.into());
        arp.set_target_proto_addr(self.target_ip);
        Frame::new(&frame)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CLIENT: MacAddr = MacAddr([0x02, 0x00, 0x5e, 0x10, 0x00, 0x01]);
    const NODE: MacAddr = MacAddr([0x02, 0x00, 0x5e, 0x10, 0x00, 0x02]);

    /// 198.51.100.7 asks the segment for 192.0.2.10.
    const REQUEST: [u8; FRAME_LEN] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x00, 0x5e, 0x10, 0x00, 0x01, 0x08, 0x06, // Ethernet
        0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01, // types, lengths, operation
        0x02, 0x00, 0x5e, 0x10, 0x00, 0x01, 0xc6, 0x33, 0x64, 0x07, // sender
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xc0, 0x00, 0x02, 0x0a, // target
    ];

    /// The node's answer to it.
    const REPLY: [u8; FRAME_LEN] = [
        0x02, 0x00, 0x5e, 0x10, 0x00, 0x01, 0x02, 0x00, 0x5e, 0x10, 0x00, 0x02, 0x08, 0x06, // Ethernet
        0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x02, // types, lengths, operation
        0x02, 0x00, 0x5e, 0x10, 0x00, 0x02, 0xc0, 0x00, 0x02, 0x0a, // sender
        0x02, 0x00, 0x5e, 0x10, 0x00, 0x01, 0xc6, 0x33, 0x64, 0x07, // target
    ];

    fn request() -> ArpPacket {
        ArpPacket {
            ethernet_destination: MacAddr::BROADCAST,
            ethernet_source: CLIENT,
            operation: Operation::Request,
            sender_mac: CLIENT,
            sender_ip: Ipv4Addr::new(198, 51, 100, 7),
            target_mac: MacAddr::ZERO,
            target_ip: Ipv4Addr::new(192, 0, 2, 10),
        }
    }

    fn reply() -> ArpPacket {
        ArpPacket {
            ethernet_destination: CLIENT,
            ethernet_source: NODE,
            operation: Operation::Reply,
            sender_mac: NODE,
            sender_ip: Ipv4Addr::new(192, 0, 2, 10),
            target_mac: CLIENT,
            target_ip: Ipv4Addr::new(198, 51, 100, 7),
        }
    }

    #[test]
    fn golden_frames_parse_to_their_packets() {
        assert_eq!(ArpPacket::parse(&REQUEST), Ok(request()));
        assert_eq!(ArpPacket::parse(&REPLY), Ok(reply()));
    }

    #[test]
    fn packets_emit_their_golden_frames() {
        assert_eq!(*request().emit(), REQUEST);
        assert_eq!(*reply().emit(), REPLY);
    }

    #[test]
    fn padding_to_the_ethernet_minimum_is_ignored() {
        let mut padded = [0xa5; 60];
        padded[..FRAME_LEN].copy_from_slice(&REQUEST);
        assert_eq!(ArpPacket::parse(&padded), Ok(request()));
    }

    #[test]
    fn every_shortened_frame_is_refused_as_too_short() {
        for length in 0..FRAME_LEN {
            let error = ArpPacket::parse(&REQUEST[..length]);
            assert!(matches!(error, Err(ParseError::TooShort { .. })), "{length} octets: {error:?}");
        }
    }

    #[test]
    fn foreign_types_lengths_and_operations_are_refused_by_name() {
        let cases: &[(&str, usize, &[u8], ParseError)] = &[
            ("IPv6 frame", 12, &[0x86, 0xdd], ParseError::EtherType(0x86dd)),
            ("VLAN tag", 12, &[0x81, 0x00], ParseError::EtherType(0x8100)),
            ("InfiniBand", 14, &[0x00, 0x20], ParseError::HardwareType(0x20)),
            ("another protocol", 16, &[0x86, 0xdd], ParseError::ProtocolType(0x86dd)),
            ("zero lengths", 18, &[0, 0], ParseError::AddressLengths { hardware: 0, protocol: 0 }),
            ("short hardware address", 18, &[5, 4], ParseError::AddressLengths { hardware: 5, protocol: 4 }),
            ("short protocol address", 18, &[6, 3], ParseError::AddressLengths { hardware: 6, protocol: 3 }),
            ("lengths past the end", 18, &[255, 255], ParseError::TooShort { required: 1028, actual: 28 }),
            ("operation 0", 20, &[0, 0], ParseError::Operation(0)),
            ("inverse request", 20, &[0, 8], ParseError::Operation(8)),
        ];
        for (name, offset, octets, expected) in cases {
            let mut frame = REQUEST;
            frame[*offset..offset + octets.len()].copy_from_slice(octets);
            assert_eq!(ArpPacket::parse(&frame), Err(*expected), "{name}");
        }
    }

    fn any_mac() -> impl Strategy<Value = MacAddr> {
        any::<[u8; 6]>().prop_map(MacAddr)
    }

    proptest! {
        #[test]
        fn what_is_emitted_is_parsed_back(
            macs in [any_mac(), any_mac(), any_mac(), any_mac()],
            ips in any::<[[u8; 4]; 2]>(),
            is_request in any::<bool>(),
        ) {
            let packet = ArpPacket {
                ethernet_destination: macs[0],
                ethernet_source: macs[1],
                operation: if is_request { Operation::Request } else { Operation::Reply },
                sender_mac: macs[2],
                sender_ip: ips[0].into(),
                target_mac: macs[3],
                target_ip: ips[1].into(),
            };
            prop_assert_eq!(ArpPacket::parse(&packet.emit()), Ok(packet));
        }

        /// Whatever is accepted says all that the frame's first 42 octets say: emitting gives them back.
        #[test]
        fn mutated_frames_never_panic_and_only_true_copies_are_accepted(
            mutations in prop::collection::vec((0..FRAME_LEN, any::<u8>()), 0..6),
            tail in prop::collection::vec(any::<u8>(), 0..30),
            length in 0..=FRAME_LEN + 30,
        ) {
            let mut frame = REQUEST.to_vec();
            for (offset, octet) in mutations {
                frame[offset] = octet;
            }
            frame.extend(tail);
            frame.truncate(length);
            if let Ok(packet) = ArpPacket::parse(&frame) {
                prop_assert_eq!(&packet.emit()[..], &frame[..FRAME_LEN]);
            }
        }

        #[test]
        fn random_octets_never_panic(frame in prop::collection::vec(any::<u8>(), 0..1600)) {
            let _ = ArpPacket::parse(&frame);
        }
    }
}
