//! Reading and writing big-endian fields. Reading trusts nothing.

/// The octets end before the field does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Truncated;

/// Takes fields off the front of a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn slice(&mut self, length: usize) -> Result<&'a [u8], Truncated> {
        let (head, rest) = self.0.split_at_checked(length).ok_or(Truncated)?;
        self.0 = rest;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Truncated)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Truncated> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Truncated> {
        self.array().map(u16::from_be_bytes)
    }
}

/// Writes a length at a place that was left for it. Every caller's length fits a message, and so 16 bits.
pub(crate) fn put_u16_at(out: &mut [u8], at: usize, length: usize) {
    let octets = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    out[at..at + 2].copy_from_slice(&octets);
}

/// Appends what `body` appends, after its length in two octets.
pub(crate) fn with_length_u16(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0, 0]);
    body(out);
    let length = out.len() - at - 2;
    put_u16_at(out, at, length);
}

/// Appends what `body` appends, after its length in one octet; the caller's body is never longer than 255.
pub(crate) fn with_length_u8(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.push(0);
    body(out);
    out[at] = u8::try_from(out.len() - at - 1).unwrap_or(u8::MAX);
}
