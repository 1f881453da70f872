//! Options of sockets.

use std::io;
use std::os::fd::AsRawFd;

/// Precedence 6: the octet of IPv4's type of service and of IPv6's traffic class.
const CLASS_SELECTOR_6: libc::c_int = 0xc0;

/// Sets an option whose value is a number.
///
/// # Errors
/// The kernel refuses it.
pub(crate) fn set(
    socket: &impl AsRawFd,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    set_octets(socket, level, name, &value.to_ne_bytes())
}

/// Sets an option whose value is a structure, laid out as the kernel has it.
///
/// # Errors
/// The kernel refuses it.
pub(crate) fn set_octets(
    socket: &impl AsRawFd,
    level: libc::c_int,
    name: libc::c_int,
    value: &[u8],
) -> io::Result<()> {
    // SAFETY: the descriptor is open as long as `socket`; the kernel reads at most as many octets as `value` has.
    let status = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            value.as_ptr().cast(),
            value.len() as libc::socklen_t,
        )
    };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads an option whose value is a structure, laid out as the kernel has it. Octets that the kernel does not write stay.
///
/// # Errors
/// The kernel refuses it.
pub(crate) fn get_octets(
    socket: &impl AsRawFd,
    level: libc::c_int,
    name: libc::c_int,
    value: &mut [u8],
) -> io::Result<()> {
    let mut length = value.len() as libc::socklen_t;
    // SAFETY: the descriptor is open as long as `socket`; the kernel writes at most `length` octets to `value`, which
    // has as many.
    let status = unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, name, value.as_mut_ptr().cast(), &raw mut length)
    };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Asks for a receive queue of so many octets, as the kernel counts them; without CAP_NET_ADMIN as much of it as the system
/// allows. A shorter queue only drops more in a flood.
///
/// # Errors
/// The kernel refuses both.
pub(crate) fn set_receive_buffer(socket: &impl AsRawFd, octets: libc::c_int) -> io::Result<()> {
    if set(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, octets).is_ok() {
        return Ok(());
    }
    set(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, octets)
}

/// Sets the TTL or hop limit of what is sent.
///
/// # Errors
/// `EINVAL` for 0, with IPv4 alone.
pub(crate) fn set_hop_limit(socket: &impl AsRawFd, is_v6: bool, hops: u8) -> io::Result<()> {
    let (level, name) =
        if is_v6 { (libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS) } else { (libc::IPPROTO_IP, libc::IP_TTL) };
    set(socket, level, name, hops.into())
}

/// Marks what is sent as internetwork control (CS6, RFC 2474 §4.2.2.1).
///
/// # Errors
/// None that is known.
pub(crate) fn set_internetwork_control(socket: &impl AsRawFd, is_v6: bool) -> io::Result<()> {
    let (level, name) =
        if is_v6 { (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) } else { (libc::IPPROTO_IP, libc::IP_TOS) };
    set(socket, level, name, CLASS_SELECTOR_6)
}
