use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

fn cover(hosts: &[u8], limit: usize) -> Vec<(u128, u128)> {
    let addresses: Vec<IpAddr> = hosts.iter().map(|host| Ipv4Addr::new(0, 0, 0, *host).into()).collect();
    Ranges::cover(&addresses, false, limit).0
}

#[test]
fn addresses_in_a_row_are_one_range_and_the_closest_gaps_are_merged_first() {
    let covers = |name: &str, hosts: &[u8], limit: usize, expected: &[(u128, u128)]| {
        assert_eq!(cover(hosts, limit), expected, "{name}");
    };
    covers("none", &[], 4, &[]);
    covers("one", &[7], 4, &[(7, 7)]);
    covers("a row", &[3, 1, 2], 4, &[(1, 3)]);
    covers("twice the same", &[3, 3, 3], 4, &[(3, 3)]);
    covers("two", &[1, 3], 4, &[(1, 1), (3, 3)]);
    covers("as many as permitted", &[1, 3, 5, 7], 4, &[(1, 1), (3, 3), (5, 5), (7, 7)]);
    covers("the closest merged", &[10, 20, 22, 40], 3, &[(10, 10), (20, 22), (40, 40)]);
    covers("two merges", &[10, 20, 22, 40], 2, &[(10, 22), (40, 40)]);
    covers("all merged", &[10, 20, 22, 40], 1, &[(10, 40)]);
    covers("no limit below one", &[10, 40], 0, &[(10, 40)]);
}

#[test]
fn the_other_family_does_not_matter() {
    let addresses: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    let v6 = number(addresses[1]);
    assert_eq!(Ranges::cover(&addresses, true, 4).0, [(v6, v6)]);
    assert_eq!(Ranges::cover(&addresses, false, 4).0, [(0xc000_0201, 0xc000_0201)]);
}

#[test]
fn the_last_of_all_addresses_has_no_boundary_after_it() {
    let all = [IpAddr::V6(std::net::Ipv6Addr::from(u128::MAX))];
    assert_eq!(Ranges::cover(&all, true, 4).boundaries().collect::<Vec<_>>(), [u128::MAX]);
}

proptest! {
    #[test]
    fn ranges_hold_all_addresses_and_begin_and_end_with_one(
        hosts in prop::collection::btree_set(any::<u16>(), 0..200),
        limit in 1..20usize,
    ) {
        let addresses: BTreeSet<IpAddr> =
            hosts.iter().map(|host| Ipv4Addr::from(u32::from(*host)).into()).collect();
        let ranges = Ranges::cover(&addresses, false, limit).0;
        prop_assert!(ranges.len() <= limit);
        prop_assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0), "{ranges:?}");
        for (first, last) in &ranges {
            prop_assert!(hosts.contains(&(*first as u16)) && hosts.contains(&(*last as u16)));
        }
        for host in hosts {
            prop_assert!(ranges.iter().any(|(first, last)| (*first..=*last).contains(&u128::from(host))));
        }
    }
}
