use std::sync::Arc;

use keryx_ipam::{Claim, Owner, OwnerId, OwnerKind};
use serde_json::{Value, json};

use super::*;
use crate::sources::Sources;

fn object(name: &str, created: &str, addresses: Value) -> IPAddressPool {
    serde_json::from_value(json!({
        "apiVersion": "keryx.dev/v1alpha1", "kind": "IPAddressPool",
        "metadata": {"name": name, "creationTimestamp": created, "generation": 3},
        "spec": {"addresses": addresses},
    }))
    .unwrap()
}

fn time(text: &str) -> Time {
    serde_json::from_value(json!(text)).unwrap()
}

fn now() -> Time {
    time("2026-08-01T10:00:00Z")
}

fn claim(address: &str, pool: &str) -> Claim {
    let id = OwnerId { kind: OwnerKind::Service, namespace: "a".to_owned(), name: format!("of {address}") };
    let owner = Arc::new(Owner { id, uid: address.to_owned() });
    Claim { address: address.parse().unwrap(), owner, pool: pool.into() }
}

/// `Type=Status/Reason` of both conditions.
fn summary(status: &IPAddressPoolStatus) -> String {
    let each = status.conditions.iter();
    each.map(|c| format!("{}={}/{}", c.type_, c.status, c.reason)).collect::<Vec<_>>().join(" ")
}

#[test]
fn counts_are_by_family_and_those_outside_are_told() {
    let sources = Sources {
        keys: None,
        objects: vec![object(
            "edge",
            "2026-01-01T00:00:00Z",
            json!(["192.0.2.1-192.0.2.4", "2001:db8::/64"]),
        )],
    };
    let mut allocator = sources.allocator();
    for address in ["192.0.2.1", "2001:db8::1", "198.51.100.1"] {
        allocator.observe(claim(address, "edge")).unwrap();
    }
    let status = &statuses(&sources.objects, &allocator, &now())["edge"];
    assert_eq!(status.observed_generation, Some(3));
    let usage = |of: &Option<PoolUsage>| {
        let usage = of.clone().unwrap();
        [usage.capacity, usage.assigned, usage.available, usage.resting]
    };
    assert_eq!(usage(&status.ipv4), ["4", "2", "3", "0"]);
    assert_eq!(usage(&status.ipv6), ["2^64", "1", "~2^64", "0"]);
    assert_eq!(status.outside, 1);
    assert_eq!(summary(status), "Ready=True/InForce Overlapping=False/Separate");
}

#[test]
fn a_broken_pool_and_one_whose_name_a_key_has_are_not_ready_and_say_why() {
    let created = "2026-01-01T00:00:00Z";
    let sources = Sources {
        keys: Some([("range-global".to_owned(), "192.0.2.1".to_owned())].into()),
        objects: vec![
            object("broken", created, json!(["192.0.2.20-192.0.2.10"])),
            object("range-global", created, json!(["198.51.100.1"])),
        ],
    };
    let statuses = statuses(&sources.objects, &sources.allocator(), &now());
    assert_eq!(summary(&statuses["broken"]), "Ready=False/Invalid Overlapping=False/Separate");
    assert_eq!(
        statuses["broken"].conditions[0].message,
        "nothing can be given from this pool, because spec.addresses[0] is wrong: '192.0.2.20-192.0.2.10' ends before it \
         starts; write 192.0.2.10-192.0.2.20"
    );
    assert_eq!(summary(&statuses["range-global"]), "Ready=False/NameTaken Overlapping=False/Separate");
    assert_eq!(statuses["range-global"].ipv4, None);
}

#[test]
fn an_overlap_is_said_on_the_later_pool_alone_and_names_the_earlier() {
    let sources = Sources {
        keys: Some([("range-global".to_owned(), "192.0.2.30-192.0.2.40".to_owned())].into()),
        objects: vec![
            object("a-younger", "2026-02-01T00:00:00Z", json!(["192.0.2.15-192.0.2.25"])),
            object("b-older", "2026-01-01T00:00:00Z", json!(["192.0.2.10-192.0.2.20"])),
            object("c-twin", "2026-01-01T00:00:00Z", json!(["192.0.2.10"])),
            object("d-beside-key", "2026-01-01T00:00:00Z", json!(["192.0.2.40-192.0.2.50"])),
        ],
    };
    let statuses = statuses(&sources.objects, &sources.allocator(), &now());
    let overlapping = |name: &str| {
        let condition = &statuses[name].conditions[1];
        (condition.status == "True").then(|| condition.message.split(':').next().unwrap().to_owned())
    };
    assert_eq!(overlapping("a-younger").unwrap(), "192.0.2.15 to 192.0.2.20 belong to pool b-older too");
    assert_eq!(overlapping("b-older"), None);
    assert_eq!(overlapping("c-twin").unwrap(), "192.0.2.10 to 192.0.2.10 belong to pool b-older too");
    assert_eq!(
        overlapping("d-beside-key").unwrap(),
        "192.0.2.40 to 192.0.2.40 belong to pool range-global too"
    );
    assert!(statuses.values().all(|status| status.conditions[0].status == "True"), "nothing is taken away");
}

#[test]
fn the_time_of_a_condition_changes_with_its_status_only() {
    let mut pool = object("edge", "2026-01-01T00:00:00Z", json!(["192.0.2.1"]));
    let first = now();
    let sources = |pool: &IPAddressPool| Sources { keys: None, objects: vec![pool.clone()] };
    let written = |pool: &IPAddressPool, now: &Time| {
        let sources = sources(pool);
        statuses(&sources.objects, &sources.allocator(), now).remove("edge").unwrap()
    };
    pool.status = Some(written(&pool, &first));
    let later = time("2026-08-01T11:00:00Z");
    assert_eq!(written(&pool, &later), pool.status.clone().unwrap(), "no difference, so nothing to write");
    pool.spec.addresses = vec!["192.0.2.300".to_owned()];
    let broken = written(&pool, &later);
    assert_eq!(broken.conditions[0].last_transition_time, later);
    assert_eq!(broken.conditions[1].last_transition_time, first);
}

#[test]
fn large_counts_are_powers_of_two() {
    let cases = [
        (0, "0"),
        (256, "256"),
        (999_999_999_999_999, "999999999999999"),
        (1 << 64, "2^64"),
        ((1 << 64) - 3, "~2^64"),
        (3 << 62, "~2^64"),
        (5 << 61, "~2^63"),
        (u128::MAX, "~2^128"),
        (1_000_000_000_000_000, "~2^50"),
    ];
    for (count, text) in cases {
        assert_eq!(count_text(count), text);
    }
}
