//! Command line of `keryx`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Parser, Subcommand};
use keryx_api::names;

/// Says who owns an address, who announces it, and why not. Reads the cluster and changes nothing.
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
    fn a_target_is_an_address_or_a_named_object() {
        assert_eq!("192.0.2.1".parse(), Ok(Target::Address("192.0.2.1".parse().unwrap())));
        assert_eq!("gateway/a/b".parse(), Ok(Target::Gateway("a".into(), "b".into())));
        assert_eq!("svc/a/b".parse(), Ok(Target::Service("a".into(), "b".into())));
        assert!("a/b".parse::<Target>().is_err());
    }
}
