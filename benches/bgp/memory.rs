//! What a speaker has in memory that tells several routers of many prefixes.

use std::time::Duration;

use anyhow::{Context as _, Result};
use keryx_benches::figures::{Figure, Limit};
use keryx_lab::Lab;
use keryx_lab::router::Bird;
use keryx_tests::object::Object;
use keryx_tests::{Keryx, Space, wait};
use serde_json::json;

use crate::router::{self, LOCAL_AS, REMOTE_AS};
use crate::say;

const ROUTERS: u8 = 4;
const SERVICES: u32 = 10_000;
/// Room for all of them, on no segment.
const RANGE: &str = "10.64.0.0/16";
/// Most that the speaker may have, in MiB.
const MAX_MIB: f64 = 40.0;
/// How long Services may wait for their addresses, and those for the routers.
const PATIENCE: Duration = Duration::from_secs(300);
/// A speaker to which nothing has happened for so long is at rest.
const REST: Duration = Duration::from_secs(20);
const BYTES_PER_MIB: f64 = 1_048_576.0;

/// Memory of the speaker in bytes, of shared pages its share.
pub(crate) struct Memory {
    /// With four sessions and nothing to tell.
    empty: u64,
    /// With all prefixes told to all routers.
    full: u64,
}

impl Memory {
    /// Rows of the table.
    pub(crate) fn figures(&self) -> [Figure; 2] {
        let figure = |name: &'static str, bytes: u64, limit| Figure {
            name: name.into(),
            value: bytes as f64 / BYTES_PER_MIB,
            unit: "MiB",
            peer: None,
            limit,
        };
        [
            figure("memory with 4 routers and no prefix (PSS)", self.empty, Limit::None),
            figure("memory with 10,000 prefixes to 4 routers (PSS)", self.full, Limit::AtMost(MAX_MIB)),
        ]
    }
}

/// Measures the speaker of the only node of a cluster of its own.
pub(crate) fn measure() -> Result<Memory> {
    let keryx = Keryx { lab: Lab::builder().nodes(1).clients(ROUTERS).routers(true).start()? };
    keryx.install()?;
    keryx.set_ranges(&[("cidr-global", RANGE)])?;
    let node = keryx.lab.node(1);
    let advertisement = Object::apply(&keryx, "BGPAdvertisement", "all", json!({}))?;
    let routers = (1..=ROUTERS).map(|number| router(&keryx, number)).collect::<Result<Vec<_>>>()?;
    for (bird, _) in &routers {
        router::established(bird, node.name())?;
    }
    std::thread::sleep(REST);
    let empty = keryx.speaker_usage(&node)?.pss_bytes;
    let space = Space::new(&keryx, "bgp-memory")?;
    say("creating the Services");
    space.create_crowd(SERVICES)?;
    space.create_crowd_endpoints(SERVICES, node.name())?;
    space.crowd_addresses(SERVICES, PATIENCE)?;
    say("waiting until every router knows all");
    for (bird, _) in &routers {
        let known = wait::until_within(PATIENCE, "all prefixes at a router", || {
            Ok((router::count(bird)? == SERVICES).then_some(()))
        });
        known.with_context(|| keryx.pods())?;
    }
    std::thread::sleep(REST);
    let full = keryx.speaker_usage(&node)?.pss_bytes;
    drop((routers, advertisement));
    Ok(Memory { empty, full })
}

/// A router on a client, and Keryx' session with it.
fn router(keryx: &Keryx, number: u8) -> Result<(Bird, Object<'_>)> {
    let (node, host) = (keryx.lab.node(1), keryx.lab.client_host(number));
    let mut config = router::begin(&host);
    let channel = "ipv4 { import all; export none; }";
    config.push_str(&router::session(node.name(), (&host, REMOTE_AS), (&node, LOCAL_AS), channel));
    let spec = json!({
        "myASN": LOCAL_AS, "peerASN": REMOTE_AS, "connectTime": "1s",
        "peerAddress": host.address_v4().to_string(),
    });
    Ok((host.bird(&config)?, Object::apply(keryx, "BGPPeer", host.name(), spec)?))
}
