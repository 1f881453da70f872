//! What a speaker of BGP uses to tell a router of many prefixes: Keryx' driver and BIRD, one after the other, each alone in its process.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use keryx_benches::figures::{Figure, Limit};
use keryx_lab::capture::{BgpKind, BgpMessage, Capture};
use keryx_lab::router::{Bird, BirdPath};
use keryx_lab::{Host, Lab, Process, Signal, Tier};
use keryx_tests::keryx::program;
use keryx_tests::wait;

use crate::router::{self, LOCAL_AS, REMOTE_AS};

/// Prefixes that the router is told of: /32 from 10.0.0.0 on.
const PREFIXES: u32 = 100_000;
/// The community on all of them, beside LOCAL_AS.
const COMMUNITY: u32 = 100;
/// Most that Keryx may use, of what BIRD does.
const RATIO_MAX: f64 = 1.2;
/// How often each side sends.
const ROUNDS: usize = 7;
/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(60);
/// Octets of an UPDATE that says nothing, which ends the routes of IPv4 (RFC 4724 section 2).
const END_OF_RIB_LEN: usize = 23;
const BYTES_PER_KIB: f64 = 1024.0;

/// What one sending took.
#[derive(Clone, Copy, Debug)]
struct Sent {
    /// Processor time of the sender's process, all its threads, in milliseconds.
    cpu_ms: f64,
    /// Octets of its messages, from OPEN to End-of-RIB.
    octets: usize,
    /// UPDATEs among them.
    updates: usize,
}

/// Every round of both sides.
pub(crate) struct Feeds {
    own: Vec<Sent>,
    bird: Vec<Sent>,
}

impl Feeds {
    /// Rows of the table.
    pub(crate) fn figures(&self) -> [Figure; 2] {
        let figure = |name: &'static str, unit, of: fn(&Sent) -> f64| Figure {
            name: name.into(),
            value: median(&self.own, of),
            unit,
            peer: Some(median(&self.bird, of)),
            limit: Limit::Ratio(RATIO_MAX),
        };
        [
            figure("100,000 prefixes to a router, processor time (BIRD)", "ms", |sent| sent.cpu_ms),
            figure("100,000 prefixes to a router, sent (BIRD)", "KiB", |sent| {
                sent.octets as f64 / BYTES_PER_KIB
            }),
        ]
    }

    /// Every round, in lines.
    pub(crate) fn notes(&self) -> [String; 2] {
        let listed = |name: &str, all: &[Sent]| {
            let each = all.iter().map(|sent| {
                format!("{:.1} ms, {} octets in {} UPDATEs", sent.cpu_ms, sent.octets, sent.updates)
            });
            format!("{name}, {PREFIXES} prefixes: {}", each.collect::<Vec<_>>().join("; "))
        };
        [listed("Keryx", &self.own), listed("BIRD", &self.bird)]
    }
}

fn median(all: &[Sent], of: fn(&Sent) -> f64) -> f64 {
    let mut values: Vec<f64> = all.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Who sends.
enum Sender {
    Keryx(Process),
    Bird(Bird),
}

impl Sender {
    fn process(&self) -> &Process {
        match self {
            Self::Keryx(process) => process,
            Self::Bird(bird) => bird.process(),
        }
    }

    /// Has it make its session. Keryx' driver gets its plan only now; BIRD has its routes in its table.
    fn go(&self) -> Result<()> {
        match self {
            Self::Keryx(process) => process.signal(Signal::SIGUSR1),
            Self::Bird(bird) => bird.ask("enable uplink").map(drop),
        }
    }
}

/// Measures both sides in turn, in a lab without a cluster.
pub(crate) fn measure() -> Result<Feeds> {
    let lab = Lab::builder().tier(Tier::Wire).nodes(1).clients(1).routers(true).start()?;
    let (node, host) = (lab.node(1), lab.client_host(1));
    let mut feeds = Feeds { own: Vec::new(), bird: Vec::new() };
    for _ in 0..ROUNDS {
        let (own, own_path) = round(&node, &host, keryx(&node, &host)?)?;
        let (bird, bird_path) = round(&node, &host, bird(&node, &host)?)?;
        let is_same =
            own_path.attributes == bird_path.attributes && own_path.next_hops == bird_path.next_hops;
        ensure!(is_same, "what is said differs: {own_path:?}, and by BIRD {bird_path:?}");
        feeds.own.push(own);
        feeds.bird.push(bird);
    }
    Ok(feeds)
}

/// A router that knows nothing is told everything. The last route as it has it comes with what that took.
fn round(node: &Host, host: &Host, sender: Sender) -> Result<(Sent, BirdPath)> {
    let mut config = router::begin(host);
    let channel = "passive; ipv4 { import all; export none; }";
    config.push_str(&router::session("node", (host, REMOTE_AS), (node, LOCAL_AS), channel));
    let receiver = host.bird(&config)?;
    let capture = Capture::start(&host.namespace(), "eth0")?;
    let before = sender.process().usage()?.cpu;
    sender.go()?;
    let is_sent = |message: &BgpMessage| message.source.ip() == node.address_v4();
    let ends = |message: &BgpMessage| {
        is_sent(message) && message.kind == BgpKind::Update && message.octets.len() == END_OF_RIB_LEN
    };
    capture.wait_for_bgp(ends, LIMIT).context("no End-of-RIB has come")?;
    let cpu = sender.process().usage()?.cpu.saturating_sub(before);
    ensure!(capture.missed() == 0, "the capture missed {} frames; close other programs", capture.missed());
    wait::until_within(LIMIT, "all prefixes in the router's table", || {
        Ok((router::count(&receiver)? == PREFIXES).then_some(()))
    })?;
    let messages: Vec<BgpMessage> = capture.bgp_messages().into_iter().filter(is_sent).collect();
    let sent = Sent {
        cpu_ms: cpu.as_secs_f64() * 1000.0,
        octets: messages.iter().map(|message| message.octets.len()).sum(),
        updates: messages.iter().filter(|message| message.kind == BgpKind::Update).count(),
    };
    let last = format!("{}/32", prefix(PREFIXES - 1));
    let path = receiver.route(&last)?.paths.into_iter().next();
    Ok((sent, path.with_context(|| format!("no path to {last}"))?))
}

/// Keryx' driver, which has not got its plan yet.
fn keryx(node: &Host, host: &Host) -> Result<Sender> {
    let program = program("bgp-sender").context("make bench-bgp builds it")?;
    let numbers = [LOCAL_AS, REMOTE_AS, LOCAL_AS << 16 | COMMUNITY, PREFIXES];
    let addresses = [node, host].map(|host| host.address_v4().to_string());
    let arguments = addresses.into_iter().chain(numbers.iter().map(ToString::to_string));
    let process = node.spawn("bgp-sender", program, arguments, [])?;
    wait::until("the sender to be ready", || {
        let said = std::fs::read_to_string(process.log())?;
        ensure!(process.is_running(), "it has ended: {said}");
        Ok(said.contains("ready").then_some(()))
    })?;
    Ok(Sender::Keryx(process))
}

/// BIRD with all routes in its table and no session. The community is on them already, so that it costs nothing when they are sent.
fn bird(node: &Host, host: &Host) -> Result<Sender> {
    let mut config = router::begin(node);
    let _ = writeln!(
        config,
        "protocol static {{ ipv4 {{ import filter {{ bgp_community.add(({LOCAL_AS}, {COMMUNITY})); accept; }}; }};"
    );
    for number in 0..PREFIXES {
        let _ = writeln!(config, "route {}/32 blackhole;", prefix(number));
    }
    config.push_str("}\n");
    let more = "disabled; ipv4 { import none; export all; }";
    config.push_str(&router::session("uplink", (node, LOCAL_AS), (host, REMOTE_AS), more));
    let bird = node.bird(&config)?;
    wait::until("all routes in BIRD's table", || Ok((router::count(&bird)? == PREFIXES).then_some(())))?;
    Ok(Sender::Bird(bird))
}

fn prefix(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 0).to_bits() + number)
}
