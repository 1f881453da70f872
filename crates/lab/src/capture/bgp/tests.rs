use etherparse::PacketBuilder;
use proptest::prelude::*;

use super::super::decode;
use super::super::event::Direction;
use super::{BgpKind, Messages, Piece, STREAMS_MAX};

const KINDS: [BgpKind; 6] = [
    BgpKind::Open,
    BgpKind::Keepalive,
    BgpKind::Update,
    BgpKind::RouteRefresh,
    BgpKind::Notification,
    BgpKind::Other(9),
];
/// Where the streams of these tests begin: their sequence numbers wrap around.
const ISN: u32 = u32::MAX - 20;

/// A message of a type and a body.
fn message(number: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(19 + body.len()).unwrap();
    [&[0xff; 16], &len.to_be_bytes()[..], &[number], body].concat()
}

/// One message of each of [`KINDS`].
fn all() -> Vec<u8> {
    [(1, 10), (4, 0), (2, 4077), (5, 4), (3, 2), (9, 0)]
        .map(|(kind, len)| message(kind, &vec![kind; len]))
        .concat()
}

fn piece(sequence: u32, syn: bool, payload: &[u8]) -> Piece<'_> {
    let (source, destination) = ("192.0.2.1:179".parse().unwrap(), "192.0.2.2:40000".parse().unwrap());
    Piece { source, destination, syn, sequence, payload }
}

/// A stream that has begun, with nothing sent.
fn begun() -> Messages {
    let mut messages = Messages::new(1 << 20);
    send(&mut messages, ISN, true, &[]);
    messages
}

fn send(messages: &mut Messages, sequence: u32, syn: bool, payload: &[u8]) {
    messages.push(&piece(sequence, syn, payload), 7, Direction::Sent);
}

/// Sends a part of `stream`, which begins after [`ISN`].
fn send_part(messages: &mut Messages, stream: &[u8], from: usize, to: usize) {
    send(messages, ISN.wrapping_add(1 + from as u32), false, &stream[from..to]);
}

fn kinds(messages: &Messages) -> Vec<BgpKind> {
    messages.from(0).map(|message| message.kind).collect()
}

fn octets(messages: &Messages) -> Vec<u8> {
    messages.from(0).flat_map(|message| message.octets.to_vec()).collect()
}

#[test]
fn bgp_messages_are_whole_however_tcp_cuts_the_stream() {
    let stream = all();
    for step in [1, 7, 19, 1448, stream.len()] {
        let mut messages = begun();
        for from in (0..stream.len()).step_by(step) {
            send_part(&mut messages, &stream, from, (from + step).min(stream.len()));
        }
        assert_eq!(kinds(&messages), KINDS, "{step} octets at a time");
        assert_eq!(octets(&messages), stream, "{step} octets at a time");
    }
}

#[test]
fn a_bgp_message_has_the_time_of_the_frame_that_completed_it() {
    let stream = all();
    let mut messages = begun();
    for (at_nanos, from, to) in [(10, 0, 28), (20, 28, 40), (30, 40, 60)] {
        let sequence = ISN.wrapping_add(1 + from as u32);
        messages.push(&piece(sequence, false, &stream[from..to]), at_nanos, Direction::Received);
    }
    let read: Vec<_> = messages.from(0).map(|it| (it.kind, it.at_nanos, it.direction)).collect();
    let expected = [(BgpKind::Open, 20, Direction::Received), (BgpKind::Keepalive, 30, Direction::Received)];
    assert_eq!(read, expected);
}

#[test]
fn a_lost_segment_holds_back_what_follows_until_it_is_sent_again() {
    let stream = all();
    let mut messages = begun();
    send_part(&mut messages, &stream, 0, 29);
    send_part(&mut messages, &stream, 48, stream.len());
    assert_eq!(kinds(&messages), KINDS[..1]);
    send_part(&mut messages, &stream, 20, 60);
    assert_eq!((kinds(&messages), octets(&messages)), (KINDS.to_vec(), stream));
    assert_eq!(messages.missed(), 0);
}

#[test]
fn a_connection_that_is_older_than_the_capture_is_read_from_the_next_message_on() {
    let mut messages = Messages::new(1 << 20);
    send(&mut messages, 90, false, &[1, 2, 3]);
    send(&mut messages, 93, false, &message(4, &[]));
    send(&mut messages, 93, false, &message(4, &[]));
    send(&mut messages, 112, false, &message(2, &[0; 4]));
    assert_eq!(kinds(&messages), [BgpKind::Keepalive, BgpKind::Update]);
}

#[test]
fn the_next_connection_of_the_same_ports_begins_anew_and_a_repeated_syn_does_not() {
    let keepalive = message(4, &[]);
    let mut messages = begun();
    send_part(&mut messages, &keepalive, 0, 10);
    send(&mut messages, ISN, true, &[]);
    send_part(&mut messages, &keepalive, 10, 19);
    assert_eq!(kinds(&messages), [BgpKind::Keepalive], "the half message is still known");
    send(&mut messages, 5000, true, &[]);
    send(&mut messages, 5001, false, &message(1, &[0; 10]));
    assert_eq!(kinds(&messages), [BgpKind::Keepalive, BgpKind::Open]);
}

#[test]
fn a_stream_that_is_not_bgp_counts_as_missed_once_and_others_are_read_on() {
    let mut bad_marker = message(4, &[]);
    bad_marker[15] = 0;
    let mut too_short = message(4, &[]);
    too_short[17] = 18;
    for bad in [bad_marker, too_short] {
        let mut messages = begun();
        let stream = [message(1, &[0; 10]), bad, message(4, &[])].concat();
        send_part(&mut messages, &stream, 0, 48);
        send_part(&mut messages, &stream, 48, stream.len());
        assert_eq!((kinds(&messages), messages.missed()), (vec![BgpKind::Open], 1));
        send(&mut messages, 5000, true, &[]);
        send(&mut messages, 5001, false, &message(4, &[]));
        assert_eq!((messages.count(), messages.missed()), (2, 1));
    }
}

#[test]
fn a_segment_that_never_comes_costs_no_more_than_a_limit_and_counts_as_missed() {
    let mut messages = begun();
    let filling = vec![0xff; 1 << 16];
    for number in 1..=17_u32 {
        assert_eq!(messages.missed(), 0, "{number}");
        send(&mut messages, number << 16, false, &filling);
    }
    assert_eq!((messages.count(), messages.missed()), (0, 1));
}

#[test]
fn full_of_messages_the_oldest_go_and_are_counted() {
    let keepalive = message(4, &[]);
    let cost = 19 + size_of::<super::BgpMessage>();
    let mut messages = Messages::new(2 * cost);
    for number in 0..5_u32 {
        messages.push(&piece(100 + 19 * number, false, &keepalive), u64::from(number), Direction::Sent);
    }
    let times = |seen| messages.from(seen).map(|message| message.at_nanos).collect::<Vec<_>>();
    assert_eq!((times(0), times(4), times(5)), (vec![3, 4], vec![4], vec![]));
    assert_eq!((messages.count(), messages.missed()), (5, 3));
}

#[test]
fn the_connections_that_are_followed_are_bounded() {
    let mut messages = Messages::new(1 << 20);
    for port in 1..=2000 {
        let destination = format!("192.0.2.2:{port}").parse().unwrap();
        messages.push(&Piece { destination, ..piece(0, true, &[]) }, 0, Direction::Sent);
    }
    assert_eq!(messages.streams.len(), STREAMS_MAX);
}

#[test]
fn a_frame_to_or_from_port_179_is_part_of_a_bgp_stream_and_no_other_is() {
    let keepalive = message(4, &[]);
    for (source, destination, is_bgp) in [(179, 40000, true), (40000, 179, true), (40000, 1179, false)] {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([192, 0, 2, 1], [192, 0, 2, 2], 1)
            .tcp(source, destination, 77, 1024)
            .write(&mut frame, &keepalive)
            .unwrap();
        // What fills a frame up to the Ethernet minimum is no part of it.
        frame.extend([0; 6]);
        let read = decode::bgp_piece(&frame).map(|piece| (piece.sequence, piece.syn, piece.payload.to_vec()));
        assert_eq!(read, is_bgp.then(|| (77, false, keepalive.clone())), "{source} to {destination}");
    }
}

proptest! {
    #[test]
    fn segments_in_any_order_and_number_give_each_message_once(
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), 1..3000_usize), 0..40),
        order in any::<u64>(),
    ) {
        let stream = all();
        let mut parts: Vec<_> = cuts
            .into_iter()
            .map(|(at, len)| (at.index(stream.len()), len))
            .map(|(from, len)| (from, (from + len).min(stream.len())))
            .chain((0..stream.len()).step_by(1000).map(|from| (from, (from + 1000).min(stream.len()))))
            .collect();
        parts.sort_by_key(|(from, to)| (*from as u64 * 31 + *to as u64).wrapping_mul(order | 1));
        let mut messages = begun();
        for (from, to) in parts {
            send_part(&mut messages, &stream, from, to);
        }
        prop_assert_eq!(octets(&messages), stream);
    }

    #[test]
    fn no_segment_makes_the_bgp_reader_panic(
        segments in proptest::collection::vec(
            (any::<u32>(), any::<bool>(), proptest::collection::vec(prop_oneof![Just(0xff), any::<u8>()], 0..60)),
            0..20,
        ),
    ) {
        let mut messages = Messages::new(1000);
        for (sequence, syn, payload) in segments {
            send(&mut messages, sequence, syn, &payload);
        }
    }
}
