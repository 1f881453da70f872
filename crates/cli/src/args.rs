//! Command line of `keryx`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args as ClapArgs, Parser, Subcommand};
use keryx_api::names;

/// Says who owns an address, who announces it, and why not; checks pools and ledger. Changes nothing but what `check ledger
/// --repair` and `rebalance` name.
#[derive(Debug, Parser)]
#[command(name = "keryx", version, max_term_width = 110)]
pub(crate) struct Args {
    /// Kubeconfig file; without it the KUBECONFIG environment variable or ~/.kube/config
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Namespace that Keryx runs in
    #[arg(long, global = true, env = "KERYX_NAMESPACE", value_name = "NAMESPACE", default_value = names::NAMESPACE)]
    pub(crate) keryx_namespace: String,

    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print pool, address, clones, endpoints, and the node that announces, or why none does
    Explain {
        /// gateway/NAMESPACE/NAME, service/NAMESPACE/NAME, or an IP address
        target: Target,
    },
    /// Move VIPs to the nodes that are first choice for them, one after the other, as after a node has come back. Each move
    /// resets the connections that a Service of policy Cluster has through the node before
    Rebalance,
    /// Print how the BGP sessions of the nodes stand, as their SpeakerStatus says. Exit code: 0 all stand, 1 one does not, 2 it could
    /// not be found out
    Bgp {
        /// Only those of this node
        #[arg(long, value_name = "NAME")]
        node: Option<String>,
    },
    /// Say what an edit of pools would do, or what is wrong with the ledger. Exit code: 0 nothing wrong, 1 something is,
    /// 2 it could not be found out
    Check(CheckArgs),
}

/// What to check.
#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct CheckArgs {
    /// YAML file with the address ConfigMap and IPAddressPools as they are to be, '-' for standard input; others in it are
    /// passed over
    #[arg(short, long = "filename", value_name = "FILE", required_unless_present = "deleted_pools")]
    pub(crate) files: Vec<PathBuf>,

    /// Name of an IPAddressPool that is to be deleted; repeat for several
    #[arg(long = "delete-pool", value_name = "NAME", conflicts_with = "offline")]
    pub(crate) deleted_pools: Vec<String>,

    /// Look at the files alone, not at a cluster
    #[arg(long)]
    pub(crate) offline: bool,

    /// Name of the ConfigMap with address ranges
    #[command(flatten)]
    pub(crate) ranges: RangesArgs,

    /// What else to check
    #[command(subcommand)]
    pub(crate) instead: Option<CheckInstead>,
}

/// What else to check.
#[derive(Debug, Subcommand)]
pub(crate) enum CheckInstead {
    /// List ledger entries that cannot be read or contradict the statuses
    Ledger(LedgerArgs),
}

/// How to look at the ledger.
#[derive(Debug, ClapArgs)]
pub(crate) struct LedgerArgs {
    /// Rewrite unreadable entries from the statuses, or remove them where no status shows their address
    #[arg(long)]
    pub(crate) repair: bool,

    /// spec.controllerName of Keryx' GatewayClasses
    #[arg(
        long,
        env = "KERYX_CONTROLLER_NAME",
        value_name = "NAME",
        default_value = names::CONTROLLER_NAME
    )]
    pub(crate) controller_name: String,

    /// Name of the ConfigMap with address ranges
    #[command(flatten)]
    pub(crate) ranges: RangesArgs,
}

/// Where the address ranges are.
#[derive(Debug, ClapArgs)]
pub(crate) struct RangesArgs {
    /// ConfigMap with address ranges: NAME in Keryx' own namespace, or NAMESPACE/NAME
    #[arg(long, env = "KERYX_IPAM_CONFIGMAP", value_name = "NAME", default_value = names::IPAM_CONFIGMAP)]
    pub(crate) ipam_configmap: String,
}

impl RangesArgs {
    /// Namespace and name of the ConfigMap.
    pub(crate) fn place<'a>(&'a self, own_namespace: &'a str) -> (&'a str, &'a str) {
        self.ipam_configmap.split_once('/').unwrap_or((own_namespace, &self.ipam_configmap))
    }
}

/// What to explain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A Gateway.
    Gateway(String, String),
    /// A Service.
    Service(String, String),
    /// Whoever has this address.
    Address(IpAddr),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        let words: Vec<&str> = text.split('/').collect();
        match words.as_slice() {
            ["gateway" | "gtw", namespace, name] => Ok(Self::Gateway((*namespace).into(), (*name).into())),
            ["service" | "svc", namespace, name] => Ok(Self::Service((*namespace).into(), (*name).into())),
            _ => Err("expected gateway/NAMESPACE/NAME, service/NAMESPACE/NAME or an IP address".to_owned()),
        }
    }
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
    fn check_takes_files_or_the_ledger_and_not_both() {
        let parse = |words: &[&str]| Args::try_parse_from([&["keryx", "check"], words].concat());
        for words in [&["-f", "a", "-f", "b", "--offline"][..], &["ledger"], &["ledger", "--repair"]] {
            assert!(parse(words).is_ok(), "{words:?}");
        }
        for words in [&[][..], &["--repair"], &["-f", "a", "ledger"]] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn the_configmap_may_stand_in_another_namespace() {
        let place = |text: &str| {
            let ranges = RangesArgs { ipam_configmap: text.to_owned() };
            let (namespace, name) = ranges.place("own");
            (namespace.to_owned(), name.to_owned())
        };
        assert_eq!(place("ranges"), ("own".to_owned(), "ranges".to_owned()));
        assert_eq!(place("net/ranges"), ("net".to_owned(), "ranges".to_owned()));
    }

    #[test]
    fn a_target_is_an_address_or_a_named_object() {
        assert_eq!("192.0.2.1".parse(), Ok(Target::Address("192.0.2.1".parse().unwrap())));
        assert_eq!("gateway/a/b".parse(), Ok(Target::Gateway("a".into(), "b".into())));
        assert_eq!("svc/a/b".parse(), Ok(Target::Service("a".into(), "b".into())));
        assert!("a/b".parse::<Target>().is_err());
    }
}
