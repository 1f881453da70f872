//! `keryx`, also callable as `kubectl keryx` when it is installed as `kubectl-keryx`: says who owns an address, who
//! announces it, and why not; how BGP sessions stand; what an edit of pools would do; what is wrong with the ledger; spreads VIPs anew.

mod args;
mod audit;
mod bgp;
mod check;
mod cluster;
mod explain;
mod rebalance;
mod speakers;

use std::process::ExitCode;

use args::{Args, CheckInstead, Command};
use clap::Parser as _;

/// Exit code of a check that found something wrong.
const WRONG: u8 = 1;
/// Exit code of a check that could not be made, as of wrong arguments.
const NO_ANSWER: u8 = 2;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let checked = match &args.command {
        Command::Explain { target } => {
            let cluster = cluster::Cluster::read(&args).await?;
            print!("{}", explain::explain(&cluster, target).await?);
            return Ok(ExitCode::SUCCESS);
        }
        Command::Rebalance => rebalance::rebalance(&args).await,
        Command::Bgp { node } => bgp::bgp(&args, node.as_deref()).await,
        Command::Check(what) => match &what.instead {
            None => check::check(&args, what).await,
            Some(CheckInstead::Ledger(how)) => audit::audit(&args, how).await,
        },
    };
    Ok(match checked {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(WRONG),
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::from(NO_ANSWER)
        }
    })
}
