//! Octets that no honest peer sends.

use std::time::Instant;

use proptest::prelude::*;

use super::peers::{config, graceful, graceful_open, keepalive, message, octets, open, open_sent, start};
use crate::wire::{Notification, Open, Reading, classify};
use crate::{Config, ConnectionId, Peer, State};

/// Messages to begin with: each type, each attribute.
fn valid() -> Vec<Vec<u8>> {
    let attributes: &[&[u8]] = &[
        &[0x40, 1, 1, 0],
        &[0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xea],
        &[0x40, 3, 4, 192, 0, 2, 2],
        &[0x80, 4, 4, 0, 0, 0, 1],
        &[0x40, 6, 0],
        &[0xc0, 7, 8, 0, 0, 0xfd, 0xea, 192, 0, 2, 2],
        &[0xc0, 8, 4, 0, 1, 0, 1],
        &[0xc0, 16, 8, 0, 2, 0, 1, 0, 0, 0, 1],
        &[0xc0, 32, 12, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1],
        &[0x90, 14, 0, 23, 0, 2, 1, 16, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 8, 0x20],
        &[0x90, 15, 0, 5, 0, 2, 1, 8, 0x20],
    ];
    let attributes = attributes.concat();
    let mut update = vec![0, 2, 8, 11];
    update.extend(u16::try_from(attributes.len()).unwrap().to_be_bytes());
    update.extend(&attributes);
    update.extend([32, 10, 0, 0, 1, 24, 10, 0, 1]);
    vec![
        octets(&graceful_open(true)),
        keepalive(),
        message(2, &update),
        message(2, &[0; 4]),
        message(5, &[0, 1, 0, 1]),
        message(3, &[6, 2, 3, b'b', b'y', b'e']),
    ]
}

#[test]
fn the_messages_to_begin_with_are_valid() {
    let found = classify(&valid()[2][19..], Reading { four_octet_as: true, external: true }).unwrap();
    assert_eq!(found.treatment, crate::wire::Treatment::Accept);
    assert_eq!((found.announced.ipv4, found.announced.ipv6), (2, 1));
}

#[test]
fn what_is_received_is_counted_and_dropped_whatever_its_class() {
    let now = start();
    let (mut peer, id) = machine(2, now);
    let update = valid().swap_remove(2);
    peer.handle_input(id, &update, now);
    let counters = peer.counters();
    assert_eq!((counters.received_announced, counters.received_withdrawn), (3, 2));
    // ORIGIN 9: treated as withdrawn. A prefix of 129 bits: IPv6 is not heard any further, which is counted once.
    let origin = update.windows(4).position(|window| window == [0x40, 1, 1, 0]).unwrap();
    let bits = update.windows(2).rposition(|window| window == [8, 0x20]).unwrap();
    for (at, value) in [(origin + 3, 9), (bits, 129), (bits, 129)] {
        let mut wrong = update.clone();
        wrong[at] = value;
        peer.handle_input(id, &wrong, now);
    }
    let counters = peer.counters();
    assert_eq!((counters.treated_as_withdraws, counters.disabled_families), (1, 1));
    // Of the last two, only IPv4 counts: two prefixes announced and one withdrawn in each.
    assert_eq!((counters.received_announced, counters.received_withdrawn), (3 + 4, 2 + 5 + 2));
    assert_eq!((counters.received.updates, peer.state()), (4, State::Established));
}

/// A machine in one of the four states that have a connection.
fn machine(state: usize, now: Instant) -> (Peer, ConnectionId) {
    let (mut peer, id) = open_sent(Config { graceful_restart: Some(graceful()), ..config() }, now);
    for input in [octets(&open()), keepalive()].iter().take(state) {
        peer.handle_input(id, input, now);
    }
    (peer, id)
}

#[derive(Clone, Debug)]
struct Mutation {
    of: usize,
    changes: Vec<(u16, u8)>,
    cut: Option<u16>,
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let changes = prop::collection::vec((any::<u16>(), any::<u8>()), 0..4);
    (0..6_usize, changes, prop::option::weighted(0.2, any::<u16>())).prop_map(|(of, changes, cut)| Mutation {
        of,
        changes,
        cut,
    })
}

fn apply(mutation: &Mutation) -> Vec<u8> {
    let mut octets = valid().swap_remove(mutation.of);
    for (at, value) in &mutation.changes {
        let at = usize::from(*at) % octets.len();
        // The marker stays, mostly: without it nothing behind it is read.
        if at >= 16 || *value == 0 {
            octets[at] = *value;
        }
    }
    if let Some(cut) = mutation.cut {
        octets.truncate(usize::from(cut) % octets.len());
    }
    octets
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_octets_make_a_decoder_panic(body in prop::collection::vec(any::<u8>(), 0..300), flags in any::<[bool; 2]>()) {
        let _ignored = Open::parse(&body);
        let _ignored = Notification::parse(&body).map(|notification| notification.to_string());
        let _ignored = classify(&body, Reading { four_octet_as: flags[0], external: flags[1] });
    }

    #[test]
    fn no_octets_make_a_peer_panic_or_speak_out_of_turn(
        state in 0..3_usize,
        mutations in prop::collection::vec(mutation(), 1..6),
        noise in prop::collection::vec(any::<u8>(), 0..40),
        size in 1..200_usize,
    ) {
        let now = start();
        let (mut peer, id) = machine(state, now);
        let mut stream: Vec<u8> = mutations.iter().flat_map(apply).collect();
        stream.extend(noise);
        for chunk in stream.chunks(size) {
            peer.handle_input(id, chunk, now);
            while peer.poll_transmit(id).is_some() {}
        }
        while peer.poll_event().is_some() {}
        let mut closed = 0;
        while let Some(action) = peer.poll_action() {
            closed += usize::from(matches!(action, crate::Action::Close { .. }));
        }
        // It ends once at most, and then rests.
        prop_assert!(closed <= 1);
        prop_assert_eq!(closed == 1, peer.state() < State::OpenSent);
        prop_assert!(peer.poll_timeout().is_some());
    }
}
