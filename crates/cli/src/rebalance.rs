//! `keryx rebalance`: evens out who announces what, after nodes have come back.

use crate::args::Args;
use crate::cluster::Cluster;

/// Asks each speaker in turn to take the groups in which it is the first choice. True if all could be asked.
pub(crate) async fn rebalance(args: &Args) -> anyhow::Result<bool> {
    let cluster = Cluster::read(args).await?;
    let mut all_asked = true;
    for node in cluster.speakers.nodes() {
        match cluster.speakers.rebalance(&node).await {
            Ok(0) => println!("Node {node}: nothing to take"),
            Ok(1) => println!("Node {node}: takes one group of VIPs"),
            Ok(count) => println!("Node {node}: takes {count} groups of VIPs, one after the other"),
            Err(error) => {
                all_asked = false;
                println!("Node {node}: not asked: {error:#}");
            }
        }
    }
    Ok(all_asked)
}
