//! The task of one peer: its machine, its connections, its timer.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;

use keryx_bgp::peer::Counters;
use keryx_bgp::{Action, ConnectionId, Event, Peer, Reason, Stop};
use keryx_netio::tcp::{self, Dial};
use keryx_plan::bgp::PeerPlan;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tracing::{debug, info, warn};

use super::connection::{Connection, Reading};
use super::routes::Routes;
use super::standing::{Agreed, Standing, Standings, State};
use super::unnumbered::Place;
use super::{Key, settings};
use crate::clock;
use crate::drivers::bfd::{News, Watched};
use crate::metrics::{Metrics, PeerLabels};
use crate::orders::Orders;

/// What a session is told by the one who keeps all of them.
#[derive(Debug)]
pub(super) enum Command {
    /// The password has changed.
    Key(Key),
    /// BFD watches the path from now on, or does so with other intervals, or no longer.
    Bfd(Option<Watched>),
    /// The peer has dialled us.
    Accepted(TcpStream),
    /// The peer cannot dial us, for this reason.
    Deaf(String),
    /// It is to end. The task ends with it.
    End(Stop),
}

/// What a session is made of.
pub(super) struct Parts {
    pub(super) name: Arc<str>,
    pub(super) plan: Arc<PeerPlan>,
    pub(super) place: Place,
    pub(super) peer: Peer,
    pub(super) key: Key,
    pub(super) bfd: Option<Watched>,
    pub(super) orders: watch::Receiver<Orders>,
    pub(super) standings: watch::Sender<Standings>,
    pub(super) metrics: Metrics,
}

/// Everything that can happen to a session.
enum Happening {
    Command(Option<Command>),
    Orders,
    Dialed(ConnectionId, io::Result<TcpStream>),
    Readable,
    Bfd(News),
    Due,
}

struct Session {
    parts: Parts,
    routes: Routes,
    connections: BTreeMap<ConnectionId, Connection>,
    dials: JoinSet<(ConnectionId, io::Result<TcpStream>)>,
    dialing: BTreeMap<ConnectionId, AbortHandle>,
    /// What the last attempt at dialling came to, in the kernel's words.
    dial_error: Option<io::Error>,
    buffer: Vec<u8>,
    /// What the metrics have of the machine's counters.
    counted: Counters,
}

/// Runs a session until it is told to end.
pub(super) async fn run(parts: Parts, mut commands: mpsc::Receiver<Command>) {
    let routes = Routes::new(Arc::clone(&parts.name));
    let mut session = Session {
        parts,
        routes,
        connections: BTreeMap::new(),
        dials: JoinSet::new(),
        dialing: BTreeMap::new(),
        dial_error: None,
        buffer: Vec::new(),
        counted: Counters::default(),
    };
    session.begin();
    loop {
        session.settle();
        match session.next(&mut commands).await {
            Happening::Command(Some(Command::End(stop))) => return session.end(&stop),
            Happening::Command(None) => return session.end(&Stop::Deconfigured),
            Happening::Command(Some(Command::Key(key))) => session.set_key(key),
            Happening::Command(Some(Command::Bfd(watched))) => session.set_bfd(watched),
            Happening::Command(Some(Command::Accepted(stream))) => session.accept(stream),
            Happening::Command(Some(Command::Deaf(why))) => {
                session.note(|standing| standing.last_error = Some(why));
            }
            Happening::Orders => session.follow(),
            Happening::Dialed(id, outcome) => session.dialed(id, outcome),
            Happening::Readable => session.serve(),
            Happening::Bfd(news) => session.heed_bfd(&news),
            Happening::Due => session.handle_timeout(),
        }
    }
}

impl Session {
    fn begin(&mut self) {
        let bfd = self.parts.bfd.as_ref().map(Watched::state);
        let address = Some(self.parts.place.remote.ip());
        let standing = Standing { bfd, address, ..Standing::idle(Some(&self.parts.plan.remote), None) };
        self.parts.standings.send_modify(|all| {
            all.insert(Arc::clone(&self.parts.name), standing);
        });
        self.follow();
        self.parts.peer.set_routes_complete();
        let key = self.parts.key.clone();
        self.set_key(key);
    }

    async fn next(&mut self, commands: &mut mpsc::Receiver<Command>) -> Happening {
        let Self { parts, routes, connections, dials, .. } = self;
        let at = [parts.peer.poll_timeout(), routes.poll_timeout()].into_iter().flatten().min();
        let ready = poll_fn(|context| {
            let any = connections.values().any(|connection| connection.poll_ready(context).is_ready());
            if any { Poll::Ready(()) } else { Poll::Pending }
        });
        tokio::select! {
            command = commands.recv() => Happening::Command(command),
            Ok(()) = parts.orders.changed() => Happening::Orders,
            Some(Ok((id, outcome))) = dials.join_next() => Happening::Dialed(id, outcome),
            () = ready => Happening::Readable,
            news = news(&mut parts.bfd) => Happening::Bfd(news),
            () = super::super::due(at) => Happening::Due,
        }
    }

    /// Does all that the machine asks for.
    fn settle(&mut self) {
        loop {
            while let Some(action) = self.parts.peer.poll_action() {
                self.act(action);
            }
            while let Some(event) = self.parts.peer.poll_event() {
                self.heed(event);
            }
            // A connection that turns out to be gone gives rise to further actions.
            if !self.transmit() {
                return self.count();
            }
        }
    }

    fn count(&mut self) {
        let (now, before) = (self.parts.peer.counters(), self.counted);
        if now == before {
            return;
        }
        self.parts.metrics.bgp.count(&self.labels(), &now, &before);
        self.counted = now;
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connect(id) => self.dial(id),
            Action::Close { connection, notification } => {
                if let Some(dialing) = self.dialing.remove(&connection) {
                    dialing.abort();
                }
                if let Some(connection) = self.connections.remove(&connection) {
                    connection.close(notification.as_deref());
                }
            }
        }
    }

    fn dial(&mut self, id: ConnectionId) {
        self.dial_error = None;
        let plan = &self.parts.plan;
        let Place { remote, device } = self.parts.place.clone();
        let (source, ttl) = (plan.source_address, settings::ttl(plan));
        let md5 = self.parts.key.octets();
        let dialing = self.dials.spawn(async move {
            let dial = Dial { remote, source, device: device.as_deref(), md5: md5.as_deref(), ttl };
            (id, tcp::dial(dial).await)
        });
        self.dialing.insert(id, dialing);
    }

    fn dialed(&mut self, id: ConnectionId, outcome: io::Result<TcpStream>) {
        if self.dialing.remove(&id).is_none() {
            // It was given up while it came about.
            return;
        }
        match outcome.and_then(Connection::new) {
            Ok(connection) => {
                self.parts.peer.handle_connected(id, connection.local(), clock::now());
                self.connections.insert(id, connection);
            }
            Err(error) => {
                self.dial_error = Some(error);
                self.parts.peer.handle_closed(id, clock::now());
            }
        }
    }

    fn accept(&mut self, stream: TcpStream) {
        let prepared =
            tcp::set_ttl(&stream, settings::ttl(&self.parts.plan)).and_then(|()| Connection::new(stream));
        match prepared {
            Ok(connection) => {
                if let Some(id) = self.parts.peer.accept(connection.local(), clock::now()) {
                    self.connections.insert(id, connection);
                }
            }
            Err(error) => debug!(peer = &*self.parts.name, "a connection was gone at once: {error}"),
        }
    }

    fn serve(&mut self) {
        let Self { parts, connections, buffer, .. } = self;
        let mut closed = Vec::new();
        for (&id, connection) in connections {
            let now = clock::now();
            let reading = connection.read(buffer, |octets| parts.peer.handle_input(id, octets, now));
            if reading == Reading::Closed {
                closed.push(id);
            }
        }
        for id in closed {
            self.lose(id);
        }
    }

    /// Sends what there is to send; true if a connection was lost by that.
    fn transmit(&mut self) -> bool {
        let Self { parts, connections, .. } = self;
        let mut lost = Vec::new();
        for (&id, connection) in connections {
            let mut outcome = connection.flush();
            while outcome.is_ok() && connection.is_idle() {
                let Some(octets) = parts.peer.poll_transmit(id) else { break };
                connection.send(octets);
                outcome = connection.flush();
            }
            if outcome.is_err() {
                lost.push(id);
            }
        }
        let any = !lost.is_empty();
        lost.into_iter().for_each(|id| self.lose(id));
        any
    }

    fn lose(&mut self, id: ConnectionId) {
        self.connections.remove(&id);
        self.parts.peer.handle_closed(id, clock::now());
    }

    /// Octets before time: what lay unread is no silence.
    fn handle_timeout(&mut self) {
        self.serve();
        let now = clock::now();
        let changes = self.routes.handle_timeout(now);
        self.parts.peer.change_routes(changes);
        self.parts.peer.handle_timeout(now);
        self.note_prefixes();
    }

    fn follow(&mut self) {
        let orders = self.parts.orders.borrow_and_update().clone();
        let changes = self.routes.follow(&orders.plan.bgp, clock::now());
        self.parts.peer.change_routes(changes);
        self.note_prefixes();
    }

    /// A password that is there lets the session begin; one that is not ends it. Another one is set on connections that stand: they
    /// live on if the peer changes it within the hold time.
    fn set_key(&mut self, key: Key) {
        let now = clock::now();
        self.parts.key = key;
        match &self.parts.key {
            Key::Missing(why) => {
                let why = why.clone();
                self.parts.peer.stop(&Stop::Shutdown { text: "the password is missing".to_owned() }, now);
                self.note(|standing| (standing.state, standing.last_error) = (State::Idle, Some(why)));
            }
            Key::None | Key::Is(_) => {
                if let Key::Is(octets) = &self.parts.key {
                    for connection in self.connections.values() {
                        if let Err(error) = tcp::set_key(connection.stream(), octets) {
                            warn!(peer = &*self.parts.name, "the password could not be changed: {error}");
                        }
                    }
                }
                self.parts.peer.start(now);
                self.note(|standing| {
                    if standing.state == State::Idle {
                        (standing.state, standing.last_error) = (State::Active, None);
                    }
                });
            }
        }
    }

    fn set_bfd(&mut self, watched: Option<Watched>) {
        self.parts.bfd = watched;
        let state = self.parts.bfd.as_ref().map(Watched::state);
        self.note(|standing| standing.bfd = state);
    }

    fn heed_bfd(&mut self, news: &News) {
        if let News::Down { is_failure: true, cause } = news {
            info!(peer = &*self.parts.name, cause, "BFD calls the path down");
            self.parts.peer.handle_bfd_down(clock::now());
            // The session's end is on the wire before anybody is told.
            self.settle();
        }
        let state = self.parts.bfd.as_ref().map(Watched::state);
        self.note(|standing| standing.bfd = state);
    }

    fn heed(&mut self, event: Event) {
        let name = &*self.parts.name;
        match event {
            Event::Established(session) => {
                info!(peer = name, remote_as = %session.remote_as, "BGP session established");
                let agreed = Agreed::from(&session);
                self.note(|standing| {
                    (standing.state, standing.last_error) = (State::Established(agreed), None)
                });
            }
            Event::Down(reason) => {
                warn!(peer = name, "BGP session lost: {reason}");
                self.note_failure(&reason);
            }
            Event::Failed(reason) => {
                debug!(peer = name, "no BGP session: {reason}");
                self.note_failure(&reason);
            }
            Event::EndOfRibSent(family) => debug!(peer = name, %family, "all routes are sent"),
        }
    }

    /// The end of a session that was stopped for want of a password is no news.
    fn note_failure(&mut self, reason: &Reason) {
        if matches!(self.parts.key, Key::Missing(_)) {
            return;
        }
        let why = match (reason, &self.dial_error) {
            (Reason::ConnectFailed, Some(error)) => format!("{reason}: {error}"),
            (Reason::ConnectTimeout, _) if matches!(self.parts.key, Key::Is(_)) => {
                format!("{reason}; with another password than ours, a router does not answer either")
            }
            _ => reason.to_string(),
        };
        self.note(|standing| (standing.state, standing.last_error) = (State::Active, Some(why)));
    }

    fn note_prefixes(&mut self) {
        let prefixes = self.routes.len();
        self.parts
            .metrics
            .bgp
            .prefixes
            .get_or_create(&self.labels())
            .set(i64::try_from(prefixes).unwrap_or(i64::MAX));
        self.note(|standing| standing.prefixes = prefixes);
    }

    /// Changes how this session stands, for those who look; tells nobody if that is no change.
    fn note(&self, change: impl FnOnce(&mut Standing)) {
        let up = self.parts.metrics.bgp.session_up.get_or_create(&self.labels()).clone();
        self.parts.standings.send_if_modified(|all| {
            let Some(standing) = all.get_mut(&self.parts.name) else { return false };
            let before = standing.clone();
            change(standing);
            if standing.state.name() != before.state.name() {
                standing.since = clock::wall();
            }
            up.set(i64::from(standing.agreed().is_some()));
            *standing != before
        });
    }

    fn end(mut self, stop: &Stop) {
        self.parts.peer.stop(stop, clock::now());
        while let Some(action) = self.parts.peer.poll_action() {
            self.act(action);
        }
        self.parts.metrics.bgp.forget(&self.labels());
        self.parts.standings.send_if_modified(|all| all.remove(&self.parts.name).is_some());
    }

    fn labels(&self) -> PeerLabels {
        PeerLabels { peer: self.parts.name.to_string() }
    }
}

async fn news(watched: &mut Option<Watched>) -> News {
    let news = match watched {
        Some(watched) => watched.changed().await,
        None => None,
    };
    match news {
        Some(news) => news,
        None => std::future::pending().await,
    }
}
