//! Speaking to one peer.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, SockAddr, SockFilter, Socket, Type};

use crate::{address, option};

/// TTL or hop limit of everything that is sent (RFC 5881 §5).
const TTL: u8 = 255;
/// `BPF_RET | BPF_K`: a filter's answer, here "take nothing".
const RETURN: u16 = 0x06;

/// Whose packets a socket sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session<'a> {
    /// Where to. A link-local address needs the scope id, which is the interface's number, or the device.
    pub remote: SocketAddr,
    /// The address to send from, which this node must have; else the kernel chooses one.
    pub source: Option<IpAddr>,
    /// The UDP port to send from. RFC 5881 §4 wants 49152 to 65535, another one for each session.
    pub source_port: u16,
    /// The interface or VRF that all packets go through; else the routes decide.
    pub device: Option<&'a str>,
}

/// Sends one session's packets, with a TTL of 255, marked as internetwork control (CS6).
#[derive(Debug)]
pub struct Sender {
    socket: Socket,
    remote: SockAddr,
}

impl Sender {
    /// Opens the socket, in the network namespace of the calling thread. It takes in nothing.
    ///
    /// # Errors
    /// `EADDRINUSE` if another socket has the source port: take another one. `EADDRNOTAVAIL` if the node does not have the
    /// source address. `ENODEV` if there is no such device. `InvalidInput` if the source is of the other family or a
    /// link-local one has neither scope id nor device.
    pub fn open(session: Session<'_>) -> io::Result<Self> {
        let Session { remote, source, source_port, device } = session;
        let domain = Domain::for_address(remote);
        let socket = Socket::new(domain, Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
        socket.attach_filter(&[SockFilter::new(RETURN, 0, 0, 0)])?;
        if remote.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        option::set_hop_limit(&socket, remote.is_ipv6(), TTL)?;
        option::set_internetwork_control(&socket, remote.is_ipv6())?;
        if let Some(device) = device {
            socket.bind_device(Some(device.as_bytes()))?;
        }
        let any = if remote.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        socket.bind(&address::source(source.unwrap_or(any), source_port, remote)?.into())?;
        // Not connected: else the kernel would keep what a peer without BFD answers (port unreachable), and would give it
        // back in place of sending the next packet.
        Ok(Self { socket, remote: remote.into() })
    }

    /// Sends a packet now or not at all.
    ///
    /// # Errors
    /// It was not sent: `ENETUNREACH`, `EHOSTUNREACH`, `ENETDOWN`, `EWOULDBLOCK` if the send queue is full, and the like.
    /// The next one may be.
    pub fn send(&self, payload: &[u8]) -> io::Result<()> {
        self.socket.send_to(payload, &self.remote).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_leave_with_a_ttl_of_255_marked_as_internetwork_control() {
        let open = |remote: &str| {
            let remote = remote.parse().unwrap();
            // The kernel chooses the port.
            Sender::open(Session { remote, source: None, source_port: 0, device: None }).unwrap().socket
        };
        let (v4, v6) = (open("192.0.2.1:3784"), open("[2001:db8::1]:3784"));
        assert_eq!((v4.ttl_v4().unwrap(), v4.tos_v4().unwrap()), (255, 48 << 2));
        assert_eq!((v6.unicast_hops_v6().unwrap(), v6.tclass_v6().unwrap()), (255, 48 << 2));
    }
}
