use super::*;
use crate::{Backend, OwnerKind, Protocol, Sharing};

/// Ports as text: `tcp/80 udp/53`.
fn sharing(key: &str, ports: &str) -> Sharing {
    let port = |text: &str| {
        let (protocol, port) = text.split_once('/').unwrap();
        let protocol = if protocol == "tcp" { Protocol::Tcp } else { Protocol::Udp };
        (protocol, port.parse().unwrap())
    };
    Sharing {
        key: key.to_owned(),
        across_namespaces: false,
        ports: ports.split_whitespace().map(port).collect(),
        backend: Backend::Any,
    }
}

fn shares(name: &str, key: &str, ports: &str) -> Request {
    Request { sharing: Some(sharing(key, ports)), ..ask(name, ANY) }
}

fn in_namespace(namespace: &str, request: Request) -> Request {
    let owner = owner(&request.owner.id.name, namespace);
    Request { owner, ..request }
}

fn across(mut request: Request) -> Request {
    request.sharing.as_mut().unwrap().across_namespaces = true;
    request
}

fn local(mut request: Request, pods: &str) -> Request {
    request.sharing.as_mut().unwrap().backend = Backend::Local(pods.to_owned());
    request
}

fn by_value(request: Request, address: &str) -> Request {
    Request { addresses: vec![ip(address)], ..request }
}

fn plain() -> Allocator {
    allocator(&[("range-global", "192.0.2.1-192.0.2.9")])
}

#[test]
fn owners_that_fit_share_an_address() {
    let tcp = || shares("x", "web", "tcp/80");
    // What a second owner asks for, and whether it gets the address of the first.
    let cases = [
        (shares("y", "web", "tcp/443"), true),
        (shares("y", "web", "udp/80"), true),
        (shares("y", "web", ""), true),
        (shares("y", "web", "tcp/443 tcp/80"), false),
        (shares("y", "other", "tcp/443"), false),
        (shares("y", "", "tcp/443"), false),
        (local(shares("y", "web", "tcp/443"), "a/app=web"), false),
        (in_namespace("b", shares("y", "web", "tcp/443")), false),
        (in_namespace("b", across(shares("y", "web", "tcp/443"))), false),
        (ask("y", ANY), false),
    ];
    for (second, fits) in cases {
        let mut allocator = plain();
        given(&mut allocator, &tcp());
        let expected = if fits { "192.0.2.1" } else { "192.0.2.2" };
        assert_eq!(given(&mut allocator, &second), [expected], "{second:?}");
        let mut allocator = plain();
        given(&mut allocator, &tcp());
        let by_value = by_value(second, "192.0.2.1");
        assert_eq!(allocator.request(&by_value, NOW).is_ok(), fits, "{by_value:?}");
    }
}

#[test]
fn both_sides_must_share_across_namespaces_and_have_one_backend() {
    for (first, second, fits) in [
        (across(shares("x", "k", "tcp/1")), across(shares("y", "k", "tcp/2")), true),
        (across(shares("x", "k", "tcp/1")), shares("y", "k", "tcp/2"), false),
        (local(across(shares("x", "k", "tcp/1")), "p"), local(across(shares("y", "k", "tcp/2")), "p"), true),
        (local(across(shares("x", "k", "tcp/1")), "p"), local(across(shares("y", "k", "tcp/2")), "q"), false),
    ] {
        let mut allocator = plain();
        given(&mut allocator, &first);
        let second = in_namespace("b", second);
        assert_eq!(given(&mut allocator, &second) == ["192.0.2.1"], fits, "{second:?}");
    }
}

#[test]
fn gateways_and_services_share_alike() {
    let mut allocator = plain();
    given(&mut allocator, &shares("x", "web", "tcp/80"));
    let mut gateway = Request { families: Families::EachAvailable, ..shares("x", "web", "tcp/443") };
    gateway.owner.id.kind = OwnerKind::Gateway;
    assert_eq!(given(&mut allocator, &gateway), ["192.0.2.1"]);
}

#[test]
fn the_lowest_address_that_fits_is_joined_before_a_free_one_is_taken() {
    let mut allocator = plain();
    for (name, ports, expected) in [
        ("u", "tcp/80", "192.0.2.1"),
        ("v", "tcp/80", "192.0.2.2"),
        ("w", "tcp/443", "192.0.2.1"),
        ("x", "tcp/443", "192.0.2.2"),
        ("y", "tcp/443", "192.0.2.3"),
        ("z", "tcp/8080", "192.0.2.1"),
    ] {
        assert_eq!(given(&mut allocator, &shares(name, "web", ports)), [expected], "{name}");
    }
    assert_eq!(allocator.usage("range-global").unwrap().v4.assigned, 3, "counted by address");
}

#[test]
fn an_address_is_free_when_its_last_holder_leaves() {
    let mut allocator = plain();
    given(&mut allocator, &shares("x", "web", "tcp/80"));
    given(&mut allocator, &shares("y", "web", "tcp/443"));
    let then = |freed: Vec<Freed>| freed.iter().map(|freed| freed.then).collect::<Vec<_>>();
    assert_eq!(then(allocator.release(&owner("x", "a").id, NOW)), [Then::Shared]);
    assert_eq!(given(&mut allocator, &ask("z", ANY)), ["192.0.2.2"]);
    // The port of the one that left can be used again.
    assert_eq!(given(&mut allocator, &shares("w", "web", "tcp/80")), ["192.0.2.1"]);
    assert_eq!(then(allocator.release(&owner("y", "a").id, NOW)), [Then::Shared]);
    assert_eq!(then(allocator.release(&owner("w", "a").id, NOW)), [Then::Free]);
    assert_eq!(given(&mut allocator, &ask("v", ANY)), ["192.0.2.1"]);
}

#[test]
fn a_refusal_says_what_differs_and_what_mends_it() {
    let mut allocator = plain();
    given(&mut allocator, &shares("x", "web", "tcp/80 udp/53"));
    let cases = [
        (
            ask("y", ANY),
            "AddressTaken",
            "192.0.2.1 is held by Service a/x: ask for another address, or delete that owner",
        ),
        (
            shares("y", "other", "tcp/1"),
            "SharingKeyDiffers",
            "192.0.2.1 is held by Service a/x, whose sharing key differs: set the same key on both, or ask for another address",
        ),
        (
            shares("y", "web", "tcp/1 udp/53"),
            "PortTaken",
            "UDP port 53 of 192.0.2.1 is served by Service a/x: change one of the ports, or ask for another address",
        ),
        (
            local(shares("y", "web", "tcp/1"), "p"),
            "BackendDiffers",
            "192.0.2.1 is held by Service a/x, which other nodes serve: set external traffic policy Cluster on both, or Local \
             with the same selector, or ask for another address",
        ),
        (
            in_namespace("b", shares("y", "web", "tcp/1")),
            "NamespaceDiffers",
            "192.0.2.1 is held by Service a/x of another namespace: let both share across namespaces under one key, or ask for \
             another address",
        ),
    ];
    for (request, code, text) in cases {
        let reason = refused(&mut allocator, &by_value(request, "192.0.2.1"));
        assert_eq!((reason.code(), reason.to_string().as_str()), (code, text));
        assert_eq!(reason.forfeits(), None);
    }
}

#[test]
fn of_owners_in_other_namespaces_nothing_more_is_told_than_that_they_hold_it() {
    let holders = [
        shares("x", "web", "tcp/80"),
        across(shares("x", "web", "tcp/80")),
        shares("x", "other", "tcp/80"),
        ask("x", ANY),
    ];
    for holder in holders {
        let mut allocator = plain();
        given(&mut allocator, &holder);
        for (request, code) in [
            (across(shares("y", "web", "tcp/80")), "AddressTaken"),
            (shares("y", "web", "tcp/1"), "NamespaceDiffers"),
            (ask("y", ANY), "AddressTaken"),
        ] {
            let request = by_value(in_namespace("b", request), "192.0.2.1");
            assert_eq!(refused(&mut allocator, &request).code(), code, "{holder:?} {request:?}");
        }
    }
}

#[test]
fn a_sole_holder_may_change_how_it_shares() {
    let mut allocator = plain();
    for edit in [
        shares("x", "web", "tcp/80"),
        shares("x", "other", "tcp/80 tcp/443"),
        ask("x", ANY),
        shares("x", "web", "udp/1"),
    ] {
        assert_eq!(given(&mut allocator, &edit), ["192.0.2.1"]);
    }
    assert_eq!(given(&mut allocator, &shares("y", "web", "tcp/80")), ["192.0.2.1"]);
}

#[test]
fn who_no_longer_fits_by_its_own_edit_is_the_one_to_leave() {
    let edits = [
        shares("x", "other", "tcp/80"),
        shares("x", "web", "tcp/80 tcp/443"),
        local(shares("x", "web", "tcp/80"), "p"),
        ask("x", ANY),
    ];
    for edit in edits {
        let mut allocator = plain();
        given(&mut allocator, &shares("x", "web", "tcp/80"));
        let other = shares("y", "web", "tcp/443");
        given(&mut allocator, &other);
        // By value there is nothing for it.
        let reason = refused(&mut allocator, &by_value(edit.clone(), "192.0.2.1"));
        assert_eq!(reason.forfeits(), Some(ip("192.0.2.1")), "{reason}");
        assert!(reason.to_string().ends_with("; 192.0.2.1 stays with those who share it"), "{reason}");
        assert_eq!(given(&mut allocator, &other), ["192.0.2.1"]);
        // By choice it gets another.
        let moved = allocator.request(&edit, NOW).unwrap();
        assert_eq!(addresses(&moved), ["192.0.2.2"], "{edit:?}");
        let surplus: Vec<IpAddr> = moved.surplus.iter().map(|claim| claim.address).collect();
        assert_eq!(surplus, [ip("192.0.2.1")]);
        // Until it is gone it drives nobody out, and lets nobody in.
        assert_eq!(given(&mut allocator, &other), ["192.0.2.1"]);
        let third = by_value(shares("z", "web", "tcp/1"), "192.0.2.1");
        assert_eq!(refused(&mut allocator, &third).code(), "SharingUnknown");
        allocator.forget(ip("192.0.2.1"), &owner("x", "a").id, NOW);
        assert_eq!(given(&mut allocator, &third), ["192.0.2.1"]);
    }
}

#[test]
fn who_must_leave_and_finds_no_other_address_is_told_so() {
    let mut allocator = allocator(&[("range-global", "192.0.2.1")]);
    given(&mut allocator, &shares("x", "web", "tcp/80"));
    given(&mut allocator, &shares("y", "web", "tcp/443"));
    let reason = refused(&mut allocator, &shares("x", "web", "tcp/443"));
    assert_eq!((reason.code(), reason.forfeits()), ("PortTaken", Some(ip("192.0.2.1"))));
}

#[test]
fn after_a_restart_holders_stay_together_and_nobody_joins_before_they_have_asked() {
    for turned in [false, true] {
        let mut allocator = plain();
        let mut claims =
            vec![claim("192.0.2.1", "x", "range-global"), claim("192.0.2.1", "y", "range-global")];
        if turned {
            claims.reverse();
        }
        claims.into_iter().for_each(|claim| allocator.observe_shared(claim));
        let holders: Vec<String> = allocator.claims().map(|claim| claim.owner.id.name.clone()).collect();
        assert_eq!(holders, ["x", "y"]);
        let third = by_value(shares("z", "web", "tcp/1"), "192.0.2.1");
        assert_eq!(refused(&mut allocator, &third).code(), "SharingUnknown");
        assert_eq!(given(&mut allocator, &shares("x", "web", "tcp/80")), ["192.0.2.1"]);
        assert_eq!(refused(&mut allocator, &third).code(), "SharingUnknown");
        assert_eq!(given(&mut allocator, &shares("w", "web", "tcp/1")), ["192.0.2.2"]);
        assert_eq!(given(&mut allocator, &shares("y", "web", "tcp/443")), ["192.0.2.1"]);
        assert_eq!(given(&mut allocator, &third), ["192.0.2.1"]);
    }
}

#[test]
fn an_address_that_the_cluster_uses_itself_is_not_joined() {
    let mut allocator = plain();
    given(&mut allocator, &shares("x", "web", "tcp/80"));
    allocator.set_reserved(BTreeMap::from([("192.0.2.1/32".parse().unwrap(), ReservedWhy::PodCidr)]));
    assert_eq!(given(&mut allocator, &shares("y", "web", "tcp/443")), ["192.0.2.2"]);
    assert_eq!(given(&mut allocator, &shares("x", "web", "tcp/80")), ["192.0.2.1"], "who holds it keeps it");
}
