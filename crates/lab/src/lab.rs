//! The lab itself: its builder, its hosts, its API, and its end.

use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use kube::Client;
use tokio::runtime::Runtime;

use crate::address::{self, MOST, MOST_FAKE, MOST_SEGMENTS};
use crate::api;
use crate::bringup::{self, Cluster};
use crate::cgroup::Cgroups;
use crate::control_plane::HOST;
use crate::host::Host;
use crate::keeper::Keeper;
use crate::machine;
use crate::netns::Namespace;
use crate::network::{self, Size};
use crate::node::{self, Node, ProxyMode};
use crate::parts::{Part, Parts};
use crate::pki::Pki;
use crate::progress::Progress;
use crate::requests::Requests;
use crate::site::Site;
use crate::state::State;

/// How much of a cluster a lab has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Namespaces and segments only.
    Wire,
    /// And etcd, kube-apiserver, kube-controller-manager. There are no Nodes but those of [`Builder::fake_nodes`], and
    /// no scheduler: Pods run where their `nodeName` says.
    Api,
    /// And scheduler, DNS, and a real kubelet, containerd and kube-proxy on every node.
    #[default]
    Cluster,
}

/// What a lab shall be. One client, one segment and three nodes with nftables, unless said otherwise.
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    tier: Tier,
    size: Size,
    fake_nodes: u16,
    proxy_mode: ProxyMode,
    gateway_api: bool,
    routers: bool,
    dissector: bool,
}

impl Builder {
    /// How much of a cluster.
    pub fn tier(self, tier: Tier) -> Builder {
        Builder { tier, ..self }
    }

    /// How many nodes, at most 40.
    pub fn nodes(self, nodes: u8) -> Builder {
        Builder { size: Size { nodes, ..self.size }, ..self }
    }

    /// How many nodes without kubelets, `f1` and on, at most 5000. kwok keeps them Ready, and says of the Pods that are
    /// bound to them that they run. They are no hosts of the lab: nothing answers at their addresses. Not for
    /// [`Tier::Wire`].
    pub fn fake_nodes(self, fake_nodes: u16) -> Builder {
        Builder { fake_nodes, ..self }
    }

    /// How many clients, at most 40.
    pub fn clients(self, clients: u8) -> Builder {
        Builder { size: Size { clients, ..self.size }, ..self }
    }

    /// How many segments, 1 to 8; every node and client is on each.
    pub fn segments(self, segments: u8) -> Builder {
        Builder { size: Size { segments, ..self.size }, ..self }
    }

    /// How kube-proxy programs the kernel.
    pub fn proxy_mode(self, proxy_mode: ProxyMode) -> Builder {
        Builder { proxy_mode, ..self }
    }

    /// Whether the Gateway API's CustomResourceDefinitions are applied at start; they are unless switched off.
    pub fn gateway_api(self, gateway_api: bool) -> Builder {
        Builder { gateway_api, ..self }
    }

    /// Whether clients can be routers: see [`Host::bird`], [`Host::frr`] and [`Host::gobgp`].
    pub fn routers(self, routers: bool) -> Builder {
        Builder { routers, ..self }
    }

    /// Whether captures can be looked at by tshark: see [`Lab::dissect`].
    pub fn dissector(self, dissector: bool) -> Builder {
        Builder { dissector, ..self }
    }

    /// Brings the lab up and waits until it is ready to be used. Needs root, and [`crate::init`] first in `main`. On
    /// failure nothing is left.
    pub fn start(self) -> Result<Lab> {
        crate::require_init()?;
        machine::check()?;
        let Size { nodes, clients, segments } = self.size;
        ensure!(nodes <= MOST && clients <= MOST, "a lab has at most {MOST} nodes and {MOST} clients");
        ensure!((1..=MOST_SEGMENTS).contains(&segments), "a lab has 1 to {MOST_SEGMENTS} segments");
        ensure!(self.fake_nodes <= MOST_FAKE, "a lab has at most {MOST_FAKE} fake nodes");
        ensure!(self.fake_nodes == 0 || self.tier >= Tier::Api, "fake nodes need an API: Tier::Api or above");
        let parts = Parts::find(&self.parts())?;
        let progress = Progress::start();
        let state = State::create()?;
        parts.save(&state)?;
        let keeper = Keeper::start(&state)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let site = Arc::new(Site::new(state, parts));
        // From here on an error drops it, and so tears down.
        let mut lab = Lab { site, size: self.size, keeper, runtime: Some(runtime), cluster: None };
        network::create(&lab.site.state, self.size, self.tier == Tier::Cluster)?;
        progress.say("network up");
        if self.tier >= Tier::Api {
            self.start_cluster(&mut lab, progress)?;
        }
        Ok(lab)
    }

    fn start_cluster(&self, lab: &mut Lab, progress: Progress) -> Result<()> {
        let site = Arc::clone(&lab.site);
        let pki = Pki::create(&site.state, self.size.nodes)?;
        let kubelets = self.tier == Tier::Cluster;
        let last = if kubelets { self.size.nodes } else { 0 };
        let node = |number| Node { site: &site, number, proxy_mode: self.proxy_mode };
        let nodes: Vec<_> = (1..=last).map(node).collect();
        if kubelets {
            node::prepare(&site)?;
            let cgroups = Cgroups::of_host()?;
            nodes.iter().try_for_each(|node| node.prepare(&cgroups, &pki))?;
        }
        let client = lab.block_on(api::client(&pki.kubeconfig("admin"), &site.namespace(HOST)))?;
        let cluster = Cluster {
            site: &site,
            pki: &pki,
            client: &client,
            progress,
            kubelets,
            nodes,
            fake_nodes: self.fake_nodes,
            gateway_api: self.gateway_api,
        };
        lab.block_on(cluster.up())?;
        lab.cluster = Some((pki, client));
        Ok(())
    }

    fn parts(&self) -> Vec<Part> {
        let mut parts = vec![Part::Debian];
        if self.tier >= Tier::Api {
            parts.extend([Part::Kubernetes, Part::Etcd, Part::Crds, Part::Pause]);
        }
        if self.tier == Tier::Cluster {
            parts.push(Part::CoreDns);
        }
        if self.fake_nodes > 0 {
            parts.push(Part::Kwok);
        }
        if self.routers {
            parts.extend([Part::Routers, Part::GoBgp]);
        }
        if self.dissector {
            parts.push(Part::Dissector);
        }
        parts
    }
}

/// A running lab. Dropping it tears everything down and waits for that; so does the end of the process, however it
/// ends. It must be dropped outside of asynchronous code.
pub struct Lab {
    pub(crate) site: Arc<Site>,
    size: Size,
    keeper: Keeper,
    /// There until the lab is dropped.
    runtime: Option<Runtime>,
    cluster: Option<(Pki, Client)>,
}

impl fmt::Debug for Lab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lab")
            .field("prefix", &self.prefix())
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl Lab {
    /// A lab to be described and started.
    pub fn builder() -> Builder {
        let size = Size { nodes: 3, clients: 1, segments: 1 };
        let (tier, proxy_mode) = Default::default();
        Builder { tier, size, fake_nodes: 0, proxy_mode, gateway_api: true, routers: false, dissector: false }
    }

    /// The prefix of the names of its namespaces and cgroups, such as `kx1`.
    pub fn prefix(&self) -> &str {
        self.site.state.prefix()
    }

    /// Node `number`, counted from 1.
    ///
    /// # Panics
    /// If the lab has no such node.
    pub fn node(&self, number: u8) -> Host {
        assert!((1..=self.size.nodes).contains(&number), "the lab has nodes 1 to {}", self.size.nodes);
        Host::new(Arc::clone(&self.site), format!("n{number}"), address::node(number))
    }

    /// All nodes.
    pub fn nodes(&self) -> Vec<Host> {
        (1..=self.size.nodes).map(|number| self.node(number)).collect()
    }

    /// Client `number`, counted from 1: a host on the segments that is no node.
    ///
    /// # Panics
    /// If the lab has no such client.
    pub fn client_host(&self, number: u8) -> Host {
        assert!((1..=self.size.clients).contains(&number), "the lab has clients 1 to {}", self.size.clients);
        Host::new(Arc::clone(&self.site), format!("c{number}"), address::client(number))
    }

    /// The host of etcd, the API server and its company; on the management network only.
    pub fn control_plane(&self) -> Host {
        Host::new(Arc::clone(&self.site), HOST.to_owned(), address::CONTROL_PLANE)
    }

    /// The namespace with the bridges, where every port of every host can be seen ([`Host::port`]).
    pub fn switch(&self) -> Namespace {
        self.site.namespace("sw")
    }

    /// The runtime that the lab's client was made in; use it for futures that talk to the API.
    pub fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it is there until the lab is dropped")
    }

    /// Runs a future to its end in [`Lab::runtime`].
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime().block_on(future)
    }

    /// A client with all rights. It may be used in any thread: its connections start inside the lab by themselves.
    ///
    /// # Panics
    /// If the lab is of [`Tier::Wire`].
    pub fn client(&self) -> Client {
        self.cluster().1.clone()
    }

    /// The kubeconfig of a user with all rights; its server is reached from hosts of the lab only.
    ///
    /// # Panics
    /// If the lab is of [`Tier::Wire`].
    pub fn kubeconfig(&self) -> PathBuf {
        self.cluster().0.kubeconfig("admin")
    }

    /// The kubeconfig of a ServiceAccount, with a token of its own that is good for a day: what a program that runs as a
    /// plain process needs to have the rights of its Pod.
    ///
    /// # Panics
    /// If the lab is of [`Tier::Wire`].
    pub fn service_account(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        let token = self.block_on(api::token(&self.client(), namespace, name))?;
        self.cluster().0.write_service_account(namespace, name, &token)
    }

    /// As [`Lab::client`], with the rights of a kubeconfig of this lab.
    pub fn client_of(&self, kubeconfig: &Path) -> Result<Client> {
        self.block_on(api::client(kubeconfig, &self.site.namespace(HOST)))
    }

    /// What Keryx' ServiceAccounts ask of the API server from now on.
    ///
    /// # Panics
    /// If the lab is of [`Tier::Wire`].
    pub fn requests(&self) -> Result<Requests> {
        assert!(self.cluster.is_some(), "a lab of Tier::Wire has no API");
        Requests::from_now(&self.site.state)
    }

    /// Runs kubectl with all rights and returns what it printed.
    pub fn kubectl(&self, args: &[&str]) -> Result<String> {
        machine::run(kubectl(&self.site.parts, &self.site.state).args(args))
    }

    /// Applies the documents of a YAML text server-side, in order; fields that others manage are taken over. It goes on
    /// after a CustomResourceDefinition once its kind is served.
    pub fn apply(&self, yaml: &str) -> Result<()> {
        let objects = api::parse(yaml)?;
        self.block_on(api::apply_all(&self.client(), &objects))
    }

    /// Loads an OCI image archive, such as [`crate::image`] makes, into the containerd of nodes.
    pub fn load_image(&self, archive: &Path, nodes: &[Host]) -> Result<()> {
        let archive = archive.canonicalize().with_context(|| archive.display().to_string())?;
        let imports = nodes.iter().map(|node| bringup::import(&self.site, node.name(), &archive));
        self.block_on(try_join_all(imports)).map(drop)
    }

    /// Lets the lab outlive this process; `keryx-lab down` ends it.
    pub fn keep(self) -> Result<()> {
        self.site.state.keep()
    }

    fn cluster(&self) -> &(Pki, Client) {
        self.cluster.as_ref().expect("a lab of Tier::Wire has no API")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Its threads must not outlive the API server that they talk to.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        if let Err(error) = self.keeper.release(&self.site.state) {
            eprintln!("lab: {error:#}");
        }
        self.site.reap();
    }
}

/// kubectl in the control plane's namespace, with all rights.
pub(crate) fn kubectl(parts: &Parts, state: &State) -> Command {
    let mut command = Namespace::named(&state.namespace(HOST)).command(parts.kubernetes("kubectl"));
    command.arg("--kubeconfig").arg(state.path("pki/admin.kubeconfig"));
    command.arg("--cache-dir").arg(state.path("kubectl"));
    command
}
