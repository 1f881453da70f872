use keryx_api::ledger::OwnerKind;
use serde_json::{Value, json};

use super::*;

fn object(name: &str, addresses: Value) -> IPAddressPool {
    serde_json::from_value(json!({
        "apiVersion": "keryx.dev/v1alpha1", "kind": "IPAddressPool",
        "metadata": {"name": name}, "spec": {"addresses": addresses},
    }))
    .unwrap()
}

fn keys(list: &[(&str, &str)]) -> Option<BTreeMap<String, String>> {
    Some(list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
}

fn held(list: &[(&str, &str)]) -> BTreeMap<IpAddr, LedgerEntry> {
    let entry = |pool: &str, name: &str| LedgerEntry {
        pool: pool.to_owned(),
        owners: vec![LedgerOwner {
            kind: OwnerKind::Service,
            namespace: "apps".to_owned(),
            name: name.to_owned(),
            uid: name.to_owned(),
        }],
        released_at: None,
    };
    list.iter()
        .map(|(address, pool)| (address.parse().unwrap(), entry(pool, &format!("s{address}"))))
        .collect()
}

/// `E` or `N` and the text of each finding.
fn lines(now: &Sources, edit: &Edit, ledger: &BTreeMap<IpAddr, LedgerEntry>) -> Vec<String> {
    let letter = |finding: &Finding| match finding.severity() {
        Severity::Error => 'E',
        Severity::Notice => 'N',
    };
    preview(now, edit, ledger).iter().map(|finding| format!("{} {finding}", letter(finding))).collect()
}

#[test]
fn an_edit_that_only_adds_has_no_findings() {
    let now = Sources { keys: keys(&[("range-global", "192.0.2.1-192.0.2.9")]), objects: Vec::new() };
    let edit = Edit {
        keys: keys(&[("range-global", "192.0.2.1-192.0.2.19")]),
        objects: vec![object("edge", json!(["198.51.100.1"]))],
        ..Edit::default()
    };
    assert_eq!(lines(&now, &edit, &held(&[("192.0.2.1", "range-global")])), Vec::<String>::new());
}

#[test]
fn wrong_keys_hidden_keys_and_wrong_pools_are_said() {
    let edit = Edit {
        keys: keys(&[
            ("cidr-gobal", "192.0.2.0/28"),
            ("cidr-global", "192.0.2.0/28"),
            ("range-a", "198.51.100.1"),
        ]),
        objects: vec![
            object("edge", json!(["203.0.113.1", "203.0.113.x"])),
            object("cidr-global", json!(["203.0.113.9"])),
        ],
        ..Edit::default()
    };
    let found = lines(&Sources::default(), &edit, &BTreeMap::new());
    let beginnings = [
        "N range-a is hidden by cidr-global",
        "E IPAddressPool cidr-global: nothing could be given, because the address ConfigMap has a key cidr-global",
        "E IPAddressPool edge: nothing could be given, because spec.addresses[1] is wrong: '203.0.113.x'",
    ];
    assert!(found.iter().any(|line| line.contains("did you mean cidr-global?")), "{found:#?}");
    for beginning in beginnings {
        assert!(found.iter().any(|line| line.starts_with(beginning)), "{beginning}: {found:#?}");
    }
}

#[test]
fn addresses_that_would_fall_outside_are_named_with_their_owners() {
    let now = Sources {
        keys: keys(&[("range-global", "192.0.2.1-192.0.2.9")]),
        objects: vec![object("edge", json!(["198.51.100.1-198.51.100.9"]))],
    };
    let edit = Edit {
        keys: keys(&[("range-global", "192.0.2.1-192.0.2.4")]),
        objects: vec![object("edge", json!(["198.51.100.9"]))],
        ..Edit::default()
    };
    let ledger = held(&[
        ("192.0.2.4", "range-global"),
        ("192.0.2.5", "range-global"),
        ("198.51.100.1", "edge"),
        ("198.51.100.9", "edge"),
        ("203.0.113.1", "edge"),
    ]);
    let outside = |address: &str, pool: &str| {
        format!(
            "E {address}, in use by Service apps/s{address}, would be in no pool any more (it is from {pool}): it stays \
             until they go, and then nobody gets it"
        )
    };
    assert_eq!(
        lines(&now, &edit, &ledger),
        [outside("192.0.2.5", "range-global"), outside("198.51.100.1", "edge")]
    );
}

#[test]
fn an_address_that_rests_is_nobodys_and_no_finding() {
    let now = Sources { keys: None, objects: vec![object("edge", json!(["198.51.100.1-198.51.100.9"]))] };
    let edit = Edit { objects: vec![object("edge", json!(["198.51.100.9"]))], ..Edit::default() };
    let mut ledger = held(&[("198.51.100.1", "edge")]);
    for entry in ledger.values_mut() {
        entry.released_at = serde_json::from_value(json!("2026-08-01T10:00:00Z")).unwrap();
    }
    assert_eq!(lines(&now, &edit, &ledger), Vec::<String>::new());
}

#[test]
fn a_renamed_key_is_a_pool_that_goes_and_addresses_that_another_has() {
    let now = Sources { keys: keys(&[("cidr-global", "192.0.2.0/28")]), objects: Vec::new() };
    let edit = Edit { keys: keys(&[("range-global", "192.0.2.0/28")]), ..Edit::default() };
    assert_eq!(
        lines(&now, &edit, &held(&[("192.0.2.4", "cidr-global")])),
        [
            "N pool cidr-global goes; addresses of it in use: 1",
            "N 192.0.2.4, in use by Service apps/s192.0.2.4, would leave pool cidr-global: it stays with them, and pool \
             range-global has it"
        ]
    );
}

#[test]
fn a_pool_of_the_edit_that_overlaps_is_said_and_what_was_so_before_is_not() {
    let now = Sources {
        keys: None,
        objects: vec![
            object("a", json!(["192.0.2.1-192.0.2.9"])),
            object("b", json!(["192.0.2.9"])),
            object("x", json!(["z"])),
        ],
    };
    let edit = Edit { objects: vec![object("c", json!(["192.0.2.1-192.0.2.3"]))], ..Edit::default() };
    assert_eq!(
        lines(&now, &edit, &BTreeMap::new()),
        [
            "N pools a and c both have 192.0.2.1 to 192.0.2.3: each address is given only once, by the pool that is asked first"
        ]
    );
}

#[test]
fn a_key_that_takes_the_name_of_a_pool_elsewhere_is_said() {
    let now = Sources { keys: None, objects: vec![object("range-global", json!(["192.0.2.1"]))] };
    let edit = Edit { keys: keys(&[("range-global", "198.51.100.1")]), ..Edit::default() };
    let found = lines(&now, &edit, &held(&[("192.0.2.1", "range-global")]));
    assert!(found[0].starts_with("E IPAddressPool range-global: nothing could be given"), "{found:?}");
    assert!(
        found[1].starts_with("E 192.0.2.1, in use by Service apps/s192.0.2.1, would be in no pool"),
        "{found:?}"
    );
}

#[test]
fn a_pool_that_is_deleted_says_what_falls_outside_and_one_that_is_not_there_is_named() {
    let now = Sources {
        keys: None,
        objects: vec![
            object("edge", json!(["198.51.100.1-198.51.100.2"])),
            object("spare", json!(["198.51.100.2"])),
        ],
    };
    let edit = Edit { deleted: ["edge", "egde"].map(str::to_owned).into(), ..Edit::default() };
    assert_eq!(
        lines(&now, &edit, &held(&[("198.51.100.1", "edge"), ("198.51.100.2", "edge")])),
        [
            "E there is no IPAddressPool egde to delete; `kubectl get kpool -A` lists them",
            "N pool edge goes; addresses of it in use: 2",
            "E 198.51.100.1, in use by Service apps/s198.51.100.1, would be in no pool any more (it is from edge): it stays \
             until they go, and then nobody gets it",
            "N 198.51.100.2, in use by Service apps/s198.51.100.2, would leave pool edge: it stays with them, and pool spare \
             has it",
        ]
    );
}
