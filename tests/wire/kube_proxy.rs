//! What stands in for kube-proxy: a table of its own with NAT chains where kube-proxy has them, which a test fills when
//! it wants the Service to be programmed.

use std::net::IpAddr;

use anyhow::Result;
use keryx_lab::Host;

use crate::run::{nft, run};

/// The table on one node. It goes with the lab.
pub(crate) struct KubeProxy {
    node: Host,
    pod: Host,
}

impl KubeProxy {
    /// Makes the table, so that the kernel tracks connections, with no Service in it. What will go to `pod` is
    /// masqueraded, as kube-proxy does for a Service of policy `Cluster`: answers come back by the node.
    ///
    /// # Errors
    /// `nft` fails.
    pub(crate) fn start(node: Host, pod: Host) -> Result<Self> {
        let (v4, v6) = (pod.address_v4(), pod.address_v6());
        let table = format!(
            "table inet kp {{
                chain prerouting {{ type nat hook prerouting priority -100; }}
                chain output {{ type nat hook output priority -100; }}
                chain postrouting {{ type nat hook postrouting priority 100;
                    ip daddr {v4} masquerade; ip6 daddr {v6} masquerade; }}
            }}"
        );
        nft(&node, &table)?;
        Ok(Self { node, pod })
    }

    /// Programs a port of a VIP: it is served by the same port of the pod from now on.
    ///
    /// # Errors
    /// `nft` fails.
    pub(crate) fn serve(&self, vip: IpAddr, port: u16) -> Result<()> {
        let (family, target) = match vip {
            IpAddr::V4(_) => ("ip", self.pod.address_v4().to_string()),
            IpAddr::V6(_) => ("ip6", format!("[{}]", self.pod.address_v6())),
        };
        let rule = format!(
            "{family} daddr {vip} meta l4proto {{ tcp, udp }} th dport {port} dnat {family} to {target}:{port}"
        );
        nft(&self.node, &format!("add rule inet kp prerouting {rule}; add rule inet kp output {rule}"))
            .map(drop)
    }

    /// The node's tracked connections of one protocol to a port, each as a line of the kernel's table.
    ///
    /// # Errors
    /// The table cannot be read.
    pub(crate) fn connections(&self, protocol: &str, port: u16) -> Result<Vec<String>> {
        let table = run(&self.node, "cat /proc/net/nf_conntrack")?;
        let to_port = format!(" dport={port} ");
        let found = table.lines().filter(|line| line.contains(protocol) && line.contains(&to_port));
        Ok(found.map(str::to_owned).collect())
    }
}
