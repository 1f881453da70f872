//! TCP as BGP needs it: connections with a source address, a device, a limit of hops, and signatures by a shared key.
//!
//! Every connection sends without delay (`TCP_NODELAY`), marked as internetwork control (CS6, RFC 4271 appendix E and
//! RFC 2474 §4.2.2.1), and is closed on exec. How much waits in its send buffer is the kernel's choice
//! (`net.ipv4.tcp_wmem`).
//!
//! **What a signature does.** With a key (TCP MD5, RFC 2385) the kernel signs every segment and drops each one that is not
//! signed with the same key. It answers nothing and tells nobody: a wrong key, or one that only one side has, looks like
//! a peer that is not there. So a connection attempt ends by the caller's time limit, and one that was established ends
//! by BGP's hold timer. A key that is changed on a listener is for connections from then on; those that stand keep theirs, unless
//! [`set_key`] changes it.

mod listener;
mod md5;
mod ttl;

use std::io;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpSocket, TcpStream};

use crate::{address, option};
pub use listener::Listener;
pub use md5::{KEY_LEN_MAX, set_key};
pub use ttl::{Ttl, set_ttl};

/// A connection to make.
#[derive(Clone, Copy)]
pub struct Dial<'a> {
    /// Whom to call. A link-local address needs the scope id, which is the interface's number.
    pub remote: SocketAddr,
    /// The address to call from, which this node must have; else the kernel chooses one.
    pub source: Option<IpAddr>,
    /// The interface or VRF that all packets go through; else the routes decide.
    pub device: Option<&'a str>,
    /// The key that both sides know, of 1 to [`KEY_LEN_MAX`] octets; else nothing is signed.
    pub md5: Option<&'a [u8]>,
    /// How far the peer may be.
    pub ttl: Ttl,
}

/// Connects. It sets no time limit, and the kernel gives up only after two minutes: drop the future to give up. To be
/// called within a tokio runtime; the socket belongs to the network namespace of the thread that polls it first.
///
/// # Errors
/// What the peer or the network answers: `ECONNREFUSED`, `EHOSTUNREACH` and the like. `EADDRNOTAVAIL` if the node does
/// not have the source address. `ENODEV` if there is no such device. `InvalidInput` if the source is of the other family, a
/// link-local address has no scope id, the key's length is out of range, or the TTL is 0. `Unsupported` if the kernel was
/// built without TCP MD5.
pub async fn dial(dial: Dial<'_>) -> io::Result<TcpStream> {
    let socket = open(dial.remote, dial.device)?;
    ttl::apply(&socket, dial.remote.is_ipv6(), dial.ttl)?;
    if let Some(key) = dial.md5 {
        md5::set(&socket, IpNet::from(dial.remote.ip()), key)?;
    }
    if let Some(source) = dial.source {
        socket.bind(&address::source(source, 0, dial.remote)?.into())?;
    }
    TcpSocket::from_std_stream(socket.into()).connect(dial.remote).await
}

/// Sends what the kernel takes at once, and returns how many octets that was; 0 if it takes none. For the last message of
/// a connection, when nothing may wait.
///
/// A connection that is closed while it has unread octets is reset, and the peer may then lose what was sent last: read
/// them first, or shut down the sending side and wait for the peer's end.
///
/// # Errors
/// The connection is gone: `EPIPE`, `ECONNRESET`.
pub fn send_now(stream: &TcpStream, octets: &[u8]) -> io::Result<usize> {
    // Not by the runtime, which believes a new connection not to be writable until it has looked.
    match SockRef::from(stream).send_with_flags(octets, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        sent => sent,
    }
}

/// A socket of the address's family, with everything that dialling and listening have in common.
fn open(address: SocketAddr, device: Option<&str>) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    option::set_internetwork_control(&socket, address.is_ipv6())?;
    if let Some(device) = device {
        socket.bind_device(Some(device.as_bytes()))?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests;
