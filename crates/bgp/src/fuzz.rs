//! What holds for whatever octets a peer sends. Each function takes any octets and panics if it does not hold: the fuzz targets of the
//! folder `fuzz` call them, and the tests here with its corpora. Compiled for these two alone.

mod machine;
#[cfg(test)]
mod tests;

use std::time::Instant;

use crate::values::PerFamily;
use crate::wire::{Framer, HEADER_LEN, MESSAGE_MAX_LEN, Notification, Open, Reading, Treatment, classify};

/// The body of an OPEN is refused with a code of its own (RFC 4271 §6.2), or is read back as it was when it is written again.
pub fn open(body: &[u8]) {
    match Open::parse(body) {
        Ok(open) => {
            // An OPEN with families that are all unknown has no form of ours: without the capability it would mean IPv4.
            if open.capabilities.multiprotocol == Some(PerFamily { ipv4: false, ipv6: false }) {
                return;
            }
            let mut octets = Vec::new();
            open.write(&mut octets);
            assert_eq!(Open::parse(&octets[HEADER_LEN..]).as_ref(), Ok(&open));
        }
        Err(notification) => refused(&notification, 2),
    }
}

/// The body of an UPDATE is refused with a code of its own (RFC 4271 §6.3), or counted: never more prefixes than octets.
pub fn update(body: &[u8]) {
    for (four_octet_as, external) in [(true, true), (true, false), (false, true), (false, false)] {
        match classify(body, Reading { four_octet_as, external }) {
            Ok(received) => {
                let (announced, withdrawn) = (received.announced, received.withdrawn);
                let counted = [announced.ipv4, announced.ipv6, withdrawn.ipv4, withdrawn.ipv6];
                let counted = counted.into_iter().map(u64::from).sum::<u64>();
                assert!(counted <= body.len() as u64, "{received:?}");
                let is_treated = received.treatment == Treatment::TreatAsWithdraw;
                assert!(!is_treated || (announced.ipv4, announced.ipv6) == (0, 0), "{received:?}");
                assert!(received.end_of_rib.is_none() || counted == 0, "{received:?}");
            }
            Err(notification) => refused(&notification, 3),
        }
    }
}

/// The body of a NOTIFICATION is put into words that harm no terminal, and read back as it was when it is written again.
pub fn notification(body: &[u8]) {
    let Ok(notification) = Notification::parse(body) else {
        assert!(body.len() < 2);
        return;
    };
    let words = notification.to_string();
    assert!(!words.is_empty() && words.len() < 2_000 && !words.contains(char::is_control), "{words:?}");
    let mut octets = Vec::new();
    notification.write(&mut octets);
    assert!(octets.len() <= MESSAGE_MAX_LEN);
    if body.len() <= MESSAGE_MAX_LEN - HEADER_LEN {
        assert_eq!(&octets[HEADER_LEN..], body);
    }
}

/// A stream gives the same messages, and ends with the same error, however it is cut; together they are the stream. The first octet is
/// the size of the pieces.
pub fn framer(octets: &[u8]) {
    let Some((size, stream)) = octets.split_first() else { return };
    let whole = messages(stream, stream.len().max(1));
    assert_eq!(messages(stream, usize::from(*size).max(1)), whole);
    let (found, is_wrong) = whole;
    let together = found.concat();
    assert!(stream.starts_with(&together));
    let rest = stream.len() - together.len();
    assert!(is_wrong || rest < MESSAGE_MAX_LEN, "{rest} octets wait");
}

/// A peer that is told anything in any order lives, and is in a state that RFC 4271 §8 allows. The octets are a script, which
/// `crates/bgp/src/fuzz/machine.rs` describes; time begins at `now`.
pub fn peer(script: &[u8], now: Instant) {
    machine::play(script, now);
}

/// The messages of a stream that comes in pieces of a size, and whether it ends with an error.
fn messages(stream: &[u8], size: usize) -> (Vec<Vec<u8>>, bool) {
    let mut framer = Framer::default();
    let mut found = Vec::new();
    for mut piece in stream.chunks(size) {
        loop {
            match framer.next(&mut piece) {
                Ok(Some((_, message))) => {
                    assert!((HEADER_LEN..=MESSAGE_MAX_LEN).contains(&message.len()));
                    found.push(message.clone());
                    framer.give_back(message);
                }
                Ok(None) => break,
                Err(error) => {
                    refused(&error.notification, 1);
                    return (found, true);
                }
            }
        }
        assert!(piece.is_empty());
    }
    (found, false)
}

/// An error of this code, which fits a message and has words.
fn refused(notification: &Notification, code: u8) {
    assert_eq!(notification.error.code, code, "{notification}");
    assert!(!notification.to_string().starts_with("error "), "{notification}");
    assert!(notification.data.len() < MESSAGE_MAX_LEN);
}
