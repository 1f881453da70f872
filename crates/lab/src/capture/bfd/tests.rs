use etherparse::PacketBuilder;

use super::super::decode;
use super::super::event::{Datagram, Packet};
use super::{BfdControl, BfdState, Ends};

/// Diagnostic 1, state Up, P and C, multiplier 3, and five words that differ.
const CONTROL: [u8; 24] =
    [0x21, 0xe8, 3, 24, 0, 0, 0, 0x11, 0, 0, 0, 0x22, 0, 4, 0x93, 0xe0, 0, 3, 0x0d, 0x40, 0, 0, 0xc3, 0x50];

fn ends(port: u16) -> Ends {
    let source = "192.0.2.1:49152".parse().unwrap();
    Ends { source, destination: format!("192.0.2.2:{port}").parse().unwrap(), ttl: 255 }
}

fn control(changes: &[(usize, u8)]) -> [u8; 24] {
    let mut octets = CONTROL;
    for (at, octet) in changes {
        octets[*at] = *octet;
    }
    octets
}

#[test]
fn a_bfd_control_packet_is_read_field_by_field_over_one_hop_and_over_several() {
    for port in [3784, 4784] {
        let Ends { source, destination, ttl } = ends(port);
        let expected = BfdControl {
            source,
            destination,
            ttl,
            diagnostic: 1,
            state: BfdState::Up,
            is_poll: true,
            is_final: false,
            is_control_plane_independent: true,
            is_authenticated: false,
            is_demand: false,
            is_multipoint: false,
            detect_multiplier: 3,
            my_discriminator: 0x11,
            your_discriminator: 0x22,
            desired_min_tx_micros: 300_000,
            required_min_rx_micros: 200_000,
            required_min_echo_rx_micros: 50_000,
        };
        assert_eq!(BfdControl::decode(ends(port), &CONTROL), Some(expected));
    }
}

#[test]
fn states_and_flags_of_bfd_are_told_apart() {
    let states = [BfdState::AdminDown, BfdState::Down, BfdState::Init, BfdState::Up];
    for (number, state) in states.into_iter().enumerate() {
        for bit in 0..6 {
            let octet = (number as u8) << 6 | 1 << bit;
            let read = BfdControl::decode(ends(3784), &control(&[(1, octet)])).unwrap();
            let flags = [
                read.is_multipoint,
                read.is_demand,
                read.is_authenticated,
                read.is_control_plane_independent,
                read.is_final,
                read.is_poll,
            ];
            assert_eq!((read.state, flags), (state, std::array::from_fn(|flag| flag == bit)));
        }
    }
}

#[test]
fn what_is_no_bfd_control_packet_of_version_1_is_not_read_as_one() {
    let cases = [
        ("the port of echo packets", 3785, CONTROL.to_vec()),
        ("version 0", 3784, control(&[(0, 0x01)]).to_vec()),
        ("version 2", 3784, control(&[(0, 0x41)]).to_vec()),
        ("longer than its datagram", 3784, control(&[(3, 25)]).to_vec()),
        ("shorter than a control packet", 3784, control(&[(3, 23)]).to_vec()),
        ("cut short", 3784, CONTROL[..23].to_vec()),
        ("nothing", 3784, Vec::new()),
    ];
    for (name, port, payload) in cases {
        assert_eq!(BfdControl::decode(ends(port), &payload), None, "{name}");
    }
    let authenticated = [&control(&[(3, 26)])[..], &[1, 2]].concat();
    assert!(BfdControl::decode(ends(3784), &authenticated).is_some(), "an authentication section may follow");
}

#[test]
fn a_frame_with_a_bfd_control_packet_is_one_with_its_hop_limit_and_any_other_is_a_datagram() {
    let v6 = |last| [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    let frame = |hop_limit, payload: &[u8]| {
        let mut frame = Vec::new();
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv6(v6(1), v6(2), hop_limit);
        builder.udp(49152, 3784).write(&mut frame, payload).unwrap();
        decode(&frame).unwrap().packet
    };
    for hop_limit in [255, 64] {
        let Packet::Bfd(read) = frame(hop_limit, &CONTROL) else { panic!("not BFD") };
        assert_eq!((read.ttl, read.source), (hop_limit, "[2001:db8::1]:49152".parse().unwrap()));
    }
    let other = Datagram {
        source: "[2001:db8::1]:49152".parse().unwrap(),
        destination: "[2001:db8::2]:3784".parse().unwrap(),
    };
    assert_eq!(frame(255, b"hello"), Packet::Udp(other));
}
