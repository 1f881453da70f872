//! The sockets of all sessions.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::task::Poll;

use keryx_bfd::{Datagram, Discriminator, Hops, IfIndex, Peer, Transmit};
use keryx_netio::bfd::{Receiver, Sender, Session};

use super::Reason;

/// Ports to send from (RFC 5881 §4).
const SOURCE_PORTS: RangeInclusive<u16> = 49_152..=65_535;
/// Octets of a datagram that are read. No control packet is longer than 52, and what follows is of no meaning.
const PAYLOAD_LEN: usize = 64;
/// Datagrams read in a row from one socket before timers get their turn; more than the kernel's queue holds.
const READS_MAX: usize = 4096;

/// Sockets to hear with, one per port and family in use, and one per session to send from.
pub(super) struct Sockets {
    receivers: BTreeMap<(Hops, Family), Receiver>,
    senders: BTreeMap<Discriminator, (u16, Sender)>,
    ports_used: BTreeSet<u16>,
    next_port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    V4,
    V6,
}

impl Sockets {
    /// None yet. The first source port follows from `seed`, so that a peer does not take a new start for the one before.
    pub(super) fn new(seed: u64) -> Self {
        let count = u64::from(SOURCE_PORTS.end() - SOURCE_PORTS.start()) + 1;
        let offset = u16::try_from(seed % count).unwrap_or_default();
        Self {
            receivers: BTreeMap::new(),
            senders: BTreeMap::new(),
            ports_used: BTreeSet::new(),
            next_port: SOURCE_PORTS.start() + offset,
        }
    }

    /// Has what a session needs. Nothing if it has it.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub(super) fn open(
        &mut self,
        session: Discriminator,
        peer: Peer,
        source: Option<IpAddr>,
        device: Option<&str>,
    ) -> Result<(), Reason> {
        let (family, any): (_, IpAddr) = match peer.address {
            IpAddr::V4(_) => (Family::V4, Ipv4Addr::UNSPECIFIED.into()),
            IpAddr::V6(_) => (Family::V6, Ipv6Addr::UNSPECIFIED.into()),
        };
        let port = peer.hops.port();
        if let Entry::Vacant(place) = self.receivers.entry((peer.hops, family)) {
            let receiver = Receiver::open(SocketAddr::new(any, port))
                .map_err(|error| Reason::Receive { port, error: error.to_string() })?;
            place.insert(receiver);
        }
        if !self.senders.contains_key(&session) {
            // A link-local address needs no scope beside the device that it has.
            let remote = SocketAddr::new(peer.address, port);
            let sender = self
                .open_sender(remote, source, device)
                .map_err(|error| Reason::Send { remote: peer.address, error: error.to_string() })?;
            self.senders.insert(session, sender);
        }
        Ok(())
    }

    /// With the next port that no session and nobody else on this node has.
    fn open_sender(
        &mut self,
        remote: SocketAddr,
        source: Option<IpAddr>,
        device: Option<&str>,
    ) -> io::Result<(u16, Sender)> {
        for _ in SOURCE_PORTS {
            let source_port = self.next_port;
            self.next_port =
                if source_port == *SOURCE_PORTS.end() { *SOURCE_PORTS.start() } else { source_port + 1 };
            if self.ports_used.contains(&source_port) {
                continue;
            }
            match Sender::open(Session { remote, source, source_port, device }) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                opened => {
                    let sender = opened?;
                    self.ports_used.insert(source_port);
                    return Ok((source_port, sender));
                }
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    /// Closes what no session needs that lives.
    pub(super) fn retain(&mut self, sessions: &BTreeMap<Discriminator, Peer>) {
        self.senders.retain(|session, (port, _)| {
            let is_needed = sessions.contains_key(session);
            if !is_needed {
                self.ports_used.remove(port);
            }
            is_needed
        });
        self.receivers.retain(|(hops, family), _| {
            sessions
                .values()
                .any(|peer| peer.hops == *hops && peer.address.is_ipv6() == (*family == Family::V6))
        });
    }

    /// Waits until there may be something to read.
    pub(super) async fn readable(&self) {
        poll_fn(|context| {
            let is_ready = |receiver: &Receiver| receiver.poll_readable(context).is_ready();
            if self.receivers.values().any(is_ready) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Hands over all that has come in. Returns how often reading failed.
    pub(super) fn read(&self, mut take: impl FnMut(&Datagram<'_>)) -> u64 {
        let mut payload = [0; PAYLOAD_LEN];
        let mut failures = 0;
        for ((hops, _), receiver) in &self.receivers {
            for _ in 0..READS_MAX {
                match receiver.try_recv(&mut payload) {
                    Ok(None) => break,
                    Ok(Some(received)) => take(&Datagram {
                        payload: &payload[..received.length],
                        source: received.source,
                        interface: IfIndex(received.interface),
                        hops: *hops,
                        ttl: received.ttl,
                    }),
                    Err(_) => failures += 1,
                }
            }
        }
        failures
    }

    /// Sends a packet. One that cannot leave now is lost, and so is that of a session without a socket.
    ///
    /// # Errors
    /// The kernel does not take it.
    pub(super) fn send(&self, transmit: &Transmit) -> io::Result<()> {
        let (_, sender) = self.senders.get(&transmit.session).ok_or(io::ErrorKind::NotConnected)?;
        sender.send(&transmit.payload)
    }

    /// Datagrams that the kernel has dropped so far, at each port and family.
    pub(super) fn dropped(&self) -> u64 {
        self.receivers.values().filter_map(|receiver| receiver.dropped().ok()).map(u64::from).sum()
    }
}
