//! Waiting for peers that call.

use std::io;
use std::net::SocketAddr;

use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};

use super::{Ttl, md5, open, ttl};

/// Connections that wait to be accepted; further ones must try again.
const BACKLOG: libc::c_int = 128;

/// Listens on one port, for one address family.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
}

impl Listener {
    /// Listens at `local`: `0.0.0.0` for IPv4 alone, `::` for IPv6 alone, or one address of this node. With a device, only
    /// what comes in through that interface or VRF is taken. To be called within a tokio runtime; the socket belongs to
    /// the network namespace of the calling thread.
    ///
    /// Its part of the handshake leaves with a TTL of 255, so that peers that demand it (RFC 5082) can connect.
    ///
    /// # Errors
    /// `PermissionDenied`, which says so in words, if the port is below 1024 and the process has no
    /// CAP_NET_BIND_SERVICE. `EADDRINUSE` if somebody listens there already. `ENODEV` if there is no such device.
    pub fn open(local: SocketAddr, device: Option<&str>) -> io::Result<Self> {
        let socket = open(local, device)?;
        if local.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // Connections of the process before this one may still end; they are no reason to wait. Two cannot listen.
        socket.set_reuse_address(true)?;
        ttl::apply(&socket, local.is_ipv6(), Ttl::Hops(u8::MAX))?;
        socket.bind(&local.into()).map_err(|error| in_words(error, local.port()))?;
        socket.listen(BACKLOG)?;
        Ok(Self { listener: TcpListener::from_std(socket.into())? })
    }

    /// From now on, connections from the addresses of `remote` must be signed with `key`, of 1 to
    /// [`KEY_LEN_MAX`](super::KEY_LEN_MAX) octets. It takes the place of an earlier key of the same prefix; of several
    /// prefixes, the longest counts. Connections that stand keep the key they have.
    ///
    /// # Errors
    /// `InvalidInput` if the key's length is out of range. `ENOMEM` if there are more keys than `net.core.optmem_max` has room
    /// for: some 100 with the 20 KiB that were the default before Linux 6.7. `Unsupported` if the kernel was built without
    /// TCP MD5.
    pub fn set_key(&self, remote: IpNet, key: &[u8]) -> io::Result<()> {
        md5::set(&self.listener, remote, key)
    }

    /// From now on, connections from the addresses of `remote` must not be signed, unless a shorter prefix has a key.
    /// Nothing if this very prefix has none.
    ///
    /// # Errors
    /// None that is known where [`set_key`](Self::set_key) works.
    pub fn remove_key(&self, remote: IpNet) -> io::Result<()> {
        md5::remove(&self.listener, remote)
    }

    /// Waits for a connection, and says who called. It takes over the listener's options, but for the TTL: call
    /// [`set_ttl`](super::set_ttl) before anything else.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`: the connection waits on. Pause before another try.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        loop {
            match self.listener.accept().await {
                // It was there and has gone: nothing to the next one.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                accepted => return accepted,
            }
        }
    }
}

/// The kernel's refusal, if it is one to listen on this port at all, in words.
pub(super) fn in_words(error: io::Error, port: u16) -> io::Error {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return error;
    }
    let text = format!("to listen on TCP port {port}, the process needs the capability CAP_NET_BIND_SERVICE");
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}
