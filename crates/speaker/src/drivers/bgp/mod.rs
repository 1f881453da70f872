//! BGP: the sessions of this node, one task each.
//!
//! ```text
//!  orders ────┐                ┌▶ session ⇄ machine (keryx_bgp) ⇄ TCP connection ⇄ router
//!  Secrets ───┼▶ [Sessions] ───┼▶ session         ▲
//!  listener ──┘   mod.rs       └▶ session         └── BFD driver: the path is down
//! ```
//!
//! Orders reach the tasks directly, so that no session waits for another, and each compares them with what its own peer knows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use keryx_bgp::{Config, Peer, Stop};
use keryx_netio::link::{self, Links};
use keryx_plan::bgp::{Password, PeerPlan, Remote};
use tokio::sync::{mpsc, watch};
use tokio::task;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::clock;
use crate::drivers::bfd::{self, Bfd, Watched};
use crate::drivers::{due, random};
use crate::metrics::Metrics;
use crate::orders::Orders;

mod connection;
mod listener;
mod routes;
mod session;
mod settings;
mod standing;
mod unnumbered;

use listener::{Caller, Listeners, caller};
use session::{Command, Parts};
pub use standing::{Agreed, Standing, Standings, State};
use unnumbered::{Place, Searches};

/// Commands that wait for a session.
const COMMANDS_MAX: usize = 16;
/// Pause before another try to listen.
const LISTEN_AGAIN: Duration = Duration::from_secs(5);
/// How long sessions may take to end when the speaker stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// The passwords in Secrets of Keryx' own namespace, by the Secret's name; `None` until they have been read.
pub type Passwords = Option<Arc<BTreeMap<String, Arc<[u8]>>>>;

/// How the driver and the rest of the speaker talk.
#[derive(Debug)]
pub struct Channels {
    /// With whom to have sessions, and what to tell them. The first value is not looked at: no orders have come yet.
    pub orders: watch::Receiver<Orders>,
    /// See there.
    pub passwords: watch::Receiver<Passwords>,
    /// How the sessions stand.
    pub standings: watch::Sender<Standings>,
}

/// The password of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Key {
    /// There is none.
    None,
    /// This one.
    Is(Arc<[u8]>),
    /// There should be one; why there is not.
    Missing(String),
}

impl Key {
    fn octets(&self) -> Option<Arc<[u8]>> {
        match self {
            Self::Is(octets) => Some(Arc::clone(octets)),
            Self::None | Self::Missing(_) => None,
        }
    }
}

/// Starts the driver of `node` on a thread of its own: what Kubernetes has to say, however much, delays neither a KEEPALIVE nor the answer to
/// a dead path.
///
/// # Errors
/// The thread cannot be started.
pub fn start(
    channels: Channels,
    node: String,
    bfd: Bfd,
    metrics: Metrics,
    stop: CancellationToken,
) -> anyhow::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("bgp".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let outcome = runtime
                .context("failed to start the BGP runtime")
                .and_then(|runtime| runtime.block_on(run(channels, node, bfd, metrics, stop.clone())));
            if let Err(error) = outcome {
                tracing::error!("BGP driver ended: {error:#}");
                stop.cancel();
            }
        })
        .context("failed to start the BGP thread")
}

/// Runs sessions as ordered until `stop`.
async fn run(
    channels: Channels,
    node: String,
    bfd: Bfd,
    metrics: Metrics,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let (links, follow_links) = link::watch_links().await.context("failed to read the node's interfaces")?;
    let mut links_broken = std::pin::pin!(follow_links);
    let mut standings_seen = channels.standings.subscribe();
    let mut driver = Driver {
        searches: Searches::new(links.clone(), random()?),
        unmet: BTreeSet::new(),
        channels,
        node,
        seed: random()?,
        bfd,
        metrics,
        links,
        running: BTreeMap::new(),
        listeners: Listeners::default(),
        listen_at: None,
        starting: true,
    };
    loop {
        tokio::select! {
            Ok(()) = driver.channels.orders.changed() => driver.follow().await,
            Ok(()) = driver.channels.passwords.changed() => driver.follow_passwords().await,
            () = due(driver.listen_at) => driver.listen().await,
            (caller, stream) = driver.listeners.accept() => driver.accept(caller, stream),
            Ok(()) = driver.searches.changed() => driver.follow().await,
            Ok(()) = standings_seen.changed() => driver.heed_ends().await,
            error = &mut links_broken => return Err(error).context("the node's interfaces cannot be followed"),
            () = stop.cancelled() => {
                driver.end().await;
                return Ok(());
            }
        }
    }
}

/// A session that runs.
struct Running {
    plan: Arc<PeerPlan>,
    place: Place,
    config: Config,
    key: Key,
    commands: mpsc::Sender<Command>,
    task: task::JoinHandle<()>,
}

struct Driver {
    channels: Channels,
    /// This node's name.
    node: String,
    /// What jitter follows from.
    seed: u64,
    bfd: Bfd,
    metrics: Metrics,
    /// This node's interfaces.
    links: watch::Receiver<Links>,
    running: BTreeMap<Arc<str>, Running>,
    /// For the routers of interfaces.
    searches: Searches,
    /// Peers of the first orders whose router has not been found yet.
    unmet: BTreeSet<Arc<str>>,
    listeners: Listeners,
    /// When to try again to listen, after that has failed.
    listen_at: Option<Instant>,
    /// No orders have come yet: sessions of the first ones take up what a speaker before this one left with its peers.
    starting: bool,
}

impl Driver {
    /// Starts, changes and ends sessions as the newest orders say.
    async fn follow(&mut self) {
        let orders = self.channels.orders.borrow_and_update().clone();
        let bgp = &orders.plan.bgp;
        self.unmet.retain(|name| bgp.peers.contains_key(name));
        self.searches.follow(bgp.peers.values().filter(|plan| plan.admin_down.is_none()));
        let gone: Vec<Arc<str>> =
            self.running.keys().filter(|name| !bgp.peers.contains_key(*name)).cloned().collect();
        for name in gone {
            self.stop(&name, Stop::Deconfigured).await;
        }
        for (name, plan) in &bgp.peers {
            if let Some(text) = &plan.admin_down {
                self.stop(name, Stop::Shutdown { text: text.to_string() }).await;
                continue;
            }
            let restarting = self.starting || self.unmet.contains(name);
            let config = match settings::config(plan, &orders.internal_ips, &self.node, restarting) {
                Ok(config) => config,
                Err(why) => {
                    warn!(peer = &**name, "no BGP session can be made: {why}");
                    self.stop(name, Stop::Deconfigured).await;
                    continue;
                }
            };
            self.bring_up(name, plan, config).await;
        }
        self.starting = false;
        self.note_idle(&orders);
        self.listen().await;
    }

    /// Has a session as `plan` and `config` say.
    async fn bring_up(&mut self, name: &Arc<str>, plan: &Arc<PeerPlan>, config: Config) {
        let Some(place) = self.place(name, plan) else {
            return self.await_router(name, plan).await;
        };
        let Some(running) = self.running.get_mut(name) else {
            return self.start(Arc::clone(name), Arc::clone(plan), place, config);
        };
        let stays = running.place == place;
        if stays && Arc::ptr_eq(&running.plan, plan) && is_same(&running.config, &config) {
            return;
        }
        let but_bfd = PeerPlan { bfd: plan.bfd, password: plan.password.clone(), ..(*running.plan).clone() };
        // A connection that stands can be signed with another password, but neither begin nor cease to be signed.
        let signs_alike = running.plan.password.is_some() == plan.password.is_some();
        if !stays || but_bfd != **plan || !signs_alike || !is_same(&running.config, &config) {
            self.stop(name, Stop::Reset { text: "its configuration has changed".to_owned() }).await;
            return self.start(Arc::clone(name), Arc::clone(plan), place, config);
        }
        let bfd_changed = running.plan.bfd != plan.bfd;
        running.plan = Arc::clone(plan);
        if bfd_changed {
            let watched = self.watch(plan, &place);
            self.command(name, Command::Bfd(watched)).await;
        }
        self.follow_passwords().await;
    }

    /// Where the peer is now. A session that stands keeps its place, whatever routers are heard.
    fn place(&self, name: &str, plan: &PeerPlan) -> Option<Place> {
        let interface = match &plan.remote {
            Remote::Address(_) => return Place::of(plan, None),
            Remote::Interface(name) => name,
        };
        let standing = self.running.get(name).filter(|running| running.plan.remote == plan.remote);
        match standing.filter(|_| self.is_established(name)) {
            Some(running) => Some(running.place.clone().with_port(plan.port)),
            None => Place::of(plan, self.searches.router(interface)),
        }
    }

    fn is_established(&self, name: &str) -> bool {
        self.channels.standings.borrow().get(name).is_some_and(|standing| standing.agreed().is_some())
    }

    /// Has no session until the router of the interface is heard, and says so.
    async fn await_router(&mut self, name: &Arc<str>, plan: &PeerPlan) {
        let Some(interface) = plan.remote.interface() else { return };
        self.stop(name, Stop::Deconfigured).await;
        if self.starting {
            self.unmet.insert(Arc::clone(name));
        }
        let why = self.searches.why_not(interface);
        self.channels.standings.send_if_modified(|all| {
            if all.get(name).is_some_and(|standing| standing.last_error.as_ref() == Some(&why)) {
                return false;
            }
            let idle = Standing::idle(Some(&plan.remote), Some(why));
            all.insert(Arc::clone(name), Standing { state: State::Active, ..idle });
            true
        });
    }

    /// A session that has ended may have another router to go on with.
    async fn heed_ends(&mut self) {
        let orders = self.channels.orders.borrow().clone();
        let moves = |(name, running): (&Arc<str>, &Running)| {
            let plan = orders.plan.bgp.peers.get(name)?;
            plan.remote.interface()?;
            (self.place(name, plan).as_ref() != Some(&running.place)).then_some(())
        };
        if self.running.iter().find_map(moves).is_some() {
            self.follow().await;
        }
    }

    /// Another one for each session.
    fn next_seed(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(1);
        self.seed
    }

    fn start(&mut self, name: Arc<str>, plan: Arc<PeerPlan>, place: Place, config: Config) {
        self.unmet.remove(&name);
        let key = key(&plan, &self.channels.passwords.borrow());
        let (commands, commands_seen) = mpsc::channel(COMMANDS_MAX);
        let parts = Parts {
            name: Arc::clone(&name),
            plan: Arc::clone(&plan),
            place: place.clone(),
            peer: Peer::new(config.clone(), self.next_seed()),
            key: key.clone(),
            bfd: self.watch(&plan, &place),
            orders: self.channels.orders.clone(),
            standings: self.channels.standings.clone(),
            metrics: self.metrics.clone(),
        };
        let task = tokio::spawn(session::run(parts, commands_seen));
        self.running.insert(name, Running { plan, place, config, key, commands, task });
    }

    /// Ends a session, if there is one, and waits for that.
    async fn stop(&mut self, name: &str, stop: Stop) {
        let Some(running) = self.running.remove(name) else { return };
        // It fails only if the task has ended.
        let _ = running.commands.send(Command::End(stop)).await;
        if let Err(error) = running.task.await {
            warn!(peer = name, "the task of a BGP session panicked: {error}");
        }
    }

    async fn command(&self, name: &str, command: Command) {
        if let Some(running) = self.running.get(name) {
            let _ = running.commands.send(command).await;
        }
    }

    /// Tells how peers stand that have no session.
    fn note_idle(&self, orders: &Orders) {
        let bgp = &orders.plan.bgp;
        let down = bgp.peers.iter().filter(|(_, plan)| plan.admin_down.is_some());
        let down =
            down.map(|(name, plan)| (name, Some(&plan.remote), "it is administratively down".to_owned()));
        let unusable = bgp.unusable.iter().map(|(name, why)| (name, None, why.to_string()));
        let idle: BTreeMap<Arc<str>, (Option<&Remote>, String)> =
            down.chain(unusable).map(|(name, remote, why)| (Arc::clone(name), (remote, why))).collect();
        self.channels.standings.send_if_modified(|all| {
            let before = all.clone();
            all.retain(|name, _| bgp.peers.contains_key(name) || idle.contains_key(name));
            for (name, (remote, why)) in idle {
                let known = all.get(&name).filter(|standing| standing.last_error.as_ref() == Some(&why));
                if known.is_none() {
                    all.insert(name, Standing::idle(remote, Some(why)));
                }
            }
            *all != before
        });
    }

    /// Tells sessions whose password has changed.
    async fn follow_passwords(&mut self) {
        let passwords = self.channels.passwords.borrow_and_update().clone();
        for running in self.running.values_mut() {
            let key = key(&running.plan, &passwords);
            if running.key != key {
                running.key = key.clone();
                let _ = running.commands.send(Command::Key(key)).await;
            }
        }
        self.listen().await;
    }

    /// Listens where peers may dial, and with whose passwords.
    async fn listen(&mut self) {
        let expected = self.running.values().filter(|running| running.plan.accept);
        let expected = expected.map(|running| (caller(running.place.remote), running.key.octets())).collect();
        self.listen_at = None;
        let Err(why) = self.listeners.listen(expected) else { return };
        warn!("{why}");
        self.listen_at = Some(clock::now() + LISTEN_AGAIN);
        for running in self.running.values().filter(|running| running.plan.accept) {
            let _ = running.commands.send(Command::Deaf(why.clone())).await;
        }
    }

    fn accept(&self, from: Caller, stream: tokio::net::TcpStream) {
        let is_it = |running: &&Running| running.plan.accept && caller(running.place.remote) == from;
        if let Some(running) = self.running.values().find(is_it) {
            // A session that has not got round to the last ones needs no further connection.
            let _ = running.commands.try_send(Command::Accepted(stream));
        }
    }

    fn watch(&self, plan: &PeerPlan, place: &Place) -> Option<Watched> {
        let (bfd, remote) = (plan.bfd.as_ref()?, place.remote.ip());
        let links = Arc::clone(&self.links.borrow());
        let shares_link =
            links.values().any(|link| link.addresses.iter().any(|prefix| prefix.contains(&remote)));
        Some(self.bfd.acquire(bfd::Request {
            remote,
            interface: place.device.as_deref().map(str::to_owned),
            source: plan.source_address,
            multi_hop: settings::is_multi_hop(plan, shares_link),
            config: settings::bfd(bfd),
        }))
    }

    /// A peer with graceful restart keeps the routes of a speaker that comes back; every other one is told to drop them. A node that
    /// hands over has nothing to come back to.
    async fn end(&mut self) {
        let draining = self.channels.orders.borrow().draining;
        let ending = async {
            while let Some((name, running)) = self.running.first_key_value() {
                let name = Arc::clone(name);
                let stop = if running.plan.graceful_restart.is_some() && !draining {
                    Stop::Restart
                } else {
                    Stop::Shutdown { text: "the speaker of this node stops".to_owned() }
                };
                self.stop(&name, stop).await;
            }
        };
        if tokio::time::timeout(STOP_TIMEOUT, ending).await.is_err() {
            warn!("not every BGP session has ended in time");
        }
    }
}

/// Whether two configurations differ in nothing but what only counts at the start.
fn is_same(running: &Config, wanted: &Config) -> bool {
    let restarting = running.graceful_restart.map(|restart| restart.restarting);
    let mut wanted = wanted.clone();
    if let (Some(wanted), Some(restarting)) = (&mut wanted.graceful_restart, restarting) {
        wanted.restarting = restarting;
    }
    *running == wanted
}

fn key(plan: &PeerPlan, passwords: &Passwords) -> Key {
    match &plan.password {
        None => Key::None,
        Some(Password::Inline(password)) => Key::Is(password.as_bytes().into()),
        Some(Password::Secret(name)) => match passwords {
            None => Key::Missing("the Secrets could not be read yet".to_owned()),
            Some(passwords) => passwords.get(&**name).map_or_else(
                || {
                    Key::Missing(format!(
                        "there is no Secret {name} with a key 'password' in Keryx' namespace"
                    ))
                },
                |octets| Key::Is(Arc::clone(octets)),
            ),
        },
    }
}
