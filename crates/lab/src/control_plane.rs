//! The processes in the control plane's namespace.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use crate::address::{self, DNS_SERVICE};
use crate::fake;
use crate::machine;
use crate::parts::Part;
use crate::pki::Pki;
use crate::requests;
use crate::role::{Role, mounts_holder, process_name};
use crate::run::{Mount, MountNamespace, Spec};
use crate::site::Site;

/// The control plane's host name in the lab.
pub(crate) const HOST: &str = "cp";
/// Where etcd listens, inside the namespace.
pub(crate) const ETCD_PORT: u16 = 2379;
const ETCD_DATA: &str = "etcd";
/// How long a node may be silent before it counts as NotReady. Half of the default, to keep tests short.
const NODE_GRACE: &str = "20s";

fn spec(site: &Site, role: Role, program: PathBuf, args: Vec<String>) -> Spec {
    Spec {
        name: process_name(HOST, role),
        namespace: site.state.namespace(HOST),
        mounts: MountNamespace::Of(mounts_holder(HOST)),
        program,
        args,
        env: BTreeMap::new(),
    }
}

/// Holds etcd's data in memory: nothing of it is kept, and a busy disk would hold up the whole start. The data outlives
/// etcd, so that it can be killed and started again.
pub(crate) fn mounts(site: &Site) -> Result<Spec> {
    let data = site.state.path(ETCD_DATA);
    fs::create_dir(&data)?;
    let pause = site.parts.folder(Part::Pause).join("pause");
    let spec = spec(site, Role::Etcd, pause, Vec::new());
    Ok(Spec { name: mounts_holder(HOST), mounts: MountNamespace::New(vec![Mount::Tmpfs(data)]), ..spec })
}

pub(crate) fn etcd(site: &Site) -> Spec {
    let client = format!("http://127.0.0.1:{ETCD_PORT}");
    let peer = "http://127.0.0.1:2380";
    let args = vec![
        format!("--data-dir={}", site.state.path(ETCD_DATA).join("member-data").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ];
    spec(site, Role::Etcd, site.parts.folder(Part::Etcd).join("etcd"), args)
}

pub(crate) fn api_server(site: &Site, pki: &Pki) -> Result<Spec> {
    let mut args = vec![
        format!("--etcd-servers=http://127.0.0.1:{ETCD_PORT}"),
        format!("--advertise-address={}", address::management(address::CONTROL_PLANE)),
        format!("--service-cluster-ip-range={},{}", address::SERVICES_V4, address::SERVICES_V6),
        format!("--client-ca-file={}", pki.file("ca.crt")),
        format!("--requestheader-client-ca-file={}", pki.file("ca.crt")),
        "--requestheader-allowed-names=front-proxy-client".to_owned(),
        format!("--token-auth-file={}", pki.file("tokens.csv")),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", pki.file("service-account.pub")),
        format!("--service-account-signing-key-file={}", pki.file("service-account.key")),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--allow-privileged=true".to_owned(),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        "--profiling=false".to_owned(),
    ];
    args.extend(serving(pki));
    args.extend(requests::arguments(&site.state)?);
    Ok(spec(site, Role::ApiServer, site.parts.kubernetes("kube-apiserver"), args))
}

pub(crate) fn controller_manager(site: &Site, pki: &Pki) -> Spec {
    let mut args = component(pki, "controller-manager");
    args.extend([
        format!("--service-account-private-key-file={}", pki.file("service-account.key")),
        format!("--root-ca-file={}", pki.file("ca.crt")),
        format!("--cluster-signing-cert-file={}", pki.file("ca.crt")),
        format!("--cluster-signing-key-file={}", pki.file("ca.key")),
        "--use-service-account-credentials=true".to_owned(),
        format!("--node-monitor-grace-period={NODE_GRACE}"),
    ]);
    spec(site, Role::ControllerManager, site.parts.kubernetes("kube-controller-manager"), args)
}

pub(crate) fn scheduler(site: &Site, pki: &Pki) -> Spec {
    spec(site, Role::Scheduler, site.parts.kubernetes("kube-scheduler"), component(pki, "scheduler"))
}

/// CoreDNS answers on the management address; pods reach it by the ClusterIP of [`dns_objects`].
pub(crate) fn coredns(site: &Site, pki: &Pki) -> Result<Spec> {
    let corefile = site.state.path("Corefile");
    let text = format!(
        ".:53 {{
    bind {}
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {} lab
        ttl 5
    }}
    cache 5
    loadbalance
}}
",
        address::management(address::CONTROL_PLANE),
        pki.kubeconfig("coredns").display()
    );
    machine::write(&corefile, &text)?;
    let args = vec![format!("-conf={}", corefile.display())];
    Ok(spec(site, Role::CoreDns, site.parts.folder(Part::CoreDns).join("coredns"), args))
}

/// Stands for the kubelets of fake nodes.
pub(crate) fn kwok(site: &Site, pki: &Pki) -> Result<Spec> {
    let stages = site.state.path("kwok.yaml");
    machine::write(&stages, fake::STAGES)?;
    let mut args = fake::arguments(&stages.to_string_lossy());
    args.push(format!("--kubeconfig={}", pki.kubeconfig("kwok").display()));
    Ok(spec(site, Role::Kwok, site.parts.folder(Part::Kwok).join("kwok"), args))
}

/// The Service of the cluster's DNS, without a selector since its server is no pod, and the rights of that server.
pub(crate) fn dns_objects() -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: kube-dns, namespace: kube-system}}
spec:
  clusterIP: {DNS_SERVICE}
  ports: [{{name: dns, port: 53, protocol: UDP}}, {{name: dns-tcp, port: 53, protocol: TCP}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: kube-dns-lab, namespace: kube-system, labels: {{kubernetes.io/service-name: kube-dns}}}}
addressType: IPv4
ports: [{{name: dns, port: 53, protocol: UDP}}, {{name: dns-tcp, port: 53, protocol: TCP}}]
endpoints: [{{addresses: [{}], conditions: {{ready: true}}}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: system:coredns}}
rules:
- {{apiGroups: [\"\"], resources: [services, pods, namespaces], verbs: [list, watch]}}
- {{apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: system:coredns}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: system:coredns}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: system:coredns}}]
",
        address::management(address::CONTROL_PLANE)
    )
}

fn component(pki: &Pki, user: &str) -> Vec<String> {
    let kubeconfig = pki.kubeconfig(user);
    let kubeconfig = kubeconfig.display();
    let mut args = vec![
        format!("--kubeconfig={kubeconfig}"),
        format!("--authentication-kubeconfig={kubeconfig}"),
        format!("--authorization-kubeconfig={kubeconfig}"),
        "--bind-address=127.0.0.1".to_owned(),
        // The default of 20 requests a second makes a controller-manager start for many seconds.
        "--kube-api-qps=1000".to_owned(),
        "--kube-api-burst=2000".to_owned(),
        "--leader-elect=false".to_owned(),
    ];
    args.extend(serving(pki));
    args
}

fn serving(pki: &Pki) -> [String; 2] {
    [
        format!("--tls-cert-file={}", pki.file("server.crt")),
        format!("--tls-private-key-file={}", pki.file("server.key")),
    ]
}
