use super::*;
use crate::holds::Word;
use crate::wire::{Record, Standing, SummaryEntry};
use crate::{Key, Rejected};

const ME: NodeId = NodeId(1);
const PEER: NodeId = NodeId(2);

#[expect(clippy::disallowed_methods, reason = "a virtual clock needs some instant to count from")]
fn start() -> Instant {
    Instant::now()
}

fn keys(octet: u8) -> Keys {
    Keys { sending: Key::new([octet; 32]), accepted: None }
}

fn address(node: NodeId) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, node.0 as u8], 7947))
}

fn members(now: Instant) -> Members {
    let config = Config { cluster: "blue".to_owned(), keys: keys(1), timing: Timing::default() };
    let mut members = Members::new(config, ME, 1, now);
    members.set_seeds(&[Seed { node: PEER, addresses: vec![address(PEER)] }], now);
    members
}

/// A machine, and the other's seal, whose boot it believes.
fn pair(now: Instant) -> (Members, Seal) {
    let mut members = members(now);
    let mut peer = Seal::new("blue", PEER, &keys(1), 2);
    let hello = Message::Heartbeat { epoch: 0, digest: 0, reply: false, synced: true }.encode();
    let hello = peer.seal(ME, &hello);
    assert_eq!(members.handle_input(address(PEER), &hello, now), Err(Rejected::UnprovenBoot));
    let challenge = members.poll_transmit().unwrap();
    let nonce = match Message::decode(&peer.open(&challenge.datagram, |_| true).unwrap().content) {
        Ok(Message::Challenge { nonce }) => nonce,
        other => panic!("{other:?} is no challenge"),
    };
    give(&mut members, &mut peer, &Message::Echo { nonce }, now);
    (members, peer)
}

fn give(members: &mut Members, peer: &mut Seal, message: &Message, now: Instant) {
    let datagram = peer.seal(ME, &message.encode());
    assert_eq!(members.handle_input(address(PEER), &datagram, now), Ok(()));
}

fn events(members: &mut Members) -> Vec<Event> {
    std::iter::from_fn(|| members.poll_event()).collect()
}

#[test]
fn what_a_boot_said_before_it_was_proven_counts_afterwards() {
    let (mut members, _) = pair(start());
    assert_eq!(events(&mut members), [Event::Up(PEER)]);
}

#[test]
fn an_echo_of_another_nonce_proves_nothing() {
    let now = start();
    let mut members = members(now);
    let mut peer = Seal::new("blue", PEER, &keys(1), 2);
    give(&mut members, &mut peer, &Message::Echo { nonce: 0 }, now);
    let hello =
        peer.seal(ME, &Message::Heartbeat { epoch: 0, digest: 0, reply: false, synced: true }.encode());
    assert_eq!(members.handle_input(address(PEER), &hello, now), Err(Rejected::UnprovenBoot));
    assert!(!members.joined());
}

#[test]
fn a_challenge_goes_to_an_address_of_the_node_and_to_no_other() {
    let now = start();
    let mut members = members(now);
    let mut peer = Seal::new("blue", PEER, &keys(1), 2);
    let hello =
        peer.seal(ME, &Message::Heartbeat { epoch: 0, digest: 0, reply: false, synced: true }.encode());
    let stranger = SocketAddr::from(([198, 51, 100, 1], 7947));
    assert!(members.handle_input(stranger, &hello, now).is_err());
    assert_eq!(members.poll_transmit().map(|transmit| transmit.to), Some(address(PEER)));
}

#[test]
fn who_asks_about_a_node_is_told_when_it_answers() {
    let now = start();
    let third = NodeId(3);
    let (mut members, mut peer) = pair(now);
    let seeds = [PEER, third].map(|node| Seed { node, addresses: vec![address(node)] });
    members.set_seeds(&seeds, now);
    give(&mut members, &mut peer, &Message::Inquiry { target: third }, now);
    let told = |members: &mut Members, peer: &mut Seal| -> Vec<Message> {
        let to_peer = std::iter::from_fn(|| members.poll_transmit()).filter(|sent| sent.to == address(PEER));
        let opened = to_peer.map(|sent| peer.open(&sent.datagram, |_| true).unwrap().content);
        opened.map(|content| Message::decode(&content).unwrap()).collect()
    };
    let never = Message::Sighting { target: third, age_ms: u16::MAX };
    assert!(told(&mut members, &mut peer).contains(&never));
    members.heard_from(third, address(third), now);
    assert_eq!(told(&mut members, &mut peer), [Message::Sighting { target: third, age_ms: 0 }]);
    members.heard_from(third, address(third), now);
    assert_eq!(told(&mut members, &mut peer), [], "once");
}

#[test]
fn sealed_nonsense_is_refused_and_counted() {
    let now = start();
    let (mut members, mut peer) = pair(now);
    let datagram = peer.seal(ME, &[99]);
    assert_eq!(members.handle_input(address(PEER), &datagram, now), Err(Rejected::Malformed));
    assert_eq!(members.counters().rejected[Rejected::Malformed.index()], 1);
    assert_eq!(members.counters().rejected[Rejected::UnprovenBoot.index()], 1);
}

#[test]
fn nodes_that_nobody_named_get_no_entry() {
    let now = start();
    let (mut members, mut peer) = pair(now);
    let node = NodeId(77);
    let stranger = Record { node, epoch: 3, boot: 4, down: false };
    give(&mut members, &mut peer, &Message::Records(vec![stranger]), now);
    let line = SummaryEntry {
        node,
        epoch: 3,
        boot: 4,
        standing: Standing::Up,
        facts_version: 1,
        holds_version: 1,
        holds_digest: 1,
    };
    give(
        &mut members,
        &mut peer,
        &Message::Summary { mask: u64::MAX, reply: false, entries: vec![line] },
        now,
    );
    let facts = Facts::default();
    give(&mut members, &mut peer, &Message::Facts { node, boot: 4, version: 1, facts }, now);
    let changes = vec![(GroupId(1), Word::Held(Term(1)))];
    give(&mut members, &mut peer, &Message::HoldsDelta { node, boot: 4, from: 0, changes }, now);
    assert_eq!(members.table.len(), 2);
    assert_eq!(events(&mut members), [Event::Up(PEER)]);
}

#[test]
fn nobody_can_tell_a_node_what_it_is_itself() {
    let now = start();
    let (mut members, mut peer) = pair(now);
    members.hold(GroupId(1), Term(1));
    let boot = members.seal.boot();
    let facts = Facts { draining: true, ..Facts::default() };
    give(&mut members, &mut peer, &Message::Facts { node: ME, boot, version: 9, facts }, now);
    let changes = vec![(GroupId(1), Word::Released(Term(0)))];
    give(&mut members, &mut peer, &Message::HoldsDelta { node: ME, boot, from: 1, changes }, now);
    assert_eq!(members.facts(ME), None);
    assert!(members.holds(ME).eq([(GroupId(1), Term(1))]));

    let dead = Record { node: ME, epoch: 7, boot, down: true };
    give(&mut members, &mut peer, &Message::Records(vec![dead]), now);
    assert_eq!(members.table.own(), Record { epoch: 8, down: false, ..dead });
    assert_eq!(members.counters().refutations, 1);
}

#[test]
fn keys_are_replaced_while_all_goes_on() {
    let now = start();
    let (mut members, mut peer) = pair(now);
    peer.set_keys(&Keys { sending: Key::new([2; 32]), accepted: Some(Key::new([1; 32])) });
    let hello = peer.seal(ME, &Message::Inquiry { target: ME }.encode());
    assert_eq!(members.handle_input(address(PEER), &hello, now), Err(Rejected::UnknownKey));
    members.set_keys(&Keys { sending: Key::new([1; 32]), accepted: Some(Key::new([2; 32])) });
    assert_eq!(members.handle_input(address(PEER), &hello, now), Ok(()));
}

#[test]
fn chunks_that_lead_nowhere_end_the_pull() {
    let now = start();
    let (mut members, mut peer) = pair(now);
    let boot = peer.boot();
    let changes = vec![(GroupId(1), Word::Held(Term(1)))];
    give(&mut members, &mut peer, &Message::HoldsDelta { node: PEER, boot, from: 5, changes }, now);
    assert_eq!(members.pulls.len(), 1, "a gap begins one");
    let chunk =
        Message::HoldsChunk { node: PEER, boot, version: 6, after: None, last: false, holds: Vec::new() };
    give(&mut members, &mut peer, &chunk, now);
    assert!(members.pulls.is_empty());
}

#[test]
fn a_pull_that_nobody_answers_ends() {
    let now = start();
    let (mut members, mut peer) = pair(now);
    let changes = vec![(GroupId(1), Word::Held(Term(1)))];
    let boot = peer.boot();
    give(&mut members, &mut peer, &Message::HoldsDelta { node: PEER, boot, from: 5, changes }, now);
    for passed in 1..40 {
        members.repeat_pulls(now + Duration::from_millis(50) * passed);
    }
    assert!(members.pulls.is_empty());
}

#[test]
fn the_outbox_has_a_limit() {
    let now = start();
    let mut members = members(now);
    for _ in 0..OUTBOX_MAX + 3 {
        members.send(PEER, &Message::Inquiry { target: PEER });
    }
    assert_eq!((members.outbox.len(), members.counters().dropped), (OUTBOX_MAX, 3));
}
