//! Datagrams of netlink cut into messages and attributes. What is cut off or malformed ends the reading, and is no error.

use super::encode::MESSAGE_HEADER;

const ATTRIBUTE_HEADER: usize = 4;

/// The messages in one datagram, each with its header.
pub(super) fn messages(mut datagram: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = u32_at(datagram, 0)? as usize;
        let message = datagram.get(..length).filter(|_| length >= MESSAGE_HEADER)?;
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

/// The payload of the first attribute of this kind.
pub(super) fn attribute(mut attributes: &[u8], kind: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16_at(attributes, 0)?);
        let payload = attributes.get(ATTRIBUTE_HEADER..length)?;
        if u16_at(attributes, 2)? == kind {
            return Some(payload);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

/// Two octets in the host's order.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|field| u16::from_ne_bytes(*field))
}

/// Four octets in the host's order.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|field| u32::from_ne_bytes(*field))
}
