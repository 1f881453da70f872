//! The messages of BGP connections, put together from captured TCP segments.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use super::event::Direction;
use stream::Stream;

mod stream;
#[cfg(test)]
mod tests;

/// The TCP port of BGP (RFC 4271 section 8.2.1).
pub(super) const PORT: u16 = 179;
/// Directions of connections that are followed; the one that began first goes first.
const STREAMS_MAX: usize = 1024;

/// One whole BGP message as its sender wrote it, each once, however TCP cut or repeated it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BgpMessage {
    /// When the kernel saw the frame that completed it: nanoseconds since 1970, as in [`Event`](super::Event).
    pub at_nanos: u64,
    /// Whether the captured interface sent or received that frame.
    pub direction: Direction,
    /// The sender's address and port.
    pub source: SocketAddr,
    /// The receiver's address and port. With `source` it tells one connection from the next.
    pub destination: SocketAddr,
    /// The message type.
    pub kind: BgpKind,
    /// All of it, with the header of 19 octets; not checked beyond marker and length.
    pub octets: Arc<[u8]>,
}

/// The type of a BGP message (RFC 4271 section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BgpKind {
    /// Opens the session.
    Open,
    /// Announces and withdraws routes.
    Update,
    /// Says what is wrong, and ends the session.
    Notification,
    /// Keeps the session.
    Keepalive,
    /// Asks for all routes anew (RFC 2918).
    RouteRefresh,
    /// A number that no RFC known here gives a meaning.
    Other(u8),
}

impl BgpKind {
    fn from_wire(number: u8) -> BgpKind {
        match number {
            1 => BgpKind::Open,
            2 => BgpKind::Update,
            3 => BgpKind::Notification,
            4 => BgpKind::Keepalive,
            5 => BgpKind::RouteRefresh,
            other => BgpKind::Other(other),
        }
    }
}

/// A segment of a connection from or to [`PORT`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) syn: bool,
    pub(super) sequence: u32,
    pub(super) payload: &'a [u8],
}

/// The messages of all connections in the order in which they were complete. When they take more than `bytes_max`, the
/// oldest go.
#[derive(Debug)]
pub(super) struct Messages {
    bytes_max: usize,
    streams: VecDeque<Stream>,
    kept: VecDeque<BgpMessage>,
    kept_bytes: usize,
    evicted: u64,
    unreadable: u64,
}

impl Messages {
    pub(super) fn new(bytes_max: usize) -> Messages {
        Messages {
            bytes_max,
            streams: VecDeque::new(),
            kept: VecDeque::new(),
            kept_bytes: 0,
            evicted: 0,
            unreadable: 0,
        }
    }

    /// Takes in a segment that passed at `at_nanos`.
    pub(super) fn push(&mut self, piece: &Piece<'_>, at_nanos: u64, direction: Direction) {
        let Some(stream) = self.stream(piece) else { return };
        let was_readable = stream.is_readable();
        let whole = stream.push(piece.sequence, piece.syn, piece.payload);
        self.unreadable += u64::from(was_readable && !stream.is_readable());
        for octets in whole {
            self.keep(BgpMessage {
                at_nanos,
                direction,
                source: piece.source,
                destination: piece.destination,
                kind: BgpKind::from_wire(octets[stream::HEADER_LEN - 1]),
                octets,
            });
        }
    }

    /// The stream that a segment belongs to, a new one if it begins one.
    fn stream(&mut self, piece: &Piece<'_>) -> Option<&mut Stream> {
        // The latest of these ends: a port is used again once its connection is gone.
        let place = self.streams.iter().rposition(|stream| stream.is_of(piece));
        let place = place.filter(|place| !self.streams[*place].is_renewed_by(piece));
        if place.is_none() {
            self.streams.push_back(Stream::begin(piece)?);
            if self.streams.len() > STREAMS_MAX {
                self.streams.pop_front();
            }
        }
        place.map_or(self.streams.len().checked_sub(1), Some).and_then(|place| self.streams.get_mut(place))
    }

    fn keep(&mut self, message: BgpMessage) {
        self.kept_bytes += cost(&message);
        self.kept.push_back(message);
        while self.kept_bytes > self.bytes_max {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.kept_bytes -= cost(&oldest);
            self.evicted += 1;
        }
    }

    /// The messages that are still there from the `seen`-th of all on, oldest first.
    pub(super) fn from(&self, seen: u64) -> impl Iterator<Item = &BgpMessage> {
        let skipped = usize::try_from(seen.saturating_sub(self.evicted)).unwrap_or(usize::MAX);
        self.kept.iter().skip(skipped)
    }

    /// How many messages there have been in all.
    pub(super) fn count(&self) -> u64 {
        self.evicted + self.kept.len() as u64
    }

    /// Messages that made room for newer ones, and streams that could not be read to their end.
    pub(super) fn missed(&self) -> u64 {
        self.evicted + self.unreadable
    }
}

/// Memory that a message takes, with its place in the queue.
fn cost(message: &BgpMessage) -> usize {
    message.octets.len() + size_of::<BgpMessage>()
}
