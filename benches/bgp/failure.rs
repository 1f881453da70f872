//! What a client behind the router misses.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use keryx_benches::side::Side;
use keryx_lab::Signal;
use keryx_lab::probe::{Pace, PingReport, Pinger};
use keryx_lab::router::Bird;
use keryx_tests::app::service;
use keryx_tests::keryx::NAMESPACE;
use keryx_tests::{Keryx, Space, wait};
use serde_json::Value;

use crate::router;
use crate::sides;

const PORT: u16 = 7100;
/// Ports that the client sends from, one after the other, so that every node forwards some.
const FLOWS: usize = 60;
const INTERVAL: Duration = Duration::from_millis(1);
/// How long a late answer still counts.
const LATE: Duration = Duration::from_millis(500);
/// Before what is done, and after it.
const BEFORE: Duration = Duration::from_millis(500);
const AFTER: Duration = Duration::from_secs(2);
/// Until every kube-proxy has heard of a Pod.
const KUBE_PROXIES: Duration = Duration::from_secs(3);
/// Where the Pod runs; another node is unplugged.
const SERVING: &str = "n3";

/// What was lost in each round.
pub(crate) struct Outages(Vec<PingReport>);

impl Outages {
    /// Median of the times from the first datagram lost to the last.
    pub(crate) fn p50_ms(&self) -> f64 {
        let mut spans: Vec<Duration> = self.0.iter().map(|report| report.lost_span).collect();
        spans.sort_unstable();
        millis(spans.get(spans.len() / 2))
    }

    /// The longest of them.
    pub(crate) fn max_ms(&self) -> f64 {
        millis(self.0.iter().map(|report| report.lost_span).max().as_ref())
    }

    /// Datagrams lost in all rounds.
    pub(crate) fn lost(&self) -> f64 {
        self.0.iter().map(|report| f64::from(report.lost())).sum()
    }

    /// Every round.
    pub(crate) fn listed(&self) -> String {
        let of = |report: &PingReport| {
            format!("{:.0} ms, {} of {} lost", millis(Some(&report.lost_span)), report.lost(), report.sent)
        };
        self.0.iter().map(of).collect::<Vec<_>>().join("; ")
    }
}

fn millis(duration: Option<&Duration>) -> f64 {
    duration.map_or(f64::NAN, |duration| duration.as_secs_f64() * 1000.0)
}

/// The Service that the client asks.
struct Scene<'a> {
    keryx: &'a Keryx,
    address: String,
    _space: Space<'a>,
}

impl<'a> Scene<'a> {
    fn new(keryx: &'a Keryx, name: &str, spec: &Value) -> Result<Self> {
        let space = Space::new(keryx, name)?;
        space.run_app("web", 1, Some(SERVING))?;
        space.apply(service("web", "web", PORT, spec.clone()))?;
        let address = match spec.pointer("/externalIPs/0").and_then(Value::as_str) {
            Some(address) => address.to_owned(),
            None => space.service_address("web")?.to_string(),
        };
        router::wait_paths(keryx, &address, keryx.lab.nodes().len())?;
        std::thread::sleep(KUBE_PROXIES);
        Ok(Self { keryx, address, _space: space })
    }

    /// Asks while `fault` is done and for a while after it.
    fn ask(&self, fault: impl FnOnce() -> Result<()>) -> Result<PingReport> {
        let server = SocketAddr::new(self.address.parse::<IpAddr>()?, PORT);
        let client = router::host(self.keryx).namespace();
        let pinger =
            Pinger::start_flows(&client, server, FLOWS, Pace::new(INTERVAL, Duration::from_secs(120)), LATE)?;
        std::thread::sleep(BEFORE);
        let done = fault();
        std::thread::sleep(AFTER);
        let report = pinger.stop();
        done?;
        ensure!(report.answered > 0, "nobody answers at {server}");
        Ok(report)
    }
}

/// A node is cut off silently, and BFD finds it.
pub(crate) fn unplugged(keryx: &Keryx, bird: &Bird, spec: &Value, rounds: u32) -> Result<Outages> {
    let scene = Scene::new(keryx, "bgp-unplugged", spec)?;
    let nodes = keryx.lab.nodes();
    let node = nodes.iter().find(|node| node.name() != SERVING).context("there is one node only")?;
    let mut reports = Vec::new();
    for _ in 0..rounds {
        let report = scene.ask(|| node.unplug(0));
        node.plug(0)?;
        reports.push(report?);
        sides::established(keryx, bird)?;
        wait::until("BFD to be up again", || {
            let sessions = bird.ask("show bfd sessions")?;
            Ok((sessions.lines().filter(|line| line.contains(" Up ")).count() == nodes.len()).then_some(()))
        })?;
        router::wait_paths(keryx, &scene.address, nodes.len())?;
    }
    Ok(Outages(reports))
}

/// The speaker of a node is killed, and started again by the kubelet.
pub(crate) fn killed(keryx: &sides::Keryx<'_>, rounds: u32) -> Result<Outages> {
    let scene = Scene::new(keryx.lab, "bgp-killed", &Side::KERYX.service_spec())?;
    let node = keryx.lab.lab.node(1);
    let restart = || {
        keryx.lab.signal_speaker(&node, Signal::SIGKILL)?;
        keryx.lab.wait_speakers()?;
        sides::established(keryx.lab, &keryx.bird)
    };
    (0..rounds).map(|_| scene.ask(restart)).collect::<Result<Vec<_>>>().map(Outages)
}

/// All speakers are replaced, one after the other.
pub(crate) fn rolled(keryx: &sides::Keryx<'_>, rounds: u32) -> Result<Outages> {
    let scene = Scene::new(keryx.lab, "bgp-rolled", &Side::KERYX.service_spec())?;
    let roll = || {
        keryx.lab.lab.kubectl(&["-n", NAMESPACE, "rollout", "restart", "daemonset/keryx-speaker"])?;
        keryx.lab.wait_speakers()?;
        sides::established(keryx.lab, &keryx.bird)
    };
    (0..rounds.div_ceil(3)).map(|_| scene.ask(roll)).collect::<Result<Vec<_>>>().map(Outages)
}
