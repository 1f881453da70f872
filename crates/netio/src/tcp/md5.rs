//! Keys of TCP MD5 signatures (RFC 2385).

use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;

use ipnet::IpNet;
use tokio::net::TcpStream;

use crate::option;

/// Longest key that the kernel takes, in octets.
pub const KEY_LEN_MAX: usize = libc::TCP_MD5SIG_MAXKEYLEN;

/// Where things are in the kernel's `struct tcp_md5sig`, which begins with a `sockaddr_storage`.
const ADDRESS_LEN: usize = size_of::<libc::sockaddr_storage>();
const FLAGS: usize = ADDRESS_LEN;
const PREFIX_LEN: usize = FLAGS + 1;
const KEY_LEN: usize = PREFIX_LEN + 1;
/// After the length of the key comes the number of a VRF, which is not used here.
const KEY: usize = KEY_LEN + 2 + 4;
const LEN: usize = KEY + KEY_LEN_MAX;

/// `TCP_MD5SIG_FLAG_PREFIX`: the key is for all addresses of a prefix.
const FLAG_PREFIX: u8 = 1;

/// Changes the key of a connection that stands and is signed: what leaves from now on is signed with it, and what comes must be. The
/// connection lives on if the peer changes its key before either side gives up.
///
/// # Errors
/// As [`Listener::set_key`](super::Listener::set_key), and the peer's address cannot be told since the connection is gone.
pub fn set_key(stream: &TcpStream, key: &[u8]) -> io::Result<()> {
    set(stream, IpNet::from(stream.peer_addr()?.ip()), key)
}

/// Signs what goes to the addresses of `remote`, and demands it of what comes from them; in place of an earlier key.
pub(super) fn set(socket: &impl AsRawFd, remote: IpNet, key: &[u8]) -> io::Result<()> {
    if key.is_empty() || key.len() > KEY_LEN_MAX {
        let text = format!("a key of TCP MD5 has 1 to {KEY_LEN_MAX} octets, not {}", key.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    match tell(socket, remote, key) {
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this kernel cannot sign TCP segments (CONFIG_TCP_MD5SIG)",
        )),
        told => told,
    }
}

/// Signs nothing for `remote` any more. Nothing if there was no key.
pub(super) fn remove(socket: &impl AsRawFd, remote: IpNet) -> io::Result<()> {
    match tell(socket, remote, &[]) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        told => told,
    }
}

/// An empty key removes the one that is there.
fn tell(socket: &impl AsRawFd, remote: IpNet, key: &[u8]) -> io::Result<()> {
    // Kernels before 4.13 know no prefixes.
    let is_host = remote.prefix_len() == remote.max_prefix_len();
    let name = if is_host { libc::TCP_MD5SIG } else { libc::TCP_MD5SIG_EXT };
    option::set_octets(socket, libc::IPPROTO_TCP, name, &encode(remote, key))
}

/// `struct tcp_md5sig`. The key must not be longer than [`KEY_LEN_MAX`].
fn encode(remote: IpNet, key: &[u8]) -> [u8; LEN] {
    let mut octets = [0; LEN];
    let mut put = |at: usize, value: &[u8]| octets[at..at + value.len()].copy_from_slice(value);
    // The kernel finds a key to change by the address as it was given, so all of one prefix must be the same.
    match remote.network() {
        IpAddr::V4(address) => {
            put(0, &(libc::AF_INET as libc::sa_family_t).to_ne_bytes());
            put(std::mem::offset_of!(libc::sockaddr_in, sin_addr), &address.octets());
        }
        IpAddr::V6(address) => {
            put(0, &(libc::AF_INET6 as libc::sa_family_t).to_ne_bytes());
            put(std::mem::offset_of!(libc::sockaddr_in6, sin6_addr), &address.octets());
        }
    }
    if remote.prefix_len() != remote.max_prefix_len() {
        put(FLAGS, &[FLAG_PREFIX]);
    }
    put(PREFIX_LEN, &[remote.prefix_len()]);
    put(KEY_LEN, &(key.len() as u16).to_ne_bytes());
    put(KEY, key);
    octets
}
