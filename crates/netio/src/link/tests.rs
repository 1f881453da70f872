use rtnetlink::packet_route::link::State;

use super::*;

fn link_message(index: u32, flags: LinkFlags, attributes: Vec<LinkAttribute>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.header.flags = flags;
    message.attributes = attributes;
    message
}

fn address_message(index: u32, prefix_len: u8, attributes: Vec<AddressAttribute>) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = index;
    message.header.prefix_len = prefix_len;
    message.attributes = attributes;
    message
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_dump_becomes_links_with_their_addresses() {
    let ethernet = LinkFlags::Up | LinkFlags::LowerUp | LinkFlags::Broadcast;
    let links = [
        link_message(
            1,
            LinkFlags::Up | LinkFlags::LowerUp | LinkFlags::Loopback,
            vec![LinkAttribute::IfName("lo".into()), LinkAttribute::Address(vec![0; 6])],
        ),
        link_message(
            2,
            ethernet,
            vec![
                LinkAttribute::OperState(State::Up),
                LinkAttribute::Mtu(1500),
                LinkAttribute::Address(vec![2, 0, 0, 0, 0, 1]),
                LinkAttribute::Controller(3),
                LinkAttribute::IfName("eth0".into()),
            ],
        ),
        link_message(4, LinkFlags::Noarp, vec![LinkAttribute::IfName("tun0".into())]),
        link_message(5, ethernet, vec![LinkAttribute::Mtu(1500)]),
    ];
    let addresses = [
        address_message(2, 64, vec![AddressAttribute::Address(ip("2001:db8::1"))]),
        address_message(
            2,
            24,
            vec![AddressAttribute::Address(ip("192.0.2.1")), AddressAttribute::Local(ip("192.0.2.1"))],
        ),
        address_message(9, 24, vec![AddressAttribute::Local(ip("198.51.100.1"))]),
    ];
    let assembled = assemble(&links, &addresses);
    assert_eq!(assembled.keys().copied().collect::<Vec<_>>(), [1, 2, 4]);
    let eth0 = Link {
        index: 2,
        name: "eth0".into(),
        mac: Some([2, 0, 0, 0, 0, 1]),
        up: true,
        carrier: true,
        broadcast: true,
        noarp: false,
        loopback: false,
        master: Some(3),
        mtu: 1500,
        addresses: vec!["192.0.2.1/24".parse().unwrap(), "2001:db8::1/64".parse().unwrap()],
    };
    assert_eq!(assembled[&2], eth0);
    assert!(assembled[&1].loopback && !assembled[&1].broadcast);
    let tun0 = &assembled[&4];
    assert!(tun0.noarp && !tun0.up && !tun0.carrier && tun0.mac.is_none());
}

#[test]
fn a_hardware_address_of_another_length_is_no_mac() {
    let infiniband = link_message(
        2,
        LinkFlags::Up,
        vec![LinkAttribute::IfName("ib0".into()), LinkAttribute::Address(vec![7; 20])],
    );
    assert_eq!(assemble(&[infiniband], &[])[&2].mac, None);
}

#[test]
fn addresses_are_read_by_local_and_peer() {
    let local = |text| AddressAttribute::Local(ip(text));
    let prefix = |text| AddressAttribute::Address(ip(text));
    let cases = [
        ("IPv4", vec![prefix("192.0.2.1"), local("192.0.2.1")], 24, Some("192.0.2.1/24")),
        ("IPv6", vec![prefix("2001:db8::1")], 64, Some("2001:db8::1/64")),
        ("IPv4 with a peer", vec![prefix("192.0.2.7"), local("198.51.100.1")], 24, Some("198.51.100.1/32")),
        ("IPv6 with a peer", vec![local("2001:db8::1"), prefix("2001:db8::2")], 64, Some("2001:db8::1/128")),
        ("neither", vec![], 24, None),
        ("a prefix length beyond the family", vec![local("192.0.2.1")], 64, None),
    ];
    for (name, attributes, prefix_len, expected) in cases {
        let net = address(&address_message(2, prefix_len, attributes));
        assert_eq!(net, expected.map(|net| net.parse().unwrap()), "{name}");
    }
}
