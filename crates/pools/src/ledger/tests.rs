use keryx_api::ledger::data_key;
use serde_json::json;

use super::*;

const ENTRY: &str = r#"{"pool":"edge","owners":[{"kind":"Service","namespace":"a","name":"b","uid":"u"}]}"#;

fn block(name: &str, data: &[(&str, &str)]) -> ConfigMap {
    let data: BTreeMap<&str, &str> = data.iter().copied().collect();
    serde_json::from_value(json!({"metadata": {"name": name}, "data": data})).unwrap()
}

fn an_owner(name: &str) -> Owner {
    let id = OwnerId { kind: OwnerKind::Service, namespace: "a".to_owned(), name: name.to_owned() };
    Owner { id, uid: format!("uid-{name}") }
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_read() {
    let read = read_block(&block(
        "keryx-ledger-v4-192-0-2",
        &[
            ("192.0.2.1", ENTRY),
            ("192.0.2.2", "garbled"),
            ("192.0.2.3", r#"{"pool":"edge","owners":[]}"#),
            ("198.51.100.4", ENTRY),
            ("note", "x"),
        ],
    ));
    assert_eq!(read.entries.keys().map(ToString::to_string).collect::<Vec<_>>(), ["192.0.2.1"]);
    let damaged: Vec<String> = read.damaged.iter().map(ToString::to_string).collect();
    assert_eq!(damaged.len(), 4);
    assert!(
        damaged[0].starts_with("keryx-ledger-v4-192-0-2/192.0.2.2: the value is no entry: "),
        "{damaged:?}"
    );
    assert_eq!(damaged[1], "keryx-ledger-v4-192-0-2/192.0.2.3: the entry names no owner");
    assert_eq!(
        damaged[2],
        "keryx-ledger-v4-192-0-2/198.51.100.4: the address belongs into block keryx-ledger-v4-198-51-100"
    );
    assert_eq!(damaged[3], "keryx-ledger-v4-192-0-2/note: the key is no address");
    assert_eq!(read.damaged[0].address, Some("192.0.2.2".parse().unwrap()));
}

#[test]
fn a_shared_address_comes_back_with_all_its_owners_whatever_their_order() {
    let address: IpAddr = "2001:db8::1".parse().unwrap();
    let (one, two) = (an_owner("one"), an_owner("two"));
    let entry = held_entry("edge", [&two, &one]);
    assert_eq!(entry, held_entry("edge", [&one, &two]));
    let text = serde_json::to_string(&entry).unwrap();
    let read = read_block(&block(&block_name(address), &[(&data_key(address), &text)]));
    let Remembered::Held(claims) = remembered(address, &read.entries[&address]) else { panic!("not held") };
    assert_eq!(claims.iter().map(|claim| &*claim.owner).collect::<Vec<_>>(), [&one, &two]);
    assert!(claims.iter().all(|claim| claim.address == address && &*claim.pool == "edge"));
}

#[test]
fn a_rest_comes_back_with_its_time_and_its_last_owner() {
    let address: IpAddr = "192.0.2.1".parse().unwrap();
    let entry = resting_entry("edge", &an_owner("one"), 1_790_000_000);
    let text = serde_json::to_string(&entry).unwrap();
    assert!(text.contains(r#""releasedAt":"2026-09-21T"#), "{text}");
    let entry: LedgerEntry = serde_json::from_str(&text).unwrap();
    let expected =
        Rest { address, owner: an_owner("one").id, pool: "edge".into(), released_at_secs: 1_790_000_000 };
    assert_eq!(remembered(address, &entry), Remembered::Resting(expected));
    assert_eq!(resting_entry("edge", &an_owner("one"), u64::MAX).released_at, Some(Time(Timestamp::MAX)));
}

#[test]
fn a_block_is_known_by_its_name() {
    for text in ["192.0.2.77", "2001:db8::1234", "255.255.255.255", "::1"] {
        let address: IpAddr = text.parse().unwrap();
        let block = network(&block_name(address)).unwrap();
        assert!(block.contains(&address), "{block} lacks {address}");
    }
    for name in ["keryx", "keryx-ledger-v4-1-2", "keryx-ledger-v4-1-2-300", "keryx-ledger-v6-zz"] {
        assert_eq!(network(name), None, "{name}");
    }
}
