//! `keryx`, also callable as `kubectl keryx` when it is installed as `kubectl-keryx`: says who owns an address, who
//! announces it, and why not.

mod args;
mod cluster;
mod explain;

use clap::Parser as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = args::Args::parse();
    match &args.command {
        args::Command::Explain { target } => {
            let cluster = cluster::Cluster::read(&args).await?;
            print!("{}", explain::explain(&cluster, target)?);
            Ok(())
        }
    }
}
