//! Brings a cluster up: everything that does not wait for something else starts at once, each wait is for the real
//! condition, and the first failure ends all of it.

use std::fs;
use std::future::Future;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::future::{try_join_all, try_join3};
use k8s_openapi::api::core::v1::{Node as ApiNode, ServiceAccount};
use kube::api::Api;
use kube::runtime::wait::await_condition;
use kube::Client;
use tokio::process::Command as AsyncCommand;
use tokio::sync::watch;

use crate::api;
use crate::clock;
use crate::control_plane::{self, HOST};
use crate::host::answers;
use crate::node::{self, HEALTH_PORT, Node, mounts_holder};
use crate::parts::Part;
use crate::pki::Pki;
use crate::progress::Progress;
use crate::role::{Role, process_name};
use crate::run::mounts_ready;
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
    pub(crate) gateway_api: bool,
}

impl Cluster<'_> {
    /// Returns once everything is ready to be used.
    pub(crate) async fn up(&self) -> Result<()> {
        let (served, api) = watch::channel(false);
        let nodes = try_join_all(self.nodes.iter().map(|node| self.node(node, api.clone())));
        let control_plane = async {
            self.api().await?;
            served.send_replace(true);
            try_join3(self.components(), self.gateway_api(), self.service_accounts()).await
        };
        futures::future::try_join(control_plane, nodes).await?;
        self.progress.say("ready");
        Ok(())
    }

    async fn api(&self) -> Result<()> {
        let etcd = process_name(HOST, Role::Etcd);
        self.site.start(control_plane::etcd(self.site))?;
        let namespace = self.site.namespace(HOST);
        let listens = async || Ok(connects(&namespace, ("127.0.0.1", control_plane::ETCD_PORT)));
        self.until(&etcd, "etcd listens", listens).await?;
        let server = process_name(HOST, Role::ApiServer);
        self.site.start(control_plane::api_server(self.site, self.pki))?;
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
        api::apply(self.client, &control_plane::dns_objects()).await?;
        self.site.start(control_plane::coredns(self.site, self.pki)?)?;
        let namespace = self.site.namespace(HOST);
        let address = crate::address::management(crate::address::CONTROL_PLANE).to_string();
        let listens = async || Ok(connects(&namespace, (address.as_str(), 53)));
        self.until(&process_name(HOST, Role::CoreDns), "CoreDNS listens", listens).await?;
        self.progress.say("CoreDNS ready");
        Ok(())
    }

    async fn gateway_api(&self) -> Result<()> {
        if !self.gateway_api {
            return Ok(());
        }
        let mut files = Vec::new();
        for entry in fs::read_dir(self.site.parts.folder(Part::Crds))? {
            files.push(entry?.path());
        }
        let apply = |file: std::path::PathBuf| async move {
            let text = fs::read_to_string(&file)?;
            api::apply(self.client, &text).await.with_context(|| file.display().to_string())
        };
        try_join_all(files.into_iter().map(apply)).await?;
        self.progress.say("Gateway API served");
        Ok(())
    }

    /// Pods can be made only once their namespace has its account.
    async fn service_accounts(&self) -> Result<()> {
        let accounts: Api<ServiceAccount> = Api::default_namespaced(self.client.clone());
        self.within("ServiceAccount default", await_condition(accounts, "default", |account: Option<&_>| account.is_some())).await
    }

    async fn node(&self, node: &Node<'_>, mut api: watch::Receiver<bool>) -> Result<()> {
        let name = node.name();
        let holder = mounts_holder(&name);
        self.site.start(node.mounts())?;
        let marker = mounts_ready(&self.site.state, &holder);
        self.until(&holder, "mounts", async || Ok(marker.exists())).await?;
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
        let namespace = self.site.namespace(&name);
        let proxied = async || Ok(answers(&namespace, HEALTH_PORT, Path::new("/healthz")));
        self.until(&process_name(&name, Role::KubeProxy), "kube-proxy has written its rules", proxied).await?;
        self.progress.say(&format!("{name} Ready"));
        Ok(())
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
fn is_ready(node: &ApiNode) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"));
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
    ready && taints.is_none_or(Vec::is_empty)
}

/// Loads an image archive into a node's containerd.
pub(crate) async fn import(site: &Site, node: &str, archive: &Path) -> Result<()> {
    let output = ctr(site, node)?.args(["images", "import"]).arg(archive).output().await?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{node} does not take {}: {}", archive.display(), said.trim());
    }
    Ok(())
}

fn ctr(site: &Site, node: &str) -> Result<AsyncCommand> {
    let holder = site.pid(&mounts_holder(node))?;
    let mut command = AsyncCommand::new("nsenter");
    command.arg(format!("--mount=/proc/{holder}/ns/mnt")).arg("--").arg(site.parts.debian("/usr/bin/ctr"));
    command.args(["--address", Node::socket(), "--namespace", "k8s.io"]).kill_on_drop(true);
    Ok(command)
}

fn connects(namespace: &crate::netns::Namespace, address: (&str, u16)) -> bool {
    namespace.run(|| std::net::TcpStream::connect(address).is_ok())
}
