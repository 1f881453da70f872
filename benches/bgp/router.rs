//! The router: BIRD, with a session to each node, and the client that runs on it.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};
use keryx_lab::Host;
use keryx_lab::router::Bird;
use keryx_tests::{Keryx, wait};

/// AS of the nodes, and of the router.
pub(crate) const LOCAL_AS: u32 = 64_512;
pub(crate) const REMOTE_AS: u32 = 64_513;
/// What is advertised, on no segment.
pub(crate) const RANGE: &str = "198.51.100.0/24";

/// BFD at both ends: 3 packets of 50 ms each.
const BFD: &str =
    "protocol bfd { interface \"eth0\" { min rx interval 50 ms; min tx interval 50 ms; multiplier 3; }; }\n";

/// The host that the router runs on.
pub(crate) fn host(keryx: &Keryx) -> Host {
    keryx.lab.client_host(2)
}

/// Starts it. What it hears becomes routes of its kernel, one with all next hops, over which flows are spread.
pub(crate) fn start(keryx: &Keryx) -> Result<Bird> {
    let host = host(keryx);
    let status =
        host.command("sysctl").args(["-q", "-w", "net.ipv4.fib_multipath_hash_policy=1"]).status()?;
    ensure!(status.success(), "sysctl: {status}");
    let mut config = begin(&host) + BFD;
    config.push_str(
        "protocol kernel { ipv4 { import none; export where source = RTS_BGP; }; merge paths yes; }\n",
    );
    for node in keryx.lab.nodes() {
        config.push_str(&session(
            node.name(),
            (&host, REMOTE_AS),
            (&node, LOCAL_AS),
            "bfd on; ipv4 { import all; export none; }",
        ));
    }
    host.bird(&config)
}

/// The BIRD of a node, which says that it has the way to `address`.
pub(crate) fn node_config(keryx: &Keryx, node: &Host, address: &str) -> String {
    let mut config = begin(node) + BFD;
    let _ = writeln!(config, "protocol static {{ ipv4; route {address}/32 unreachable; }}");
    let export = "bfd on; ipv4 { import none; export all; next hop self; }";
    config.push_str(&session("uplink", (node, LOCAL_AS), (&host(keryx), REMOTE_AS), export));
    config
}

/// The beginning of each configuration.
pub(crate) fn begin(host: &Host) -> String {
    format!("log stderr all;\nrouter id {};\nprotocol device {{}}\n", host.address_v4())
}

/// A session between the addresses of two hosts, each with its AS; what else there is to say of it is `more`.
pub(crate) fn session(name: &str, local: (&Host, u32), remote: (&Host, u32), more: &str) -> String {
    format!(
        "protocol bgp {name} {{ local {} as {}; neighbor {} as {}; connect retry time 1; connect delay time 1; \
         error wait time 1, 2; {more}; }}\n",
        local.0.address_v4(),
        local.1,
        remote.0.address_v4(),
        remote.1
    )
}

/// Waits until the router's kernel has the way to `address` over so many nodes.
pub(crate) fn wait_paths(keryx: &Keryx, address: &str, nodes: usize) -> Result<()> {
    wait::until(&format!("{nodes} ways to {address}"), || {
        let output = host(keryx).command("ip").args(["route", "show", &format!("{address}/32")]).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // One way alone stands in the first line.
        let ways = text.matches("nexthop via").count().max(usize::from(text.contains(" via ")));
        Ok((ways == nodes).then_some(()))
    })
}

/// Waits until the router has the session of this name.
pub(crate) fn established(bird: &Bird, name: &str) -> Result<()> {
    wait::until(&format!("a session with {name}"), || {
        Ok(bird.state(name)?.contains("Established").then_some(()))
    })
}

/// Routes in the router's IPv4 table.
pub(crate) fn count(bird: &Bird) -> Result<u32> {
    let answer = bird.ask("show route count table master4")?;
    let number = answer.split_whitespace().next().and_then(|number| number.parse().ok());
    number.with_context(|| format!("BIRD does not count: {answer}"))
}
