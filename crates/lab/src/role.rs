//! The processes that make a cluster.

/// What a process of the lab is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// On the control plane.
    Etcd,
    /// On the control plane: kube-apiserver.
    ApiServer,
    /// On the control plane: kube-controller-manager.
    ControllerManager,
    /// On the control plane: kube-scheduler.
    Scheduler,
    /// On the control plane: the cluster's DNS.
    CoreDns,
    /// On the control plane: what stands for the kubelets of fake nodes.
    Kwok,
    /// On each node; its end takes no container with it.
    Containerd,
    /// On each node.
    Kubelet,
    /// On each node.
    KubeProxy,
}

impl Role {
    /// The name in pids, logs and messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Role::Etcd => "etcd",
            Role::ApiServer => "apiserver",
            Role::ControllerManager => "controller-manager",
            Role::Scheduler => "scheduler",
            Role::CoreDns => "coredns",
            Role::Kwok => "kwok",
            Role::Containerd => "containerd",
            Role::Kubelet => "kubelet",
            Role::KubeProxy => "kube-proxy",
        }
    }
}

/// The name of a host's process: unique in the lab, and the name of its log.
pub(crate) fn process_name(host: &str, role: Role) -> String {
    format!("{host}-{}", role.name())
}

/// The name of the process that does nothing but hold a host's mounts. It outlives all others, as a machine does.
pub(crate) fn mounts_holder(host: &str) -> String {
    format!("{host}-mounts")
}
