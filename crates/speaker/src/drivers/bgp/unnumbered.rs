//! Routers that are known by an interface alone (unnumbered sessions): a task for each such interface learns the router's link-local address,
//! and makes this node known to it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::{Duration, Instant};

use keryx_layer2::MacAddr;
use keryx_layer2::router_discovery::{ALL_NODES, ALL_ROUTERS, RouterDiscovery};
use keryx_layer2::wire::router::{ADVERTISEMENT, SOLICITATION};
use keryx_netio::icmpv6::Socket;
use keryx_netio::link::Links;
use keryx_plan::bgp::{PeerPlan, Remote};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tracing::{debug, info, warn};

use crate::clock;
use crate::drivers::due;

/// Longest message that is read whole: the least MTU of IPv6, which no router advertisement need exceed.
const MESSAGE_LEN_MAX: usize = 1280;
/// Pause before another try after the socket has failed.
const OPEN_AGAIN: Duration = Duration::from_secs(5);
/// Least time from one change of router to the next that is told, whatever the link carries.
const CHANGE_PAUSE: Duration = Duration::from_secs(1);

/// Where the peer of a session is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Address and port; the scope of a link-local address is its interface.
    pub(super) remote: SocketAddr,
    /// The interface or VRF that the session is bound to.
    pub(super) device: Option<Arc<str>>,
}

impl Place {
    /// Where a peer is, with the router of its interface if it has one; `None` while that is not known.
    pub(super) fn of(plan: &PeerPlan, router: Option<Router>) -> Option<Self> {
        match &plan.remote {
            Remote::Address(address) => {
                Some(Self { remote: SocketAddr::new(*address, plan.port), device: plan.vrf.clone() })
            }
            Remote::Interface(name) => router.map(|router| Self {
                remote: SocketAddrV6::new(router.address, plan.port, 0, router.interface).into(),
                device: Some(Arc::clone(name)),
            }),
        }
    }

    /// The same with another port.
    pub(super) fn with_port(mut self, port: u16) -> Self {
        self.remote.set_port(port);
        self
    }
}

/// The router of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Router {
    address: Ipv6Addr,
    /// The number of the interface.
    interface: u32,
}

/// What is known of each interface that is searched; the error says why its router is not.
type Routers = BTreeMap<Arc<str>, Result<Router, String>>;

/// The searches of a node, a task each.
#[derive(Debug)]
pub(super) struct Searches {
    tasks: BTreeMap<Arc<str>, Task>,
    links: watch::Receiver<Links>,
    found: watch::Sender<Routers>,
    found_seen: watch::Receiver<Routers>,
    seed: u64,
}

#[derive(Debug)]
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Searches {
    /// None yet. Delays follow from `seed`.
    pub(super) fn new(links: watch::Receiver<Links>, seed: u64) -> Self {
        let (found, found_seen) = watch::channel(Routers::new());
        Self { tasks: BTreeMap::new(), links, found, found_seen, seed }
    }

    /// Searches the interfaces of these peers from now on, and no others.
    pub(super) fn follow<'a>(&mut self, plans: impl Iterator<Item = &'a Arc<PeerPlan>>) {
        let wanted: BTreeSet<Arc<str>> = plans.filter_map(|plan| plan.remote.interface()).cloned().collect();
        self.tasks.retain(|name, _| wanted.contains(name));
        self.found.send_if_modified(|all| {
            let before = all.len();
            all.retain(|name, _| wanted.contains(name));
            all.len() != before
        });
        for name in wanted {
            if self.tasks.contains_key(&name) {
                continue;
            }
            self.seed = self.seed.wrapping_add(1);
            let search = Search {
                name: Arc::clone(&name),
                links: self.links.clone(),
                found: self.found.clone(),
                seed: self.seed,
            };
            self.tasks.insert(name, Task(tokio::spawn(search.run()).abort_handle()));
        }
    }

    /// Waits until another router is known, or one no longer.
    pub(super) async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        self.found_seen.changed().await
    }

    /// The router of an interface, as far as it is known.
    pub(super) fn router(&self, interface: &str) -> Option<Router> {
        self.found_seen.borrow().get(interface).and_then(|found| found.clone().ok())
    }

    /// Why it is not known, in words.
    pub(super) fn why_not(&self, interface: &str) -> String {
        let told = self.found_seen.borrow().get(interface).and_then(|found| found.clone().err());
        told.unwrap_or_else(|| unheard(interface))
    }
}

fn unheard(interface: &str) -> String {
    format!("no router heard on {interface}")
}

/// The task of one interface.
struct Search {
    name: Arc<str>,
    links: watch::Receiver<Links>,
    found: watch::Sender<Routers>,
    seed: u64,
}

impl Search {
    /// Begins anew whenever the interface comes back, and with another number, hardware address or link-local address.
    async fn run(mut self) {
        loop {
            let links = Arc::clone(&self.links.borrow_and_update());
            let port = match port(&links, &self.name) {
                Ok(port) => port,
                Err(why) => {
                    self.tell(Err(why));
                    if self.links.changed().await.is_err() {
                        return;
                    }
                    continue;
                }
            };
            let (mut links, name) = (self.links.clone(), Arc::clone(&self.name));
            let ends = async {
                let _ = links.wait_for(|links| port_of(links, &name) != Some(port)).await;
            };
            tokio::select! {
                () = ends => {}
                error = self.search(port) => {
                    warn!(interface = &*self.name, "routers cannot be heard: {error}");
                    self.tell(Err(format!("routers cannot be heard on {}: {error}", self.name)));
                    tokio::time::sleep(OPEN_AGAIN).await;
                }
            }
        }
    }

    /// Searches on an interface that can send; ends with the error that makes it impossible.
    async fn search(&self, port: Port) -> io::Error {
        let types = [SOLICITATION, ADVERTISEMENT];
        let socket = match Socket::open(&self.name, port.index, &types, &[ALL_NODES, ALL_ROUTERS]) {
            Ok(socket) => socket,
            Err(error) => return error,
        };
        let mut now = clock::now();
        let mut discovery = RouterDiscovery::new(port.mac, self.seed, now);
        let mut message = [0; MESSAGE_LEN_MAX];
        let (mut told, mut tell_from) = (None, now);
        self.tell(Err(unheard(&self.name)));
        loop {
            discovery.handle_timeout(now);
            while let Some(transmit) = discovery.poll_transmit(now) {
                if let Err(error) = socket.send(&transmit.octets, transmit.destination) {
                    debug!(interface = &*self.name, "a message to routers was not sent: {error}");
                }
            }
            let router = discovery.router();
            if router != told && now >= tell_from {
                (told, tell_from) = (router, now + CHANGE_PAUSE);
                self.tell_router(router, port.index);
            }
            let tell_at = (router != told).then_some(tell_from);
            let at = tell_at.into_iter().fold(discovery.poll_timeout(), Instant::min);
            tokio::select! {
                received = socket.recv(&mut message) => {
                    now = clock::now();
                    match received {
                        Ok(received) => if let IpAddr::V6(source) = received.source {
                            discovery.handle_input(&message[..received.length], source, received.ttl, now);
                        },
                        Err(error) => return error,
                    }
                }
                () = due(Some(at)) => now = clock::now(),
            }
        }
    }

    fn tell_router(&self, router: Option<Ipv6Addr>, interface: u32) {
        match router {
            Some(address) => info!(interface = &*self.name, %address, "a router is heard"),
            None => info!(interface = &*self.name, "the router is heard no longer"),
        }
        let found = router.map(|address| Router { address, interface });
        self.tell(found.ok_or_else(|| unheard(&self.name)));
    }

    fn tell(&self, found: Result<Router, String>) {
        self.found.send_if_modified(|all| {
            let is_new = all.get(&self.name) != Some(&found);
            if is_new {
                all.insert(Arc::clone(&self.name), found);
            }
            is_new
        });
    }
}

/// What of an interface matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Port {
    index: u32,
    mac: MacAddr,
}

fn port_of(links: &Links, name: &str) -> Option<Port> {
    port(links, name).ok()
}

/// The interface, if it can send to the link.
///
/// # Errors
/// Why it cannot, in words.
fn port(links: &Links, name: &str) -> Result<Port, String> {
    let link = links.values().find(|link| link.name == name);
    let link = link.ok_or_else(|| format!("this node has no interface {name}"))?;
    let mac = link.mac.map(MacAddr).ok_or_else(|| format!("{name} is no Ethernet interface"))?;
    if !link.up || !link.carrier {
        return Err(format!("{name} is down"));
    }
    let is_link_local = |address: IpAddr| matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    if !link.addresses.iter().any(|prefix| is_link_local(prefix.addr())) {
        return Err(format!("{name} has no link-local address"));
    }
    Ok(Port { index: link.index, mac })
}
