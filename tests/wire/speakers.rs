//! Speakers that know each other: the layer 2 drivers of all nodes of a lab, with one VIP among them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use keryx_lab::capture::MacAddr;
use keryx_lab::probe;
use keryx_lab::{Host, Lab, Process};
use keryx_tests::wait;
use tempfile::TempDir;

use crate::asker::{Asker, Story};
use crate::driver::{Driver, KEY, announcing_among, write_key};
use crate::lab::lab;
use crate::process;
use crate::run::run;
use crate::segment::{LIMIT, VIP};

/// For how long a client may have no answer, and for how long answers of two nodes.
#[derive(Clone, Copy)]
struct Limits {
    silence: Duration,
    overlap: Duration,
}

/// What Keryx keeps.
const LIMITS: Limits = Limits { silence: Duration::from_millis(500), overlap: Duration::from_millis(200) };
/// On a machine that does not keep up even when a fault is played again, as in the tests of whole clusters: it is its own delay
/// that is seen then.
const BUSY_LIMITS: Limits =
    Limits { silence: Duration::from_millis(1500), overlap: Duration::from_millis(1000) };
/// A machine that keeps a client from asking for so long may keep speakers from running too.
const HICCUP_MAX: Duration = Duration::from_millis(60);
/// So often a fault is played on a machine that does not keep up.
const PLAYS_MAX: usize = 3;

/// A running cluster. Dropping it ends it.
pub(crate) struct Speakers {
    /// By number of the node, less one; `None` where the node's speaker does not run.
    drivers: Vec<Option<Driver>>,
    files: TempDir,
    pub(crate) lab: Lab,
}

/// Plays a fault in a new cluster of three nodes, all of whose speakers hear each other. What `fault` gives is what clients saw.
///
/// # Errors
/// Nobody answered for too long, or two nodes did; what `fault` says.
pub(crate) fn play(clients: u8, fault: impl Fn(&mut Speakers) -> Result<Vec<Story>>) -> Result<()> {
    play_among(|| Speakers::start(clients, false), fault)
}

/// The same where the nodes hear each other on the management network too.
///
/// # Errors
/// As [`play`].
pub(crate) fn play_on_two_networks(
    clients: u8,
    fault: impl Fn(&mut Speakers) -> Result<Vec<Story>>,
) -> Result<()> {
    play_among(|| Speakers::start(clients, true), fault)
}

fn play_among(
    start: impl Fn() -> Result<Speakers>,
    fault: impl Fn(&mut Speakers) -> Result<Vec<Story>>,
) -> Result<()> {
    let mut plays_left = PLAYS_MAX;
    loop {
        plays_left -= 1;
        let mut speakers = start()?;
        let played = fault(&mut speakers);
        let hiccups = played.iter().flatten().map(Story::longest_hiccup);
        let is_busy = speakers.stalls() > 0 || hiccups.max().is_some_and(|hiccup| hiccup > HICCUP_MAX);
        let is_last = plays_left == 0;
        let limits = if is_busy && is_last { BUSY_LIMITS } else { LIMITS };
        let outcome = played.and_then(|stories| stories.iter().try_for_each(|story| limits.check(story)));
        match outcome {
            Err(error) if is_busy && !is_last => eprintln!("the machine does not keep up, again: {error:#}"),
            outcome => return outcome,
        }
    }
}

impl Limits {
    fn check(&self, story: &Story) -> Result<()> {
        let (silence, overlap) = (story.longest_silence(), story.longest_overlap());
        ensure!(silence <= self.silence, "nobody answered for {silence:?}");
        ensure!(overlap <= self.overlap, "several answered for {overlap:?}: {:?}", story.answered_by());
        Ok(())
    }
}

impl Speakers {
    fn start(clients: u8, on_two_networks: bool) -> Result<Self> {
        let lab = lab(|wire| wire.nodes(3).clients(clients))?;
        let mut speakers = Self { drivers: Vec::new(), files: tempfile::tempdir()?, lab };
        for number in 1..=3 {
            if !on_two_networks {
                // Or a node that is cut off from the segment would know that by the other network.
                run(&speakers.lab.node(number), "ip link del mgmt0")?;
            }
            std::fs::create_dir(speakers.folder(number))?;
            speakers.set_key(number, KEY)?;
            speakers.drivers.push(None);
            speakers.start_speaker(number)?;
        }
        (1..=3).try_for_each(|number| speakers.wait_members(number, 2))?;
        speakers.wait_holder()?;
        Ok(speakers)
    }

    /// Starts a node's speaker with the files that the one before it left.
    pub(crate) fn start_speaker(&mut self, number: u8) -> Result<()> {
        let node = self.lab.node(number);
        let orders = announcing_among(&self.lab.nodes(), &[VIP.into()]);
        let driver = Driver::layer2_with(&node, orders, &self.folder(number))?;
        self.drivers[usize::from(number) - 1] = Some(driver);
        Ok(())
    }

    /// Ends a node's speaker in order, as when its Pod goes.
    pub(crate) fn stop_speaker(&mut self, number: u8) {
        self.drivers[usize::from(number) - 1] = None;
    }

    /// Ends a node's speaker for good, and starts another there as a process of its own, which takes up what it held. `number` has to be
    /// that of the holder.
    pub(crate) fn run_as_process(&mut self, number: u8) -> Result<Process> {
        let (node, holder) = (self.lab.node(number), self.wait_holder()?);
        ensure!(holder.name() == node.name(), "{} holds the address, not {}", holder.name(), node.name());
        self.stop_speaker(number);
        let orders = announcing_among(&self.lab.nodes(), &[VIP.into()]);
        let process = process::start(&node, &orders, &self.folder(number))?;
        let others = (1..=3).filter(|other| *other != number);
        others.into_iter().try_for_each(|other| self.wait_members(other, 2))?;
        wait::until_within(LIMIT, "an answer of the process", || {
            let answers = self.announcers()?;
            Ok((answers == BTreeSet::from([mac(&node)])).then_some(()))
        })?;
        Ok(process)
    }

    /// Where a node's speaker has its files.
    pub(crate) fn folder(&self, number: u8) -> PathBuf {
        self.files.path().join(self.lab.node(number).name())
    }

    /// Who answers a client now.
    pub(crate) fn announcers(&self) -> Result<BTreeSet<MacAddr>> {
        let client = self.lab.client_host(1).namespace();
        let answers = probe::arp_once(&client, "eth0", VIP, Duration::from_millis(50))?;
        Ok(answers.into_iter().map(|answer| answer.mac).collect())
    }

    /// Gives the next speaker of a node another key.
    pub(crate) fn set_key(&self, number: u8, key: [u8; 32]) -> Result<()> {
        write_key(&self.folder(number), key)
    }

    /// The driver of a node.
    pub(crate) fn driver(&self, number: u8) -> Result<&Driver> {
        self.drivers[usize::from(number) - 1].as_ref().context("that node has no speaker")
    }

    /// Waits until a node's speaker hears exactly so many others.
    pub(crate) fn wait_members(&self, number: u8, count: i64) -> Result<()> {
        let driver = self.driver(number)?;
        wait::until_within(LIMIT, &format!("node {number} to hear {count} others"), || {
            Ok((driver.metrics.members.get() == count).then_some(()))
        })
    }

    /// Waits until exactly one node announces, and gives it.
    pub(crate) fn wait_holder(&self) -> Result<Host> {
        self.wait_holder_but(None)
    }

    /// Waits until exactly one of the nodes but `left_out` announces, and gives it.
    pub(crate) fn wait_holder_but(&self, left_out: Option<&Host>) -> Result<Host> {
        let nodes = self.lab.nodes().into_iter().zip(&self.drivers);
        let nodes: Vec<_> = nodes
            .filter(|(node, _)| left_out.is_none_or(|left_out| left_out.name() != node.name()))
            .collect();
        wait::until_within(LIMIT, "one announcer", || {
            let announces = |driver: &Driver| driver.metrics.vips_announced.get() == 1;
            let mut holders = nodes.iter().filter(|(_, driver)| driver.as_ref().is_some_and(announces));
            Ok(holders.next().filter(|_| holders.next().is_none()).map(|(node, _)| node.clone()))
        })
    }

    /// A client that asks all the time.
    pub(crate) fn ask(&self, client: u8) -> Result<Asker> {
        Asker::start(&self.lab.client_host(client))
    }

    fn stalls(&self) -> u64 {
        self.drivers.iter().flatten().map(|driver| driver.metrics.stalls.get()).sum()
    }
}

/// The hardware address of a node on the first segment.
pub(crate) fn mac(node: &Host) -> MacAddr {
    MacAddr(node.mac())
}

/// The number of a node.
pub(crate) fn number(node: &Host) -> Result<u8> {
    Ok(node.name().trim_start_matches('n').parse()?)
}
