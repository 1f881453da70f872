//! Command line and environment of `keryx-controller`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use keryx_api::names;
use keryx_daemon::logging::LogFormat;

/// Gives addresses to LoadBalancer Services and Gateways, clones the backends of TCPRoutes and UDPRoutes, and writes
/// their status.
///
/// Addresses come from the ConfigMap named by --ipam-configmap, keys cidr-NAMESPACE, cidr-global, range-NAMESPACE and
/// range-global, and from IPAddressPools in --namespace. The keryx-speaker on each node announces what this controller assigns.
#[derive(Debug, Parser)]
#[command(name = "keryx-controller", version, max_term_width = 110)]
pub(crate) struct Args {
    /// Kubeconfig file; without it the KUBECONFIG environment variable, else the Pod's service account
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Namespace of the ledger, the exposures and the Lease
    #[arg(long, env = "KERYX_NAMESPACE", value_name = "NAMESPACE", default_value = names::NAMESPACE)]
    pub(crate) namespace: String,

    /// ConfigMap with the address ranges: NAME in --namespace, or NAMESPACE/NAME
    #[arg(long, env = "KERYX_IPAM_CONFIGMAP", value_name = "NAME", default_value = names::IPAM_CONFIGMAP)]
    pub(crate) ipam_configmap: String,

    /// Serve GatewayClasses whose spec.controllerName is this
    #[arg(
        long,
        alias = "gateway-class-name",
        env = "KERYX_CONTROLLER_NAME",
        value_name = "DOMAIN/PATH",
        default_value = names::CONTROLLER_NAME
    )]
    pub(crate) controller_name: String,

    /// Serve Services whose spec.loadBalancerClass is this; clones and anchors carry it
    #[arg(
        long,
        env = "KERYX_LOAD_BALANCER_CLASS",
        value_name = "CLASS",
        default_value = names::LOAD_BALANCER_CLASS
    )]
    pub(crate) load_balancer_class: String,

    /// Serve LoadBalancer Services without a class too, unless another implementation has given them an address
    #[arg(
        long,
        env = "KERYX_HANDLE_CLASSLESS_SERVICES",
        value_name = "BOOL",
        default_value_t = true,
        action = clap::ArgAction::Set
    )]
    pub(crate) handle_classless_services: bool,

    /// Read the annotations of MetalLB, kube-vip and Cilium on Services and Gateways as if they were Keryx' own
    #[arg(
        long,
        env = "KERYX_FOREIGN_ANNOTATIONS",
        value_name = "BOOL",
        default_value_t = true,
        action = clap::ArgAction::Set
    )]
    pub(crate) foreign_annotations: bool,

    /// Where /metrics listens
    #[arg(long, env = "KERYX_METRICS_BIND_ADDRESS", value_name = "ADDRESS", default_value = "[::]:8080")]
    pub(crate) metrics_bind_address: SocketAddr,

    /// Where /healthz and /readyz listen
    #[arg(
        long,
        env = "KERYX_HEALTH_PROBE_BIND_ADDRESS",
        value_name = "ADDRESS",
        default_value = "[::]:8081"
    )]
    pub(crate) health_probe_bind_address: SocketAddr,

    /// Form of the log lines on standard error; RUST_LOG sets the level (default info)
    #[arg(long, env = "KERYX_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,

    /// Hold the Lease keryx-controller before writing anything, so that several replicas are safe and one is active
    #[arg(
        long,
        env = "KERYX_LEADER_ELECT",
        value_name = "BOOL",
        default_value_t = true,
        action = clap::ArgAction::Set,
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub(crate) leader_elect: bool,
}

impl Args {
    /// Namespace and name of the ConfigMap with the address ranges.
    pub(crate) fn ipam_configmap(&self) -> (String, String) {
        match self.ipam_configmap.split_once('/') {
            Some((namespace, name)) => (namespace.to_owned(), name.to_owned()),
            None => (self.namespace.clone(), self.ipam_configmap.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(words: &[&str]) -> Args {
        Args::try_parse_from([&["keryx-controller"], words].concat()).unwrap()
    }

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_configmap_may_stand_in_another_namespace() {
        assert_eq!(parse(&[]).ipam_configmap(), ("keryx-system".into(), "keryx".into()));
        assert_eq!(
            parse(&["--ipam-configmap", "net/ranges"]).ipam_configmap(),
            ("net".into(), "ranges".into())
        );
    }

    #[test]
    fn the_old_name_of_the_controller_name_still_works() {
        assert_eq!(parse(&["--gateway-class-name", "x.example/y"]).controller_name, "x.example/y");
    }

    #[test]
    fn switches_take_a_value() {
        assert!(!parse(&["--leader-elect=false"]).leader_elect);
        assert!(parse(&["--leader-elect"]).leader_elect);
        assert!(!parse(&["--handle-classless-services", "false"]).handle_classless_services);
    }
}
