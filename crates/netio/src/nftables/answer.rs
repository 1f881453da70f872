//! What the kernel answers to a batch (`struct nlmsgerr` and its attributes, `linux/netlink.h`).

use std::ffi::CStr;

use super::decode::{attribute, messages, u16_at, u32_at};
use super::encode::MESSAGE_HEADER;

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
pub(super) fn read(datagram: &[u8]) -> Vec<Answer> {
    messages(datagram).filter_map(read_message).collect()
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

fn text(attributes: &[u8]) -> Option<String> {
    let payload = attribute(attributes, ATTRIBUTE_TEXT)?;
    Some(CStr::from_bytes_until_nul(payload).ok()?.to_string_lossy().into_owned())
}
