//! ICMPv6 messages of one interface, of the types that are asked for.

use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};

use socket2::{Domain, Protocol, Socket as RawSocket, Type};
use tokio::io::{Interest, unix::AsyncFd};

pub use crate::datagram::Received;
use crate::datagram::receive;
use crate::option;

/// Hop limit of all that is sent: neighbor discovery takes no other (RFC 4861 §6.1).
const HOP_LIMIT: u8 = 255;
/// `ICMPV6_FILTER` of `linux/icmpv6.h`.
const FILTER: libc::c_int = 1;

/// A raw socket for ICMPv6 on one interface. The kernel checks the checksum of what comes in and writes that of what goes out; it hands over
/// and takes messages from their ICMPv6 header on.
#[derive(Debug)]
pub struct Socket {
    socket: AsyncFd<RawSocket>,
    interface: u32,
}

impl Socket {
    /// Hears messages of `types` that come in through the interface called `device`, whose number is `interface`, also those that go to
    /// `groups`. What it sends itself it does not hear. To be called within a tokio runtime; the socket belongs to the network namespace of
    /// the calling thread.
    ///
    /// # Errors
    /// `PermissionDenied` without CAP_NET_RAW. `ENODEV` if there is no such interface, or it has IPv6 switched off.
    pub fn open(device: &str, interface: u32, types: &[u8], groups: &[Ipv6Addr]) -> io::Result<Self> {
        let kind = Type::RAW.nonblocking().cloexec();
        let socket = RawSocket::new(Domain::IPV6, kind, Some(Protocol::ICMPV6))?;
        // First, so that as little as can be is queued that is not asked for.
        option::set_octets(&socket, libc::IPPROTO_ICMPV6, FILTER, &filter(types))?;
        socket.bind_device(Some(device.as_bytes()))?;
        for group in groups {
            socket.join_multicast_v6(group, interface)?;
        }
        socket.set_multicast_if_v6(interface)?;
        socket.set_multicast_loop_v6(false)?;
        socket.set_multicast_hops_v6(HOP_LIMIT.into())?;
        option::set_hop_limit(&socket, true, HOP_LIMIT)?;
        option::set(&socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
        option::set(&socket, libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT, 1)?;
        // SAFETY: `Socket` owns its descriptor, which stays the same and open until `AsyncFd` drops it.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE)? };
        Ok(Self { socket, interface })
    }

    /// Waits for a message, and writes it to `message`; what does not fit is cut off. Nothing is lost if the future is dropped.
    ///
    /// # Errors
    /// The interface is down or gone (`ENETDOWN`), `ENOMEM` and the like. A message that came while the socket was being opened may lack what
    /// it says of its way; that is an error, too.
    pub async fn recv(&self, message: &mut [u8]) -> io::Result<Received> {
        self.socket.async_io(Interest::READABLE, |socket| receive(socket, message)).await
    }

    /// Sends a message to an address on the link, with a hop limit of 255. The kernel chooses the source: for a group of the link, a
    /// link-local address.
    ///
    /// # Errors
    /// It was not sent: `EADDRNOTAVAIL` while the interface has no address that is fit, `ENETDOWN`, `EWOULDBLOCK` and the like.
    pub fn send(&self, message: &[u8], destination: Ipv6Addr) -> io::Result<()> {
        let destination = SocketAddrV6::new(destination, 0, 0, self.interface);
        self.socket.get_ref().send_to(message, &destination.into()).map(drop)
    }
}

/// `struct icmp6_filter`: a bit for each type, set if it is blocked, in words of the host's order.
fn filter(types: &[u8]) -> [u8; 32] {
    let mut words = [u32::MAX; 8];
    for kind in types {
        words[usize::from(kind >> 5)] &= !(1 << (kind & 31));
    }
    let mut octets = [0; 32];
    for (place, word) in octets.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_lets_through_what_is_asked_for_and_nothing_else() {
        let octets = filter(&[133, 134]);
        let is_blocked = |kind: usize| {
            let word = u32::from_ne_bytes(octets[kind / 32 * 4..][..4].try_into().unwrap());
            word >> (kind % 32) & 1 == 1
        };
        let passed: Vec<usize> = (0..256).filter(|kind| !is_blocked(*kind)).collect();
        assert_eq!(passed, [133, 134]);
    }
}
