//! From a command that tells GoBGP of a prefix to the UPDATE that announces it.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use keryx_lab::capture::{Capture, wall_nanos};
use keryx_tests::Keryx;

use crate::arrival::announces;
use crate::router::{self, LOCAL_AS, REMOTE_AS};

/// Prefixes that are told of, one after the other.
const PREFIXES: u8 = 50;
const LIMIT: Duration = Duration::from_secs(10);

/// Median in milliseconds, of GoBGP on the first node with a session to the router. The start of its command-line program is in it.
pub(crate) fn median_ms(keryx: &Keryx) -> Result<f64> {
    let node = keryx.lab.node(1);
    let host = router::host(keryx);
    let router = router::start(keryx)?;
    let (from, to) = (node.address_v4(), host.address_v4());
    let gobgp = node.gobgp(&format!(
        "[global.config]\nas = {LOCAL_AS}\nrouter-id = \"{from}\"\n[[neighbors]]\n[neighbors.config]\n\
         neighbor-address = \"{to}\"\npeer-as = {REMOTE_AS}\n[neighbors.timers.config]\nconnect-retry = 1\n"
    ))?;
    router::established(&router, node.name())?;
    let capture = Capture::start(&host.namespace(), "eth0")?;
    let mut taken = Vec::new();
    for number in 1..=PREFIXES {
        let address = Ipv4Addr::new(198, 51, 100, number);
        let began = wall_nanos();
        gobgp.ask(&["global", "rib", "add", &format!("{address}/32"), "nexthop", &from.to_string()])?;
        let update = capture.wait_for_bgp(|message| announces(message, address), LIMIT);
        let update = update.with_context(|| format!("GoBGP does not announce {address}"))?;
        taken.push((update.at_nanos as f64 - began as f64) / 1e6);
    }
    taken.sort_by(f64::total_cmp);
    taken.get(taken.len() / 2).copied().context("nothing was measured")
}
