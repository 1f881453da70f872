//! Any set of addresses: every frame about one passes, and none about an address outside the covering ranges.

use proptest::prelude::*;

use super::*;
use crate::packet::ranges::number;

/// Addresses close together, far apart, and at both ends of what there is.
fn any_v4() -> impl Strategy<Value = Ipv4Addr> {
    prop_oneof![
        3 => (0..64u32).prop_map(|n| Ipv4Addr::from(0xc000_0200 + n)),
        2 => any::<u32>().prop_map(Ipv4Addr::from),
        1 => prop_oneof![Just(Ipv4Addr::UNSPECIFIED), Just(Ipv4Addr::BROADCAST)],
    ]
}

fn any_v6() -> impl Strategy<Value = Ipv6Addr> {
    let net = 0x2001_0db8_u128 << 96;
    prop_oneof![
        3 => (0..64u128).prop_map(move |n| Ipv6Addr::from(net + n)),
        2 => (0..4u128, 0..4u128, 0..4u128, 0..4u128)
            .prop_map(move |(a, b, c, d)| Ipv6Addr::from(net + (a << 64) + (b << 32) + (c << 16) + d)),
        2 => (0..3u128, 0..3u128).prop_map(|(a, d)| Ipv6Addr::from((a << 96) + d)),
        2 => any::<u128>().prop_map(Ipv6Addr::from),
        1 => prop_oneof![Just(Ipv6Addr::UNSPECIFIED), Just(Ipv6Addr::from(u128::MAX))],
    ]
}

proptest! {
    #[test]
    fn arp_passes_exactly_for_the_covering_ranges(
        addresses in prop::collection::btree_set(any_v4(), 0..300),
        others in prop::collection::vec(any_v4(), 1..40),
        limit in 1..300usize,
    ) {
        let set: BTreeSet<IpAddr> = addresses.iter().map(|address| (*address).into()).collect();
        let covering = Ranges::cover(&set, false, limit);
        let program = arp(&covering).unwrap();
        for address in addresses.iter().chain(&others) {
            let is_inside = covering.boundaries().filter(|at| *at <= number((*address).into())).count() % 2 == 1;
            prop_assert!(is_inside || !addresses.contains(address));
            let mut asked = REQUEST;
            asked[28..32].fill(0);
            let probed = addresses.contains(&Ipv4Addr::UNSPECIFIED);
            asked[38..42].copy_from_slice(&address.octets());
            let passed = run(&program, &asked, BROADCAST).0 > 0;
            prop_assert!(passed == is_inside || (probed && passed), "{address}: {passed}");
            let mut told = REQUEST;
            told[20..22].copy_from_slice(&[0, 2]);
            told[28..32].copy_from_slice(&address.octets());
            prop_assert_eq!(run(&program, &told, HOST).0 > 0, is_inside, "reply of {}", address);
        }
    }

    #[test]
    fn neighbor_discovery_passes_exactly_for_the_covering_ranges(
        addresses in prop::collection::btree_set(any_v6(), 0..200),
        others in prop::collection::vec(any_v6(), 1..40),
        limit in 1..64usize,
    ) {
        let set: BTreeSet<IpAddr> = addresses.iter().map(|address| (*address).into()).collect();
        let covering = Ranges::cover(&set, true, limit);
        let program = neighbor_discovery(&covering).unwrap();
        for address in addresses.iter().chain(&others) {
            let is_inside = covering.boundaries().filter(|at| *at <= u128::from(*address)).count() % 2 == 1;
            prop_assert!(is_inside || !addresses.contains(address));
            let frame = with(solicitation(), 62, &address.octets());
            prop_assert_eq!(run(&program, &frame, MULTICAST).0 > 0, is_inside, "{}", address);
        }
    }

    #[test]
    fn no_frame_makes_a_filter_run_astray(
        addresses in prop::collection::btree_set(any_v6(), 0..100),
        frame in prop::collection::vec(any::<u8>(), 0..120),
        packet_type in 0..5u8,
    ) {
        let set: BTreeSet<IpAddr> = addresses.into_iter().map(Into::into).collect();
        let program = neighbor_discovery(&ranges(&set, true)).unwrap();
        run(&program, &frame, packet_type);
        run(&arp(&ranges(&set, false)).unwrap(), &frame, packet_type);
    }
}
