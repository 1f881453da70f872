//! Command line and environment of `keryx-speaker`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use keryx_api::names;
use keryx_daemon::logging::LogFormat;

/// Announces, from this node, the addresses that Keryx gave to Services and Gateways.
///
/// Runs once on every node in the host's network, with the capabilities NET_RAW (to answer ARP), NET_ADMIN (to guard
/// ports that no Service serves) and SYS_NICE (to be on time on a busy node). It writes nothing to the cluster but events and its own status.
#[derive(Debug, Parser)]
#[command(name = "keryx-speaker", version, max_term_width = 110)]
pub struct Args {
    /// Kubeconfig file; without it the KUBECONFIG environment variable, else the Pod's service account
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Name of the Node that this speaker runs on
    #[arg(long, env = "NODE_NAME", value_name = "NAME")]
    pub node_name: String,

    /// Name of the Pod that this speaker runs in, to which its status belongs
    #[arg(long, env = "POD_NAME", value_name = "NAME", requires = "pod_uid")]
    pub pod_name: Option<String>,

    /// UID of that Pod
    #[arg(long, env = "POD_UID", value_name = "UID", requires = "pod_name")]
    pub pod_uid: Option<String>,

    /// Namespace of the exposures and of the speakers' Pods
    #[arg(long, env = "KERYX_NAMESPACE", value_name = "NAMESPACE", default_value = names::NAMESPACE)]
    pub namespace: String,

    /// Where /metrics, /healthz, /readyz and the pages for 'keryx' listen; keep it on loopback
    #[arg(
        long,
        env = "KERYX_METRICS_BIND_ADDRESS",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:7472"
    )]
    pub metrics_bind_address: SocketAddr,

    /// Announce on this interface only; repeat for several. Default: every interface whose prefix contains the
    /// address, else the one with the node's InternalIP
    #[arg(long = "interface", env = "KERYX_INTERFACES", value_name = "NAME", value_delimiter = ',')]
    pub interfaces: Vec<String>,

    /// Folder with the key by which speakers know each other: 'key', and 'accepted-key' while it is being changed
    #[arg(
        long,
        env = "KERYX_MEMBERSHIP_KEYS",
        value_name = "FOLDER",
        default_value = "/etc/keryx/membership"
    )]
    pub membership_keys: PathBuf,

    /// Folder for what a restart of the speaker should outlive, and one of the node should not
    #[arg(long, env = "KERYX_STATE", value_name = "FOLDER", default_value = "/run/keryx")]
    pub state: PathBuf,

    /// Form of the log lines on standard error; RUST_LOG sets the level (default info)
    #[arg(long, env = "KERYX_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn interfaces_may_be_repeated_or_listed() {
        let words = ["keryx-speaker", "--node-name", "n1", "--interface", "eth0", "--interface", "eth1,eth2"];
        assert_eq!(Args::try_parse_from(words).unwrap().interfaces, ["eth0", "eth1", "eth2"]);
    }
}
