//! Datagrams with what the kernel says of the way that they came.

mod control;

use std::io;
use std::mem;
use std::net::IpAddr;
use std::os::fd::AsRawFd;

use socket2::{SockAddr, Socket};

/// A datagram as it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Octets of its payload in the buffer.
    pub length: usize,
    /// Its source address.
    pub source: IpAddr,
    /// The number of the interface that it came in through.
    pub interface: u32,
    /// Its TTL or hop limit.
    pub ttl: u8,
}

/// Takes the next datagram of a socket that tells the interface and the TTL of each; what does not fit into `payload` is cut off.
///
/// # Errors
/// `EWOULDBLOCK` if none waits; `ENOMEM` and the like.
pub(crate) fn receive(socket: &Socket, payload: &mut [u8]) -> io::Result<Received> {
    let mut control = control::Buffer::default();
    let mut part = libc::iovec { iov_base: payload.as_mut_ptr().cast(), iov_len: payload.len() };
    // SAFETY: zeros are a valid value of this structure of numbers and pointers.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len() as _;
    // SAFETY: the descriptor is open as long as `socket`. The kernel writes at most as many octets to the payload, the
    // control buffer and the address as their lengths say; all three outlive the call, and any content is valid.
    // It sets the address's length to what it has written.
    let (length, source) = unsafe {
        SockAddr::try_init(|address, address_len| {
            message.msg_name = address.cast();
            message.msg_namelen = *address_len;
            let length = libc::recvmsg(socket.as_raw_fd(), &raw mut message, 0);
            *address_len = message.msg_namelen;
            usize::try_from(length).map_err(|_| io::Error::last_os_error())
        })
    }?;
    let written = control.0.get(..message.msg_controllen as usize).unwrap_or_default();
    let way = control::read(written);
    let whole = source.as_socket().zip(way);
    let (source, way) =
        whole.ok_or_else(|| io::Error::other("a datagram without source, interface or TTL"))?;
    Ok(Received { length, source: source.ip(), interface: way.interface, ttl: way.ttl })
}
