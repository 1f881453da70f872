use super::*;

const OWN: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x0a]);
const HOLDER: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x0b]);
const CLIENT: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x0c]);
const VIP: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10);
const CLIENT_IP: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xc);

fn question(to_ip: Ipv6Addr) -> Question {
    Question { target: VIP.into(), to_mac: CLIENT, to_ip: to_ip.into(), nonce: None }
}

fn parse(frame: Frame) -> NdpPacket {
    NdpPacket::parse(&frame).unwrap()
}

fn told(at: MacAddr, is_solicited: bool, overrides: bool) -> Message {
    Message::Advertisement { target_mac: Some(at), is_router: false, is_solicited, overrides }
}

/// RFC 4861 §7.2.4.
#[test]
fn a_solicitation_is_answered_to_the_asker_and_detection_to_all() {
    let answered = parse(answer(OWN, OWN, &question(CLIENT_IP)).unwrap());
    let expected = NdpPacket {
        ethernet_destination: CLIENT,
        ethernet_source: OWN,
        source: VIP,
        destination: CLIENT_IP,
        target: VIP,
        message: told(OWN, true, true),
    };
    assert_eq!(answered, expected);
    let detection = parse(answer(OWN, OWN, &question(Ipv6Addr::UNSPECIFIED)).unwrap());
    let expected = NdpPacket {
        ethernet_destination: MacAddr([0x33, 0x33, 0, 0, 0, 1]),
        destination: ALL_NODES,
        message: told(OWN, false, true),
        ..expected
    };
    assert_eq!(detection, expected);
}

#[test]
fn a_stand_in_names_the_holder_but_sends_from_its_own_port() {
    let answered = parse(answer(OWN, HOLDER, &question(CLIENT_IP)).unwrap());
    assert_eq!(answered.ethernet_source, OWN);
    // RFC 4861 §7.2.4: a proxy does not override.
    assert_eq!(answered.message, told(HOLDER, true, false));
    let v4 = Question {
        target: Ipv4Addr::new(192, 0, 2, 10).into(),
        to_mac: CLIENT,
        to_ip: Ipv4Addr::new(192, 0, 2, 200).into(),
        nonce: None,
    };
    let answered = ArpPacket::parse(&answer(OWN, HOLDER, &v4).unwrap()).unwrap();
    assert_eq!((answered.ethernet_source, answered.sender_mac), (OWN, HOLDER));
}

/// RFC 4861 §7.2.6.
#[test]
fn an_unsolicited_advertisement_goes_to_all_nodes_and_overrides() {
    let expected = NdpPacket {
        ethernet_destination: MacAddr([0x33, 0x33, 0, 0, 0, 1]),
        ethernet_source: OWN,
        source: VIP,
        destination: ALL_NODES,
        target: VIP,
        message: told(OWN, false, true),
    };
    assert_eq!(parse(gratuitous(OWN, VIP.into(), Form::Request)), expected);
}

#[test]
fn a_station_is_asked_from_an_address_of_the_interface() {
    let nets: Vec<IpNet> = ["198.51.100.1/24", "192.0.2.1/24", "2001:db8::1/64", "fe80::1/64"]
        .map(|net| net.parse().unwrap())
        .into();
    let v4 = |nets: &[IpNet]| {
        let frame = unicast_question(OWN, nets, Ipv4Addr::new(192, 0, 2, 10).into(), CLIENT);
        let packet = ArpPacket::parse(&frame).unwrap();
        assert_eq!((packet.ethernet_destination, packet.operation), (CLIENT, Operation::Request));
        assert_eq!((packet.sender_mac, packet.target_mac), (OWN, MacAddr::ZERO));
        packet.sender_ip.to_string()
    };
    assert_eq!(v4(&nets), "192.0.2.1", "of the same segment");
    assert_eq!(v4(&nets[..1]), "198.51.100.1", "of another");
    assert_eq!(v4(&nets[2..]), "0.0.0.0", "none: a probe");

    let v6 = |nets: &[IpNet]| parse(unicast_question(OWN, nets, VIP.into(), CLIENT));
    let packet = v6(&nets);
    assert_eq!((packet.ethernet_destination, packet.destination), (CLIENT, VIP));
    assert_eq!(packet.source, "fe80::1".parse::<Ipv6Addr>().unwrap());
    assert_eq!(packet.message, Message::Solicitation { source_mac: Some(OWN), nonce: None });
    assert_eq!(v6(&nets[..3]).source, "2001:db8::1".parse::<Ipv6Addr>().unwrap());
    let nowhere = v6(&nets[..2]);
    assert_eq!(nowhere.source, Ipv6Addr::UNSPECIFIED);
    assert_eq!((nowhere.ethernet_destination, nowhere.destination), (CLIENT, solicited_node_group(VIP)));
    assert_eq!(nowhere.message, Message::Solicitation { source_mac: None, nonce: None });
}

/// RFC 5227 §2.1.1; RFC 4862 §5.4.2 and RFC 7527 §4.1.
#[test]
fn a_probe_claims_nothing() {
    let vip = Ipv4Addr::new(192, 0, 2, 10);
    let packet = ArpPacket::parse(&probe(OWN, vip.into(), [0; 6])).unwrap();
    let expected = ArpPacket {
        ethernet_destination: MacAddr::BROADCAST,
        ethernet_source: OWN,
        operation: Operation::Request,
        sender_mac: OWN,
        sender_ip: Ipv4Addr::UNSPECIFIED,
        target_mac: MacAddr::ZERO,
        target_ip: vip,
    };
    assert_eq!(packet, expected);
    let packet = parse(probe(OWN, VIP.into(), [1, 2, 3, 4, 5, 6]));
    let expected = NdpPacket {
        ethernet_destination: MacAddr([0x33, 0x33, 0xff, 0, 0, 0x10]),
        ethernet_source: OWN,
        source: Ipv6Addr::UNSPECIFIED,
        destination: solicited_node_group(VIP),
        target: VIP,
        message: Message::Solicitation { source_mac: None, nonce: Some([1, 2, 3, 4, 5, 6]) },
    };
    assert_eq!(packet, expected);
}
