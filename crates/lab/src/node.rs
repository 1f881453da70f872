//! The processes of a node: one that only holds its mounts, containerd, kubelet and kube-proxy.
//!
//! All four share a mount namespace in which `/run`, `/var/lib` and `/var/log` are the node's own, so that every path
//! is the usual one; `/sys` shows the node's interfaces; and six settings of the whole machine, which a kubelet would
//! change, are covered by files that hold what it wants.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};
use serde_json::json;

use crate::address::{self, DNS_SERVICE};
use crate::cgroup::Cgroups;
use crate::image::{Architecture, ImageBuilder};
use crate::machine;
use crate::parts::Part;
use crate::pki::Pki;
use crate::role::{Role, mounts_holder, process_name};
use crate::run::{Mount, MountNamespace, Spec};
use crate::site::Site;

/// How kube-proxy programs the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyMode {
    /// By nftables.
    #[default]
    Nftables,
    /// By iptables, in its nftables form.
    Iptables,
}

impl ProxyMode {
    fn name(self) -> &'static str {
        match self {
            ProxyMode::Nftables => "nftables",
            ProxyMode::Iptables => "iptables",
        }
    }
}

/// Folders of the machine that a node has its own of.
const SHADOWED: [&str; 3] = ["/run", "/var/lib", "/var/log"];
const SOCKET: &str = "/run/containerd/containerd.sock";
const SANDBOX_IMAGE: &str = "lab.invalid/pause:1";
/// Settings of the whole machine, and what a kubelet wants them to be.
const KERNEL: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];

/// One node's files and processes.
pub(crate) struct Node<'a> {
    pub(crate) site: &'a Site,
    pub(crate) number: u8,
    pub(crate) proxy_mode: ProxyMode,
}

/// What all nodes share: the sandbox image, and a list of libraries in which the unpacked ones are found. A list and
/// not `LD_LIBRARY_PATH`, since runc starts itself again with an empty environment.
pub(crate) fn prepare(site: &Site) -> Result<()> {
    for folder in site.parts.folders().chain([site.state.path("").as_path()]) {
        if let Some(shadowed) = SHADOWED.iter().find(|shadowed| folder.starts_with(shadowed)) {
            let remedy = "KERYX_LAB_CACHE, KERYX_LAB_KUBE and KERYX_LAB_STATE name other folders";
            bail!(
                "{} is below {shadowed}, which nodes have their own of; remedy: {remedy}",
                folder.display()
            );
        }
    }
    let pause = site.parts.folder(Part::Pause).join("pause");
    let image = ImageBuilder::new(SANDBOX_IMAGE, architecture()?).entrypoint(["/pause"]);
    image.file(pause, "/pause", 0o755).write(&sandbox_archive(site))?;
    let folders = site.parts.library_folders();
    let folders = folders.iter().map(|folder| folder.to_string_lossy()).collect::<Vec<_>>().join("\n");
    let list = site.state.path("ld.so.conf");
    machine::write(&list, &format!("include /etc/ld.so.conf\n{folders}\n"))?;
    machine::run(Command::new("ldconfig").arg("-X").arg("-f").arg(list).arg("-C").arg(library_cache(site)))?;
    Ok(())
}

/// The archive of the sandbox image.
pub(crate) fn sandbox_archive(site: &Site) -> PathBuf {
    site.state.path("pause.tar")
}

fn library_cache(site: &Site) -> PathBuf {
    site.state.path("ld.so.cache")
}

impl Node<'_> {
    pub(crate) fn name(&self) -> String {
        format!("n{}", self.number)
    }

    /// The folder of the node's files on the machine.
    fn path(&self, part: &str) -> PathBuf {
        self.site.state.path(self.name()).join(part)
    }

    /// Where containerd's socket is inside the node.
    pub(crate) fn socket() -> &'static str {
        SOCKET
    }

    /// Makes the node's files and its cgroup.
    pub(crate) fn prepare(&self, cgroups: &Cgroups, pki: &Pki) -> Result<()> {
        for folder in ["var-lib", "var-log", "etc"] {
            fs::create_dir_all(self.path(folder))?;
        }
        cgroups.create(&self.site.state.namespace(&self.name()))?;
        for (setting, value) in KERNEL {
            machine::write(&self.covering(setting), &format!("{value}\n"))?;
        }
        machine::write(&self.path("etc/resolv.conf"), "")?;
        machine::write(&self.path("etc/cni/10-lab.conflist"), &self.cni().to_string())?;
        machine::write(&self.path("etc/containerd.toml"), &self.containerd_config())?;
        machine::write(&self.path("etc/kubelet.yaml"), &self.kubelet_config(pki).to_string())?;
        machine::write(&self.path("etc/kube-proxy.yaml"), &self.kube_proxy_config(pki).to_string())
    }

    fn covering(&self, setting: &str) -> PathBuf {
        self.path("etc/kernel").join(setting.replace('/', "."))
    }

    fn spec(&self, name: String, program: PathBuf, args: Vec<String>) -> Spec {
        Spec {
            name,
            namespace: self.site.state.namespace(&self.name()),
            mounts: MountNamespace::Of(mounts_holder(&self.name())),
            program,
            args,
            env: self.site.parts.environment(),
        }
    }

    pub(crate) fn mounts(&self) -> Spec {
        let bind = |source: PathBuf, target: PathBuf| Mount::Bind { source, target };
        let mut mounts = vec![
            Mount::Sysfs,
            Mount::Tmpfs("/run".into()),
            bind(self.path("var-lib"), "/var/lib".into()),
            bind(self.path("var-log"), "/var/log".into()),
            bind(library_cache(self.site), "/etc/ld.so.cache".into()),
        ];
        let kernel = KERNEL.iter().map(|(setting, _)| setting);
        mounts.extend(
            kernel.map(|setting| bind(self.covering(setting), format!("/proc/sys/{setting}").into())),
        );
        let pause = self.site.parts.folder(Part::Pause).join("pause");
        let spec = self.spec(mounts_holder(&self.name()), pause, Vec::new());
        Spec { mounts: MountNamespace::New(mounts), ..spec }
    }

    pub(crate) fn containerd(&self) -> Spec {
        let args = vec![format!("--config={}", self.path("etc/containerd.toml").display())];
        self.spec(
            process_name(&self.name(), Role::Containerd),
            self.site.parts.debian("/usr/bin/containerd"),
            args,
        )
    }

    pub(crate) fn kubelet(&self, pki: &Pki) -> Spec {
        let host = address::node(self.number);
        let args = vec![
            format!("--config={}", self.path("etc/kubelet.yaml").display()),
            format!("--kubeconfig={}", pki.kubeconfig(&self.name()).display()),
            format!("--hostname-override={}", self.name()),
            format!("--node-ip={},{}", address::segment_v4(0, host), address::segment_v6(0, host)),
        ];
        self.spec(process_name(&self.name(), Role::Kubelet), self.site.parts.kubernetes("kubelet"), args)
    }

    pub(crate) fn kube_proxy(&self) -> Spec {
        let args = vec![format!("--config={}", self.path("etc/kube-proxy.yaml").display())];
        self.spec(process_name(&self.name(), Role::KubeProxy), self.site.parts.kubernetes("kube-proxy"), args)
    }

    /// A bridge with the node's pods. Its ports have hairpin on, so that a pod reaches itself by a ClusterIP.
    fn cni(&self) -> serde_json::Value {
        let ranges = address::pods(self.number).map(|subnet| json!([{"subnet": subnet}]));
        json!({
            "cniVersion": "0.4.0",
            "name": "lab",
            "plugins": [{
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": true,
                "ipMasq": false,
                "hairpinMode": true,
                "ipam": {"type": "host-local", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]},
            }],
        })
    }

    /// Where root lacks `CAP_SYS_RESOURCE`, runc fails to lower an OOM score: nobody is asked to.
    fn containerd_config(&self) -> String {
        let plugins = self.site.parts.debian("/usr/lib/cni");
        format!(
            r#"version = 2
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.grpc.v1.tracing", "io.containerd.tracing.processor.v1.otlp"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{SANDBOX_IMAGE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{}"
    conf_dir = "{}"
    max_conf_num = 1
"#,
            plugins.display(),
            self.path("etc/cni").display()
        )
    }

    fn kubelet_config(&self, pki: &Pki) -> serde_json::Value {
        json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}},
            "authorization": {"mode": "AlwaysAllow"},
            "tlsCertFile": pki.file("server.crt"),
            "tlsPrivateKeyFile": pki.file("server.key"),
            "healthzBindAddress": "127.0.0.1",
            "containerRuntimeEndpoint": format!("unix://{SOCKET}"),
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": format!("/{}", self.site.state.namespace(&self.name())),
            "enforceNodeAllocatable": [],
            "failCgroupV1": false,
            "failSwapOn": false,
            "oomScoreAdj": 0,
            "hairpinMode": "none",
            "makeIPTablesUtilChains": false,
            "resolvConf": self.path("etc/resolv.conf"),
            "clusterDNS": [DNS_SERVICE],
            "clusterDomain": "cluster.local",
            "evictionHard": {
                "memory.available": "50Mi",
                "nodefs.available": "1%",
                "imagefs.available": "1%",
                "nodefs.inodesFree": "1%",
            },
            "imageGCHighThresholdPercent": 100,
            "imageMinimumGCAge": "24h",
            "maxPods": 200,
            "volumePluginDir": "/var/lib/kubelet/plugins-volume",
            "nodeStatusUpdateFrequency": "5s",
            "serializeImagePulls": false,
            // A container that a test kills again and again must not be kept away for minutes.
            "crashLoopBackOff": {"maxContainerRestartPeriod": "2s"},
        })
    }

    /// The limits on connection tracking are the machine's, which a namespace may not change.
    fn kube_proxy_config(&self, pki: &Pki) -> serde_json::Value {
        let (v4, v6) = (address::PODS_V4, address::PODS_V6);
        json!({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": self.proxy_mode.name(),
            "hostnameOverride": self.name(),
            "clusterCIDR": format!("{v4},{v6}"),
            "clientConnection": {"kubeconfig": pki.kubeconfig("proxy")},
            "conntrack": {"maxPerCore": 0, "min": 0},
            "oomScoreAdj": 0,
        })
    }
}

fn architecture() -> Result<Architecture> {
    match std::env::consts::ARCH {
        "x86_64" => Ok(Architecture::Amd64),
        "aarch64" => Ok(Architecture::Arm64),
        other => bail!("the lab makes no images for {other}"),
    }
}
