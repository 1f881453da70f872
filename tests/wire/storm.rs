//! Many questions for addresses that nobody has.

use std::time::Duration;

use anyhow::{Result, ensure};
use keryx_lab::probe::{self, AskReport, Asker, Pace};
use keryx_tests::wait;

use crate::Test;
use crate::driver::announcing;
use crate::lab::lab;
use crate::process;
use crate::segment::{LIMIT, VIP, VIPS};
use crate::station::Station;

pub(crate) const TESTS: &[Test] = &[
    ("storm::a_hundred_thousand_questions_for_others_leave_the_vip_answered", answered),
    ("storm::a_hundred_thousand_questions_for_others_cost_a_speaker_no_memory", memory),
];

const FRAMES: u32 = 100_000;
/// Of the storm, the VIP's own questions may lose so many percent: the kernel's queue of a processor holds a thousand frames of
/// all its interfaces.
const ANSWERED_MIN_PERCENT: u32 = 80;
/// From one question for the VIP to the next.
const PACE: Duration = Duration::from_millis(20);
/// Less than three octets for each question.
const GROWTH_MAX_BYTES: u64 = 256 * 1024;

fn storm_from(host: &keryx_lab::Host) -> Result<()> {
    let std::net::IpAddr::V6(spared) = VIPS[1] else { return Ok(()) };
    let sent = probe::storm(&host.namespace(), "eth0", spared, FRAMES)?;
    ensure!(sent == FRAMES, "only {sent} questions could be sent in time");
    Ok(())
}

fn answered() -> Result<()> {
    let lab = lab(|wire| wire.nodes(1).clients(2))?;
    let station = Station::start(&lab.node(1))?;
    station.announce(&VIPS)?;
    station.passed()?;
    let client = lab.client_host(1).namespace();
    let asker = Asker::start(&client, "eth0", VIP, Pace::new(PACE, Duration::from_secs(60)))?;
    storm_from(&lab.client_host(2))?;
    let AskReport { sent: asked, answered, .. } = asker.stop()?;
    let [arp, ndp] = station.passed()?;
    ensure!(asked > 10, "asked {asked} times only");
    ensure!(answered * 100 >= asked * ANSWERED_MIN_PERCENT, "{answered} of {asked} questions were answered");
    ensure!(
        (answered..=asked).contains(&arp) && ndp == 0,
        "{arp} and {ndp} frames passed, {asked} were asked"
    );
    Ok(())
}

fn memory() -> Result<()> {
    let lab = lab(|wire| wire.nodes(1))?;
    let (node, client) = (lab.node(1), lab.client_host(1));
    let folder = tempfile::tempdir()?;
    let process = process::start(&node, &announcing(&VIPS), folder.path())?;
    wait::until_within(LIMIT, "an answer of the process", || {
        let answers = probe::arp_once(&client.namespace(), "eth0", VIP, Duration::from_millis(50))?;
        Ok((answers.len() == 1).then_some(()))
    })?;
    // The first one touches code and memory that stay in use.
    storm_from(&client)?;
    let before = process.usage()?;
    storm_from(&client)?;
    let after = process.usage()?;
    let growth = after.pss_bytes.saturating_sub(before.pss_bytes);
    ensure!(growth <= GROWTH_MAX_BYTES, "{growth} octets more");
    let answers = probe::arp_once(&client.namespace(), "eth0", VIP, LIMIT / 10)?;
    ensure!(answers.len() == 1, "answers after the storm: {answers:?}");
    Ok(())
}
