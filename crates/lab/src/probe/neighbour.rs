use std::net::IpAddr;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::capture::MacAddr;
use crate::machine;
use crate::netns::Namespace;

/// An entry of a kernel's neighbour table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The neighbour's address.
    pub ip: IpAddr,
    /// Where it is; `None` while that is not known.
    pub mac: Option<MacAddr>,
    /// The state as `ip neigh` names it, such as `REACHABLE`, `STALE`, `FAILED`.
    pub state: String,
}

/// The neighbour table of an interface of the namespace, both address families.
pub fn neighbours(namespace: &Namespace, interface: &str) -> Result<Vec<Neighbour>> {
    let mut command = Command::new("ip");
    command.args(["-n", namespace.name(), "-json", "neigh", "show", "dev", interface]);
    parse(&machine::run(&mut command)?)
}

#[derive(Deserialize)]
struct Row {
    dst: IpAddr,
    lladdr: Option<String>,
    #[serde(default)]
    state: Vec<String>,
}

pub(super) fn parse(json: &str) -> Result<Vec<Neighbour>> {
    let rows: Vec<Row> = serde_json::from_str(json).context("output of ip -json neigh")?;
    let neighbours = rows.into_iter().map(|row| {
        let mac = row.lladdr.map(|text| text.parse()).transpose()?;
        Ok(Neighbour { ip: row.dst, mac, state: row.state.join(" ") })
    });
    neighbours.collect()
}
