//! `keryx-lab`: a test lab to play with.

use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};
use keryx_lab::{Lab, ProxyMode, Running, Tier};

/// A real Kubernetes cluster in network namespaces of this machine
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// The lab to talk to, such as kx1; needed if several are up
    #[arg(long, env = "KERYX_LAB", global = true)]
    lab: Option<String>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Bring a lab up and leave it running
    Up(Up),
    /// Tear a lab down
    Down,
    /// Remove what labs left whose owner and keeper were killed
    Gc,
    /// Run kubectl with all rights
    #[command(disable_help_flag = true)]
    Kubectl {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Run a program inside a host of the lab: n1 and on, c1 and on, cp, sw
    Exec {
        host: String,
        program: String,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Print what a shell has to set to talk to the lab by itself
    Env,
}

#[derive(clap::Args)]
struct Up {
    /// How much of a cluster
    #[arg(long, value_enum, default_value = "cluster")]
    tier: TierName,
    #[arg(long, default_value_t = 3)]
    nodes: u8,
    /// Nodes without kubelets, for crowds
    #[arg(long, default_value_t = 0)]
    fake_nodes: u16,
    #[arg(long, default_value_t = 1)]
    clients: u8,
    #[arg(long, default_value_t = 1)]
    segments: u8,
    /// How kube-proxy programs the kernel
    #[arg(long, value_enum, default_value = "nftables")]
    proxy_mode: ProxyModeName,
    /// Leave the Gateway API's CustomResourceDefinitions out
    #[arg(long)]
    no_gateway_api: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum TierName {
    /// Namespaces and segments only
    Wire,
    /// And etcd, kube-apiserver, kube-controller-manager
    Api,
    /// And scheduler, DNS, kubelets
    Cluster,
}

#[derive(Clone, Copy, ValueEnum)]
enum ProxyModeName {
    Nftables,
    Iptables,
}

fn main() -> ExitCode {
    keryx_lab::init();
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("keryx-lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(Cli { lab, action }: Cli) -> Result<()> {
    let running = || Running::find(lab.as_deref());
    match action {
        Action::Up(wanted) => up(&wanted),
        Action::Down => running()?.down(),
        Action::Gc => {
            keryx_lab::collect_garbage()?.iter().for_each(|lab| println!("{lab} removed"));
            Ok(())
        }
        Action::Kubectl { args } => Err(running()?.kubectl().args(args).exec().into()),
        Action::Exec { host, program, args } => {
            Err(running()?.command(&host, program)?.args(args).exec().into())
        }
        Action::Env => {
            running()?.environment().iter().for_each(|(name, value)| println!("export {name}='{value}'"));
            Ok(())
        }
    }
}

fn up(wanted: &Up) -> Result<()> {
    let tier = match wanted.tier {
        TierName::Wire => Tier::Wire,
        TierName::Api => Tier::Api,
        TierName::Cluster => Tier::Cluster,
    };
    let proxy_mode = match wanted.proxy_mode {
        ProxyModeName::Nftables => ProxyMode::Nftables,
        ProxyModeName::Iptables => ProxyMode::Iptables,
    };
    let builder =
        Lab::builder().tier(tier).nodes(wanted.nodes).clients(wanted.clients).segments(wanted.segments);
    let builder = builder.fake_nodes(wanted.fake_nodes).proxy_mode(proxy_mode);
    let lab = builder.gateway_api(!wanted.no_gateway_api).start()?;
    let prefix = lab.prefix().to_owned();
    lab.keep()?;
    println!(
        "lab {prefix} is up. As root:
  keryx-lab kubectl get nodes             any kubectl command
  keryx-lab exec c1 -- curl 10.98.0.150   a program on the client (n1: on a node, sw: on the switch)
  eval \"$(keryx-lab env)\"                 for a shell: $KERYX_LAB_API $KERYX_LAB_KUBECTL get pods
  keryx-lab down"
    );
    Ok(())
}
