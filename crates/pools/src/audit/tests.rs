use keryx_api::ledger::OwnerKind;
use serde_json::json;

use super::*;
use crate::sources::Sources;

const V4: &str = "keryx-ledger-v4-192-0-2";

fn service(name: &str) -> LedgerOwner {
    LedgerOwner {
        kind: OwnerKind::Service,
        namespace: "apps".to_owned(),
        name: name.to_owned(),
        uid: format!("uid-{name}"),
    }
}

fn entry(owners: &[LedgerOwner]) -> LedgerEntry {
    LedgerEntry { pool: "edge".to_owned(), owners: owners.to_vec(), released_at: None }
}

fn block(name: &str, data: &[(&str, String)]) -> ConfigMap {
    let data: BTreeMap<&str, &String> = data.iter().map(|(key, value)| (*key, value)).collect();
    serde_json::from_value(json!({"metadata": {"name": name, "resourceVersion": "7"}, "data": data})).unwrap()
}

fn text(entry: &LedgerEntry) -> String {
    serde_json::to_string(entry).unwrap()
}

fn shown(name: &str, addresses: &[&str], pools: &[&str]) -> Shown {
    Shown {
        owner: service(name),
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        pools: pools.iter().map(|pool| (*pool).to_owned()).collect(),
    }
}

fn owners(present: &[&str], shown: Vec<Shown>) -> Owners {
    Owners { present: present.iter().map(|name| service(name)).collect(), shown }
}

fn lines(blocks: &[ConfigMap], owners: &Owners) -> Vec<String> {
    audit(blocks, owners).iter().map(ToString::to_string).collect()
}

#[test]
fn a_ledger_that_agrees_with_the_statuses_has_no_findings() {
    let shared = entry(&[service("a"), service("b")]);
    let rest = LedgerEntry {
        released_at: serde_json::from_value(json!("2026-08-01T10:00:00Z")).unwrap(),
        ..entry(&[service("gone")])
    };
    let blocks = [block(V4, &[("192.0.2.1", text(&shared)), ("192.0.2.2", text(&rest))])];
    let owners = owners(
        &["a", "b"],
        vec![shown("a", &["192.0.2.1"], &["edge"]), shown("b", &["192.0.2.1"], &["edge"])],
    );
    assert_eq!(audit(&blocks, &owners), []);
    assert_eq!(repairs(&blocks, &owners, &[]), []);
}

#[test]
fn contradictions_are_named_with_both_sides() {
    let rest = LedgerEntry {
        released_at: serde_json::from_value(json!("2026-08-01T10:00:00Z")).unwrap(),
        ..entry(&[service("d")])
    };
    let blocks = [block(
        V4,
        &[
            ("192.0.2.1", text(&entry(&[service("gone")]))),
            ("192.0.2.2", text(&entry(&[service("a")]))),
            ("192.0.2.4", text(&rest)),
        ],
    )];
    let owners = owners(
        &["a", "b", "c", "d"],
        vec![
            shown("a", &["192.0.2.2"], &["edge"]),
            shown("b", &["192.0.2.2"], &["edge"]),
            shown("c", &["192.0.2.3"], &["edge"]),
            shown("d", &["192.0.2.4"], &["edge"]),
        ],
    );
    let found = lines(&blocks, &owners);
    let beginnings = [
        "192.0.2.1 is held by Service apps/gone, which does not exist (uid uid-gone)",
        "Service apps/b shows 192.0.2.2, which the ledger has for Service apps/a",
        "Service apps/c shows 192.0.2.3, which the ledger does not have for it",
        "Service apps/d shows 192.0.2.4, which the ledger does not have for it",
    ];
    assert_eq!(found.len(), beginnings.len(), "{found:?}");
    for (line, beginning) in found.iter().zip(beginnings) {
        assert!(line.starts_with(beginning), "{line}");
    }
    assert_eq!(repairs(&blocks, &owners, &[]), [], "a controller mends these itself");
}

#[test]
fn an_owner_of_another_uid_is_another_owner() {
    let former = LedgerOwner { uid: "before".to_owned(), ..service("a") };
    let blocks = [block(V4, &[("192.0.2.1", text(&entry(&[former])))])];
    let found = lines(&blocks, &owners(&["a"], Vec::new()));
    assert!(found[0].contains("Service apps/a, which does not exist (uid before)"), "{found:?}");
}

#[test]
fn a_damaged_entry_is_rewritten_for_all_who_show_its_address_and_else_removed() {
    let blocks = [block(
        V4,
        &[("192.0.2.1", "x".to_owned()), ("192.0.2.2", "x".to_owned()), ("note", "x".to_owned())],
    )];
    let owners = owners(
        &["a", "b"],
        vec![shown("b", &["192.0.2.1"], &["edge"]), shown("a", &["192.0.2.1"], &["edge"])],
    );
    let found = lines(&blocks, &owners);
    assert_eq!(found.len(), 3, "who shows a damaged address is no contradiction: {found:?}");
    assert!(found.iter().all(|line| line.ends_with("run 'keryx check ledger --repair'")), "{found:?}");
    let changes = BTreeMap::from([
        ("192.0.2.1".to_owned(), Some(entry(&[service("a"), service("b")]))),
        ("192.0.2.2".to_owned(), None),
        ("note".to_owned(), None),
    ]);
    let repair = Repair { block: V4.to_owned(), resource_version: Some("7".to_owned()), changes };
    let found = repairs(&blocks, &owners, &[]);
    assert_eq!(found, [repair]);
    assert_eq!(
        found[0].to_string(),
        format!(
            "{V4}/192.0.2.1: rewritten for Service apps/a, Service apps/b, pool edge, as their status shows it\n\
             {V4}/192.0.2.2: removed\n{V4}/note: removed\n"
        )
    );
}

#[test]
fn a_misplaced_entry_goes_to_its_own_block_unless_that_has_one() {
    let misplaced = || ("198.51.100.1", text(&entry(&[service("a")])));
    let owners = owners(&["a"], vec![shown("a", &["198.51.100.1"], &["edge"])]);
    let right = "keryx-ledger-v4-198-51-100";
    let found = repairs(&[block(V4, &[misplaced()])], &owners, &[]);
    let put = BTreeMap::from([("198.51.100.1".to_owned(), Some(entry(&[service("a")])))]);
    let remove = BTreeMap::from([("198.51.100.1".to_owned(), None)]);
    let version = Some("7".to_owned());
    assert_eq!(
        found,
        [
            Repair { block: V4.to_owned(), resource_version: version.clone(), changes: remove.clone() },
            Repair { block: right.to_owned(), resource_version: None, changes: put },
        ]
    );
    let found = repairs(&[block(V4, &[misplaced()]), block(right, &[misplaced()])], &owners, &[]);
    assert_eq!(found, [Repair { block: V4.to_owned(), resource_version: version, changes: remove }]);
}

#[test]
fn the_pool_is_the_one_that_the_status_names_else_one_that_has_the_address() {
    let keys = [("range-global".to_owned(), "192.0.2.1".to_owned())];
    let pools = Sources { keys: Some(keys.into()), objects: Vec::new() }.declared().pools;
    let blocks = [
        block(V4, &[("192.0.2.1", "x".to_owned()), ("192.0.2.2", "x".to_owned())]),
        block("keryx-ledger-v6-20010db8000000000000000000000000", &[]),
    ];
    let pool_of = |shown: Shown, key: &str| {
        let repairs = repairs(&blocks, &owners(&["a"], vec![shown]), &pools);
        repairs[0].changes[key].as_ref().unwrap().pool.clone()
    };
    assert_eq!(pool_of(shown("a", &["192.0.2.1", "2001:db8::1"], &["four", "six"]), "192.0.2.1"), "four");
    assert_eq!(pool_of(shown("a", &["2001:db8::1", "192.0.2.1"], &["six", "four"]), "192.0.2.1"), "four");
    assert_eq!(pool_of(shown("a", &["2001:db8::1", "192.0.2.1"], &["both"]), "192.0.2.1"), "both");
    assert_eq!(pool_of(shown("a", &["192.0.2.1"], &[]), "192.0.2.1"), "range-global");
    assert_eq!(pool_of(shown("a", &["192.0.2.2"], &[]), "192.0.2.2"), POOL_UNKNOWN);
}
