use proptest::prelude::*;

use super::*;

const CLIENT: MacAddr = MacAddr([0x02, 0x00, 0x5e, 0x10, 0x00, 0x01]);
const NODE: MacAddr = MacAddr([0x02, 0x00, 0x5e, 0x10, 0x00, 0x02]);
const CLIENT_IP: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7);
const VIP: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 1, 0x10);
const FRAME_LEN: usize = 86;

/// 2001:db8::7 asks the segment for 2001:db8::1:10. The checksum comes from another program.
const SOLICITATION: [u8; FRAME_LEN] = [
    0x33, 0x33, 0xff, 0x01, 0x00, 0x10, 0x02, 0x00, 0x5e, 0x10, 0x00, 0x01, 0x86, 0xdd, // Ethernet
    0x60, 0x00, 0x00, 0x00, 0x00, 0x20, 0x3a, 0xff, // version, payload length, ICMPv6, hop limit
    0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x07, // source
    0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0xff, 0x01, 0x00, 0x10, // destination
    0x87, 0x00, 0xbd, 0xf2, 0, 0, 0, 0, // type, code, checksum, reserved
    0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0x00, 0x10, // target
    0x01, 0x01, 0x02, 0x00, 0x5e, 0x10, 0x00, 0x01, // source link-layer address
];

/// The node's answer to it.
const ADVERTISEMENT: [u8; FRAME_LEN] = [
    0x02, 0x00, 0x5e, 0x10, 0x00, 0x01, 0x02, 0x00, 0x5e, 0x10, 0x00, 0x02, 0x86, 0xdd, // Ethernet
    0x60, 0x00, 0x00, 0x00, 0x00, 0x20, 0x3a, 0xff, // version, payload length, ICMPv6, hop limit
    0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0x00, 0x10, // source
    0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x07, // destination
    0x88, 0x00, 0x2c, 0x3d, 0x60, 0, 0, 0, // type, code, checksum, solicited and override
    0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0x00, 0x10, // target
    0x02, 0x01, 0x02, 0x00, 0x5e, 0x10, 0x00, 0x02, // target link-layer address
];

fn solicitation() -> NdpPacket {
    let group = solicited_node_group(VIP);
    NdpPacket {
        ethernet_destination: MacAddr::of_group(group),
        ethernet_source: CLIENT,
        source: CLIENT_IP,
        destination: group,
        target: VIP,
        message: Message::Solicitation { source_mac: Some(CLIENT), nonce: None },
    }
}

fn advertisement() -> NdpPacket {
    NdpPacket {
        ethernet_destination: CLIENT,
        ethernet_source: NODE,
        source: VIP,
        destination: CLIENT_IP,
        target: VIP,
        message: Message::Advertisement {
            target_mac: Some(NODE),
            is_router: false,
            is_solicited: true,
            overrides: true,
        },
    }
}

/// Puts the right checksum and payload length into a frame that was changed, as the last of its headers want them.
fn repaired(mut frame: Vec<u8>) -> Vec<u8> {
    let length = (frame.len() - 54) as u32;
    frame[18..20].copy_from_slice(&(length as u16).to_be_bytes());
    frame[56..58].fill(0);
    let mut sum: u32 = length + 58;
    for pair in frame[22..].chunks(2) {
        sum += u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from);
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    frame[56..58].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    frame
}

fn with(offset: usize, octets: &[u8]) -> Vec<u8> {
    let mut frame = SOLICITATION.to_vec();
    frame[offset..offset + octets.len()].copy_from_slice(octets);
    frame
}

#[test]
fn golden_frames_parse_to_their_packets_and_are_emitted_by_them() {
    assert_eq!(NdpPacket::parse(&SOLICITATION), Ok(solicitation()));
    assert_eq!(NdpPacket::parse(&ADVERTISEMENT), Ok(advertisement()));
    assert_eq!(*solicitation().emit(), SOLICITATION);
    assert_eq!(*advertisement().emit(), ADVERTISEMENT);
}

#[test]
fn the_solicited_node_group_has_the_last_24_bits() {
    let address = Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 3, 4, 0x5678, 0x9abc);
    assert_eq!(solicited_node_group(address), "ff02::1:ff78:9abc".parse::<Ipv6Addr>().unwrap());
    assert_eq!(MacAddr::of_group(ALL_NODES), MacAddr([0x33, 0x33, 0, 0, 0, 1]));
}

#[test]
fn padding_is_ignored_and_every_shortened_frame_is_refused() {
    let mut padded = SOLICITATION.to_vec();
    padded.extend([0xa5; 20]);
    assert_eq!(NdpPacket::parse(&padded), Ok(solicitation()));
    for length in 0..FRAME_LEN {
        let error = NdpPacket::parse(&SOLICITATION[..length]);
        assert!(matches!(error, Err(ParseError::TooShort { .. })), "{length} octets: {error:?}");
    }
}

/// RFC 4861 §7.1.1, each sentence of it.
#[test]
fn what_must_be_discarded_silently_is_refused_by_name() {
    let nobody = [0; 16];
    let group: Ipv6Addr = "ff02::1".parse().unwrap();
    let mut from_nowhere = with(22, &nobody);
    from_nowhere.truncate(78);
    let to_all = {
        let mut frame = from_nowhere.clone();
        frame[38..54].copy_from_slice(&group.octets());
        frame
    };
    let cases = [
        ("ARP", with(12, &[8, 6]), ParseError::EtherType(0x0806)),
        ("VLAN tag", with(12, &[0x81, 0]), ParseError::EtherType(0x8100)),
        ("IPv4", with(14, &[0x45]), ParseError::Version),
        ("extension header", with(20, &[0]), ParseError::NextHeader(0)),
        ("fragment", with(20, &[44]), ParseError::NextHeader(44)),
        ("hop limit", with(21, &[254]), ParseError::HopLimit(254)),
        ("checksum", with(57, &[0xf3]), ParseError::Checksum),
        ("code", repaired(with(55, &[1])), ParseError::IcmpType { kind: 135, code: 1 }),
        ("echo", repaired(with(54, &[128])), ParseError::IcmpType { kind: 128, code: 0 }),
        ("group as target", repaired(with(62, &group.octets())), ParseError::MulticastTarget(group)),
        ("option of length 0", repaired(with(79, &[0])), ParseError::OptionLength(1)),
        ("option past the end", repaired(with(79, &[2])), ParseError::OptionLength(1)),
        ("from :: with a source address", repaired(with(22, &nobody)), ParseError::DetectionSource),
        ("from :: to all", repaired(to_all), ParseError::DetectionDestination(group)),
        (
            "length below 24",
            repaired(SOLICITATION[..77].to_vec()),
            ParseError::TooShort { required: 24, actual: 23 },
        ),
        ("half an option", repaired(SOLICITATION[..79].to_vec()), ParseError::OptionLength(1)),
    ];
    for (name, frame, expected) in cases {
        assert_eq!(NdpPacket::parse(&frame), Err(expected), "{name}");
    }
    assert!(NdpPacket::parse(&repaired(from_nowhere)).is_ok());
}

/// RFC 4861 §7.1.2.
#[test]
fn an_answer_to_a_group_is_refused() {
    let mut frame = ADVERTISEMENT.to_vec();
    frame[38..54].copy_from_slice(&ALL_NODES.octets());
    assert_eq!(NdpPacket::parse(&repaired(frame.clone())), Err(ParseError::SolicitedByGroup));
    frame[58] = 0x20;
    assert!(NdpPacket::parse(&repaired(frame)).is_ok());
}

#[test]
fn options_are_walked_and_unknown_ones_skipped() {
    let with_options = |options: &[u8]| {
        let mut frame = SOLICITATION[..78].to_vec();
        frame.extend(options);
        NdpPacket::parse(&repaired(frame)).map(|packet| packet.message)
    };
    let mac = [0x01, 0x01, 0x02, 0x00, 0x5e, 0x10, 0x00, 0x01];
    let nonce = [14, 1, 1, 2, 3, 4, 5, 6];
    let unknown = [[250, 2, 0, 0, 0, 0, 0, 0], [0; 8]].concat();
    let long_nonce = [[14, 2, 0, 0, 0, 0, 0, 0], [0; 8]].concat();
    let other = [0x01, 0x01, 0x02, 0x00, 0x5e, 0x10, 0x00, 0x09];
    let solicitation = |source_mac, nonce| Ok(Message::Solicitation { source_mac, nonce });
    assert_eq!(with_options(&[]), solicitation(None, None));
    assert_eq!(with_options(&mac), solicitation(Some(CLIENT), None));
    assert_eq!(with_options(&[&unknown[..], &mac].concat()), solicitation(Some(CLIENT), None));
    assert_eq!(with_options(&[mac, nonce].concat()), solicitation(Some(CLIENT), Some([1, 2, 3, 4, 5, 6])));
    assert_eq!(with_options(&long_nonce), solicitation(None, None));
    assert_eq!(with_options(&[mac, other].concat()), solicitation(Some(CLIENT), None));
    let long_mac = [[1, 2, 0, 0, 0, 0, 0, 0], [0; 8]].concat();
    assert_eq!(with_options(&long_mac), Err(ParseError::OptionLength(1)));
}

fn any_mac() -> impl Strategy<Value = MacAddr> {
    any::<[u8; 6]>().prop_map(MacAddr)
}

fn any_unicast() -> impl Strategy<Value = Ipv6Addr> {
    any::<u128>().prop_map(|number| Ipv6Addr::from(number & !(0xff << 120) | 0x20 << 120))
}

fn any_message() -> impl Strategy<Value = Message> {
    prop_oneof![
        prop::option::of(any_mac()).prop_map(|source_mac| Message::Solicitation { source_mac, nonce: None }),
        any::<[u8; NONCE_LEN]>()
            .prop_map(|nonce| Message::Solicitation { source_mac: None, nonce: Some(nonce) }),
        (prop::option::of(any_mac()), any::<[bool; 3]>()).prop_map(
            |(target_mac, [is_router, is_solicited, overrides])| Message::Advertisement {
                target_mac,
                is_router,
                is_solicited,
                overrides
            }
        ),
    ]
}

proptest! {
    #[test]
    fn what_is_emitted_is_parsed_back(
        macs in [any_mac(), any_mac()],
        addresses in [any_unicast(), any_unicast(), any_unicast()],
        message in any_message(),
    ) {
        let packet = NdpPacket {
            ethernet_destination: macs[0],
            ethernet_source: macs[1],
            source: addresses[0],
            destination: addresses[1],
            target: addresses[2],
            message,
        };
        prop_assert_eq!(NdpPacket::parse(&packet.emit()), Ok(packet));
    }

    /// With a right checksum, so that the mutants get as far as the options.
    #[test]
    fn mutated_frames_never_panic_and_what_is_accepted_obeys_the_rules(
        mutations in prop::collection::vec((0..FRAME_LEN, any::<u8>()), 0..6),
        tail in prop::collection::vec(any::<u8>(), 0..60),
        from_advertisement in any::<bool>(),
        length in 60..=FRAME_LEN + 60,
    ) {
        let mut frame = if from_advertisement { ADVERTISEMENT } else { SOLICITATION }.to_vec();
        for (offset, octet) in mutations {
            frame[offset] = octet;
        }
        frame.extend(tail);
        frame.truncate(length);
        if let Ok(packet) = NdpPacket::parse(&repaired(frame)) {
            prop_assert!(!packet.target.is_multicast());
            if let Message::Solicitation { source_mac, .. } = packet.message
                && packet.source.is_unspecified()
            {
                prop_assert_eq!(packet.destination, solicited_node_group(packet.destination));
                prop_assert_eq!(source_mac, None);
            }
        }
    }

    #[test]
    fn random_octets_never_panic(frame in prop::collection::vec(any::<u8>(), 0..1600)) {
        let _ = NdpPacket::parse(&frame);
    }
}
