use super::*;
use crate::{Allocation, OwnerKind, PoolProblem, PoolSpec, Selector};

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn selector(key: &str, value: &str) -> Selector {
    Selector { match_labels: labels(&[(key, value)]), ..Selector::default() }
}

/// A pool that serves everybody.
fn spec(name: &str, addresses: &[&str]) -> PoolSpec {
    PoolSpec {
        name: name.to_owned(),
        addresses: addresses.iter().map(|text| (*text).to_owned()).collect(),
        auto_assign: true,
        ..PoolSpec::default()
    }
}

fn pinned(name: &str, address: &str, priority: u32, namespaces: &[&str]) -> PoolSpec {
    let namespaces = namespaces.iter().map(|text| (*text).to_owned()).collect();
    let services = Some(Allocation { priority, namespaces, ..Allocation::default() });
    PoolSpec { services, ..spec(name, &[address]) }
}

fn with(keys: &[(&str, &str)], specs: impl IntoIterator<Item = PoolSpec>) -> Allocator {
    let mut all = pools(keys);
    all.extend(specs.into_iter().map(Pool::from_spec));
    let mut allocator = Allocator::default();
    allocator.set_pools(all);
    allocator
}

fn gateway(name: &str, families: Families) -> Request {
    let mut request = ask(name, families);
    request.owner.id.kind = OwnerKind::Gateway;
    request
}

#[test]
fn pools_are_looked_at_in_the_written_order() {
    let specs = || {
        [
            pinned("z", "192.0.2.1", 1, &["a"]),
            pinned("b", "192.0.2.2", 5, &["a"]),
            pinned("c", "192.0.2.3", 5, &[]),
            pinned("a", "192.0.2.4", 0, &["a", "b"]),
            pinned("other", "192.0.2.9", 1, &["b"]),
            spec("open-1", &["192.0.2.6"]),
            spec("open-2", &["192.0.2.7"]),
        ]
    };
    for turned in [false, true] {
        let mut specs: Vec<PoolSpec> = specs().into();
        if turned {
            specs.reverse();
        }
        let mut without_key = with(&[], specs.clone());
        let mut with_key = with(&[("range-global", "192.0.2.5")], specs);
        let fill = |allocator: &mut Allocator| -> Vec<String> {
            let names = (0..9).map(|number| format!("x{number}"));
            names
                .map_while(|name| Some(addresses(&allocator.request(&ask(&name, ANY), NOW).ok()?)))
                .flatten()
                .collect()
        };
        let last = |last: &[u8]| -> Vec<String> {
            [1, 2, 3, 4].iter().chain(last).map(|octet| format!("192.0.2.{octet}")).collect()
        };
        // Priority, then name, 0 last; then a key if there is one, which ends the search; else the open pools.
        assert_eq!(fill(&mut without_key), last(&[6, 7]));
        assert_eq!(fill(&mut with_key), last(&[5]));
    }
}

#[test]
fn a_reason_names_all_pools_that_were_tried() {
    let broken = PoolSpec { addresses: vec!["oops".to_owned()], ..pinned("p1", "", 1, &[]) };
    let mut allocator = with(&[], [broken, pinned("p2", "192.0.2.1", 2, &[]), spec("p3", &["2001:db8::1"])]);
    assert_eq!(given(&mut allocator, &ask("x", V4)), ["192.0.2.1"], "a broken pool is passed over");
    let reason = refused(&mut allocator, &ask("y", V4));
    assert_eq!(reason.code(), "PoolsExhausted");
    let text = reason.to_string();
    for part in [
        "pool p1, because spec.addresses[0] is wrong",
        "pool p2 has no free IPv4",
        "p3 has no IPv4 addresses",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_broken_key_ends_the_search_for_those_that_no_pool_is_pinned_to() {
    let mut allocator =
        with(&[("cidr-a", "oops")], [pinned("p", "192.0.2.1", 1, &["a"]), spec("open", &["192.0.2.2"])]);
    assert_eq!(given(&mut allocator, &ask("x", ANY)), ["192.0.2.1"]);
    assert_eq!(refused(&mut allocator, &ask("y", ANY)).code(), "PoolsExhausted");
    // The other namespace has no key.
    let elsewhere = Request { owner: owner("z", "b"), ..ask("z", ANY) };
    assert_eq!(given(&mut allocator, &elsewhere), ["192.0.2.2"]);
}

#[test]
fn a_pool_without_auto_assign_is_given_by_name_or_value_only() {
    let shy = PoolSpec { auto_assign: false, ..spec("shy", &["192.0.2.1-192.0.2.9"]) };
    let mut allocator = with(&[], [shy]);
    assert_eq!(refused(&mut allocator, &ask("x", ANY)).code(), "NoPool");
    assert_eq!(given(&mut allocator, &ask_for("x", ANY, &["192.0.2.5"])), ["192.0.2.5"]);
    let named = Request { pool: Some("shy".to_owned()), ..ask("y", ANY) };
    assert_eq!(given(&mut allocator, &named), ["192.0.2.1"]);
}

#[test]
fn a_closed_pool_gives_nothing_by_name_or_value_either() {
    let mut allocator = with(&[], [pinned("p", "192.0.2.1", 1, &["b"]), spec("open", &["198.51.100.1"])]);
    let named = Request { pool: Some("p".to_owned()), ..ask("x", ANY) };
    assert_eq!(refused(&mut allocator, &named).code(), "PoolUnknown");
    assert_eq!(refused(&mut allocator, &ask_for("x", ANY, &["192.0.2.1"])).code(), "AddressOutsidePools");
}

#[test]
fn selectors_open_a_pool_to_whom_they_match_and_to_nobody_else() {
    let team = |namespaces: &[&str], namespace_selectors: Vec<Selector>, owner_selectors: Vec<Selector>| {
        let namespaces = namespaces.iter().map(|text| (*text).to_owned()).collect();
        let services = Some(Allocation { priority: 1, namespaces, namespace_selectors, owner_selectors });
        PoolSpec { services, ..spec("p", &["192.0.2.1"]) }
    };
    let prod = || selector("env", "prod");
    let web = || selector("app", "web");
    let nobody = || selector("no", "body");
    // Namespaces, their selectors, selectors of owners; whether Service x of namespace a (env=prod), app=web, is served.
    let cases = [
        (team(&[], vec![], vec![]), true),
        (team(&["a"], vec![], vec![]), true),
        (team(&["b"], vec![], vec![]), false),
        (team(&["b"], vec![prod()], vec![]), true),
        (team(&["b", "a"], vec![nobody()], vec![]), true),
        (team(&[], vec![nobody(), prod()], vec![]), true),
        (team(&[], vec![nobody()], vec![]), false),
        (team(&[], vec![], vec![web()]), true),
        (team(&[], vec![], vec![nobody(), web()]), true),
        (team(&[], vec![], vec![nobody()]), false),
        (team(&["a"], vec![], vec![nobody()]), false),
        (team(&["b"], vec![], vec![web()]), false),
        (team(&[], vec![Selector::default()], vec![Selector::default()]), true),
    ];
    for (spec, served) in cases {
        let request = Request {
            labels: labels(&[("app", "web")]),
            namespace_labels: labels(&[("env", "prod")]),
            ..ask("x", ANY)
        };
        let what = format!("{:?}", spec.services);
        let mut allocator = with(&[], [spec]);
        assert_eq!(allocator.request(&request, NOW).is_ok(), served, "{what}");
    }
}

#[test]
fn an_allocation_for_one_kind_holds_for_the_other_as_far_as_it_can() {
    let allocation = |namespaces: &[&str], owner_selectors: Vec<Selector>| {
        let namespaces = namespaces.iter().map(|text| (*text).to_owned()).collect();
        Some(Allocation { priority: 1, namespaces, owner_selectors, ..Allocation::default() })
    };
    let web = || vec![selector("app", "web")];
    // For Services, for Gateways; whether a Service of namespace a with app=web is served, whether such a Gateway.
    let cases = [
        (None, None, true, true),
        (allocation(&["a"], vec![]), None, true, true),
        (allocation(&["b"], vec![]), None, false, false),
        (allocation(&[], web()), None, true, false),
        (None, allocation(&["a"], vec![]), true, true),
        (None, allocation(&[], web()), false, true),
        (allocation(&["a"], vec![]), allocation(&["b"], vec![]), true, false),
        (allocation(&["b"], vec![]), allocation(&[], web()), false, true),
    ];
    for (services, gateways, service_served, gateway_served) in cases {
        let what = format!("{services:?} {gateways:?}");
        let spec = PoolSpec { services, gateways, ..spec("p", &["192.0.2.1-192.0.2.2"]) };
        let mut allocator = with(&[], [spec]);
        for (request, served) in [(ask("x", ANY), service_served), (gateway("x", ANY), gateway_served)] {
            let request = Request { labels: labels(&[("app", "web")]), ..request };
            assert_eq!(
                allocator.request(&request, NOW).is_ok(),
                served,
                "{what} {:?}",
                request.owner.id.kind
            );
        }
    }
}

#[test]
fn a_pool_for_services_alone_comes_first_for_gateways_of_its_namespaces_too() {
    let mut allocator = with(&[], [spec("a", &["192.0.2.1"]), pinned("b", "192.0.2.2", 3, &["a"])]);
    assert_eq!(given(&mut allocator, &gateway("x", ANY)), ["192.0.2.2"]);
}

#[test]
fn each_family_is_chosen_for_itself() {
    let mut allocator = with(
        &[],
        [
            pinned("six", "2001:db8::1", 1, &[]),
            pinned("four", "192.0.2.1", 2, &[]),
            spec("both", &["192.0.2.9", "2001:db8::9"]),
        ],
    );
    for (name, families, expected) in [
        ("x", Families::Require(Family::V4), vec!["192.0.2.1", "2001:db8::1"]),
        ("y", Families::EachAvailable, vec!["192.0.2.9", "2001:db8::9"]),
    ] {
        assert_eq!(given(&mut allocator, &ask(name, families)), expected);
    }
    allocator.release(&owner("x", "a").id, NOW);
    // Either family will do, so the first pool decides.
    assert_eq!(given(&mut allocator, &ask("z", ANY)), ["2001:db8::1"]);
    assert_eq!(given(&mut allocator, &ask("w", ANY)), ["192.0.2.1"]);
}

#[test]
fn what_a_pool_reserves_is_never_given() {
    let spec = PoolSpec {
        reserved: vec!["192.0.2.0/30".to_owned(), "192.0.2.5".to_owned()],
        ..spec("p", &["192.0.2.0/29"])
    };
    let mut allocator = with(&[], [spec]);
    assert_eq!(allocator.usage("p").unwrap().v4.capacity, 3);
    let reason = refused(&mut allocator, &ask_for("x", ANY, &["192.0.2.5"]));
    assert_eq!(reason.code(), "AddressKeptBack");
    assert_eq!(
        reason.to_string(),
        "192.0.2.5 is never given, because pool p reserves it: ask for another address"
    );
    for (name, address) in [("x", "192.0.2.4"), ("y", "192.0.2.6"), ("z", "192.0.2.7")] {
        assert_eq!(given(&mut allocator, &ask(name, ANY)), [address]);
    }
    assert_eq!(refused(&mut allocator, &ask("w", ANY)).code(), "PoolExhausted");
}

#[test]
fn a_key_takes_the_name_from_an_object() {
    let mut allocator = with(&[("range-global", "192.0.2.1")], [spec("range-global", &["198.51.100.1"])]);
    let problems: Vec<_> = allocator.pools().map(|pool| pool.problem.clone()).collect();
    assert_eq!(problems, [None, Some(PoolProblem::NameTaken { name: "range-global".into() })]);
    assert_eq!(given(&mut allocator, &ask("x", ANY)), ["192.0.2.1"]);
    let reason = refused(&mut allocator, &ask_for("y", ANY, &["198.51.100.1"]));
    assert_eq!(
        reason.to_string(),
        "nothing can be given from pool range-global, because the address ConfigMap has a key range-global, which comes \
         first; give the IPAddressPool another name"
    );
    assert_eq!(allocator.usage("range-global").unwrap().v4.capacity, 1);
}

#[test]
fn pools_that_overlap_are_named_with_an_example() {
    let reserving = PoolSpec { reserved: vec!["192.0.2.0/24".to_owned()], ..spec("c", &["192.0.2.0/23"]) };
    let allocator = with(
        &[("range-global", "192.0.2.5-192.0.2.9")],
        [
            spec("a", &["192.0.2.8-192.0.2.20", "2001:db8::/64"]),
            spec("b", &["192.0.2.1-192.0.2.8", "2001:db8::8"]),
            reserving,
        ],
    );
    let found: Vec<String> = allocator
        .overlaps()
        .iter()
        .map(|overlap| {
            format!("{} {} {}-{}", overlap.pools[0], overlap.pools[1], overlap.first, overlap.last)
        })
        .collect();
    let expected = [
        "a b 192.0.2.8-192.0.2.8",
        "a range-global 192.0.2.8-192.0.2.8",
        "b range-global 192.0.2.5-192.0.2.7",
    ];
    assert_eq!(found, expected);
}

#[test]
fn usage_counts_what_each_pool_gave_and_what_it_lost() {
    let mut allocator = with(&[], [spec("p", &["192.0.2.1-192.0.2.4", "2001:db8::/64"])]);
    let given_by = |allocator: &Allocator| {
        let usage = allocator.usage("p").unwrap();
        let v4 = usage.of(Family::V4);
        (v4.capacity, v4.assigned, v4.available, v4.outside, usage.v6.capacity, usage.v6.available)
    };
    let wide = 1 << 64;
    assert_eq!(given_by(&allocator), (4, 0, 4, 0, wide, wide));
    given(&mut allocator, &ask("x", Families::Require(Family::V4)));
    given(&mut allocator, &ask("y", V4));
    assert_eq!(given_by(&allocator), (4, 2, 2, 0, wide, wide - 1));
    allocator.set_pools(vec![Pool::from_spec(spec("p", &["192.0.2.2-192.0.2.4"]))]);
    assert_eq!(given_by(&allocator), (3, 2, 2, 1, 0, 0));
    assert_eq!(allocator.usage("p").unwrap().v6.outside, 1);
    allocator.set_pools(vec![]);
    assert_eq!(given_by(&allocator), (0, 2, 0, 2, 0, 0), "claims still name it");
    allocator.release(&owner("x", "a").id, NOW);
    allocator.release(&owner("y", "a").id, NOW);
    assert_eq!(allocator.usage("p"), None);
}
