//! What the guard's tests share: a client whose packets for the VIPs come to a node, the node's stand-in for
//! kube-proxy, and a pod behind the node.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::Result;
use keryx_api::Protocol;
use keryx_lab::capture::{Capture, MacAddr};
use keryx_lab::{Host, Lab};
use keryx_tests::wait;

use crate::driver::{Driver, guarding};
use crate::kube_proxy::KubeProxy;
use crate::lab::lab;
use crate::pod::Pod;
use crate::run::{nft, run};
use crate::segment::{LIMIT, VIPS};

/// The TCP port that is claimed.
pub(crate) const TCP: u16 = 80;
/// The UDP port that is claimed.
pub(crate) const UDP: u16 = 53;
/// What a Service claims on each of [`VIPS`].
pub(crate) const CLAIMED: [(Protocol, u16); 2] = [(Protocol::Tcp, TCP), (Protocol::Udp, UDP)];

/// How long a probe waits for an answer that is not to come.
pub(crate) const SILENCE: Duration = Duration::from_millis(300);
/// A refusal within it is one at once: a client repeats a lost SYN only after a second.
pub(crate) const AT_ONCE: Duration = Duration::from_millis(900);

/// The first client, the first node, and the second node in the part of the pod.
pub(crate) struct Scene {
    pub(crate) kube_proxy: KubeProxy,
    _pod: Pod,
    lab: Lab,
}

impl Scene {
    /// Nobody announces the VIPs: the client has them in its neighbour table for good.
    pub(crate) fn start() -> Result<Self> {
        let lab = lab(|wire| wire.nodes(2))?;
        for vip in VIPS {
            let mac = MacAddr(lab.node(1).mac());
            run(&lab.client_host(1), &format!("ip neigh replace {vip} lladdr {mac} dev eth0 nud permanent"))?;
        }
        let pod = Pod::start(&lab.node(2), TCP, UDP)?;
        let kube_proxy = KubeProxy::start(lab.node(1), lab.node(2))?;
        Ok(Self { kube_proxy, _pod: pod, lab })
    }

    pub(crate) fn client(&self) -> Host {
        self.lab.client_host(1)
    }

    pub(crate) fn node(&self) -> Host {
        self.lab.node(1)
    }

    /// What the node's interface sends and receives.
    pub(crate) fn capture(&self) -> Result<Capture> {
        Capture::start(&self.node().namespace(), "eth0")
    }

    /// Starts the node's guard of [`VIPS`] and waits until the kernel has it.
    pub(crate) fn guard(&self) -> Result<Driver> {
        start_guard(&self.node(), &VIPS)
    }
}

/// Starts a node's guard of `vips`, on which [`CLAIMED`] is claimed, and waits until the kernel has it.
pub(crate) fn start_guard(node: &Host, vips: &[IpAddr]) -> Result<Driver> {
    let guard = Driver::guard(node, guarding(vips, &CLAIMED))?;
    wait_guarded(node, vips)?;
    Ok(guard)
}

/// Waits until the guard's sets on a node hold `vips`.
pub(crate) fn wait_guarded(node: &Host, vips: &[IpAddr]) -> Result<()> {
    wait::until_within(LIMIT, &format!("a guard of {vips:?}"), || {
        // There may be no table yet.
        let table = nft(node, "list table inet keryx_guard").unwrap_or_default();
        Ok(vips.iter().all(|vip| table.contains(&vip.to_string())).then_some(()))
    })
}
