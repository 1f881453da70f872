//! What the kernel says beside a datagram.

/// Octets of a message's header (`struct cmsghdr`): its length, its level and its type.
const HEADER_LEN: usize = size_of::<usize>() + 2 * size_of::<libc::c_int>();

/// Room for what the kernel says, aligned as it wants it: the interface and two addresses at most, and the TTL.
#[repr(align(8))]
pub(super) struct Buffer(pub(super) [u8; 128]);

impl Default for Buffer {
    fn default() -> Self {
        Self([0; 128])
    }
}

/// How a datagram came in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) interface: u32,
    pub(super) ttl: u8,
}

/// Reads what the kernel has written; `None` if it lacks something.
pub(super) fn read(mut octets: &[u8]) -> Option<Way> {
    let (mut interface, mut ttl) = (None, None);
    while let Some((header, rest)) = octets.split_at_checked(HEADER_LEN) {
        let (length, kind) = header.split_at(size_of::<usize>());
        let length = usize::from_ne_bytes(length.try_into().ok()?);
        let (level, name) = (number(kind, 0)?, number(kind, 1)?);
        let data = rest.get(..length.checked_sub(HEADER_LEN)?)?;
        match (level, name) {
            // `struct in_pktinfo` begins with the interface.
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => interface = number(data, 0),
            // `struct in6_pktinfo` begins with an address of 16 octets.
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => interface = number(data, 4),
            (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                ttl = number(data, 0);
            }
            _ => {}
        }
        octets = octets.get(length.next_multiple_of(size_of::<usize>())..).unwrap_or_default();
    }
    Some(Way { interface: interface?.try_into().ok()?, ttl: ttl?.try_into().ok()? })
}

/// The number at an index, counted in numbers.
fn number(octets: &[u8], index: usize) -> Option<libc::c_int> {
    let (numbers, _) = octets.as_chunks();
    numbers.get(index).copied().map(libc::c_int::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message as the kernel lays it out.
    fn message(level: libc::c_int, name: libc::c_int, data: &[u8]) -> Vec<u8> {
        let mut octets = (HEADER_LEN + data.len()).to_ne_bytes().to_vec();
        octets.extend([level.to_ne_bytes(), name.to_ne_bytes()].concat());
        octets.extend(data);
        octets.resize(octets.len().next_multiple_of(size_of::<usize>()), 0);
        octets
    }

    fn ttl(value: i32) -> Vec<u8> {
        message(libc::IPPROTO_IP, libc::IP_TTL, &value.to_ne_bytes())
    }

    fn packet_info(interface: i32) -> Vec<u8> {
        message(libc::IPPROTO_IP, libc::IP_PKTINFO, &[interface, 0, 0].map(i32::to_ne_bytes).concat())
    }

    #[test]
    fn interface_and_ttl_are_found_in_any_order_among_others() {
        let other = message(libc::SOL_SOCKET, libc::SO_TIMESTAMP, &[1; 9]);
        for parts in [[ttl(255), packet_info(7), other.clone()], [other, packet_info(7), ttl(255)]] {
            assert_eq!(read(&parts.concat()), Some(Way { interface: 7, ttl: 255 }));
        }
    }

    #[test]
    fn nothing_is_made_up_for_what_is_missing_or_cut_off() {
        let whole = [ttl(255), packet_info(7)].concat();
        assert_eq!(read(&packet_info(7)), None, "no TTL");
        assert_eq!(read(&ttl(255)), None, "no interface");
        for length in 0..HEADER_LEN + ttl(255).len() + 4 {
            assert_eq!(read(&whole[..length]), None, "{length} octets");
        }
        let mut endless = whole;
        endless[..size_of::<usize>()].fill(0);
        assert_eq!(read(&endless), None, "a length of zero");
    }
}
