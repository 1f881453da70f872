//! Brings a cluster up: everything that does not wait for something else starts at once, each wait is for the real
//! condition, and the first failure ends all of it.

use std::fs;
use std::future::Future;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use futures::future::{try_join_all, try_join4};
use k8s_openapi::api::core::v1::{Node as ApiNode, ServiceAccount};
use kube::Client;
use kube::api::{Api, DynamicObject};
use kube::runtime::wait::await_condition;
use tokio::net::TcpSocket;
use tokio::process::Command as AsyncCommand;
use tokio::sync::watch;

use crate::address;
use crate::api;
use crate::clock;
use crate::control_plane::{self, HOST};
use crate::fake;
use crate::netns::Namespace;
use crate::node::{self, Node};
use crate::parts::Part;
use crate::pki::Pki;
use crate::progress::Progress;
use crate::role::{Role, mounts_holder, process_name};
use crate::run::{Spec, mounts_ready};
use crate::site::Site;

const LIMIT: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(20);

/// What a bring-up needs to know.
pub(crate) struct Cluster<'a> {
    pub(crate) site: &'a Site,
    pub(crate) pki: &'a Pki,
    pub(crate) client: &'a Client,
    pub(crate) progress: Progress,
    /// True for kubelets, scheduler and DNS; else the API alone.
    pub(crate) kubelets: bool,
    pub(crate) nodes: Vec<Node<'a>>,
    /// How many nodes without kubelets.
    pub(crate) fake_nodes: u16,
    pub(crate) gateway_api: bool,
}

impl Cluster<'_> {
    /// Returns once everything is ready to be used.
    pub(crate) async fn up(&self) -> Result<()> {
        let (served, api) = watch::channel(false);
        let crds = self.gateway_api.then(|| self.site.parts.folder(Part::Crds).to_owned());
        // A second of work that fits into the API server's start.
        let definitions =
            tokio::task::spawn_blocking(move || crds.as_deref().map_or(Ok(Vec::new()), parse_files));
        let nodes = try_join_all(self.nodes.iter().map(|node| self.node(node, api.clone())));
        let control_plane = async {
            self.api().await?;
            served.send_replace(true);
            let definitions = definitions.await??;
            let definitions = self.gateway_api(&definitions);
            try_join4(self.components(), definitions, self.service_accounts(), self.fake_nodes()).await
        };
        futures::future::try_join(control_plane, nodes).await?;
        self.progress.say("ready");
        Ok(())
    }

    async fn api(&self) -> Result<()> {
        self.mounts(control_plane::mounts(self.site)?).await?;
        let etcd = process_name(HOST, Role::Etcd);
        self.site.start(control_plane::etcd(self.site))?;
        let namespace = self.site.namespace(HOST);
        let listens =
            async || Ok(connects(&namespace, (Ipv4Addr::LOCALHOST, control_plane::ETCD_PORT)).await);
        self.until(&etcd, "etcd listens", listens).await?;
        let server = process_name(HOST, Role::ApiServer);
        self.site.start(control_plane::api_server(self.site, self.pki)?)?;
        let ready = async || {
            let request = http::Request::get("/readyz").body(Vec::new())?;
            Ok(self.client.request_text(request).await.is_ok())
        };
        self.until(&server, "the API server is ready", ready).await?;
        self.progress.say("API server ready");
        Ok(())
    }

    async fn components(&self) -> Result<()> {
        self.site.start(control_plane::controller_manager(self.site, self.pki))?;
        if !self.kubelets {
            return Ok(());
        }
        self.site.start(control_plane::scheduler(self.site, self.pki))?;
        api::apply_all(self.client, &api::parse(&control_plane::dns_objects())?).await?;
        self.site.start(control_plane::coredns(self.site, self.pki)?)?;
        let namespace = self.site.namespace(HOST);
        let dns = (address::management(address::CONTROL_PLANE), 53);
        let listens = async || Ok(connects(&namespace, dns).await);
        self.until(&process_name(HOST, Role::CoreDns), "CoreDNS listens", listens).await?;
        self.progress.say("CoreDNS ready");
        Ok(())
    }

    async fn gateway_api(&self, definitions: &[Vec<DynamicObject>]) -> Result<()> {
        if definitions.is_empty() {
            return Ok(());
        }
        try_join_all(definitions.iter().map(|file| api::apply_all(self.client, file))).await?;
        self.progress.say("Gateway API served");
        Ok(())
    }

    async fn fake_nodes(&self) -> Result<()> {
        if self.fake_nodes == 0 {
            return Ok(());
        }
        self.site.start(control_plane::kwok(self.site, self.pki)?)?;
        let created = tokio::time::timeout(LIMIT, fake::create(self.client, self.fake_nodes));
        let kwok = process_name(HOST, Role::Kwok);
        tokio::select! {
            created = created => created.with_context(|| format!("not so after {LIMIT:?}: fake nodes Ready"))??,
            ended = self.until_ended(&kwok) => ended?,
        }
        self.progress.say(&format!("{} fake nodes Ready", self.fake_nodes));
        Ok(())
    }

    /// Pods can be made only once their namespace has its account.
    async fn service_accounts(&self) -> Result<()> {
        let accounts: Api<ServiceAccount> = Api::default_namespaced(self.client.clone());
        self.within(
            "ServiceAccount default",
            await_condition(accounts, "default", |account: Option<&_>| account.is_some()),
        )
        .await
    }

    async fn node(&self, node: &Node<'_>, mut api: watch::Receiver<bool>) -> Result<()> {
        let name = node.name();
        let holder = mounts_holder(&name);
        self.mounts(node.mounts()).await?;
        self.site.start(node.containerd())?;
        let containerd = process_name(&name, Role::Containerd);
        let runs = async || Ok(ctr(self.site, &name)?.arg("version").output().await?.status.success());
        let socket = format!("/proc/{}/root{}", self.site.pid(&holder)?, Node::socket());
        self.until(&containerd, "containerd's socket", async || Ok(Path::new(&socket).exists())).await?;
        self.until(&containerd, "containerd answers", runs).await?;
        import(self.site, &name, &node::sandbox_archive(self.site)).await?;
        self.progress.say(&format!("{name} containerd ready"));

        api.wait_for(|served| *served).await?;
        let kubelet = process_name(&name, Role::Kubelet);
        self.site.start(node.kubelet(self.pki))?;
        self.site.start(node.kube_proxy())?;
        let nodes: Api<ApiNode> = Api::all(self.client.clone());
        let ready = await_condition(nodes, &name, |node: Option<&ApiNode>| node.is_some_and(is_ready));
        tokio::select! {
            ready = self.within("Node Ready", ready) => ready?,
            ended = self.until_ended(&kubelet) => ended?,
        }
        // Its health check says nothing about rules; the API server's own Service shows them.
        let namespace = self.site.namespace(&name);
        let proxied = async || Ok(connects(&namespace, (address::API_SERVICE_V4, 443)).await);
        self.until(&process_name(&name, Role::KubeProxy), "kube-proxy serves a ClusterIP", proxied).await?;
        self.progress.say(&format!("{name} Ready"));
        Ok(())
    }

    /// Starts the holder of a host's mounts, and returns once they are made.
    async fn mounts(&self, holder: Spec) -> Result<()> {
        let marker = mounts_ready(&self.site.state, &holder.name);
        let name = holder.name.clone();
        self.site.start(holder)?;
        self.until(&name, "mounts", async || Ok(marker.exists())).await
    }

    /// Waits for a condition that a process brings about; fails early if that process ends.
    async fn until(
        &self,
        process: &str,
        what: &str,
        mut holds: impl AsyncFnMut() -> Result<bool>,
    ) -> Result<()> {
        let deadline = clock::now() + LIMIT;
        while !holds().await? {
            self.site.check(process)?;
            if clock::now() > deadline {
                let said = self.site.state.log_tail(process);
                bail!("{process}: not so after {LIMIT:?}: {what}; its last lines were:\n{said}");
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    async fn until_ended(&self, process: &str) -> Result<()> {
        loop {
            self.site.check(process)?;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn within<T>(
        &self,
        what: &str,
        condition: impl Future<Output = Result<T, kube::runtime::wait::Error>>,
    ) -> Result<()> {
        let waited = tokio::time::timeout(LIMIT, condition).await;
        waited.with_context(|| format!("not so after {LIMIT:?}: {what}"))?.map(drop).context(what.to_owned())
    }
}

/// Ready, and with no taint left that keeps pods away.
pub(crate) fn is_ready(node: &ApiNode) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"));
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
    ready && taints.is_none_or(Vec::is_empty)
}

/// Loads an image archive into a node's containerd, and waits until its kubelet can find the image.
pub(crate) async fn import(site: &Site, node: &str, archive: &Path) -> Result<()> {
    let archive = archive.to_string_lossy();
    run_ctr(site, node, &["images", "import", &archive]).await?;
    // containerd's Kubernetes side marks images as its own when it has heard of them, a little later.
    let marked = "labels.\"io.cri-containerd.image\"==managed";
    let deadline = clock::now() + LIMIT;
    while run_ctr(site, node, &["images", "list", "-q"]).await?
        != run_ctr(site, node, &["images", "list", "-q", marked]).await?
    {
        ensure!(clock::now() < deadline, "{node} does not see {archive} after {LIMIT:?}");
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

async fn run_ctr(site: &Site, node: &str, args: &[&str]) -> Result<Vec<u8>> {
    let output = ctr(site, node)?.args(args).output().await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{node}: ctr {} failed: {}", args.join(" "), said.trim());
    Ok(output.stdout)
}

fn ctr(site: &Site, node: &str) -> Result<AsyncCommand> {
    let holder = site.pid(&mounts_holder(node))?;
    let mut command = AsyncCommand::new("nsenter");
    command.arg(format!("--mount=/proc/{holder}/ns/mnt")).arg("--").arg(site.parts.debian("/usr/bin/ctr"));
    command.args(["--address", Node::socket(), "--namespace", "k8s.io"]).kill_on_drop(true);
    Ok(command)
}

/// The objects of every YAML file in a folder.
fn parse_files(folder: &Path) -> Result<Vec<Vec<DynamicObject>>> {
    let mut objects = Vec::new();
    for entry in fs::read_dir(folder)? {
        let file = entry?.path();
        let text = fs::read_to_string(&file)?;
        objects.push(api::parse(&text).with_context(|| file.display().to_string())?);
    }
    Ok(objects)
}

/// True if a TCP connection from inside a namespace is accepted soon.
async fn connects(namespace: &Namespace, address: (Ipv4Addr, u16)) -> bool {
    let connect = async { namespace.run(TcpSocket::new_v4)?.connect(address.into()).await };
    tokio::time::timeout(Duration::from_millis(500), connect).await.is_ok_and(|connected| connected.is_ok())
}
