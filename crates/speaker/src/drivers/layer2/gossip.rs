//! The gossip's socket and keys.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;

use anyhow::{Context as _, ensure};
use keryx_membership::{DATAGRAM_MAX_LEN, Key, Keys};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::{info, warn};

/// The UDP port on which speakers talk to each other; free beside MetalLB's 7946.
pub(super) const PORT: u16 = 7947;
/// File of the key that seals; see [`KeySource`].
const KEY: &str = "key";
/// File of the key that is accepted as well.
const ACCEPTED_KEY: &str = "accepted-key";
const KEY_LEN: usize = 32;

/// The folder of the mounted Secret: `key`, and while it is being changed `accepted-key`, 32 octets each.
#[derive(Clone, Debug)]
pub struct KeySource(pub PathBuf);

impl KeySource {
    fn read(&self) -> anyhow::Result<Keys> {
        let sending = self.key(KEY)?.with_context(|| format!("{}/{KEY} is missing", self.0.display()))?;
        Ok(Keys { sending, accepted: self.key(ACCEPTED_KEY)? })
    }

    fn key(&self, name: &str) -> anyhow::Result<Option<Key>> {
        let path = self.0.join(name);
        let octets = match std::fs::read(&path) {
            Ok(octets) => octets,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("failed to read {}", path.display())),
        };
        ensure!(octets.len() == KEY_LEN, "{} has {} octets and not {KEY_LEN}", path.display(), octets.len());
        let mut key = [0; KEY_LEN];
        key.copy_from_slice(&octets);
        Ok(Some(Key::new(key)))
    }
}

/// Sends and receives datagrams of the gossip.
pub(super) struct Gossip {
    socket: Rc<UdpSocket>,
    /// The same socket, read without asking the runtime whether it is readable: when the process was stopped and goes on,
    /// timers fire before the runtime has looked at sockets, and what came in meanwhile must be known first of all.
    unasked: std::net::UdpSocket,
    is_v6: bool,
    waits: JoinHandle<()>,
    source: KeySource,
    keys: Keys,
    buffer: Box<[u8]>,
}

impl Gossip {
    /// Opens the socket and reads the keys. `readable` is told when there is something to read.
    ///
    /// # Errors
    /// The port is taken, or there is no key.
    pub(super) fn open(source: KeySource, readable: mpsc::Sender<()>) -> anyhow::Result<Self> {
        let keys = source.read().context("failed to read the key of the speakers' gossip")?;
        let (unasked, is_v6) = bind().with_context(|| {
            format!("failed to listen on UDP port {PORT}, where the speakers of a cluster talk to each other")
        })?;
        let socket = unasked.try_clone().and_then(UdpSocket::from_std);
        let socket = Rc::new(socket.context("failed to read from the gossip's socket")?);
        let waits = tokio::task::spawn_local(wait(Rc::clone(&socket), readable));
        // One octet more tells a datagram that is too long from one that fits.
        let buffer = vec![0; DATAGRAM_MAX_LEN + 1].into();
        Ok(Self { socket, unasked, is_v6, waits, source, keys, buffer })
    }

    /// The keys as last read.
    pub(super) fn keys(&self) -> Keys {
        self.keys.clone()
    }

    /// Reads the keys again; gives them if they have changed.
    pub(super) fn reload_keys(&mut self) -> Option<Keys> {
        match self.source.read() {
            Ok(keys) if keys == self.keys => None,
            Ok(keys) => {
                info!("the key of the speakers' gossip has changed");
                self.keys = keys.clone();
                Some(keys)
            }
            Err(error) => {
                warn!(
                    "failed to read the key of the speakers' gossip again, going on with the one before: {error:#}"
                );
                None
            }
        }
    }

    /// Hands over what has come in, at most `limit` datagrams.
    pub(super) fn read(&mut self, limit: usize, mut take: impl FnMut(SocketAddr, &[u8])) {
        for _ in 0..limit {
            // The port of a speaker that is gone makes an error of its own; it says nothing about this socket.
            match self.unasked.recv_from(&mut self.buffer) {
                Ok((length, from)) => take(canonical(from), &self.buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {}
            }
        }
        // This tells the runtime that all was read; or, rarely, reads what came just now.
        if let Ok((length, from)) = self.socket.try_recv_from(&mut self.buffer) {
            take(canonical(from), &self.buffer[..length]);
        }
    }

    /// Sends a datagram. One that cannot leave now is lost; whoever needs it is told again.
    pub(super) fn send(&self, to: SocketAddr, datagram: &[u8]) {
        let to = match to.ip() {
            IpAddr::V4(v4) if self.is_v6 => SocketAddr::new(v4.to_ipv6_mapped().into(), to.port()),
            IpAddr::V4(_) | IpAddr::V6(_) => to,
        };
        let _lost = self.socket.try_send_to(datagram, to);
    }
}

impl Drop for Gossip {
    fn drop(&mut self) {
        self.waits.abort();
    }
}

/// Both families on one socket that does not block; IPv4 alone where the node has no IPv6.
fn bind() -> io::Result<(std::net::UdpSocket, bool)> {
    let open = |ip: IpAddr| {
        let socket = std::net::UdpSocket::bind((ip, PORT))?;
        socket.set_nonblocking(true)?;
        Ok::<_, io::Error>(socket)
    };
    match open(Ipv6Addr::UNSPECIFIED.into()) {
        Ok(socket) => Ok((socket, true)),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
        Err(_) => Ok((open(Ipv4Addr::UNSPECIFIED.into())?, false)),
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

async fn wait(socket: Rc<UdpSocket>, readable: mpsc::Sender<()>) {
    while socket.readable().await.is_ok() {
        if readable.send(()).await.is_err() {
            return;
        }
        // Lets the loop read before this looks again.
        tokio::task::yield_now().await;
    }
}
