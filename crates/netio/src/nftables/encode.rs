//! Netlink messages and attributes as bytes (`linux/netlink.h`, `linux/netfilter/nfnetlink.h`).

/// Length of `struct nlmsghdr`.
pub(super) const MESSAGE_HEADER: usize = 16;
const FLAGS_OFFSET: usize = 6;
const ALIGNMENT: usize = 4;

/// What stands at the head of one message.
pub(super) struct Header {
    pub(super) kind: u16,
    pub(super) flags: u16,
    /// Comes back in the kernel's answer to this message.
    pub(super) sequence: u32,
    /// `nfgen_family`.
    pub(super) family: u8,
    /// `res_id`.
    pub(super) resource: u16,
}

/// Messages one after the other, each with its attributes.
#[derive(Clone, Debug, Default)]
pub(super) struct Encoder {
    bytes: Vec<u8>,
    last_message: usize,
}

impl Encoder {
    /// Appends one message; `body` appends its attributes.
    pub(super) fn message(&mut self, header: &Header, body: impl FnOnce(&mut Self)) {
        self.last_message = self.bytes.len();
        self.bytes.extend([0; 4]); // the length, known at the end
        self.bytes.extend(header.kind.to_ne_bytes());
        self.bytes.extend(header.flags.to_ne_bytes());
        self.bytes.extend(header.sequence.to_ne_bytes());
        self.bytes.extend([0; 4]); // port: the kernel fills it
        self.bytes.extend([header.family, 0 /* NFNETLINK_V0 */]);
        self.bytes.extend(header.resource.to_be_bytes());
        let start = self.last_message;
        body(self);
        let length = u32::try_from(self.bytes.len() - start).expect("a message is far below 4 GiB");
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    }

    /// Sets `flags` on the message appended last.
    pub(super) fn flag_last_message(&mut self, flags: u16) {
        let at = self.last_message + FLAGS_OFFSET;
        let present = u16::from_ne_bytes([self.bytes[at], self.bytes[at + 1]]);
        self.bytes[at..at + 2].copy_from_slice(&(present | flags).to_ne_bytes());
    }

    /// Appends one attribute with these bytes as payload.
    pub(super) fn attribute(&mut self, kind: u16, payload: &[u8]) {
        let start = self.open(kind);
        self.bytes.extend(payload);
        self.close(start);
    }

    /// Appends a name, ended by NUL as the kernel wants it.
    pub(super) fn text(&mut self, kind: u16, text: &str) {
        let start = self.open(kind);
        self.bytes.extend(text.as_bytes());
        self.bytes.push(0);
        self.close(start);
    }

    /// Appends a number; in nftables all of them are 32 bits wide and big-endian.
    pub(super) fn number(&mut self, kind: u16, number: u32) {
        self.attribute(kind, &number.to_be_bytes());
    }

    /// Appends an attribute that holds the attributes which `body` appends.
    pub(super) fn nested(&mut self, kind: u16, body: impl FnOnce(&mut Self)) {
        let start = self.open(kind | libc::NLA_F_NESTED as u16);
        body(self);
        self.close(start);
    }

    fn open(&mut self, kind: u16) -> usize {
        let start = self.bytes.len();
        self.bytes.extend([0; 2]); // the length, known at the end
        self.bytes.extend(kind.to_ne_bytes());
        start
    }

    /// The length does not count the padding.
    fn close(&mut self, start: usize) {
        let length = u16::try_from(self.bytes.len() - start).expect("callers keep an attribute below 64 KiB");
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
