//! The machine, its sockets and its clients.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use keryx_bfd::{ClientId, Discards, Discriminator, Event, Hops, IfIndex, Peer, Sessions, State};
use keryx_netio::link::Links;
use tokio::sync::watch;
use tracing::{info, trace, warn};

use super::handle::{Order, Request};
use super::sockets::Sockets;
use super::told::{Reason, SessionState, Told};
use crate::metrics::Metrics;

/// How often sockets are tried again that could not be opened, those are closed that nobody needs, and what the kernel
/// dropped is counted.
const UPKEEP: Duration = Duration::from_secs(1);
/// Why a session has failed whose interface is gone, or another one by the same name.
const INTERFACE_GONE: &str = "its interface was removed";

pub(super) struct Driver {
    sessions: Sessions,
    sockets: Sockets,
    clients: BTreeMap<ClientId, Client>,
    links: Links,
    metrics: Metrics,
    /// What has been counted of the machine's discards.
    discards: Discards,
    /// What has been counted of the kernel's drops.
    dropped: u64,
    /// When to do what is done once in [`UPKEEP`]; `None` while there is no session and no client.
    upkeep_at: Option<Instant>,
}

struct Client {
    request: Request,
    /// The session that it has a share of.
    share: Option<(Peer, Discriminator)>,
    told: watch::Sender<Told>,
}

impl Driver {
    pub(super) fn new(seed: u64, links: Links, metrics: Metrics) -> Self {
        Self {
            sessions: Sessions::new(seed),
            sockets: Sockets::new(seed),
            clients: BTreeMap::new(),
            links,
            metrics,
            discards: Discards::default(),
            dropped: 0,
            upkeep_at: None,
        }
    }

    /// Notes an order, to be carried out by [`follow`](Self::follow).
    pub(super) fn take(&mut self, order: Order, now: Instant) {
        match order {
            Order::Acquire { client, request, told } => {
                self.clients.insert(client, Client { request, share: None, told });
            }
            Order::Release(client) => {
                let gone = self.clients.remove(&client);
                if let Some((_, session)) = gone.and_then(|gone| gone.share) {
                    self.sessions.release(session, client, now);
                }
            }
        }
    }

    pub(super) fn set_links(&mut self, links: Links, now: Instant) {
        self.links = links;
        self.follow(now);
    }

    /// Gives every client a share of the session that it asks for, and every session its sockets.
    pub(super) fn follow(&mut self, now: Instant) {
        for (id, client) in &mut self.clients {
            let wanted = peer(&client.request, &self.links);
            if let Some((peer, session)) = client.share
                && wanted != Ok(peer)
            {
                self.sessions.release(session, *id, now);
                client.share = None;
                client.told.send_if_modified(|told| told.down(true, INTERFACE_GONE));
            }
            let mut has_joined = false;
            let outcome = wanted.and_then(|wanted| {
                let session = match client.share {
                    Some((_, session)) => session,
                    None => self.sessions.acquire(wanted, *id, client.request.config, now)?,
                };
                has_joined = client.share.replace((wanted, session)).is_none();
                let request = &client.request;
                self.sockets.open(session, wanted, request.source, request.interface.as_deref())?;
                Ok(session)
            });
            // The machine tells nothing to one who joins a session that is up.
            let joins_up =
                has_joined && outcome.as_ref().is_ok_and(|session| is_up(&self.sessions, *session));
            let reason = outcome.err();
            if let Some(reason) = &reason
                && client.told.borrow().state != SessionState::Unable(reason.clone())
            {
                warn!(peer = %client.request.remote, "BFD cannot work: {reason}");
            }
            client.told.send_if_modified(|told| told.unable(reason) | (joins_up && told.up()));
        }
        self.upkeep_at = self.upkeep_at.or(Some(now + UPKEEP));
        self.count_sessions();
    }

    /// Ends all shares.
    pub(super) fn release_all(&mut self, now: Instant) {
        for (id, client) in std::mem::take(&mut self.clients) {
            if let Some((_, session)) = client.share {
                self.sessions.release(session, id, now);
            }
        }
        self.count_sessions();
    }

    /// True if there is no session, nor one whose end is still told.
    pub(super) fn is_idle(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Waits until there may be something to read.
    pub(super) async fn readable(&self) {
        self.sockets.readable().await;
    }

    /// Takes in all that the sockets have.
    pub(super) fn read(&mut self, now: Instant) {
        let (sessions, received) = (&mut self.sessions, &self.metrics.bfd.packets_received);
        let failures = self.sockets.read(|datagram| match sessions.handle_input(datagram, now) {
            Ok(()) => {
                received.inc();
            }
            Err(cause) => trace!(source = %datagram.source, "a BFD packet is discarded: {cause}"),
        });
        self.metrics.packet_errors.inc_by(failures);
        let discards = self.sessions.discards();
        if discards != self.discards {
            self.metrics.bfd.count_discards(&discards, &self.discards);
            self.discards = discards;
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.sessions.poll_timeout()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.sessions.handle_timeout(now);
    }

    pub(super) fn upkeep_at(&self) -> Option<Instant> {
        self.upkeep_at
    }

    pub(super) fn upkeep(&mut self, now: Instant) {
        let dropped = self.sockets.dropped();
        // Less than before if a socket was closed meanwhile.
        self.metrics.bfd.count_dropped(dropped.saturating_sub(self.dropped));
        self.sockets.retain(&self.sessions.iter().map(|(peer, session)| (session, peer)).collect());
        self.dropped = self.sockets.dropped();
        self.upkeep_at = None;
        if !self.clients.is_empty() || !self.sessions.is_empty() {
            self.follow(now);
        }
    }

    /// Sends all that is ready, and tells clients all that is new.
    pub(super) fn flush(&mut self) {
        while let Some(transmit) = self.sessions.poll_transmit() {
            match self.sockets.send(&transmit) {
                Ok(()) => self.metrics.bfd.packets_sent.inc(),
                Err(_) => self.metrics.packet_errors.inc(),
            };
        }
        let mut has_news = false;
        while let Some(event) = self.sessions.poll_event() {
            self.tell(event);
            has_news = true;
        }
        if has_news {
            self.count_sessions();
        }
    }

    fn tell(&mut self, event: Event) {
        let session = match event {
            Event::Up { session, peer } => {
                info!(peer = %peer.address, "BFD session is up");
                session
            }
            Event::Down { session, peer, cause } => {
                if cause.is_failure() {
                    warn!(peer = %peer.address, "BFD session has failed: {cause}");
                } else {
                    info!(peer = %peer.address, "BFD session has ended: {cause}");
                }
                self.metrics.bfd.count_down(cause);
                session
            }
        };
        for client in self.sessions.clients(session).filter_map(|client| self.clients.get(&client)) {
            client.told.send_if_modified(|told| match event {
                Event::Up { .. } => told.up(),
                Event::Down { cause, .. } => told.down(cause.is_failure(), &cause.to_string()),
            });
        }
    }

    fn count_sessions(&self) {
        let shares = self.clients.values().filter_map(|client| client.share);
        let sessions: BTreeSet<Discriminator> = shares.map(|(_, session)| session).collect();
        let up = sessions.iter().filter(|session| is_up(&self.sessions, **session)).count();
        self.metrics.bfd.set_sessions(sessions.len(), up);
    }
}

fn is_up(sessions: &Sessions, session: Discriminator) -> bool {
    sessions.status(session).is_some_and(|status| status.state == State::Up)
}

/// Whom a request is about, as the interfaces are now.
fn peer(request: &Request, links: &Links) -> Result<Peer, Reason> {
    let address = request.remote.to_canonical();
    let interface = match &request.interface {
        Some(name) => {
            let link = links.values().find(|link| link.name == *name);
            Some(IfIndex(link.ok_or_else(|| Reason::NoInterface(name.clone()))?.index))
        }
        None => None,
    };
    let is_link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    if is_link_local && interface.is_none() {
        return Err(Reason::NoScope(address));
    }
    let hops = if request.multi_hop { Hops::Multi } else { Hops::Single };
    Ok(Peer { address, interface, hops })
}
