use super::*;

const ORIGIN_IGP: &[u8] = &[0x40, 1, 1, 0];
const PATH: &[u8] = &[0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xea];
const HOP: &[u8] = &[0x40, 3, 4, 192, 0, 2, 2];
const PREFERENCE: &[u8] = &[0x40, 5, 4, 0, 0, 0, 100];
const REACH: &[u8] =
    &[0x90, 14, 0, 23, 0, 2, 1, 16, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 8, 0x20];
const UNREACH: &[u8] = &[0x90, 15, 0, 5, 0, 2, 1, 8, 0x20];
const NLRI: &[u8] = &[24, 10, 0, 1, 32, 10, 0, 0, 1];

fn body(withdrawn: &[u8], attributes: &[&[u8]], nlri: &[u8]) -> Vec<u8> {
    let attributes = attributes.concat();
    let mut body = u16::try_from(withdrawn.len()).unwrap().to_be_bytes().to_vec();
    body.extend(withdrawn);
    body.extend(u16::try_from(attributes.len()).unwrap().to_be_bytes());
    body.extend(attributes);
    body.extend(nlri);
    body
}

fn read(body: &[u8], external: bool) -> Result<Received, ErrorCode> {
    classify(body, Reading { four_octet_as: true, external }).map_err(|notification| notification.error)
}

/// The treatment of an UPDATE that is fine but for one attribute more.
fn with(attribute: &[u8]) -> Result<Treatment, ErrorCode> {
    read(&body(&[], &[ORIGIN_IGP, PATH, HOP, attribute], NLRI), true).map(|received| received.treatment)
}

#[test]
fn prefixes_are_counted() {
    let update = body(&[8, 11], &[ORIGIN_IGP, PATH, HOP, REACH, UNREACH], NLRI);
    let found = read(&update, true).unwrap();
    assert_eq!(found.announced, PerFamily { ipv4: 2, ipv6: 1 });
    assert_eq!(found.withdrawn, PerFamily { ipv4: 1, ipv6: 1 });
    assert_eq!(found.treatment, Treatment::Accept);
}

#[test]
fn each_wrong_attribute_has_the_treatment_of_its_section() {
    use Treatment::{Accept, AttributeDiscard, TreatAsWithdraw};
    let cases: &[(&[u8], Treatment)] = &[
        (&[0x80, 4, 4, 0, 0, 0, 1], Accept),
        (&[0x80, 4, 3, 0, 0, 1], TreatAsWithdraw),
        // RFC 7606 §3 (c): flags that contradict the type.
        (&[0x40, 4, 4, 0, 0, 0, 1], TreatAsWithdraw),
        (&[0x80, 8, 4, 0, 0, 0, 1], TreatAsWithdraw),
        // §7.5: LOCAL_PREF of an external peer, whatever its length.
        (PREFERENCE, AttributeDiscard),
        (&[0x40, 5, 1, 0], AttributeDiscard),
        (&[0x40, 6, 0], Accept),
        (&[0x40, 6, 1, 0], AttributeDiscard),
        (&[0xc0, 7, 8, 0, 0, 0, 1, 1, 1, 1, 1], Accept),
        (&[0xc0, 7, 6, 0, 1, 1, 1, 1, 1], AttributeDiscard),
        (&[0xc0, 8, 4, 0, 0, 0, 1], Accept),
        (&[0xc0, 8, 0], TreatAsWithdraw),
        (&[0xc0, 8, 5, 0, 0, 0, 1, 2], TreatAsWithdraw),
        (&[0x80, 9, 4, 1, 1, 1, 1], AttributeDiscard),
        (&[0x80, 10, 4, 1, 1, 1, 1], AttributeDiscard),
        (&[0xc0, 16, 8, 0, 2, 0, 0, 0, 0, 0, 1], Accept),
        (&[0xc0, 16, 7, 0, 2, 0, 0, 0, 0, 0], TreatAsWithdraw),
        (&[0xc0, 17, 6, 2, 1, 0, 0, 0, 1], AttributeDiscard),
        (&[0xc0, 32, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], Accept),
        (&[0xc0, 32, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], TreatAsWithdraw),
        // Unknown ones are passed over, if they are optional.
        (&[0xc0, 99, 3, 1, 2, 3], Accept),
        (&[0xd0, 99, 0, 3, 1, 2, 3], Accept),
        // §3 (g): a second one is discarded.
        (ORIGIN_IGP, AttributeDiscard),
        // §4: one that is longer than all that is left.
        (&[0x80, 4, 9, 0, 0, 0, 1], TreatAsWithdraw),
        (&[0x80], TreatAsWithdraw),
    ];
    for (attribute, expected) in cases {
        assert_eq!(with(attribute), Ok(*expected), "{attribute:?}");
    }
    assert_eq!(with(&[0x40, 99, 0]), Err(ErrorCode::UNRECOGNIZED_WELL_KNOWN_ATTRIBUTE));
}

#[test]
fn wrong_mandatory_attributes_withdraw_the_routes() {
    let treat = |attributes: &[&[u8]], external| {
        let found = read(&body(&[], attributes, NLRI), external).unwrap();
        assert_eq!(found.announced.ipv4 + found.withdrawn.ipv4, 2);
        assert_eq!(found.treatment == Treatment::TreatAsWithdraw, found.withdrawn.ipv4 == 2);
        found.treatment
    };
    let withdraw = Treatment::TreatAsWithdraw;
    assert_eq!(treat(&[PATH, HOP], true), withdraw);
    assert_eq!(treat(&[ORIGIN_IGP, HOP], true), withdraw);
    assert_eq!(treat(&[ORIGIN_IGP, PATH], true), withdraw);
    assert_eq!(treat(&[ORIGIN_IGP, PATH, HOP], false), withdraw);
    assert_eq!(treat(&[ORIGIN_IGP, PATH, HOP, PREFERENCE], false), Treatment::Accept);
    assert_eq!(treat(&[&[0x40, 1, 1, 3], PATH, HOP], true), withdraw);
    assert_eq!(treat(&[&[0x40, 1, 2, 0, 0], PATH, HOP], true), withdraw);
    assert_eq!(treat(&[ORIGIN_IGP, PATH, &[0x40, 3, 3, 1, 1, 1]], true), withdraw);
    for path in [
        &[0x40, 2, 1, 2][..],
        &[0x40, 2, 2, 2, 0],
        &[0x40, 2, 6, 5, 1, 0, 0, 0, 1],
        &[0x40, 2, 4, 2, 1, 0, 1],
    ] {
        assert_eq!(treat(&[ORIGIN_IGP, path, HOP], true), withdraw, "{path:?}");
    }
    // A path of an internal peer may be empty, and routes of MP_REACH_NLRI need no NEXT_HOP.
    assert_eq!(treat(&[ORIGIN_IGP, &[0x40, 2, 0], HOP, PREFERENCE], false), Treatment::Accept);
    assert_eq!(read(&body(&[], &[REACH, ORIGIN_IGP, PATH], &[]), true).unwrap().treatment, Treatment::Accept);
}

#[test]
fn what_leaves_the_routes_unknown_resets_the_session() {
    let list = Err(ErrorCode::MALFORMED_ATTRIBUTE_LIST);
    let network = Err(ErrorCode::INVALID_NETWORK_FIELD);
    for octets in [&[0][..], &[0, 5, 0, 0], &[0, 0, 0], &[0, 0, 0, 9, 0x40]] {
        assert_eq!(read(octets, true), list, "{octets:?}");
    }
    assert_eq!(read(&body(&[33, 1, 1, 1, 1, 1], &[], &[]), true), network);
    assert_eq!(read(&body(&[32, 1, 1], &[], &[]), true), network);
    assert_eq!(read(&body(&[], &[ORIGIN_IGP, PATH, HOP], &[24, 1]), true), network);
    assert_eq!(read(&body(&[], &[ORIGIN_IGP, PATH, REACH, REACH], &[]), true), list);
    assert_eq!(read(&body(&[], &[UNREACH, UNREACH], &[]), true), list);
    // RFC 7606 §5.2: a wrong attribute and no route that it could be of.
    assert_eq!(read(&body(&[8, 10], &[&[0x40, 1, 1, 9]], &[]), true), list);
    let short = &[0x90, 15, 0, 2, 0, 2];
    assert_eq!(read(&body(&[], &[short], &[]), true), Err(ErrorCode::OPTIONAL_ATTRIBUTE_ERROR));
}

#[test]
fn a_family_whose_prefixes_cannot_be_read_is_named() {
    let mut long_prefix = REACH.to_vec();
    long_prefix[25] = 129;
    let mut odd_next_hop = REACH.to_vec();
    odd_next_hop[7] = 15;
    let short = [0x90, 15, 0, 5, 0, 2, 1, 64, 0x20];
    for attribute in [&long_prefix[..], &odd_next_hop, &short] {
        let found = read(&body(&[], &[attribute, ORIGIN_IGP, PATH, HOP], NLRI), true).unwrap();
        assert_eq!(found.unreadable, PerFamily { ipv4: false, ipv6: true }, "{attribute:?}");
        assert_eq!(found.announced, PerFamily { ipv4: 2, ipv6: 0 });
    }
}

#[test]
fn the_end_of_a_rib_is_told_from_an_empty_withdrawal() {
    let end = |octets: &[u8]| read(octets, true).unwrap().end_of_rib;
    assert_eq!(end(&[0; 4]), Some(Family::Ipv4));
    assert_eq!(end(&body(&[], &[&[0x80, 15, 3, 0, 2, 1]], &[])), Some(Family::Ipv6));
    assert_eq!(end(&body(&[], &[UNREACH], &[])), None);
    assert_eq!(end(&body(&[], &[&[0x80, 15, 3, 0, 2, 1], ORIGIN_IGP, PATH, HOP], NLRI)), None);
    assert_eq!(end(&body(&[], &[&[0x80, 15, 3, 0x40, 4, 71]], &[])), None);
}
