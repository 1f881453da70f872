use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;
use crate::wire::ndp::ALL_NODES;

const OWN: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x0a]);
const OTHER: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x0b]);
const CLIENT: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x0c]);
const GROUP: MacAddr = MacAddr([0x33, 0x33, 0xff, 0, 0, 0x10]);
const VIP: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10);
const CLIENT_IP: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xc);

fn solicitation() -> NdpPacket {
    NdpPacket {
        ethernet_destination: GROUP,
        ethernet_source: CLIENT,
        source: CLIENT_IP,
        destination: solicited_node_group(VIP),
        target: VIP,
        message: Message::Solicitation { source_mac: Some(CLIENT), nonce: None },
    }
}

fn from(source_mac: Option<MacAddr>) -> Message {
    Message::Solicitation { source_mac, nonce: None }
}

#[test]
fn solicitations_ask_if_a_unicast_station_can_be_answered() {
    let ask = |to_ip: Ipv6Addr| {
        Some(Question { target: VIP.into(), to_mac: CLIENT, to_ip: to_ip.into(), nonce: None })
    };
    let nowhere = Ipv6Addr::UNSPECIFIED;
    let to_all = solicited_node_group(VIP);
    let cases = [
        ("to the group", solicitation(), ask(CLIENT_IP)),
        (
            "unicast, to see whether it is still there",
            NdpPacket { ethernet_destination: OWN, destination: VIP, ..solicitation() },
            ask(CLIENT_IP),
        ),
        ("without a source address", NdpPacket { message: from(None), ..solicitation() }, ask(CLIENT_IP)),
        ("detection", NdpPacket { source: nowhere, message: from(None), ..solicitation() }, ask(nowhere)),
        ("for another station", NdpPacket { ethernet_destination: OTHER, ..solicitation() }, None),
        ("our own", NdpPacket { ethernet_source: OWN, ..solicitation() }, None),
        ("as if it were our own", NdpPacket { message: from(Some(OWN)), ..solicitation() }, None),
        (
            "to be answered to all",
            NdpPacket { message: from(Some(MacAddr::BROADCAST)), ..solicitation() },
            None,
        ),
        (
            "to be answered to nobody",
            NdpPacket { message: from(Some(MacAddr::ZERO)), ..solicitation() },
            None,
        ),
        ("to be answered to a group", NdpPacket { source: ALL_NODES, ..solicitation() }, None),
        ("to all nodes", NdpPacket { destination: ALL_NODES, ..solicitation() }, None),
        (
            "to another group",
            NdpPacket { destination: solicited_node_group(CLIENT_IP), ..solicitation() },
            None,
        ),
    ];
    assert_ne!(to_all, ALL_NODES);
    for (name, packet, question) in cases {
        let heard = read(&packet.emit(), OWN).unwrap();
        assert_eq!((heard.question, heard.claim), (question, None), "{name}");
    }
}

#[test]
fn the_nonce_of_a_detection_is_kept() {
    let message = Message::Solicitation { source_mac: None, nonce: Some([1; NONCE_LEN]) };
    let packet = NdpPacket { source: Ipv6Addr::UNSPECIFIED, message, ..solicitation() };
    assert_eq!(read(&packet.emit(), OWN).unwrap().question.unwrap().nonce, Some([1; NONCE_LEN]));
}

#[test]
fn advertisements_claim_for_the_station_that_they_name() {
    let told = |target_mac| Message::Advertisement {
        target_mac,
        is_router: true,
        is_solicited: false,
        overrides: false,
    };
    let claim = |mac| Some(Claim { ip: VIP.into(), mac, is_told: true });
    let advertisement = NdpPacket {
        ethernet_destination: MacAddr::of_group(ALL_NODES),
        destination: ALL_NODES,
        message: told(Some(OTHER)),
        ..solicitation()
    };
    let cases = [
        ("of another", advertisement, claim(OTHER)),
        ("of itself, unsaid", NdpPacket { message: told(None), ..advertisement }, claim(CLIENT)),
        ("of a stand-in for us", NdpPacket { message: told(Some(OWN)), ..advertisement }, claim(OWN)),
        ("of all", NdpPacket { message: told(Some(MacAddr::BROADCAST)), ..advertisement }, None),
        ("our own", NdpPacket { ethernet_source: OWN, ..advertisement }, None),
        ("for another station", NdpPacket { ethernet_destination: OTHER, ..advertisement }, None),
    ];
    for (name, packet, claim) in cases {
        let heard = read(&packet.emit(), OWN).unwrap();
        assert_eq!((heard.question, heard.claim), (None, claim), "{name}");
    }
}

#[test]
fn every_arp_packet_claims_its_sender_address() {
    let (vip, other) = (Ipv4Addr::new(192, 0, 2, 10), Ipv4Addr::new(192, 0, 2, 99));
    let request = ArpPacket {
        ethernet_destination: MacAddr::BROADCAST,
        ethernet_source: CLIENT,
        operation: Operation::Request,
        sender_mac: CLIENT,
        sender_ip: vip,
        target_mac: MacAddr::ZERO,
        target_ip: other,
    };
    let reply = ArpPacket { operation: Operation::Reply, ethernet_destination: OWN, ..request };
    let claim = |is_told| Some(Claim { ip: vip.into(), mac: CLIENT, is_told });
    let cases = [
        ("asks for another", request, true, claim(false)),
        ("announces", ArpPacket { target_ip: vip, ..request }, false, claim(true)),
        ("answers", reply, false, claim(true)),
        ("answers all", ArpPacket { ethernet_destination: MacAddr::BROADCAST, ..reply }, false, claim(true)),
        ("probes", ArpPacket { sender_ip: Ipv4Addr::UNSPECIFIED, ..request }, true, None),
        ("answers another station", ArpPacket { ethernet_destination: OTHER, ..reply }, false, None),
        ("names a group", ArpPacket { sender_mac: MacAddr::BROADCAST, ..reply }, false, None),
    ];
    for (name, packet, asks, claim) in cases {
        let heard = read(&packet.emit(), OWN).unwrap();
        assert_eq!((heard.question.is_some(), heard.claim), (asks, claim), "{name}");
    }
}
