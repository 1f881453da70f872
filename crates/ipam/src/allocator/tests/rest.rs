use super::*;
use crate::{PoolSpec, Rest, Then};

/// A pool whose released addresses rest for 100 s.
fn resting(addresses: &str) -> Pool {
    Pool::from_spec(PoolSpec {
        name: "p".to_owned(),
        addresses: vec![addresses.to_owned()],
        auto_assign: true,
        reuse_after_secs: Some(100),
        ..PoolSpec::default()
    })
}

fn allocator_of(addresses: &str) -> Allocator {
    let mut allocator = Allocator::default();
    allocator.set_pools(vec![resting(addresses)]);
    allocator
}

fn release(allocator: &mut Allocator, name: &str, now_secs: u64) {
    for freed in allocator.release(&owner(name, "a").id, now_secs) {
        assert_eq!(freed.then, Then::Rests { released_at_secs: now_secs });
    }
}

fn given_at(allocator: &mut Allocator, request: &Request, now_secs: u64) -> Vec<String> {
    addresses(&allocator.request(request, now_secs).unwrap())
}

#[test]
fn a_released_address_rests_and_comes_back_to_its_owner() {
    let mut allocator = allocator_of("192.0.2.1-192.0.2.9");
    given(&mut allocator, &ask("x", ANY));
    given(&mut allocator, &ask("y", ANY));
    release(&mut allocator, "x", NOW);
    assert_eq!(allocator.usage("p").unwrap().v4.resting, 1);
    assert_eq!(given(&mut allocator, &ask("z", ANY)), ["192.0.2.3"], "what rests is stepped over");
    let reborn = Request { owner: Owner { uid: "another".to_owned(), ..owner("x", "a") }, ..ask("x", ANY) };
    let back = allocator.request(&reborn, NOW + 99).unwrap().addresses.remove(0);
    assert_eq!((back.address, back.change), (ip("192.0.2.1"), Change::New));
    assert_eq!(allocator.rests().count(), 0);
    assert_eq!(allocator.expire(NOW + 1000), [] as [IpAddr; 0], "it is held again");
}

#[test]
fn a_rest_of_another_kind_or_namespace_is_no_claim() {
    let mut allocator = allocator_of("192.0.2.1-192.0.2.9");
    given(&mut allocator, &ask("x", ANY));
    release(&mut allocator, "x", NOW);
    let elsewhere = Request { owner: owner("x", "b"), ..ask("x", ANY) };
    assert_eq!(given(&mut allocator, &elsewhere), ["192.0.2.2"]);
    let mut gateway = ask("x", ANY);
    gateway.owner.id.kind = crate::OwnerKind::Gateway;
    assert_eq!(given(&mut allocator, &gateway), ["192.0.2.3"]);
}

#[test]
fn each_family_rests_for_itself() {
    let mut allocator = allocator_of("192.0.2.1-192.0.2.9");
    let mut dual = resting("192.0.2.1-192.0.2.9");
    dual.ranges = Pool::from_spec(PoolSpec {
        addresses: vec!["192.0.2.1-192.0.2.9".to_owned(), "2001:db8::1-2001:db8::9".to_owned()],
        ..PoolSpec::default()
    })
    .ranges;
    allocator.set_pools(vec![dual]);
    let both = Families::Require(Family::V4);
    given(&mut allocator, &ask("w", both));
    assert_eq!(given(&mut allocator, &ask("x", both)), ["192.0.2.2", "2001:db8::2"]);
    release(&mut allocator, "w", NOW);
    release(&mut allocator, "x", NOW);
    assert_eq!(given(&mut allocator, &ask("x", V6)), ["2001:db8::2"]);
    assert_eq!(given(&mut allocator, &ask("x", both)), ["192.0.2.2", "2001:db8::2"]);
}

#[test]
fn a_rest_that_is_over_makes_the_address_one_like_the_others() {
    let mut allocator = allocator_of("192.0.2.1-192.0.2.9");
    given(&mut allocator, &ask("x", ANY));
    release(&mut allocator, "x", NOW);
    assert_eq!(allocator.next_expiry(), Some(NOW + 100));
    assert_eq!(allocator.expire(NOW + 99), [] as [IpAddr; 0]);
    assert_eq!(given_at(&mut allocator, &ask("y", ANY), NOW + 99), ["192.0.2.2"]);
    // A request that comes before the timer finds it free too, and the ledger is told none the less.
    assert_eq!(given_at(&mut allocator, &ask_for("z", ANY, &["192.0.2.3"]), NOW + 100), ["192.0.2.3"]);
    assert_eq!(allocator.usage("p").unwrap().v4.resting, 0);
    assert_eq!(allocator.expire(NOW + 100), [ip("192.0.2.1")]);
    assert_eq!(allocator.expire(NOW + 100), [] as [IpAddr; 0]);
    assert_eq!(given_at(&mut allocator, &ask("w", ANY), NOW + 100), ["192.0.2.1"]);
}

#[test]
fn an_address_taken_again_is_not_named_as_expired() {
    let mut allocator = allocator_of("192.0.2.1-192.0.2.9");
    given(&mut allocator, &ask("x", ANY));
    release(&mut allocator, "x", NOW);
    assert_eq!(given_at(&mut allocator, &ask("y", ANY), NOW + 100), ["192.0.2.1"]);
    assert_eq!(allocator.expire(NOW + 100), [] as [IpAddr; 0]);
}

#[test]
fn a_dry_pool_gives_what_was_released_first() {
    let mut allocator = allocator_of("192.0.2.1-192.0.2.3");
    for name in ["x", "y", "z"] {
        given(&mut allocator, &ask(name, ANY));
    }
    release(&mut allocator, "y", NOW);
    release(&mut allocator, "z", NOW + 1);
    release(&mut allocator, "x", NOW + 2);
    assert_eq!(given_at(&mut allocator, &ask("v", ANY), NOW + 3), ["192.0.2.2"]);
    assert_eq!(given_at(&mut allocator, &ask("w", ANY), NOW + 3), ["192.0.2.3"]);
    assert_eq!(given_at(&mut allocator, &ask("x", ANY), NOW + 3), ["192.0.2.1"]);
    assert_eq!(refused(&mut allocator, &ask("u", ANY)).code(), "PoolExhausted");
}

#[test]
fn what_rests_is_given_by_value_to_anybody_who_may_use_the_pool() {
    let mut allocator = allocator_of("192.0.2.1-192.0.2.3");
    given(&mut allocator, &ask("x", ANY));
    release(&mut allocator, "x", NOW);
    assert_eq!(given(&mut allocator, &ask_for("y", ANY, &["192.0.2.1"])), ["192.0.2.1"]);
    assert_eq!(given(&mut allocator, &ask("x", ANY)), ["192.0.2.2"]);
}

#[test]
fn a_pool_without_rest_frees_at_once() {
    let mut allocator = allocator(&[DUAL]);
    given(&mut allocator, &ask("x", V4));
    let freed = allocator.release(&owner("x", "a").id, NOW);
    assert_eq!(freed, [Freed { address: IpAddr::from([192, 0, 2, 1]), then: Then::Free }]);
}

#[test]
fn a_clock_that_goes_backwards_only_makes_rests_longer() {
    let mut allocator = allocator_of("192.0.2.1-192.0.2.3");
    given(&mut allocator, &ask("x", ANY));
    release(&mut allocator, "x", NOW);
    assert_eq!(given_at(&mut allocator, &ask("y", ANY), 0), ["192.0.2.2"]);
    assert_eq!(allocator.expire(0), [] as [IpAddr; 0]);
    allocator.release(&owner("y", "a").id, u64::MAX);
    assert_eq!(allocator.next_expiry(), Some(NOW + 100));
    assert_eq!(allocator.expire(u64::MAX), [ip("192.0.2.1"), ip("192.0.2.2")]);
}

#[test]
fn rests_come_back_from_the_ledger_in_any_order() {
    let rest = |address: &str, name: &str, released_at_secs| Rest {
        address: ip(address),
        owner: owner(name, "a").id,
        pool: "p".into(),
        released_at_secs,
    };
    let steps: [&dyn Fn(&mut Allocator); 4] = [
        &|allocator| allocator.set_pools(vec![resting("192.0.2.1-192.0.2.9")]),
        &|allocator| allocator.observe_released(rest("192.0.2.1", "x", NOW)),
        &|allocator| allocator.observe_released(rest("192.0.2.2", "y", NOW)),
        &|allocator| allocator.observe(claim("192.0.2.2", "z", "p")).unwrap(),
    ];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2], [2, 3, 0, 1]] {
        let mut allocator = Allocator::default();
        for step in order {
            steps[step](&mut allocator);
        }
        assert_eq!(
            allocator.rests().collect::<Vec<_>>(),
            [rest("192.0.2.1", "x", NOW)],
            "a claim beats a rest"
        );
        assert_eq!(given(&mut allocator, &ask("w", ANY)), ["192.0.2.3"]);
        assert_eq!(allocator.next_expiry(), Some(NOW + 100));
        assert_eq!(given(&mut allocator, &ask("x", ANY)), ["192.0.2.1"]);
    }
}

#[test]
fn the_rest_follows_what_the_pool_says_now() {
    let mut allocator = allocator_of("192.0.2.1-192.0.2.9");
    given(&mut allocator, &ask("x", ANY));
    release(&mut allocator, "x", NOW);
    let longer = Pool { reuse_after_secs: Some(500), ..resting("192.0.2.1-192.0.2.9") };
    allocator.set_pools(vec![longer]);
    assert_eq!(allocator.next_expiry(), Some(NOW + 500));
    allocator.set_pools(vec![Pool { reuse_after_secs: None, ..resting("192.0.2.1-192.0.2.9") }]);
    assert_eq!(allocator.expire(NOW), [ip("192.0.2.1")]);
}

#[test]
fn what_a_pool_no_longer_covers_does_not_rest() {
    let mut allocator = allocator_of("192.0.2.1-192.0.2.9");
    given(&mut allocator, &ask("x", ANY));
    allocator.set_pools(vec![resting("192.0.2.5-192.0.2.9")]);
    let freed = allocator.release(&owner("x", "a").id, NOW);
    assert_eq!(freed.iter().map(|freed| freed.then).collect::<Vec<_>>(), [Then::Free]);
}
