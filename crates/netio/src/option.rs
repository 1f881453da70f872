//! Options of sockets.

use std::io;
use std::os::fd::AsRawFd;

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
