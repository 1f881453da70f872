use proptest::prelude::*;

use super::*;
use crate::facts::Interface;
use crate::holds::Word;

const NODE: NodeId = NodeId(0x0102_0304_0506_0708);
const BOOT: u64 = 0x1112_1314_1516_1718;

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn facts() -> Facts {
    let prefixes = vec!["192.0.2.7/24".parse().unwrap(), "2001:db8::7/64".parse().unwrap()];
    let eth0 =
        Interface { index: 2, name: "eth0".to_owned(), mac: [2, 0, 0, 0, 0, 7], carrier: true, prefixes };
    Facts { interfaces: vec![eth0], draining: false, restarting_secs: Some(10) }
}

fn entry() -> SummaryEntry {
    SummaryEntry {
        node: NODE,
        epoch: 3,
        boot: BOOT,
        standing: Standing::Lost,
        facts_version: 4,
        holds_version: 5,
        holds_digest: 6,
    }
}

fn record() -> Record {
    Record { node: NODE, epoch: 3, boot: BOOT, down: true }
}

/// One of each kind, with its octets written by hand.
fn golden() -> Vec<(Message, &'static str)> {
    let group = GroupId(0x2122_2324_2526_2728);
    vec![
        (
            Message::Heartbeat { epoch: 3, digest: 9, reply: true, synced: false },
            "01 00000003 0000000000000009 01 00",
        ),
        (Message::Challenge { nonce: BOOT }, "02 1112131415161718"),
        (Message::Echo { nonce: BOOT }, "03 1112131415161718"),
        (Message::Inquiry { target: NODE }, "04 0102030405060708"),
        (Message::Sighting { target: NODE, age_ms: 258 }, "05 0102030405060708 0102"),
        (Message::Records(vec![record()]), "06 0001 0102030405060708 00000003 1112131415161718 01"),
        (Message::Digests(vec![1, 2]), "07 0002 0000000000000001 0000000000000002"),
        (
            Message::Summary { mask: 5, reply: true, entries: vec![entry()] },
            "08 0000000000000005 01 0001 \
             0102030405060708 00000003 1112131415161718 01 00000004 00000005 0000000000000006",
        ),
        (Message::FactsPull(vec![NODE]), "09 0001 0102030405060708"),
        (
            Message::Facts { node: NODE, boot: BOOT, version: 4, facts: facts() },
            "0a 0102030405060708 1112131415161718 00000004 00 01 000a 0001 \
             00000002 020000000007 01 04 65746830 0002 04 18 c0000207 06 40 20010db8000000000000000000000007",
        ),
        (
            Message::HoldsPull { node: NODE, boot: BOOT, after: None },
            "0b 0102030405060708 1112131415161718 00 0000000000000000",
        ),
        (
            Message::HoldsChunk {
                node: NODE,
                boot: BOOT,
                version: 5,
                after: Some(group),
                last: true,
                holds: vec![(GroupId(1), Term(2))],
            },
            "0c 0102030405060708 1112131415161718 00000005 01 2122232425262728 01 0001 0000000000000001 00000002",
        ),
        (
            Message::HoldsDelta {
                node: NODE,
                boot: BOOT,
                from: 5,
                changes: vec![(group, Word::Held(Term(7))), (group, Word::Released(Term(8)))],
            },
            "0d 0102030405060708 1112131415161718 00000005 0002 \
             2122232425262728 01 00000007 2122232425262728 00 00000008",
        ),
    ]
}

#[test]
fn the_layout_is_fixed() {
    for (message, octets) in golden() {
        assert_eq!(hex(&message.encode()), octets.replace(' ', ""), "{message:?}");
    }
}

#[test]
fn every_message_comes_back_as_it_was() {
    for (message, _) in golden() {
        assert_eq!(Message::decode(&message.encode()), Ok(message));
    }
}

#[test]
fn what_is_cut_short_or_too_long_is_refused() {
    for (message, _) in golden() {
        let mut octets = message.encode();
        for length in 0..octets.len() {
            assert_eq!(Message::decode(&octets[..length]), Err(Malformed), "{message:?} cut to {length}");
        }
        octets.push(0);
        assert_eq!(Message::decode(&octets), Err(Malformed), "{message:?} with more behind it");
    }
}

#[test]
fn the_fullest_messages_fit_a_datagram() {
    let fullest = [
        Message::Records(vec![record(); RECORDS_MAX]),
        Message::Digests(vec![0; BUCKETS]),
        Message::Summary { mask: 0, reply: false, entries: vec![entry(); SUMMARY_MAX] },
        Message::FactsPull(vec![NODE; FACTS_PULL_MAX]),
        Message::HoldsChunk {
            node: NODE,
            boot: BOOT,
            version: 0,
            after: None,
            last: false,
            holds: vec![(GroupId(0), Term(0)); HOLDS_PER_CHUNK],
        },
        Message::HoldsDelta {
            node: NODE,
            boot: BOOT,
            from: 0,
            changes: vec![(GroupId(0), Word::Released(Term(0))); CHANGES_MAX],
        },
    ];
    for message in fullest {
        let length = message.encode().len();
        assert!(length <= CONTENT_MAX_LEN, "{length} octets");
        assert_eq!(Message::decode(&message.encode()), Ok(message));
    }
    let empty = Message::Facts { node: NODE, boot: BOOT, version: 0, facts: Facts::default() }.encode().len();
    let mut body = Writer::default();
    Facts::default().write(&mut body);
    assert_eq!(empty - body.finish().len(), CONTENT_MAX_LEN - FACTS_MAX_LEN);
}

proptest! {
    /// Whatever comes, decoding does not panic; what it takes is exactly what encoding gives.
    #[test]
    fn decoding_is_total_and_has_one_form(content in prop::collection::vec(any::<u8>(), 0..200), kind in 0_u8..16) {
        let content = [&[kind], &content[..]].concat();
        if let Ok(message) = Message::decode(&content) {
            prop_assert_eq!(message.encode(), content);
        }
    }

    /// Right messages with one octet changed reach deeper than random ones.
    #[test]
    fn a_changed_octet_is_refused_or_read_as_it_stands(
        at in any::<prop::sample::Index>(),
        which in any::<prop::sample::Index>(),
        octet in any::<u8>(),
    ) {
        let all = golden();
        let mut content = all[which.index(all.len())].0.encode();
        let at = at.index(content.len());
        content[at] = octet;
        if let Ok(message) = Message::decode(&content) {
            prop_assert_eq!(message.encode(), content);
        }
    }
}
