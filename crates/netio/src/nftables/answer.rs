//! What the kernel answers to a batch (`struct nlmsgerr` and its attributes, `linux/netlink.h`).

use std::ffi::CStr;

use super::encode::MESSAGE_HEADER;

const ATTRIBUTE_HEADER: usize = 4;
/// `NLMSGERR_ATTR_MSG`, which libc lacks.
const ATTRIBUTE_TEXT: u16 = 1;

/// An answer to one message of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// Sequence number of that message.
    pub(super) sequence: u32,
    /// Positive error number; 0 is an acknowledgement.
    pub(super) errno: i32,
    /// The kernel's explanation, if it gave one.
    pub(super) detail: Option<String>,
}

/// Reads the answers in one datagram; messages of other kinds and what is cut off are skipped.
pub(super) fn read(mut datagram: &[u8]) -> Vec<Answer> {
    let mut answers = Vec::new();
    while let Some(length) = u32_at(datagram, 0).map(|length| length as usize) {
        let Some(message) = datagram.get(..length).filter(|_| length >= MESSAGE_HEADER) else { break };
        answers.extend(read_message(message));
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    answers
}

fn read_message(message: &[u8]) -> Option<Answer> {
    let kind = u16_at(message, 4)?;
    let flags = u16_at(message, 6)?;
    let sequence = u32_at(message, 8)?;
    if libc::c_int::from(kind) != libc::NLMSG_ERROR {
        return None;
    }
    let errno = u32_at(message, MESSAGE_HEADER)?.cast_signed().wrapping_neg();
    // Then the header of the message that is answered, and by NETLINK_CAP_ACK none of its body.
    let attributes = message.get(MESSAGE_HEADER + 4 + MESSAGE_HEADER..).unwrap_or_default();
    let has_attributes = libc::c_int::from(flags) & libc::NLM_F_ACK_TLVS != 0;
    let detail = has_attributes.then(|| text(attributes)).flatten();
    Some(Answer { sequence, errno, detail })
}

fn text(mut attributes: &[u8]) -> Option<String> {
    loop {
        let length = usize::from(u16_at(attributes, 0)?);
        let payload = attributes.get(ATTRIBUTE_HEADER..length)?;
        if u16_at(attributes, 2)? == ATTRIBUTE_TEXT {
            return Some(CStr::from_bytes_until_nul(payload).ok()?.to_string_lossy().into_owned());
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|field| u16::from_ne_bytes(*field))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|field| u32::from_ne_bytes(*field))
}
