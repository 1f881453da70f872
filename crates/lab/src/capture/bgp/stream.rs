use std::net::SocketAddr;
use std::sync::Arc;

use super::Piece;

/// Octets of a message header (RFC 4271 section 4.1): marker, length, type.
pub(super) const HEADER_LEN: usize = 19;
const MARKER: [u8; 16] = [0xff; 16];
/// Octets that may wait for a segment before them.
const EARLY_MAX: usize = 1 << 20;

/// What one side of a connection sends.
#[derive(Debug)]
pub(super) struct Stream {
    source: SocketAddr,
    destination: SocketAddr,
    /// Sequence number of its first octet.
    first: u32,
    /// Sequence number of the next octet that is wanted.
    next: u32,
    /// What stands before `next` and is not yet a whole message.
    octets: Vec<u8>,
    /// Segments from beyond `next`.
    early: Vec<(u32, Box<[u8]>)>,
    is_readable: bool,
}

impl Stream {
    /// The stream that a segment begins: with SYN, or, of a connection that is older than the capture, with a marker.
    /// `None` if it is in the middle of something.
    pub(super) fn begin(piece: &Piece<'_>) -> Option<Stream> {
        let first = piece.sequence.wrapping_add(u32::from(piece.syn));
        (piece.syn || piece.payload.starts_with(&MARKER)).then(|| Stream {
            source: piece.source,
            destination: piece.destination,
            first,
            next: first,
            octets: Vec::new(),
            early: Vec::new(),
            is_readable: true,
        })
    }

    pub(super) fn is_of(&self, piece: &Piece<'_>) -> bool {
        (self.source, self.destination) == (piece.source, piece.destination)
    }

    /// True for a SYN that is not this stream's own once more.
    pub(super) fn is_renewed_by(&self, piece: &Piece<'_>) -> bool {
        piece.syn && piece.sequence.wrapping_add(1) != self.first
    }

    /// False once it has lacked a segment for too long, or has held something that is not BGP. Nothing more is read
    /// of it then.
    pub(super) fn is_readable(&self) -> bool {
        self.is_readable
    }

    /// Takes in a segment, early, late or again, and gives the messages that are whole by it.
    pub(super) fn push(&mut self, sequence: u32, syn: bool, payload: &[u8]) -> Vec<Arc<[u8]>> {
        if !self.is_readable || payload.is_empty() {
            return Vec::new();
        }
        let sequence = sequence.wrapping_add(u32::from(syn));
        if !self.append(sequence, payload) {
            self.early.push((sequence, payload.into()));
            let early_bytes: usize = self.early.iter().map(|(_, payload)| payload.len()).sum();
            self.is_readable = early_bytes <= EARLY_MAX;
            return Vec::new();
        }
        while let Some(place) = self.early.iter().position(|(sequence, _)| self.skipped(*sequence).is_some())
        {
            let (sequence, payload) = self.early.swap_remove(place);
            self.append(sequence, &payload);
        }
        self.take_whole()
    }

    /// Octets of a segment that are there already; `None` if the segment is early. Sequence numbers wrap around.
    fn skipped(&self, sequence: u32) -> Option<usize> {
        usize::try_from(self.next.wrapping_sub(sequence).cast_signed()).ok()
    }

    /// Takes in what is new of a segment; false if it is early.
    fn append(&mut self, sequence: u32, payload: &[u8]) -> bool {
        let Some(skipped) = self.skipped(sequence) else { return false };
        let new = payload.get(skipped..).unwrap_or_default();
        self.octets.extend_from_slice(new);
        // A segment is no longer than an IP packet.
        self.next = self.next.wrapping_add(new.len() as u32);
        true
    }

    fn take_whole(&mut self) -> Vec<Arc<[u8]>> {
        let mut whole = Vec::new();
        let mut rest = self.octets.as_slice();
        while let Some(header) = rest.first_chunk::<HEADER_LEN>() {
            let len = usize::from(u16::from_be_bytes([header[16], header[17]]));
            if !header.starts_with(&MARKER) || len < HEADER_LEN {
                self.is_readable = false;
                break;
            }
            let Some((message, after)) = rest.split_at_checked(len) else { break };
            whole.push(message.into());
            rest = after;
        }
        self.octets = rest.to_vec();
        whole
    }
}
