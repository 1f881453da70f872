use std::net::{IpAddr, SocketAddr};

use etherparse::{Icmpv4Type, Icmpv6Type, PacketBuilder, icmpv4, icmpv6};
use proptest::prelude::*;

use super::decode::Decoded;
use super::event::{
    Arp, ArpOperation, Datagram, Direction, Event, Flow, MacAddr, NeighborAdvertisement,
    NeighborSolicitation, Packet, Segment, Transport, Unreachable,
};
use super::store::{Frame, Limits, Store};
use super::{decode, pcap};

const ONE: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const TWO: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

/// Bytes written as hexadecimal words.
fn bytes(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn arp(text: &str) -> Arp {
    let Some(Packet::Arp(arp)) = decode(&bytes(text)).map(|decoded| decoded.packet) else {
        panic!("not an ARP packet: {text}")
    };
    arp
}

/// The host at 192.0.2.1 asks for 192.0.2.50.
const ARP_REQUEST: &str = "ffffffffffff 020000000001 0806 0001 0800 06 04 0001
    020000000001 c0000201 000000000000 c0000232";
/// An announcement of 192.0.2.50 as a reply, target hardware address = sender's, padded to the Ethernet minimum.
const ARP_ANNOUNCEMENT: &str = "ffffffffffff 020000000002 0806 0001 0800 06 04 0002
    020000000002 c0000232 020000000002 c0000232 0000000000000000 00000000000000000000";
/// The host at fe80::2 answers 2001:db8::1, which asked for 2001:db8::50.
const ADVERTISEMENT: &str = "020000000001 020000000002 86dd 60000000 0020 3a ff
    fe800000000000000000000000000002 20010db8000000000000000000000001
    88 00 1234 60000000 20010db8000000000000000000000050 02 01 020000000002";
/// 2001:db8::1 asks the solicited-node group for 2001:db8::50.
const SOLICITATION: &str = "3333ff000050 020000000001 86dd 60000000 0020 3a ff
    20010db8000000000000000000000001 ff0200000000000000000001ff000050
    87 00 1234 00000000 20010db8000000000000000000000050 01 01 020000000001";

#[test]
fn an_arp_request_is_read_field_by_field() {
    let expected = Decoded {
        source_mac: ONE,
        destination_mac: MacAddr::BROADCAST,
        packet: Packet::Arp(Arp {
            operation: ArpOperation::Request,
            sender_mac: ONE,
            sender_ip: "192.0.2.1".parse().unwrap(),
            target_mac: MacAddr::UNSPECIFIED,
            target_ip: "192.0.2.50".parse().unwrap(),
        }),
    };
    assert_eq!(decode(&bytes(ARP_REQUEST)), Some(expected));
}

#[test]
fn announcements_questions_and_probes_are_told_apart() {
    let request = arp(ARP_REQUEST);
    assert!(!request.is_gratuitous() && !request.is_probe());
    let announcement = arp(ARP_ANNOUNCEMENT);
    assert!(announcement.is_gratuitous() && !announcement.is_probe());
    assert_eq!((announcement.operation, announcement.target_mac), (ArpOperation::Reply, TWO));
    let probe = arp(&ARP_REQUEST.replace("c0000201", "00000000"));
    assert!(probe.is_probe() && !probe.is_gratuitous());
    let nothing = arp(&ARP_REQUEST.replace("c0000201", "00000000").replace("c0000232", "00000000"));
    assert!(!nothing.is_gratuitous());
    let reply = arp(&ARP_REQUEST.replace("c0000201", "00000000").replace("06 04 0001", "06 04 0002"));
    assert!(!reply.is_probe());
}

#[test]
fn neighbor_discovery_is_read_with_its_options_and_flags() {
    let (asker, target) = ("2001:db8::1".parse().unwrap(), "2001:db8::50".parse().unwrap());
    let advertisement = NeighborAdvertisement {
        source_ip: "fe80::2".parse().unwrap(),
        destination_ip: asker,
        target_ip: target,
        target_link_address: Some(TWO),
        is_router: false,
        is_solicited: true,
        overrides: true,
    };
    let solicitation = NeighborSolicitation {
        source_ip: asker,
        destination_ip: "ff02::1:ff00:50".parse().unwrap(),
        target_ip: target,
        source_link_address: Some(ONE),
    };
    let packet = |text: &str| decode(&bytes(text)).unwrap().packet;
    assert_eq!(packet(ADVERTISEMENT), Packet::NeighborAdvertisement(advertisement));
    assert_eq!(packet(SOLICITATION), Packet::NeighborSolicitation(solicitation));
    for (byte, is_router, is_solicited, overrides) in
        [("80", true, false, false), ("40", false, true, false), ("20", false, false, true)]
    {
        let text = ADVERTISEMENT.replace("60000000 2001", &format!("{byte}000000 2001"));
        let flags = NeighborAdvertisement { is_router, is_solicited, overrides, ..advertisement };
        assert_eq!(packet(&text), Packet::NeighborAdvertisement(flags));
    }
    let bare = NeighborAdvertisement { target_link_address: None, ..advertisement };
    let without_option = ADVERTISEMENT.replace("0020 3a", "0018 3a").replace("02 01 020000000002", "");
    assert_eq!(packet(&without_option), Packet::NeighborAdvertisement(bare));
}

#[test]
fn only_who_says_that_an_address_is_its_own_claims_it() {
    let packet = |text: &str| decode(&bytes(text)).unwrap().packet;
    let (client, vip, vip6): (IpAddr, IpAddr, IpAddr) =
        ("192.0.2.1".parse().unwrap(), "192.0.2.50".parse().unwrap(), "2001:db8::50".parse().unwrap());
    let cases = [
        (ARP_REQUEST, vip, None),
        (ARP_REQUEST, client, Some(ONE)),
        (ARP_ANNOUNCEMENT, vip, Some(TWO)),
        (ADVERTISEMENT, vip6, Some(TWO)),
        (ADVERTISEMENT, "fe80::2".parse().unwrap(), None),
        (SOLICITATION, vip6, None),
    ];
    for (text, ip, claimed_by) in cases {
        assert_eq!(packet(text).claimed_by(ip), claimed_by, "{ip} by {text}");
    }
}

#[test]
fn a_tcp_segment_is_read_with_its_flags() {
    let (client, server) = (address("192.0.2.1:40000"), address("192.0.2.50:80"));
    let build = |flags: [bool; 4]| {
        let mut builder = PacketBuilder::ethernet2(ONE.0, TWO.0)
            .ipv4([192, 0, 2, 1], [192, 0, 2, 50], 64)
            .tcp(40000, 80, 7, 1024);
        let [syn, ack, fin, rst] = flags;
        builder = if syn { builder.syn() } else { builder };
        builder = if ack { builder.ack(1) } else { builder };
        builder = if fin { builder.fin() } else { builder };
        builder = if rst { builder.rst() } else { builder };
        let mut frame = Vec::new();
        builder.write(&mut frame, b"payload").unwrap();
        frame
    };
    for number in 0..16 {
        let flags @ [syn, ack, fin, rst] = [0, 1, 2, 3].map(|bit| number >> bit & 1 == 1);
        let expected = Packet::Tcp(Segment { source: client, destination: server, syn, ack, fin, rst });
        let frame = build(flags);
        assert_eq!(decode(&frame).unwrap().packet, expected);
        let cut = &frame[..frame.len() - 7];
        assert_eq!(decode(cut).unwrap().packet, expected, "a frame that was kept short is still read");
    }
}

#[test]
fn udp_is_read_in_both_families_and_behind_a_vlan_tag() {
    let mut frames = [Vec::new(), Vec::new(), Vec::new()];
    let builder = || PacketBuilder::ethernet2(ONE.0, TWO.0);
    let (v4, v4_vip) = ([192, 0, 2, 1], [192, 0, 2, 50]);
    let v6 = |last| [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    builder().ipv4(v4, v4_vip, 64).udp(5555, 53).write(&mut frames[0], b"x").unwrap();
    let tag = 7.try_into().unwrap();
    builder().single_vlan(tag).ipv4(v4, v4_vip, 64).udp(5555, 53).write(&mut frames[1], b"x").unwrap();
    builder().ipv6(v6(1), v6(0x50), 64).udp(5555, 53).write(&mut frames[2], b"x").unwrap();
    let addresses = [
        ("192.0.2.1:5555", "192.0.2.50:53"),
        ("192.0.2.1:5555", "192.0.2.50:53"),
        ("[2001:db8::1]:5555", "[2001:db8::50]:53"),
    ];
    for (frame, (source, destination)) in frames.iter().zip(addresses) {
        let expected = Packet::Udp(Datagram { source: address(source), destination: address(destination) });
        assert_eq!(decode(frame).unwrap().packet, expected);
    }
}

#[test]
fn an_unreachable_message_names_the_flow_that_it_is_about_even_from_a_short_quote() {
    let mut quote = Vec::new();
    let (client, vip) = ([192, 0, 2, 1], [192, 0, 2, 50]);
    PacketBuilder::ipv4(client, vip, 64).tcp(40000, 80, 7, 1024).write(&mut quote, &[]).unwrap();
    let flow = Flow {
        transport: Transport::Tcp,
        source: address("192.0.2.1:40000"),
        destination: address("192.0.2.50:80"),
    };
    for (quoted, about) in [(quote.len(), Some(flow)), (28, Some(flow)), (23, None), (0, None)] {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2(ONE.0, TWO.0)
            .ipv4(vip, client, 64)
            .icmpv4(Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::Port))
            .write(&mut frame, &quote[..quoted])
            .unwrap();
        let expected = Unreachable { source_ip: vip.into(), destination_ip: client.into(), code: 3, about };
        assert_eq!(decode(&frame).unwrap().packet, Packet::Unreachable(expected), "{quoted} bytes quoted");
    }
}

#[test]
fn an_icmpv6_unreachable_message_names_its_flow() {
    let v6 = |last| [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    let (mut quote, mut frame) = (Vec::new(), Vec::new());
    PacketBuilder::ipv6(v6(1), v6(0x50), 64).udp(5555, 53).write(&mut quote, b"x").unwrap();
    PacketBuilder::ethernet2(ONE.0, TWO.0)
        .ipv6(v6(0x50), v6(1), 64)
        .icmpv6(Icmpv6Type::DestinationUnreachable(icmpv6::DestUnreachableCode::Port))
        .write(&mut frame, &quote)
        .unwrap();
    let expected = Unreachable {
        source_ip: v6(0x50).into(),
        destination_ip: v6(1).into(),
        code: 4,
        about: Some(Flow {
            transport: Transport::Udp,
            source: address("[2001:db8::1]:5555"),
            destination: address("[2001:db8::50]:53"),
        }),
    };
    assert_eq!(decode(&frame).unwrap().packet, Packet::Unreachable(expected));
}

#[test]
fn what_is_no_event_gives_none() {
    let mut echo = Vec::new();
    PacketBuilder::ethernet2(ONE.0, TWO.0)
        .ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64)
        .icmpv4_echo_request(1, 1)
        .write(&mut echo, b"ping")
        .unwrap();
    let cases = [
        ("an ICMP echo", echo),
        ("no frame at all", Vec::new()),
        ("half an ARP packet", bytes(ARP_REQUEST)[..30].to_vec()),
        ("another ether type", bytes("ffffffffffff 020000000001 88cc 0207")),
        ("ARP of another operation", bytes(&ARP_REQUEST.replace("06 04 0001", "06 04 0003"))),
        ("ARP for another protocol", bytes(&ARP_REQUEST.replace("0001 0800", "0001 0801"))),
    ];
    for (name, frame) in cases {
        assert_eq!(decode(&frame), None, "{name}");
    }
}

#[test]
fn an_ethernet_address_reads_back_as_it_is_shown_and_nothing_else_is_one() {
    assert_eq!("02:00:00:00:00:01".parse(), Ok(ONE));
    assert_eq!("0A:b0:c0:d0:e0:f0".parse::<MacAddr>().unwrap().to_string(), "0a:b0:c0:d0:e0:f0");
    for text in [
        "",
        "02:00:00:00:00",
        "02:00:00:00:00:01:02",
        "2:0:0:0:0:1",
        "02:00:00:00:00:0g",
        "+2:00:00:00:00:01",
    ] {
        assert!(text.parse::<MacAddr>().is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn no_frame_makes_the_decoder_panic(frame in proptest::collection::vec(any::<u8>(), 0..200)) {
        decode(&frame);
    }

    #[test]
    fn no_damage_to_a_good_frame_makes_the_decoder_panic(
        which in 0..4_usize,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut frame = bytes([ARP_REQUEST, ARP_ANNOUNCEMENT, ADVERTISEMENT, SOLICITATION][which]);
        for (at, byte) in damage {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        decode(&frame[..cut.index(frame.len() + 1)]);
    }
}

fn frame(at_nanos: u64, len: usize) -> Frame {
    Frame { at_nanos, wire_len: len as u32, bytes: vec![0xab; len].into() }
}

fn event(at_nanos: u64) -> Event {
    let Decoded { source_mac, destination_mac, packet } = decode(&bytes(ARP_REQUEST)).unwrap();
    Event { at_nanos, direction: Direction::Received, source_mac, destination_mac, packet }
}

#[test]
fn a_full_store_forgets_the_oldest_and_counts_the_events_it_forgot() {
    let cost = 100 + size_of::<Frame>();
    let mut store = Store::new(Limits { events: 3, frame_bytes: 4 * cost, bgp_bytes: 0 });
    for at in 1..=5 {
        store.push(frame(at, 100), Some(event(at)));
        store.push(frame(at, 100), None);
    }
    let kept: Vec<u64> = store.frames().map(|frame| frame.at_nanos).collect();
    assert_eq!(kept, [4, 4, 5, 5]);
    let from = |seen| store.events_from(seen).map(|event| event.at_nanos).collect::<Vec<_>>();
    assert_eq!(from(0), [3, 4, 5]);
    assert_eq!(from(4), [5], "the first four were seen, forgotten or not");
    assert_eq!(from(store.event_count()), [0; 0]);
    assert_eq!((store.event_count(), store.missed()), (5, 2));
}

#[test]
fn what_the_kernel_dropped_counts_as_missed() {
    let mut store = Store::new(Limits { events: 3, frame_bytes: 1000, bgp_bytes: 0 });
    assert_eq!(store.missed(), 0);
    store.kernel_drops = 7;
    assert_eq!(store.missed(), 7);
}

#[test]
fn a_pcap_file_has_nanoseconds_and_the_length_on_the_wire() {
    let mut short = frame(1_700_000_000_123_456_789, 2);
    short.wire_len = 9000;
    let mut file = Vec::new();
    pcap::write(&mut file, 2048, [&short]).unwrap();
    let expected = "4d3cb2a1 0200 0400 00000000 00000000 00080000 01000000
        00f15365 15cd5b07 02000000 28230000 abab";
    assert_eq!(file, bytes(expected));
}
