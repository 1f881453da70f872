//! Golden bytes are those of a little-endian host, in words of 32 bits as they stand in memory. Their source is
//! `linux/netlink.h`, `nfnetlink.h` and `nf_tables.h`.

use super::answer::{self, Answer};
use super::encode::{Encoder, Header};
use super::loss::tells_loss;
use super::socket::result;
use super::*;

/// The operations of a batch, without its first and last message.
fn operations(batch: Batch) -> String {
    let words = words(&batch.into_messages().bytes);
    let words: Vec<&str> = words.split(' ').collect();
    words[5..words.len() - 5].join(" ")
}

fn words(bytes: &[u8]) -> String {
    let word = |word: &[u8]| word.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    bytes.chunks(4).map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_batch_begins_and_ends_with_its_subsystem_and_asks_once_for_an_acknowledgement() {
    let mut batch = Batch::new();
    batch.reset_table("t");
    let expected = [
        "14000000 10000100 00000000 00000000 0000000a", // begin, res_id 10
        "1c000000 000a0104 01000000 00000000 01000000 06000100 74000000", // NEWTABLE, CREATE
        "1c000000 020a0100 02000000 00000000 01000000 06000100 74000000", // DELTABLE
        "1c000000 000a0504 03000000 00000000 01000000 06000100 74000000", // NEWTABLE, CREATE, ACK
        "14000000 11000100 04000000 00000000 0000000a", // end
    ];
    assert_eq!(words(&batch.into_messages().bytes), expected.join(" "));
}

#[test]
fn chains_carry_hook_and_priority_as_big_endian_numbers() {
    let mut batch = Batch::new();
    batch.create_chain("t", "in", Some(Base { hook: Hook::Forward, priority: -10 }));
    batch.create_chain("t", "sub", None);
    let expected = [
        "44000000 030a0104 01000000 00000000 01000000", // NEWCHAIN
        "06000100 74000000 07000300 696e0000",          // table, name
        "14000480 08000100 00000002 08000200 fffffff6", // hook { number, priority }
        "0b000700 66696c74 65720000",                   // type
        "24000000 030a0504 02000000 00000000 01000000",
        "06000100 74000000 08000300 73756200",
    ];
    assert_eq!(operations(batch), expected.join(" "));
}

#[test]
fn the_key_of_a_set_is_padded_field_by_field() {
    let mut batch = Batch::new();
    batch.create_set("t", "s", &[Field::Ipv4Destination, Field::TransportProtocol, Field::DestinationPort]);
    let element = Element::new().ipv4([192, 0, 2, 10].into()).protocol(17).port(53);
    batch.add_elements("t", "s", std::slice::from_ref(&element));
    batch.delete_elements("t", "s", &[element]);
    let elements = [
        "06000100 74000000 06000200 73000000", // table, set
        "1c000380 18000180 14000180 10000100 c000020a 11000000 00350000", // elements { element { key { value } } }
    ];
    let expected = [
        "44000000 090a0104 01000000 00000000 01000000", // NEWSET
        "06000100 74000000 06000200 73000000",          // table, name
        "08000300 00000000",                            // flags
        "08000400 0000730d",                            // key type: 7, 12, 13 at six bits each
        "08000500 0000000c",                            // key length: 12
        "08000a00 00000001",                            // id
        "40000000 0c0a0104 02000000 00000000 01000000", // NEWSETELEM, CREATE
        &elements.join(" "),
        "40000000 0e0a0500 03000000 00000000 01000000", // DELSETELEM, ACK
        &elements.join(" "),
    ];
    assert_eq!(operations(batch), expected.join(" "));
}

#[test]
fn a_rule_loads_fields_into_consecutive_registers_and_tests_them() {
    let key = vec![Field::Ipv6Destination, Field::TransportProtocol, Field::DestinationPort];
    let mut batch = Batch::new();
    batch.add_rule("t", "c", &[Expression::InSet { key, set: "s".into() }, Expression::Counter]);
    let expected = [
        "ec000000 060a050c 01000000 00000000 01000000", // NEWRULE, CREATE, APPEND, ACK
        "06000100 74000000 06000200 63000000 c8000480", // table, chain, expressions
        "34000180 0c000100 7061796c 6f616400 24000280", // payload: register 8, network header, 24, 16
        "08000100 00000008 08000200 00000001 08000300 00000018 08000400 00000010",
        "24000180 09000100 6d657461 00000000 14000280 08000200 00000010 08000100 0000000c", // meta: l4proto, register 12
        "34000180 0c000100 7061796c 6f616400 24000280", // payload: register 13, transport header, 2, 2
        "08000100 0000000d 08000200 00000002 08000300 00000002 08000400 00000002",
        "24000180 0b000100 6c6f6f6b 75700000 14000280 06000100 73000000 08000200 00000008", // lookup: s, register 8
        "14000180 0c000100 636f756e 74657200 04000280",                                     // counter
    ];
    assert_eq!(operations(batch), expected.join(" "));
}

#[test]
fn every_other_expression_has_the_bytes_that_the_kernel_expects() {
    let compare = |operator| Expression::Compare { field: Field::Icmpv6Type, operator, value: vec![133] };
    let compared = |operator: &str| {
        let load = "34000180 0c000100 7061796c 6f616400 24000280 08000100 00000008 08000200 00000002 08000300 00000000 08000400 00000001";
        let compare = format!("08000100 00000008 08000200 {operator} 0c000380 05000100 85000000");
        format!("{load} 2c000180 08000100 636d7000 20000280 {compare}")
    };
    let cases = [
        (compare(Operator::Equal), compared("00000000")),
        (compare(Operator::AtLeast), compared("00000005")),
        (compare(Operator::AtMost), compared("00000003")),
        (
            Expression::Verdict(Verdict::Drop),
            "30000180 0e000100 696d6d65 64696174 65000000 1c000280 08000100 00000000 10000280 0c000280 08000100 00000000".into(),
        ),
        (
            Expression::Verdict(Verdict::Accept),
            "30000180 0e000100 696d6d65 64696174 65000000 1c000280 08000100 00000000 10000280 0c000280 08000100 00000001".into(),
        ),
        (
            Expression::Verdict(Verdict::Goto("x".into())),
            "38000180 0e000100 696d6d65 64696174 65000000 24000280 08000100 00000000 18000280 14000280 08000100 fffffffc 06000200 78000000".into(),
        ),
        (
            Expression::Reject(Reject::TcpReset),
            "1c000180 0b000100 72656a65 63740000 0c000280 08000100 00000001".into(),
        ),
        (
            Expression::Reject(Reject::PortUnreachable),
            "24000180 0b000100 72656a65 63740000 14000280 08000100 00000002 05000200 01000000".into(),
        ),
    ];
    for (expression, expected) in cases {
        let mut encoder = Encoder::default();
        expression.encode(&mut encoder);
        assert_eq!(words(&encoder.into_bytes()), expected, "{expression:?}");
    }
}

#[test]
fn many_elements_are_spread_over_messages_whose_lengths_fit_in_16_bits() {
    let widest = |port| {
        (0..3)
            .fold(Element::new(), |key, _| key.ipv6([0xff; 16].into()))
            .port(port)
            .port(port)
            .port(port)
            .port(port)
    };
    let elements: Vec<Element> = (0..2_001).map(widest).collect();
    let mut batch = Batch::new();
    batch.add_elements("t", "s", &elements);
    let messages = batch.into_messages();
    assert_eq!(messages.last_operation(), 3);
    // 76 bytes for each element, 40 for each of three heads, 20 for each end of the batch.
    assert_eq!(messages.bytes.len(), 2_001 * 76 + 3 * 40 + 2 * 20);
}

#[test]
#[should_panic(expected = "another length")]
fn a_field_is_not_compared_with_a_value_of_another_length() {
    let value = vec![0, 17];
    let compare = Expression::Compare { field: Field::TransportProtocol, operator: Operator::Equal, value };
    Batch::new().add_rule("t", "c", &[compare]);
}

/// An NLMSG_ERROR as NETLINK_CAP_ACK and NETLINK_EXT_ACK make it.
fn datagram(sequence: u32, errno: i32, detail: Option<&str>) -> Vec<u8> {
    let mut body = (-errno).to_ne_bytes().to_vec();
    body.extend([0; 16]); // header of the message that is answered
    if let Some(text) = detail {
        body.extend([8, 0, 2, 0, 0x1c, 0, 0, 0]); // NLMSGERR_ATTR_OFFS comes first
        body.extend((u16::try_from(text.len()).unwrap() + 5).to_ne_bytes());
        body.extend([1, 0]);
        body.extend(text.as_bytes());
        body.push(0);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    let flags: u16 = if detail.is_some() { 0x300 } else { 0x100 };
    let mut bytes = u32::try_from(16 + body.len()).unwrap().to_ne_bytes().to_vec();
    bytes.extend(2u16.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend(body);
    bytes
}

/// What comes of a batch that creates the tables a and b, when the kernel sends these datagrams.
fn outcome(datagrams: &[Vec<u8>]) -> String {
    let mut batch = Batch::new();
    batch.create_table("a");
    batch.create_table("b");
    let answers = datagrams.iter().flat_map(|datagram| answer::read(datagram)).collect();
    result(&batch.into_messages(), answers).map_or_else(|error| error.to_string(), |()| "applied".into())
}

#[test]
fn a_batch_is_applied_only_if_its_last_operation_is_acknowledged_and_no_message_failed() {
    let cases: [(&[Vec<u8>], &str); 6] = [
        (&[datagram(2, 0, None)], "applied"),
        (
            &[datagram(1, libc::EEXIST, None), datagram(2, 0, None)],
            "nftables refused to create table a: File exists (os error 17)",
        ),
        (
            &[datagram(2, libc::ENOENT, Some("no such set")), datagram(1, libc::EPERM, None)],
            "nftables refused to create table a: Operation not permitted (os error 1)",
        ),
        (
            &[datagram(2, libc::ENOENT, Some("no such set"))],
            "nftables refused to create table b: No such file or directory (os error 2) (no such set)",
        ),
        (
            &[datagram(0, libc::ENOMEM, None), datagram(2, 0, None)],
            "nftables refused to commit the batch: Cannot allocate memory (os error 12)",
        ),
        (
            &[datagram(1, 0, None)],
            "it is unknown whether nftables applied a change, its table has to be written anew: the kernel did not acknowledge the batch",
        ),
    ];
    for (datagrams, expected) in cases {
        assert_eq!(outcome(datagrams), expected);
    }
}

#[test]
fn several_answers_in_one_datagram_are_all_read() {
    let both = [datagram(1, libc::EEXIST, Some("one")), datagram(2, 0, None)].concat();
    let expected = [
        Answer { sequence: 1, errno: libc::EEXIST, detail: Some("one".into()) },
        Answer { sequence: 2, errno: 0, detail: None },
    ];
    assert_eq!(answer::read(&both), expected);
}

#[test]
fn a_datagram_that_is_cut_off_or_lies_about_its_length_gives_no_answer() {
    let whole = datagram(1, libc::EEXIST, Some("one"));
    for length in 0..whole.len() {
        assert_eq!(answer::read(&whole[..length]), [], "cut off at {length}");
    }
    for length in [0u32, 1, 15, u32::MAX] {
        let mut lying = whole.clone();
        lying[..4].copy_from_slice(&length.to_ne_bytes());
        assert_eq!(answer::read(&lying), [], "says {length}");
    }
}

/// A notification of the kernel that the port `author` did something to `table`.
fn notification(kind: libc::c_int, table: &str, author: u32) -> Vec<u8> {
    let kind = (libc::NFNL_SUBSYS_NFTABLES << 8 | kind) as u16;
    let mut encoder = Encoder::default();
    let header = Header { kind, flags: 0, sequence: 1, family: libc::NFPROTO_INET as u8, resource: 7 };
    encoder.message(&header, |message| message.text(1, table));
    let mut bytes = encoder.into_bytes();
    bytes[12..16].copy_from_slice(&author.to_ne_bytes());
    bytes
}

#[test]
fn only_the_deletion_of_the_table_by_another_port_is_a_loss() {
    let deleted = |table, author| notification(libc::NFT_MSG_DELTABLE, table, author);
    assert!(tells_loss(&deleted("keryx_guard", 9), "keryx_guard", Some(5)));
    assert!(!tells_loss(&deleted("keryx_guard", 5), "keryx_guard", Some(5)));
    assert!(!tells_loss(&deleted("keryx_guard2", 9), "keryx_guard", Some(5)));
    assert!(!tells_loss(&notification(libc::NFT_MSG_NEWTABLE, "keryx_guard", 9), "keryx_guard", Some(5)));
    let mut several = notification(libc::NFT_MSG_NEWTABLE, "kube-proxy", 9);
    several.extend(deleted("keryx_guard", 9));
    assert!(tells_loss(&several, "keryx_guard", Some(5)));
    for cut in 0..several.len() {
        tells_loss(&several[..cut], "keryx_guard", Some(5));
    }
}
