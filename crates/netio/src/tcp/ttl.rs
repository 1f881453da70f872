//! How far a peer may be.

use std::io;
use std::os::fd::AsRawFd;

use tokio::net::TcpStream;

use crate::option;

/// What [`Ttl::Default`] sends, whatever the system's own default is.
const DEFAULT: u8 = 64;
/// What [`Ttl::Security`] sends and demands.
const SECURITY: u8 = 255;

/// How far the peer of a connection may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ttl {
    /// Anywhere: packets leave with a TTL or hop limit of 64. For internal peers.
    #[default]
    Default,
    /// So many hops at most, 1 to 255; 1 for an external peer on the link. It limits what leaves, not what comes in.
    Hops(u8),
    /// On the link, and nobody else can pretend to be it (GTSM, RFC 5082): packets leave with 255, and the kernel drops
    /// all that come with less. Both sides need it.
    Security,
}

/// Sets how far the peer of a connection may be; for one that was accepted. What it sent before is taken in any case.
///
/// # Errors
/// `InvalidInput` for no hops at all.
pub fn set_ttl(stream: &TcpStream, ttl: Ttl) -> io::Result<()> {
    apply(stream, stream.local_addr()?.is_ipv6(), ttl)
}

pub(super) fn apply(socket: &impl AsRawFd, is_v6: bool, ttl: Ttl) -> io::Result<()> {
    let (sent, minimum) = match ttl {
        Ttl::Default => (DEFAULT, 0),
        // The kernel refuses it for IPv4 only.
        Ttl::Hops(0) => return Err(io::ErrorKind::InvalidInput.into()),
        Ttl::Hops(hops) => (hops, 0),
        Ttl::Security => (SECURITY, SECURITY),
    };
    option::set_hop_limit(socket, is_v6, sent)?;
    let (level, name) = if is_v6 {
        (libc::IPPROTO_IPV6, libc::IPV6_MINHOPCOUNT)
    } else {
        (libc::IPPROTO_IP, libc::IP_MINTTL)
    };
    option::set(socket, level, name, minimum.into())
}
