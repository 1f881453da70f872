//! The sockets of each interface that is announced on or asked about.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context as _;
use keryx_layer2::{Announcer, IfIndex};
use keryx_netio::groups::SolicitedNodeGroups;
use keryx_netio::packet::{FRAME_LEN_MAX, PacketSocket, Protocol};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::metrics::Metrics;

/// Longest wait for one interface to take a frame: the others must not wait for it.
const SEND_LIMIT: Duration = Duration::from_millis(50);

/// All sockets, by interface.
pub(super) struct Ports {
    ports: BTreeMap<IfIndex, Port>,
    readable: mpsc::Sender<()>,
    metrics: Metrics,
}

/// The sockets of one interface.
struct Port {
    sockets: [Socket; 2],
    groups: SolicitedNodeGroups,
    /// The revision of the announcer's addresses that the kernel's filter knows.
    filtered: u64,
    /// The revision of the addresses whose groups are joined.
    joined: u64,
}

struct Socket {
    socket: Rc<PacketSocket>,
    waits: JoinHandle<()>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.waits.abort();
    }
}

impl Ports {
    /// None yet. `readable` is told when some socket has something to read.
    pub(super) fn new(readable: mpsc::Sender<()>, metrics: Metrics) -> Self {
        Self { ports: BTreeMap::new(), readable, metrics }
    }

    /// Whether the kernel does not know yet what matters to the announcer.
    pub(super) fn is_behind(&self, announcer: &Announcer) -> bool {
        self.ports.iter().any(|(index, port)| port.is_behind(*index, announcer))
            || announcer.interfaces().any(|index| !self.ports.contains_key(&index))
    }

    /// Opens and closes sockets so that each interface of the announcer has its own, and tells the kernel which
    /// addresses matter. Says whether all of that worked.
    pub(super) fn follow(&mut self, announcer: &Announcer) -> bool {
        self.ports.retain(|index, _| announcer.interfaces().any(|known| known == *index));
        let mut done = true;
        for index in announcer.interfaces() {
            if let Err(error) = self.follow_interface(index, announcer) {
                self.metrics.packet_errors.inc();
                warn!(interface = index.0, "failed to listen, trying again: {error:#}");
                done = false;
            }
        }
        done
    }

    fn follow_interface(&mut self, index: IfIndex, announcer: &Announcer) -> anyhow::Result<()> {
        if let Some(port) = self.ports.get_mut(&index) {
            return port.tell(index, announcer);
        }
        let addresses = announcer.addresses(index);
        let open = |protocol| -> anyhow::Result<Socket> {
            let socket = PacketSocket::open(index.0, protocol, &addresses)
                .context("failed to open a packet socket")?;
            let socket = Rc::new(socket);
            let waits = tokio::task::spawn_local(wait(Rc::clone(&socket), self.readable.clone()));
            Ok(Socket { socket, waits })
        };
        let sockets = [open(Protocol::Arp)?, open(Protocol::NeighborDiscovery)?];
        let filtered = announcer.addresses_revision(index);
        // None is joined yet, and no interface has that revision.
        let mut port = Port { sockets, groups: SolicitedNodeGroups::new(index.0), filtered, joined: 0 };
        port.tell(index, announcer)?;
        self.ports.insert(index, port);
        info!(interface = index.0, "answering ARP and neighbor discovery");
        Ok(())
    }

    /// Joins all groups of an interface anew, which came back.
    pub(super) fn rejoin(&mut self, index: IfIndex) {
        if let Some(port) = self.ports.get_mut(&index)
            && let Err(error) = port.groups.rejoin()
        {
            self.metrics.packet_errors.inc();
            warn!(interface = index.0, %error, "failed to join the groups of IPv6 addresses");
        }
    }

    /// Hands over what has come in, at most `limit` frames of each socket.
    pub(super) fn read(&self, limit: usize, mut take: impl FnMut(IfIndex, &[u8])) {
        let mut frame = [0; FRAME_LEN_MAX];
        for (index, port) in &self.ports {
            for Socket { socket, .. } in &port.sockets {
                for _ in 0..limit {
                    match socket.try_recv(&mut frame) {
                        Ok(Some(length)) => take(*index, &frame[..length]),
                        Ok(None) => break,
                        Err(error) => {
                            warn!(interface = index.0, %error, "failed to read a frame");
                            break;
                        }
                    }
                }
            }
        }
    }

    /// Sends all frames that are ready.
    pub(super) async fn transmit(&self, announcer: &mut Announcer) {
        while let Some(transmit) = announcer.poll_transmit() {
            let Some(port) = self.ports.get(&transmit.interface) else { continue };
            let socket = &port.sockets[usize::from(transmit.is_ipv6)].socket;
            let sent = match timeout(SEND_LIMIT, socket.send(&transmit.frame)).await {
                Ok(sent) => sent,
                Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
            };
            if let Err(error) = sent {
                self.metrics.packet_errors.inc();
                warn!(interface = transmit.interface.0, %error, "failed to send a frame");
            }
        }
    }
}

impl Port {
    fn is_behind(&self, index: IfIndex, announcer: &Announcer) -> bool {
        self.filtered != announcer.addresses_revision(index)
            || self.joined != announcer.solicited_revision(index)
    }

    /// Tells the kernel what has changed.
    fn tell(&mut self, index: IfIndex, announcer: &Announcer) -> anyhow::Result<()> {
        let revision = announcer.addresses_revision(index);
        if self.filtered != revision {
            let addresses = announcer.addresses(index);
            for Socket { socket, .. } in &self.sockets {
                socket.set_addresses(&addresses).context("failed to set a packet filter")?;
            }
            self.filtered = revision;
        }
        let revision = announcer.solicited_revision(index);
        if self.joined != revision {
            // A node without IPv6 has no such groups, and no IPv6 VIP to answer for.
            self.groups
                .set_addresses(&announcer.solicited(index).collect())
                .context("failed to join the groups of IPv6 addresses")?;
            self.joined = revision;
        }
        Ok(())
    }
}

async fn wait(socket: Rc<PacketSocket>, readable: mpsc::Sender<()>) {
    while socket.readable().await.is_ok() {
        if readable.send(()).await.is_err() {
            return;
        }
        // Lets the loop read before this looks again.
        tokio::task::yield_now().await;
    }
}
