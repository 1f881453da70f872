//! What the drivers are told.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use keryx_plan::{NodeName, Plan};
use serde::{Deserialize, Serialize};

/// The plan and what a driver needs beside it. Published whole: only the latest state counts, so a slow driver can
/// neither hold up the others nor pile up work.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    /// What to announce and to guard.
    pub plan: Arc<Plan>,
    /// The Node's InternalIPs.
    pub internal_ips: Vec<IpAddr>,
    /// Whether this node hands over what it holds.
    pub draining: bool,
    /// Every Node of the cluster with its InternalIPs.
    pub nodes: Arc<BTreeMap<NodeName, Vec<IpAddr>>>,
}
