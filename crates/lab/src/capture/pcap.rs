use std::io::{self, Write};

use super::store::Frame;

/// Magic number of a pcap file whose timestamps have nanoseconds.
const MAGIC_NANOS: u32 = 0xa1b2_3c4d;
const VERSION: [u16; 2] = [2, 4];
const LINKTYPE_ETHERNET: u32 = 1;
const NANOS_PER_SEC: u64 = 1_000_000_000;

/// Writes a pcap file, little endian (pcap file format, draft-ietf-opsawg-pcap section 4 and 5).
pub(super) fn write<'a>(
    out: &mut impl Write,
    snap_len: u32,
    frames: impl IntoIterator<Item = &'a Frame>,
) -> io::Result<()> {
    out.write_all(&MAGIC_NANOS.to_le_bytes())?;
    for part in VERSION {
        out.write_all(&part.to_le_bytes())?;
    }
    for field in [0, 0, snap_len, LINKTYPE_ETHERNET] {
        out.write_all(&field.to_le_bytes())?;
    }
    for frame in frames {
        let kept_len = u32::try_from(frame.bytes.len()).unwrap_or(u32::MAX);
        // 32 bits of seconds last until 2106.
        let seconds = (frame.at_nanos / NANOS_PER_SEC) as u32;
        let nanos = (frame.at_nanos % NANOS_PER_SEC) as u32;
        for field in [seconds, nanos, kept_len, frame.wire_len] {
            out.write_all(&field.to_le_bytes())?;
        }
        out.write_all(&frame.bytes)?;
    }
    out.flush()
}
