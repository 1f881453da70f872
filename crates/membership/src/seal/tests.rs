use proptest::prelude::*;

use super::*;

const A: NodeId = NodeId(0xa);
const B: NodeId = NodeId(0xb);
const C: NodeId = NodeId(0xc);

fn key(octet: u8) -> Key {
    Key::new([octet; 32])
}

fn only(octet: u8) -> Keys {
    Keys { sending: key(octet), accepted: None }
}

fn both(sending: u8, accepted: u8) -> Keys {
    Keys { sending: key(sending), accepted: Some(key(accepted)) }
}

fn seal(node: NodeId, seed: u64) -> Seal {
    Seal::new("blue", node, &only(1), seed)
}

fn open(at: &mut Seal, datagram: &[u8]) -> Result<Opened, Rejected> {
    at.open(datagram, |_| true)
}

/// Lets `to` believe the present boot of `from`.
fn introduce(from: &mut Seal, to: &mut Seal) {
    let nonce = to.challenge(from.node);
    let sealed = from.seal(to.node, b"echo");
    let echo = open(to, &sealed).unwrap();
    assert!(to.prove(&echo, nonce));
}

/// Two nodes, the second of which believes the first.
fn pair() -> (Seal, Seal) {
    let (mut a, mut b) = (seal(A, 1), seal(B, 2));
    introduce(&mut a, &mut b);
    (a, b)
}

/// The octets were computed with another implementation (Python, `cryptography`).
#[test]
fn the_layout_is_fixed() {
    let datagram = seal(NodeId(0x0102_0304_0506_0708), 7).seal(B, b"hello");
    let text: String = datagram.iter().map(|octet| format!("{octet:02x}")).collect();
    assert_eq!(
        text,
        concat!(
            "01",
            "72",
            "0102030405060708",
            "0b785a406de9939a",
            "0000000000000001",
            "8fd5cbee033c8ecf84a2a4ea2ae8705fed2180ce3a",
        )
    );
}

#[test]
fn what_is_sealed_for_a_node_opens_there_only() {
    let (mut a, mut b) = pair();
    let datagram = a.seal(B, b"hello");
    assert_eq!(open(&mut seal(C, 3), &datagram).unwrap_err(), Rejected::Seal);
    assert_eq!(Seal::new("red", B, &only(1), 2).open(&datagram, |_| true).unwrap_err(), Rejected::Seal);
    let opened = open(&mut b, &datagram).unwrap();
    assert_eq!(
        (opened.from, opened.boot, &opened.content[..], opened.proven),
        (A, a.boot(), &b"hello"[..], true)
    );
}

#[test]
fn the_longest_content_gives_the_longest_datagram() {
    let (mut a, mut b) = pair();
    let datagram = a.seal(B, &[7; CONTENT_MAX_LEN]);
    assert_eq!(datagram.len(), DATAGRAM_MAX_LEN);
    assert_eq!(open(&mut b, &datagram).unwrap().content, [7; CONTENT_MAX_LEN]);
}

#[test]
fn no_two_datagrams_of_one_boot_share_a_nonce_and_no_two_boots_share_a_key() {
    let mut first = seal(A, 1);
    assert_ne!(first.seal(B, b"same"), first.seal(B, b"same"));
    let mut second = seal(A, 2);
    assert_ne!(first.boot(), second.boot());
    let mut first = seal(A, 1);
    // Same counter, same content: under one key the ciphertexts would be equal.
    assert_ne!(first.seal(B, b"same")[HEADER_LEN..], second.seal(B, b"same")[HEADER_LEN..]);
}

#[test]
fn a_replay_is_refused_also_out_of_order() {
    let (mut a, mut b) = pair();
    let datagrams: Vec<_> = (0..4).map(|_| a.seal(B, b"x")).collect();
    for at in [2, 0, 3, 1] {
        assert!(open(&mut b, &datagrams[at]).is_ok());
    }
    for datagram in &datagrams {
        assert_eq!(open(&mut b, datagram).unwrap_err(), Rejected::Replayed);
    }
    for _ in 0..window::WINDOW_LEN {
        let datagram = a.seal(C, b"to another");
        assert_eq!(open(&mut b, &datagram).unwrap_err(), Rejected::Seal);
    }
    let last = a.seal(B, b"x");
    assert!(open(&mut b, &last).is_ok());
    assert_eq!(open(&mut b, &datagrams[0]).unwrap_err(), Rejected::TooOld);
}

#[test]
fn a_forged_datagram_does_not_move_the_window() {
    let (mut a, mut b) = pair();
    let mut forged = a.seal(B, b"x");
    forged[18..26].copy_from_slice(&u64::MAX.to_be_bytes());
    assert_eq!(open(&mut b, &forged).unwrap_err(), Rejected::Seal);
    let next = a.seal(B, b"x");
    assert!(open(&mut b, &next).is_ok());
}

#[test]
fn an_earlier_boot_is_never_believed_again() {
    let (mut first, mut b) = pair();
    let recorded_echo = first.seal(B, b"echo");
    let recorded_nonce = b.challenge(A);
    let recorded = first.seal(B, b"hello");

    let mut second = seal(A, 22);
    let datagram = second.seal(B, b"hello");
    assert!(!open(&mut b, &datagram).unwrap().proven, "a new boot is not believed by itself");
    assert!(open(&mut b, &recorded).unwrap().proven, "and does not displace the one that is");
    introduce(&mut second, &mut b);

    let late = first.seal(B, b"hello");
    for datagram in [&recorded, &late, &recorded_echo] {
        assert!(!open(&mut b, datagram).unwrap().proven);
    }
    let echo = open(&mut b, &recorded_echo).unwrap();
    assert!(!b.prove(&echo, recorded_nonce), "an echo serves once");
    assert_ne!(b.challenge(A), recorded_nonce);
}

#[test]
fn a_boot_must_echo_the_nonce_of_its_own_challenger() {
    let (mut a, mut b) = (seal(A, 1), seal(B, 2));
    let datagram = a.seal(B, b"echo");
    let echo = open(&mut b, &datagram).unwrap();
    assert!(!b.prove(&echo, seal(C, 3).challenge(A)));
    assert!(!b.prove(&echo, b.challenge(C)));
    assert!(b.prove(&echo, b.challenge(A)));
    let next = a.seal(B, b"x");
    assert!(open(&mut b, &next).unwrap().proven);
}

#[test]
fn keys_change_without_a_gap() {
    let (mut a, mut b) = pair();
    for (a_keys, b_keys) in [
        (only(1), both(1, 2)),
        (both(1, 2), both(1, 2)),
        (both(2, 1), both(1, 2)),
        (both(2, 1), both(2, 1)),
        (only(2), both(2, 1)),
        (only(2), only(2)),
    ] {
        a.set_keys(&a_keys);
        b.set_keys(&b_keys);
        let datagram = a.seal(B, b"x");
        assert!(open(&mut b, &datagram).unwrap().proven, "{a_keys:?} {b_keys:?}");
    }
    a.set_keys(&only(1));
    let datagram = a.seal(B, b"x");
    assert_eq!(open(&mut b, &datagram).unwrap_err(), Rejected::UnknownKey);
}

#[test]
fn strangers_and_other_versions_are_refused_before_any_cipher_work() {
    let (mut a, mut b) = pair();
    let mut datagram = a.seal(B, b"x");
    assert_eq!(b.open(&datagram, |_| false).unwrap_err(), Rejected::UnknownNode);
    assert_eq!(open(&mut a, &datagram).unwrap_err(), Rejected::UnknownNode, "from itself");
    datagram[0] = 2;
    assert_eq!(open(&mut b, &datagram).unwrap_err(), Rejected::Version);
    assert_eq!(open(&mut b, &datagram[..HEADER_LEN + TAG_LEN - 1]).unwrap_err(), Rejected::Length);
    assert_eq!(open(&mut b, &[1; DATAGRAM_MAX_LEN + 1]).unwrap_err(), Rejected::Length);
}

#[test]
fn each_reason_has_its_place_and_a_code_of_its_own() {
    for (index, rejected) in Rejected::ALL.iter().enumerate() {
        assert_eq!(rejected.index(), index);
    }
    let codes: std::collections::BTreeSet<_> = Rejected::ALL.iter().map(|rejected| rejected.code()).collect();
    assert_eq!(codes.len(), Rejected::ALL.len());
}

proptest! {
    #[test]
    fn any_flipped_bit_is_refused(
        content in prop::collection::vec(any::<u8>(), 0..100),
        at in any::<prop::sample::Index>(),
        bit in 0..8,
    ) {
        let (mut a, mut b) = pair();
        let mut datagram = a.seal(B, &content);
        let at = at.index(datagram.len());
        datagram[at] ^= 1_u8 << bit;
        prop_assert!(open(&mut b, &datagram).is_err());
        datagram[at] ^= 1_u8 << bit;
        prop_assert_eq!(open(&mut b, &datagram).unwrap().content, content);
    }

    #[test]
    fn hostile_octets_never_panic(datagram in prop::collection::vec(any::<u8>(), 0..1500)) {
        prop_assert!(open(&mut pair().1, &datagram).is_err());
    }
}
