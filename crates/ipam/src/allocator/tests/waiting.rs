use super::*;
use crate::{Backend, Protocol, Sharing};

/// A request by `name`, made `since` seconds after the start.
fn since(name: &str, since_secs: u64) -> Request {
    Request { since_secs, ..ask(name, ANY) }
}

fn keyed(name: &str, since_secs: u64, port: u16) -> Request {
    let sharing = Sharing {
        key: "k".to_owned(),
        across_namespaces: false,
        ports: [(Protocol::Tcp, port)].into(),
        backend: Backend::Any,
    };
    Request { sharing: Some(sharing), ..since(name, since_secs) }
}

fn ready(allocator: &mut Allocator) -> Vec<String> {
    allocator.take_ready().into_iter().map(|owner| owner.name).collect()
}

fn waiting(allocator: &Allocator) -> Vec<String> {
    allocator.waiting().map(|owner| owner.name.clone()).collect()
}

fn small() -> Allocator {
    allocator(&[("range-global", "192.0.2.1-192.0.2.2")])
}

/// Fills the pool with u and v, and lets x (age 3), y (1) and z (2) wait.
fn full() -> Allocator {
    let mut allocator = small();
    for name in ["u", "v"] {
        given(&mut allocator, &since(name, 0));
    }
    for (name, age) in [("x", 3), ("y", 1), ("z", 2)] {
        refused(&mut allocator, &since(name, age));
    }
    allocator
}

#[test]
fn the_oldest_is_asked_first_and_only_as_many_as_can_be_served() {
    let mut allocator = full();
    assert_eq!(waiting(&allocator), ["x", "y", "z"]);
    assert_eq!(ready(&mut allocator), [""; 0]);
    allocator.release(&owner("u", "a").id, NOW);
    assert_eq!(ready(&mut allocator), ["y"]);
    assert_eq!(ready(&mut allocator), [""; 0], "each is named once");
    allocator.release(&owner("v", "a").id, NOW);
    assert_eq!(ready(&mut allocator), ["z"]);
    given(&mut allocator, &since("y", 1));
    given(&mut allocator, &since("z", 2));
    assert_eq!(ready(&mut allocator), [""; 0]);
    assert_eq!(waiting(&allocator), ["x"]);
}

#[test]
fn of_one_age_the_name_decides() {
    let mut allocator = allocator(&[("range-global", "192.0.2.1")]);
    given(&mut allocator, &since("u", 0));
    for name in ["y", "x", "z"] {
        refused(&mut allocator, &since(name, 1));
    }
    allocator.release(&owner("u", "a").id, NOW);
    assert_eq!(ready(&mut allocator), ["x"]);
}

#[test]
fn who_is_refused_again_waits_for_the_next_event() {
    let mut allocator = full();
    allocator.release(&owner("u", "a").id, NOW);
    assert_eq!(ready(&mut allocator), ["y"]);
    // Somebody was faster.
    given(&mut allocator, &since("w", 9));
    refused(&mut allocator, &since("y", 1));
    assert_eq!(ready(&mut allocator), [""; 0]);
    allocator.release(&owner("w", "a").id, NOW);
    assert_eq!(ready(&mut allocator), ["y"]);
}

#[test]
fn if_the_one_that_was_asked_does_not_take_it_the_next_is_asked() {
    let mut allocator = full();
    allocator.release(&owner("u", "a").id, NOW);
    assert_eq!(ready(&mut allocator), ["y"]);
    allocator.release(&owner("y", "a").id, NOW);
    assert_eq!(ready(&mut allocator), ["z"]);
    assert_eq!(refused(&mut allocator, &ask_for("z", ANY, &["203.0.113.1"])).code(), "AddressOutsidePools");
    assert_eq!(ready(&mut allocator), ["x"]);
}

#[test]
fn a_taken_address_is_waited_for_by_itself() {
    let mut allocator = full();
    let wants =
        |name: &str, age, address: &str| Request { since_secs: age, ..ask_for(name, ANY, &[address]) };
    refused(&mut allocator, &wants("s", 20, "192.0.2.1"));
    refused(&mut allocator, &wants("t", 10, "192.0.2.1"));
    refused(&mut allocator, &wants("r", 0, "192.0.2.2"));
    allocator.release(&owner("u", "a").id, NOW);
    assert_eq!(ready(&mut allocator), ["y", "t"], "one for the pool, one for the address");
}

#[test]
fn a_second_family_is_waited_for() {
    let mut allocator = allocator(&[("range-global", "192.0.2.1-192.0.2.9,2001:db8::1")]);
    given(&mut allocator, &Request { families: V6, ..since("x", 0) });
    for (name, families) in [("y", Families::Prefer(Family::V4)), ("z", Families::EachAvailable)] {
        let assignment = allocator.request(&Request { families, ..since(name, 1) }, NOW).unwrap();
        assert_eq!(assignment.addresses.len(), 1);
    }
    assert_eq!(waiting(&allocator), ["y", "z"]);
    allocator.release(&owner("x", "a").id, NOW);
    assert_eq!(ready(&mut allocator), ["y"]);
    given(&mut allocator, &Request { families: Families::Prefer(Family::V4), ..since("y", 1) });
    assert_eq!(waiting(&allocator), ["z"]);
}

#[test]
fn a_family_that_no_pool_has_is_no_reason_to_be_asked_when_addresses_come_free() {
    let mut allocator = small();
    given(&mut allocator, &Request { families: Families::Prefer(Family::V6), ..since("x", 0) });
    assert_eq!(waiting(&allocator), ["x"]);
    given(&mut allocator, &since("y", 0));
    allocator.release(&owner("y", "a").id, NOW);
    assert_eq!(ready(&mut allocator), [""; 0]);
}

#[test]
fn another_configuration_is_a_reason_for_all_and_the_same_one_for_nobody() {
    let mut allocator = full();
    let same = pools(&[("range-global", "192.0.2.1-192.0.2.2")]);
    allocator.set_pools(same);
    allocator.set_reserved(BTreeMap::new());
    assert_eq!(ready(&mut allocator), [""; 0]);
    allocator.set_pools(pools(&[("range-global", "192.0.2.1-192.0.2.3")]));
    assert_eq!(ready(&mut allocator), ["y", "z", "x"]);
    allocator.set_reserved(BTreeMap::from([("192.0.2.9/32".parse().unwrap(), ReservedWhy::PodCidr)]));
    assert_eq!(ready(&mut allocator), ["y", "z", "x"]);
}

#[test]
fn who_shares_is_asked_when_a_place_comes_free() {
    let mut allocator = allocator(&[("range-global", "192.0.2.1")]);
    given(&mut allocator, &keyed("u", 0, 80));
    given(&mut allocator, &keyed("v", 0, 443));
    refused(&mut allocator, &keyed("x", 2, 80));
    refused(&mut allocator, &keyed("y", 1, 80));
    refused(&mut allocator, &keyed("z", 3, 443));
    refused(&mut allocator, &since("w", 0));
    allocator.release(&owner("u", "a").id, NOW);
    assert_eq!(ready(&mut allocator), ["y"], "x would clash with it, z with v");
    given(&mut allocator, &keyed("y", 1, 80));
    assert_eq!(ready(&mut allocator), [""; 0]);
    // When all is free, whoever is oldest comes first, and then those who fit to it.
    allocator.release(&owner("v", "a").id, NOW);
    assert_eq!(ready(&mut allocator), ["z"]);
    allocator.release(&owner("z", "a").id, NOW);
    allocator.release(&owner("y", "a").id, NOW);
    assert_eq!(ready(&mut allocator), ["w"]);
    allocator.release(&owner("w", "a").id, NOW);
    assert_eq!(ready(&mut allocator), ["x"]);
}

#[test]
fn an_edit_of_a_holder_can_make_room_for_who_shares() {
    let mut allocator = allocator(&[("range-global", "192.0.2.1")]);
    given(&mut allocator, &keyed("u", 0, 80));
    refused(&mut allocator, &keyed("x", 1, 80));
    given(&mut allocator, &keyed("u", 0, 8080));
    assert_eq!(ready(&mut allocator), ["x"]);
    assert_eq!(given(&mut allocator, &keyed("x", 1, 80)), ["192.0.2.1"]);
}
