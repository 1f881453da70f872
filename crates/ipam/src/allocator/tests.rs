use super::*;
use crate::configmap;
use crate::owner::Owner;
use crate::request::{Families, Then};

mod access;
mod history;
mod rest;
mod sharing;
mod waiting;

/// A time at which nothing happens in particular.
const NOW: u64 = 1_800_000_000;

/// Keys and values of a ConfigMap.
type Entries = &'static [(&'static str, &'static str)];
/// The addresses that are given, or the code of the reason why none is.
type Expected = Result<&'static [&'static str], &'static str>;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn owner(name: &str, namespace: &str) -> Owner {
    let id =
        OwnerId { kind: crate::OwnerKind::Service, namespace: namespace.to_owned(), name: name.to_owned() };
    Owner { id, uid: format!("uid-{name}") }
}

fn pools(entries: &[(&str, &str)]) -> Vec<Pool> {
    configmap::parse(&entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
        .pools
}

fn allocator(entries: &[(&str, &str)]) -> Allocator {
    let mut allocator = Allocator::default();
    allocator.set_pools(pools(entries));
    allocator
}

/// A request by `name` in namespace `a`.
fn ask(name: &str, families: Families) -> Request {
    Request { families, ..Request::new(owner(name, "a")) }
}

fn ask_for(name: &str, families: Families, addresses: &[&str]) -> Request {
    Request { addresses: addresses.iter().map(|text| ip(text)).collect(), ..ask(name, families) }
}

fn addresses(assignment: &Assignment) -> Vec<String> {
    assignment.addresses.iter().map(|assigned| assigned.address.to_string()).collect()
}

fn given(allocator: &mut Allocator, request: &Request) -> Vec<String> {
    addresses(&allocator.request(request, NOW).unwrap())
}

fn refused(allocator: &mut Allocator, request: &Request) -> Reason {
    let before: Vec<Claim> = allocator.claims().collect();
    let reason = allocator.request(request, NOW).unwrap_err();
    assert_eq!(allocator.claims().collect::<Vec<_>>(), before, "a refusal changes nothing");
    reason
}

fn claim(address: &str, name: &str, pool: &str) -> Claim {
    Claim { address: ip(address), owner: owner(name, "a").into(), pool: pool.into() }
}

const ANY: Families = Families::Single(None);
const V4: Families = Families::Single(Some(Family::V4));
const V6: Families = Families::Single(Some(Family::V6));
const DUAL: (&str, &str) = ("cidr-a", "192.0.2.1-192.0.2.3,2001:db8::1-2001:db8::3");

#[test]
fn the_first_key_present_decides() {
    let keys = [
        ("cidr-a", "192.0.2.1"),
        ("cidr-global", "192.0.2.2"),
        ("range-a", "192.0.2.3"),
        ("range-global", "192.0.2.4"),
    ];
    for first in 0..keys.len() {
        let mut allocator = allocator(&keys[first..]);
        let assignment = allocator.request(&ask("x", ANY), NOW).unwrap();
        assert_eq!(addresses(&assignment), [format!("192.0.2.{}", first + 1)]);
        assert_eq!(&*assignment.addresses[0].pool, keys[first].0);
        // An exhausted key is not passed over.
        let reason = refused(&mut allocator, &ask("y", ANY));
        let pool = keys[first].0.into();
        assert_eq!(reason, Reason::PoolExhausted { pool, family: Family::V4, capacity: 1, reserved: 0 });
    }
}

#[test]
fn a_broken_key_is_not_passed_over() {
    let mut allocator = allocator(&[("cidr-a", "oops"), ("cidr-global", "192.0.2.2")]);
    let reason = refused(&mut allocator, &ask("x", ANY));
    assert_eq!(reason.code(), "PoolInvalid");
    assert!(reason.to_string().contains("pool cidr-a") && reason.to_string().contains("'oops'"), "{reason}");
    // By value the other keys still serve; what they lack may stand in the broken one.
    assert_eq!(given(&mut allocator, &ask_for("x", ANY, &["192.0.2.2"])), ["192.0.2.2"]);
    assert_eq!(refused(&mut allocator, &ask_for("y", ANY, &["192.0.2.9"])).code(), "PoolInvalid");
}

#[test]
fn without_a_key_there_is_no_pool() {
    let mut allocator = allocator(&[("cidr-b", "192.0.2.1"), ("range-b", "192.0.2.2")]);
    let none = Reason::NoPool { namespace: "a".to_owned() };
    assert_eq!(refused(&mut allocator, &ask("x", ANY)), none);
    assert_eq!(refused(&mut allocator, &ask("x", Families::EachAvailable)), none);
    assert_eq!(refused(&mut allocator, &ask_for("x", ANY, &["192.0.2.1"])), none);
}

#[test]
fn the_lowest_or_highest_free_address_is_given_and_ends_are_stepped_over() {
    let range = ("range-global", "192.0.2.254-192.0.3.2");
    let fill = |allocator: &mut Allocator| -> Vec<String> {
        ["x", "y", "z"].iter().flat_map(|name| given(allocator, &ask(name, ANY))).collect()
    };
    let mut ascending = allocator(&[range]);
    assert_eq!(fill(&mut ascending), ["192.0.2.254", "192.0.3.1", "192.0.3.2"]);
    let mut descending = allocator(&[range, ("search-order", "desc")]);
    assert_eq!(fill(&mut descending), ["192.0.3.2", "192.0.3.1", "192.0.2.254"]);
    assert_eq!(refused(&mut ascending, &ask("w", ANY)).code(), "PoolExhausted");
    ascending.release(&owner("y", "a").id, NOW);
    assert_eq!(given(&mut ascending, &ask("w", ANY)), ["192.0.3.1"]);
}

#[test]
fn an_address_is_used_in_every_pool_that_has_it() {
    let mut allocator = allocator(&[("cidr-a", "192.0.2.0/29"), ("cidr-global", "192.0.2.1-192.0.2.3")]);
    assert_eq!(given(&mut allocator, &ask("x", ANY)), ["192.0.2.1"]);
    let other = Request { owner: owner("y", "b"), ..ask("y", ANY) };
    assert_eq!(given(&mut allocator, &other), ["192.0.2.2"]);
    assert_eq!(allocator.usage("cidr-global").unwrap().v4.available, 1);
    assert_eq!(allocator.usage("cidr-a").unwrap().v4.available, 5);
    allocator.release(&owner("x", "a").id, NOW);
    assert_eq!(allocator.usage("cidr-global").unwrap().v4.available, 2);
}

#[test]
fn families_are_given_as_asked() {
    use Families::{EachAvailable, Prefer, Require};
    let (v4, v6) = (Family::V4, Family::V6);
    let both = "192.0.2.1,2001:db8::1";
    let cases: &[(&str, Families, Expected)] = &[
        (both, ANY, Ok(&["192.0.2.1"])),
        ("2001:db8::1", ANY, Ok(&["2001:db8::1"])),
        (both, V6, Ok(&["2001:db8::1"])),
        ("192.0.2.1", V6, Err("FamilyNotInPool")),
        (both, Prefer(v6), Ok(&["2001:db8::1", "192.0.2.1"])),
        (both, Require(v4), Ok(&["192.0.2.1", "2001:db8::1"])),
        ("192.0.2.1", Prefer(v6), Ok(&["192.0.2.1"])),
        ("192.0.2.1", Require(v6), Err("FamilyNotInPool")),
        ("192.0.2.1", Require(v4), Err("FamilyNotInPool")),
        (both, EachAvailable, Ok(&["192.0.2.1", "2001:db8::1"])),
        ("2001:db8::1", EachAvailable, Ok(&["2001:db8::1"])),
    ];
    for (value, families, expected) in cases {
        let mut allocator = allocator(&[("cidr-a", value)]);
        match expected {
            Ok(expected) => {
                assert_eq!(given(&mut allocator, &ask("x", *families)), *expected, "{families:?}")
            }
            Err(code) => {
                assert_eq!(refused(&mut allocator, &ask("x", *families)).code(), *code, "{families:?}")
            }
        }
    }
}

#[test]
fn a_preferred_family_that_is_missing_is_said_and_given_when_free() {
    let mut allocator = allocator(&[("cidr-a", "192.0.2.1-192.0.2.9,2001:db8::1")]);
    assert_eq!(given(&mut allocator, &ask("x", V6)), ["2001:db8::1"]);
    for (name, families) in [("y", Families::Prefer(Family::V6)), ("z", Families::EachAvailable)] {
        let assignment = allocator.request(&ask(name, families), NOW).unwrap();
        assert_eq!(assignment.addresses.len(), 1);
        assert_eq!(assignment.partial.unwrap().code(), "PoolExhausted");
    }
    allocator.release(&owner("x", "a").id, NOW);
    let assignment = allocator.request(&ask("y", Families::Prefer(Family::V6)), NOW).unwrap();
    assert_eq!(addresses(&assignment), ["2001:db8::1", "192.0.2.1"]);
    assert_eq!(
        assignment.addresses.iter().map(|a| a.change).collect::<Vec<_>>(),
        [Change::New, Change::Kept]
    );
    assert_eq!(assignment.partial, None);
}

#[test]
fn a_family_no_longer_wanted_is_surplus_until_forgotten() {
    let mut allocator = allocator(&[DUAL]);
    assert_eq!(given(&mut allocator, &ask("x", Families::Require(Family::V4))), ["192.0.2.1", "2001:db8::1"]);
    for _ in 0..2 {
        let assignment = allocator.request(&ask("x", V6), NOW).unwrap();
        assert_eq!(addresses(&assignment), ["2001:db8::1"]);
        assert_eq!(assignment.surplus, [claim("192.0.2.1", "x", "cidr-a")]);
        assert_eq!(given(&mut allocator, &ask("y", V4)), ["192.0.2.2"], "surplus is still held");
    }
    assert_eq!(
        allocator.forget(ip("192.0.2.1"), &owner("x", "a").id, NOW),
        Some(Freed { address: ip("192.0.2.1"), then: Then::Free })
    );
    assert_eq!(allocator.forget(ip("192.0.2.1"), &owner("x", "a").id, NOW), None);
    assert_eq!(allocator.request(&ask("x", V6), NOW).unwrap().surplus, []);
    assert_eq!(given(&mut allocator, &ask("z", V4)), ["192.0.2.1"]);
}

#[test]
fn a_held_address_stays_whatever_becomes_of_its_pool() {
    let edits: &[(&str, Entries, bool)] = &[
        ("lower addresses come first now", &[("range-a", "192.0.2.1-192.0.2.200")], false),
        ("another key comes first now", &[("cidr-a", "198.51.100.1"), ("range-a", "192.0.2.100")], false),
        ("search order turned", &[("range-a", "192.0.2.100-192.0.2.110"), ("search-order", "desc")], false),
        ("shrunk", &[("range-a", "192.0.2.105-192.0.2.110")], true),
        ("garbled", &[("range-a", "oops")], true),
        ("renamed", &[("range-global", "192.0.2.100-192.0.2.110")], true),
        ("gone", &[], true),
    ];
    for (what, edited, outside) in edits {
        for families in [ANY, V4, Families::Prefer(Family::V4), Families::EachAvailable] {
            let mut allocator = allocator(&[("range-a", "192.0.2.100-192.0.2.110")]);
            assert_eq!(given(&mut allocator, &ask("x", families)), ["192.0.2.100"]);
            allocator.set_pools(pools(edited));
            let assignment = allocator.request(&ask("x", families), NOW).unwrap();
            let kept = &assignment.addresses[0];
            assert_eq!(
                (kept.address, &*kept.pool, kept.change),
                (ip("192.0.2.100"), "range-a", Change::Kept),
                "{what}"
            );
            assert_eq!(kept.outside_pool, *outside, "{what}");
            assert_eq!(assignment.surplus, [], "{what}");
        }
    }
}

#[test]
fn a_re_created_owner_takes_over() {
    let mut allocator = allocator(&[DUAL]);
    given(&mut allocator, &ask("x", Families::Require(Family::V4)));
    let reborn = Owner { uid: "another".to_owned(), ..owner("x", "a") };
    let request = Request { owner: reborn.clone(), ..ask("x", Families::Require(Family::V4)) };
    let assignment = allocator.request(&request, NOW).unwrap();
    assert_eq!(addresses(&assignment), ["192.0.2.1", "2001:db8::1"]);
    assert!(assignment.addresses.iter().all(|assigned| assigned.change == Change::TakenOver));
    assert!(allocator.claims().all(|claim| *claim.owner == reborn));
    let again = allocator.request(&request, NOW).unwrap();
    assert!(again.addresses.iter().all(|assigned| assigned.change == Change::Kept));
}

#[test]
fn owners_of_another_kind_or_namespace_are_others() {
    let mut allocator = allocator(&[("cidr-global", "192.0.2.1-192.0.2.9")]);
    assert_eq!(given(&mut allocator, &ask("x", ANY)), ["192.0.2.1"]);
    let elsewhere = Request { owner: owner("x", "b"), ..ask("x", ANY) };
    assert_eq!(given(&mut allocator, &elsewhere), ["192.0.2.2"]);
    let mut gateway = ask("x", Families::EachAvailable);
    gateway.owner.id.kind = crate::OwnerKind::Gateway;
    assert_eq!(given(&mut allocator, &gateway), ["192.0.2.3"]);
}

#[test]
fn an_address_asked_for_by_value_is_checked() {
    let mut allocator = allocator(&[
        ("cidr-a", "192.0.2.0/24"),
        ("range-a", "198.51.100.1-198.51.100.9"),
        ("range-global", "203.0.113.1-203.0.113.9"),
        ("cidr-b", "192.0.3.1-192.0.3.9"),
    ]);
    allocator
        .set_reserved(BTreeMap::from([("192.0.2.7/32".parse().unwrap(), ReservedWhy::Node("n1".into()))]));
    given(&mut allocator, &ask_for("holder", ANY, &["192.0.2.50"]));
    let cases = [
        ("192.0.2.9", Ok("cidr-a")),
        ("198.51.100.1", Ok("range-a")),
        ("203.0.113.1", Ok("range-global")),
        ("192.0.3.1", Err("AddressOutsidePools")),
        ("198.51.100.10", Err("AddressOutsidePools")),
        ("2001:db8::1", Err("AddressOutsidePools")),
        ("192.0.2.0", Err("AddressAvoided")),
        ("192.0.2.255", Err("AddressAvoided")),
        ("192.0.2.7", Err("AddressReserved")),
        ("192.0.2.50", Err("AddressTaken")),
    ];
    for (address, expected) in cases {
        for families in [ANY, Families::EachAvailable] {
            let mut allocator = allocator.clone();
            let request = ask_for("x", families, &[address]);
            match expected {
                Ok(pool) => {
                    let assigned = allocator.request(&request, NOW).unwrap().addresses.remove(0);
                    assert_eq!((assigned.address, &*assigned.pool), (ip(address), pool));
                }
                Err(code) => assert_eq!(refused(&mut allocator, &request).code(), code, "{address}"),
            }
        }
    }
    let taken = refused(&mut allocator, &ask_for("x", ANY, &["192.0.2.50"])).to_string();
    assert_eq!(
        taken,
        "192.0.2.50 is held by Service a/holder: ask for another address, or delete that owner"
    );
    // An address for another namespace is outside, whoever holds it.
    given(&mut allocator, &Request { owner: owner("y", "b"), ..ask_for("y", ANY, &["192.0.3.1"]) });
    assert_eq!(refused(&mut allocator, &ask_for("x", ANY, &["192.0.3.1"])).code(), "AddressOutsidePools");
}

#[test]
fn addresses_by_value_fill_their_families() {
    use Families::{EachAvailable, Prefer, Require};
    let cases: &[(Families, &[&str], Expected)] = &[
        (Require(Family::V6), &["192.0.2.3"], Ok(&["2001:db8::1", "192.0.2.3"])),
        (Prefer(Family::V4), &["2001:db8::3", "192.0.2.2"], Ok(&["192.0.2.2", "2001:db8::3"])),
        (EachAvailable, &["2001:db8::3"], Ok(&["2001:db8::3"])),
        (EachAvailable, &["192.0.2.3", "192.0.2.2", "192.0.2.3"], Ok(&["192.0.2.3", "192.0.2.2"])),
        (EachAvailable, &["192.0.2.3", "192.0.2.99"], Err("AddressOutsidePools")),
        (ANY, &["2001:db8::2"], Ok(&["2001:db8::2"])),
        (ANY, &["192.0.2.2", "192.0.2.2"], Ok(&["192.0.2.2"])),
        (V4, &["2001:db8::2"], Err("AddressNotWanted")),
        (ANY, &["2001:db8::2", "192.0.2.1"], Err("AddressNotWanted")),
        (Require(Family::V4), &["192.0.2.1", "192.0.2.2"], Err("AddressNotWanted")),
        (Prefer(Family::V4), &["192.0.2.99"], Err("AddressOutsidePools")),
    ];
    for (families, wanted, expected) in cases {
        let mut allocator = allocator(&[DUAL]);
        let request = ask_for("x", *families, wanted);
        match expected {
            Ok(expected) => assert_eq!(given(&mut allocator, &request), *expected, "{request:?}"),
            Err(code) => assert_eq!(refused(&mut allocator, &request).code(), *code, "{request:?}"),
        }
    }
}

#[test]
fn another_address_by_value_replaces_the_old_one() {
    let mut allocator = allocator(&[DUAL]);
    assert_eq!(given(&mut allocator, &ask("x", V4)), ["192.0.2.1"]);
    assert_eq!(given(&mut allocator, &ask("y", V4)), ["192.0.2.2"]);
    assert_eq!(refused(&mut allocator, &ask_for("x", V4, &["192.0.2.2"])).code(), "AddressTaken");
    let assignment = allocator.request(&ask_for("x", V4, &["192.0.2.3"]), NOW).unwrap();
    assert_eq!(addresses(&assignment), ["192.0.2.3"]);
    assert_eq!(assignment.surplus, [claim("192.0.2.1", "x", "cidr-a")]);
    allocator.forget(ip("192.0.2.1"), &owner("x", "a").id, NOW);
    assert_eq!(given(&mut allocator, &ask("x", V4)), ["192.0.2.3"], "no longer named, but held");
}

#[test]
fn a_named_pool_must_serve_the_namespace() {
    let mut allocator = allocator(&[
        ("cidr-a", "192.0.2.1"),
        ("range-a", "198.51.100.1-198.51.100.9"),
        ("cidr-b", "203.0.113.1"),
        ("range-global", "oops"),
    ]);
    let mut from = |pool: &str, addresses: &[&str]| {
        let request = Request { pool: Some(pool.to_owned()), ..ask_for("x", ANY, addresses) };
        allocator.request(&request, NOW).map(|assignment| {
            let surplus: Vec<String> =
                assignment.surplus.iter().map(|claim| claim.address.to_string()).collect();
            (super::tests::addresses(&assignment).join(" "), surplus.join(" "))
        })
    };
    let code = |result: Result<(String, String), Reason>| result.unwrap_err().code();
    assert_eq!(code(from("cidr-b", &[])), "PoolUnknown");
    assert_eq!(code(from("nothing", &[])), "PoolUnknown");
    assert_eq!(code(from("range-global", &[])), "PoolInvalid");
    assert_eq!(code(from("range-a", &["192.0.2.1"])), "AddressNotInPool");
    assert_eq!(from("cidr-a", &[]).unwrap(), ("192.0.2.1".to_owned(), String::new()));
    // To name another pool is to ask for another address.
    assert_eq!(from("range-a", &[]).unwrap(), ("198.51.100.1".to_owned(), "192.0.2.1".to_owned()));
}

#[test]
fn an_address_stays_when_the_named_pool_shrinks() {
    let mut allocator = allocator(&[("cidr-a", "192.0.2.1-192.0.2.9")]);
    let request = Request { pool: Some("cidr-a".to_owned()), ..ask("x", ANY) };
    assert_eq!(given(&mut allocator, &request), ["192.0.2.1"]);
    for edited in [&[("cidr-a", "192.0.2.5")][..], &[("cidr-a", "oops")], &[]] {
        allocator.set_pools(pools(edited));
        let kept = allocator.request(&request, NOW).unwrap();
        assert_eq!(addresses(&kept), ["192.0.2.1"]);
        assert!(kept.addresses[0].outside_pool);
    }
}

#[test]
fn reserved_addresses_are_stepped_over_and_kept_if_held() {
    let reserve = |nets: &[&str]| -> BTreeMap<IpNet, ReservedWhy> {
        nets.iter().map(|net| (net.parse().unwrap(), ReservedWhy::Node((*net).to_owned()))).collect()
    };
    let mut allocator = allocator(&[("cidr-a", "192.0.2.1-192.0.2.6")]);
    assert_eq!(given(&mut allocator, &ask("x", ANY)), ["192.0.2.1"]);
    allocator.set_reserved(reserve(&["192.0.2.0/30", "192.0.2.2/32", "192.0.2.6/32"]));
    assert_eq!(given(&mut allocator, &ask("y", ANY)), ["192.0.2.4"]);
    assert_eq!(given(&mut allocator, &ask("z", ANY)), ["192.0.2.5"]);
    let exhausted = refused(&mut allocator, &ask("w", ANY));
    let pool = "cidr-a".into();
    assert_eq!(exhausted, Reason::PoolExhausted { pool, family: Family::V4, capacity: 6, reserved: 4 });
    assert!(exhausted.to_string().contains("(6 in all, 4 of them used by Nodes"), "{exhausted}");
    // The smallest network gives the reason.
    let reserved = refused(&mut allocator, &ask_for("w", ANY, &["192.0.2.2"]));
    let why = ReservedWhy::Node("192.0.2.2/32".to_owned());
    assert_eq!(reserved, Reason::AddressReserved { address: ip("192.0.2.2"), why });
    // Held ones stay, and say so.
    let kept = allocator.request(&ask("x", ANY), NOW).unwrap().addresses.remove(0);
    assert_eq!(
        (kept.address, kept.reserved),
        (ip("192.0.2.1"), Some(ReservedWhy::Node("192.0.2.0/30".into())))
    );
    // Once freed, a reserved one stays back until its network goes.
    allocator.forget(ip("192.0.2.1"), &owner("x", "a").id, NOW);
    assert_eq!(refused(&mut allocator, &ask("w", ANY)).code(), "PoolExhausted");
    allocator.set_reserved(reserve(&["192.0.2.6/32", "192.0.2.2/32"]));
    assert_eq!(given(&mut allocator, &ask("w", ANY)), ["192.0.2.1"]);
    assert_eq!(given(&mut allocator, &ask("v", ANY)), ["192.0.2.3"]);
}

#[test]
fn the_first_of_two_observed_owners_stays() {
    let mut allocator = allocator(&[]);
    allocator.observe(claim("192.0.2.1", "x", "gone")).unwrap();
    allocator.observe(claim("192.0.2.1", "x", "other")).unwrap();
    let conflict = allocator.observe(claim("192.0.2.1", "y", "gone")).unwrap_err();
    assert_eq!((&conflict.holder.id.name, &conflict.refused.id.name), (&"x".to_owned(), &"y".to_owned()));
    assert_eq!(
        conflict.to_string(),
        "192.0.2.1 is held by Service a/x, so Service a/y cannot hold it too: give one of them another address"
    );
    assert_eq!(allocator.claims().collect::<Vec<_>>(), [claim("192.0.2.1", "x", "gone")]);
    // Outside every pool, and kept.
    let kept = allocator.request(&ask("x", ANY), NOW).unwrap().addresses.remove(0);
    assert!(kept.outside_pool && kept.address == ip("192.0.2.1"));
}

#[test]
fn the_order_of_start_up_is_nothing() {
    let reserved = BTreeMap::from([("192.0.2.2/32".parse().unwrap(), ReservedWhy::ServiceCidr)]);
    let steps: [&dyn Fn(&mut Allocator); 3] = [
        &|allocator| allocator.set_pools(pools(&[DUAL])),
        &|allocator| allocator.set_reserved(reserved.clone()),
        &|allocator| allocator.observe(claim("192.0.2.1", "x", "cidr-a")).unwrap(),
    ];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut allocator = Allocator::default();
        for step in order {
            steps[step](&mut allocator);
        }
        assert_eq!(given(&mut allocator, &ask("y", V4)), ["192.0.2.3"], "{order:?}");
    }
}

#[test]
fn a_refused_write_is_undone_by_forgetting_what_is_new() {
    let mut allocator = allocator(&[DUAL]);
    given(&mut allocator, &ask("x", V4));
    let assignment = allocator.request(&ask("x", Families::Require(Family::V4)), NOW).unwrap();
    for assigned in assignment.addresses.iter().filter(|assigned| assigned.change == Change::New) {
        allocator.forget(assigned.address, &owner("x", "a").id, NOW);
    }
    assert_eq!(allocator.claims().collect::<Vec<_>>(), [claim("192.0.2.1", "x", "cidr-a")]);
}
