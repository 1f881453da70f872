use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::assembly::*;
use super::*;

mod random;

pub(super) const REQUEST: [u8; 42] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 0x0c, 0x08, 0x06, // Ethernet
    0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01, // types, lengths, operation
    0x02, 0, 0, 0, 0, 0x0c, 192, 0, 2, 200, // sender
    0, 0, 0, 0, 0, 0, 192, 0, 2, 10, // target
];

const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));
const VIP_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10);

/// A neighbor solicitation for the VIP, with a source link-layer address. Its checksum is not the filter's business.
pub(super) fn solicitation() -> Vec<u8> {
    let mut frame = vec![0x33, 0x33, 0xff, 0, 0, 0x10, 0x02, 0, 0, 0, 0, 0x0c, 0x86, 0xdd];
    frame.extend([0x60, 0, 0, 0, 0, 32, 58, 255]);
    frame.extend(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xc).octets());
    frame.extend(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0x10).octets());
    frame.extend([135, 0, 0, 0, 0, 0, 0, 0]);
    frame.extend(VIP_V6.octets());
    frame.extend([1, 1, 0x02, 0, 0, 0, 0, 0x0c]);
    frame
}

/// Runs a program as the kernel does. Returns how many octets pass, and how many instructions it took.
pub(super) fn run(program: &[Instruction], frame: &[u8], packet_type: u8) -> (u32, usize) {
    let mut accumulator = 0;
    let mut at = 0;
    for steps in 1.. {
        let Instruction { code, jump_true, jump_false, operand } = program[at];
        at += 1;
        let offset = operand as usize;
        let mut jump = |holds: bool| at += usize::from(if holds { jump_true } else { jump_false });
        let loaded = |length: usize| {
            let octets = frame.get(offset..offset + length)?;
            Some(octets.iter().fold(0, |value, octet| value << 8 | u32::from(*octet)))
        };
        let width = match code {
            LOAD_WORD if operand == PACKET_TYPE => {
                accumulator = packet_type.into();
                continue;
            }
            LOAD_LENGTH => {
                accumulator = frame.len() as u32;
                continue;
            }
            JUMP => {
                at += offset;
                continue;
            }
            JUMP_EQUAL => {
                jump(accumulator == operand);
                continue;
            }
            JUMP_GREATER => {
                jump(accumulator > operand);
                continue;
            }
            JUMP_GREATER_OR_EQUAL => {
                jump(accumulator >= operand);
                continue;
            }
            RETURN => return (operand, steps),
            LOAD_WORD => 4,
            LOAD_HALF_WORD => 2,
            LOAD_BYTE => 1,
            _ => panic!("an instruction that is never written: {code:#x}"),
        };
        match loaded(width) {
            Some(value) => accumulator = value,
            None => return (0, steps),
        }
    }
    unreachable!("every program ends")
}

fn with(mut frame: Vec<u8>, offset: usize, octets: &[u8]) -> Vec<u8> {
    frame[offset..offset + octets.len()].copy_from_slice(octets);
    frame
}

pub(super) fn ranges(addresses: &BTreeSet<IpAddr>, is_ipv6: bool) -> Ranges {
    Ranges::cover(addresses, is_ipv6, 256)
}

const HOST: u8 = libc::PACKET_HOST;
const BROADCAST: u8 = libc::PACKET_BROADCAST;
const MULTICAST: u8 = libc::PACKET_MULTICAST;
const OTHER_HOST: u8 = libc::PACKET_OTHERHOST;

#[test]
fn only_arp_about_the_addresses_passes_and_only_to_this_host() {
    let request = || REQUEST.to_vec();
    let foreign = [192, 0, 2, 11];
    let reply = |sender: [u8; 4]| with(with(request(), 20, &[0, 2]), 28, &sender);
    let padded = [&REQUEST[..], &[0; 18]].concat();
    let cases = [
        ("broadcast request", request(), BROADCAST, 42),
        ("unicast request", with(request(), 0, &[0x02, 0, 0, 0, 0, 0x0a]), HOST, 42),
        ("padded request, without its padding", padded, BROADCAST, 42),
        ("request for a foreign address", with(request(), 38, &foreign), BROADCAST, 0),
        ("probe", with(request(), 28, &[0; 4]), BROADCAST, 42),
        (
            "request of a station that uses ours",
            with(with(request(), 38, &foreign), 28, &[192, 0, 2, 10]),
            BROADCAST,
            42,
        ),
        ("reply that ours is there", reply([192, 0, 2, 10]), HOST, 42),
        ("gratuitous reply", reply([192, 0, 2, 10]), BROADCAST, 42),
        ("reply of a foreign address to ours", reply(foreign), HOST, 0),
        ("high octet of the operation set", with(request(), 20, &[1, 1]), BROADCAST, 0),
        ("IPv4", with(request(), 12, &[0x08, 0x00]), HOST, 0),
        ("IPv6", with(request(), 12, &[0x86, 0xdd]), HOST, 0),
        ("RARP", with(request(), 12, &[0x80, 0x35]), BROADCAST, 0),
        ("for another station", request(), OTHER_HOST, 0),
        ("to a group", with(request(), 0, &[0x01, 0, 0x5e, 0, 0, 1]), MULTICAST, 0),
        ("our own on its way out", request(), libc::PACKET_OUTGOING, 0),
        ("one octet too short", REQUEST[..41].to_vec(), BROADCAST, 0),
        ("cut within the operation", REQUEST[..21].to_vec(), BROADCAST, 0),
        ("Ethernet header only", REQUEST[..14].to_vec(), BROADCAST, 0),
        ("empty", Vec::new(), BROADCAST, 0),
    ];
    let program = arp(&ranges(&[VIP].into(), false)).unwrap();
    for (name, frame, packet_type, passed) in cases {
        assert_eq!(run(&program, &frame, packet_type).0, passed, "{name}");
    }
}

#[test]
fn only_neighbor_discovery_about_the_addresses_passes_and_only_to_this_host() {
    let ns = solicitation;
    let foreign = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x11).octets();
    let other_net = Ipv6Addr::new(0x2001, 0xdb9, 0, 0, 0, 0, 0, 0x10).octets();
    let whole = NDP_FRAME_LEN_MAX;
    let cases = [
        ("solicitation to the group", ns(), MULTICAST, whole),
        ("solicitation to this host", ns(), HOST, whole),
        ("solicitation to all", ns(), BROADCAST, whole),
        ("advertisement", with(ns(), 54, &[136]), MULTICAST, whole),
        ("router solicitation", with(ns(), 54, &[133]), MULTICAST, 0),
        ("router advertisement", with(ns(), 54, &[134]), MULTICAST, 0),
        ("redirect", with(ns(), 54, &[137]), HOST, 0),
        ("echo request", with(ns(), 54, &[128]), HOST, 0),
        ("for a foreign address", with(ns(), 62, &foreign), MULTICAST, 0),
        ("for one with the same last octets", with(ns(), 62, &other_net), MULTICAST, 0),
        ("from behind a router", with(ns(), 21, &[254]), MULTICAST, 0),
        ("TCP", with(ns(), 20, &[6]), HOST, 0),
        ("behind an extension header", with(ns(), 20, &[0]), HOST, 0),
        ("IPv4", with(ns(), 12, &[8, 0]), HOST, 0),
        ("for another station", ns(), OTHER_HOST, 0),
        ("our own on its way out", ns(), libc::PACKET_OUTGOING, 0),
        ("without options", ns()[..78].to_vec(), MULTICAST, whole),
        ("cut within the target", ns()[..77].to_vec(), MULTICAST, 0),
        ("empty", Vec::new(), HOST, 0),
    ];
    let program = neighbor_discovery(&ranges(&[VIP_V6.into()].into(), true)).unwrap();
    for (name, frame, packet_type, passed) in cases {
        assert_eq!(run(&program, &frame, packet_type).0, passed, "{name}");
    }
}

#[test]
fn without_addresses_nothing_passes() {
    let none = BTreeSet::new();
    assert_eq!(run(&arp(&ranges(&none, false)).unwrap(), &REQUEST, HOST).0, 0);
    assert_eq!(run(&neighbor_discovery(&ranges(&none, true)).unwrap(), &solicitation(), HOST).0, 0);
}

#[test]
fn a_filter_of_many_ranges_is_short_in_memory_and_in_time() {
    let sparse_v4: BTreeSet<IpAddr> =
        (0..10_000u32).map(|n| Ipv4Addr::from(0x0a00_0000 + n * 7).into()).collect();
    let in_one_net: BTreeSet<IpAddr> =
        (0..10_000u128).map(|n| Ipv6Addr::from((0x2001_0db8 << 96) + n * 7).into()).collect();
    // 256 ranges whose ends share no word.
    let span = 0x00ff_1234_5678_9abc_def0_1234_5678_9abc_u128;
    let everywhere: BTreeSet<IpAddr> = (0..256u128)
        .flat_map(|n| [n * span, n * span + span / 3])
        .map(|address| Ipv6Addr::from(address).into())
        .collect();
    let program = arp(&ranges(&sparse_v4, false)).unwrap();
    let (_, steps) = run(&program, &REQUEST, BROADCAST);
    assert!(program.len() < 2200 && steps < 50, "{} instructions, {steps} of them run", program.len());
    let program = neighbor_discovery(&ranges(&in_one_net, true)).unwrap();
    let (_, steps) = run(&program, &solicitation(), MULTICAST);
    assert!(program.len() < 1300 && steps < 50, "{} instructions, {steps} of them run", program.len());
    // The caller tries with fewer ranges then.
    assert!(neighbor_discovery(&ranges(&everywhere, true)).is_none());
    assert!(neighbor_discovery(&Ranges::cover(&everywhere, true, 64)).is_some());
}
