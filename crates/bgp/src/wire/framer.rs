//! Cuts a stream of octets into messages (RFC 4271 §4.1, §6.1).

use super::{ErrorCode, HEADER_LEN, MESSAGE_MAX_LEN, MessageType, Notification};

/// Collects octets until a message is whole. Holds at most one message, so at most 4,096 octets.
#[derive(Debug, Default)]
pub(crate) struct Framer {
    octets: Vec<u8>,
    header: Option<Header>,
}

#[derive(Clone, Copy, Debug)]
struct Header {
    message_type: MessageType,
    length: usize,
}

/// A header that no speaker may send. The stream cannot be read any further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FramingError {
    /// What to tell the peer.
    pub(crate) notification: Notification,
    /// The message claims to be a NOTIFICATION, which must not be answered with one (RFC 4271 §6.4).
    pub(crate) of_notification: bool,
}

impl Framer {
    /// Takes octets off the front of `input` until a message is whole or the input is empty. Gives the message's type
    /// and all of it, header included. Whoever is done with it gives the memory back, so that none is allocated for
    /// the next one.
    ///
    /// # Errors
    /// As soon as a header is whole and wrong.
    pub(crate) fn next(&mut self, input: &mut &[u8]) -> Result<Option<(MessageType, Vec<u8>)>, FramingError> {
        if self.header.is_none() {
            self.fill(input, HEADER_LEN);
            let Some(header) = self.octets.first_chunk() else { return Ok(None) };
            self.header = Some(Header::parse(header)?);
        }
        let Some(Header { message_type, length }) = self.header else { return Ok(None) };
        self.fill(input, length);
        if self.octets.len() < length {
            return Ok(None);
        }
        self.header = None;
        Ok(Some((message_type, std::mem::take(&mut self.octets))))
    }

    /// Takes back the memory of a message that [`next`](Self::next) gave.
    pub(crate) fn give_back(&mut self, mut message: Vec<u8>) {
        message.clear();
        self.octets = message;
    }

    fn fill(&mut self, input: &mut &[u8], length: usize) {
        let missing = length.saturating_sub(self.octets.len()).min(input.len());
        let (taken, rest) = input.split_at(missing);
        self.octets.extend_from_slice(taken);
        *input = rest;
    }
}

impl Header {
    fn parse(octets: &[u8; HEADER_LEN]) -> Result<Self, FramingError> {
        let (marker, rest) = octets.split_at(16);
        let [high, low, type_octet] = [rest[0], rest[1], rest[2]];
        let of_notification = MessageType::from_wire(type_octet) == Some(MessageType::Notification);
        let error = |code, data: &[u8]| FramingError {
            notification: Notification::new(code, data.to_vec()),
            of_notification,
        };
        if marker.iter().any(|octet| *octet != 0xff) {
            return Err(error(ErrorCode::CONNECTION_NOT_SYNCHRONIZED, &[]));
        }
        let length = usize::from(u16::from_be_bytes([high, low]));
        // The length first: it is wrong whatever the type (RFC 4271 §6.1).
        if !(HEADER_LEN..=MESSAGE_MAX_LEN).contains(&length) {
            return Err(error(ErrorCode::BAD_MESSAGE_LENGTH, &[high, low]));
        }
        let Some(message_type) = MessageType::from_wire(type_octet) else {
            return Err(error(ErrorCode::BAD_MESSAGE_TYPE, &[type_octet]));
        };
        let fits = match message_type {
            MessageType::Open => length >= 29,
            MessageType::Update => length >= 23,
            MessageType::Notification => length >= 21,
            MessageType::Keepalive => length == HEADER_LEN,
            MessageType::RouteRefresh => length == 23,
        };
        if fits {
            Ok(Self { message_type, length })
        } else {
            Err(error(ErrorCode::BAD_MESSAGE_LENGTH, &[high, low]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::write_keepalive;
    use super::*;

    fn header(length: u16, type_octet: u8) -> Vec<u8> {
        let mut octets = vec![0xff; 16];
        octets.extend(length.to_be_bytes());
        octets.push(type_octet);
        octets
    }

    fn error_of(octets: &[u8]) -> Notification {
        Framer::default().next(&mut &*octets).unwrap_err().notification
    }

    #[test]
    fn messages_are_found_however_the_stream_is_cut() {
        let mut stream = Vec::new();
        for _ in 0..3 {
            write_keepalive(&mut stream);
            stream.extend(header(23, 5).iter().chain(&[0, 1, 0, 1]));
        }
        for size in 1..stream.len() {
            let mut framer = Framer::default();
            let mut found = Vec::new();
            for mut chunk in stream.chunks(size) {
                while let Some((message_type, message)) = framer.next(&mut chunk).unwrap() {
                    found.push((message_type, message.len()));
                    framer.give_back(message);
                }
                assert!(chunk.is_empty());
            }
            assert_eq!(
                found,
                [(MessageType::Keepalive, 19), (MessageType::RouteRefresh, 23)].repeat(3),
                "{size}"
            );
        }
    }

    #[test]
    fn each_wrong_header_has_its_notification() {
        let mut marker = header(19, 4);
        marker[3] = 0xfe;
        assert_eq!(error_of(&marker), Notification::new(ErrorCode::CONNECTION_NOT_SYNCHRONIZED, vec![]));
        for (length, type_octet) in
            [(18, 4), (4097, 2), (65535, 2), (0, 9), (20, 4), (28, 1), (22, 2), (20, 3), (22, 5), (24, 5)]
        {
            let expected =
                Notification::new(ErrorCode::BAD_MESSAGE_LENGTH, u16::to_be_bytes(length).to_vec());
            assert_eq!(error_of(&header(length, type_octet)), expected, "{length} {type_octet}");
        }
        for type_octet in [0, 6, 255] {
            let expected = Notification::new(ErrorCode::BAD_MESSAGE_TYPE, vec![type_octet]);
            assert_eq!(error_of(&header(19, type_octet)), expected);
        }
    }

    #[test]
    fn a_message_of_4096_octets_is_not_too_long() {
        let mut stream = header(4096, 2);
        stream.resize(4096, 0);
        let (message_type, message) = Framer::default().next(&mut &*stream).unwrap().unwrap();
        assert_eq!((message_type, message), (MessageType::Update, stream));
    }

    #[test]
    fn the_memory_of_one_message_serves_all() {
        let mut framer = Framer::default();
        let mut long = header(4096, 2);
        long.resize(4096, 0);
        let mut memory = None;
        for _ in 0..100 {
            let (_, message) = framer.next(&mut &*long).unwrap().unwrap();
            assert!(message.capacity() < 2 * 4096);
            assert_eq!(*memory.get_or_insert(message.as_ptr()), message.as_ptr());
            framer.give_back(message);
        }
    }
}
