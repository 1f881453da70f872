//! A speaker that is stopped for a while, as by a paused machine.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use keryx_lab::Signal;
use keryx_lab::capture::wall_nanos;
use keryx_tests::wait;

use crate::Test;
use crate::driver::announcing_among;
use crate::process;
use crate::segment::{LIMIT, VIP};
use crate::speakers::{mac, play};

pub(crate) const TESTS: &[Test] =
    &[("frozen::a_holder_that_goes_on_after_five_seconds_is_no_second_announcer", frozen)];

const STOPPED: Duration = Duration::from_secs(5);
const AFTERWARDS: Duration = Duration::from_secs(2);

fn frozen() -> Result<()> {
    play(1, |speakers| {
        // The first choice is stopped for good, and comes back as a process that takes up what it held.
        let node = speakers.lab.node(1);
        speakers.stop_speaker(1);
        let orders = announcing_among(&speakers.lab.nodes(), &[VIP.into()]);
        let process = process::start(&node, &orders, &speakers.folder(1))?;
        let asker = speakers.ask(1)?;
        (2..=3).try_for_each(|number| speakers.wait_members(number, 2))?;
        wait::until_within(LIMIT, "an answer of the process", || {
            let answers = speakers.announcers()?;
            Ok((answers == BTreeSet::from([mac(&node)])).then_some(()))
        })?;

        process.signal(Signal::SIGSTOP)?;
        let stopped = wall_nanos();
        std::thread::sleep(STOPPED);
        let successor = speakers.wait_holder()?;
        let goes_on = wall_nanos();
        process.signal(Signal::SIGCONT)?;
        speakers.wait_members(2, 2)?;
        std::thread::sleep(AFTERWARDS);
        ensure!(process.is_running(), "it has ended: {}", std::fs::read_to_string(process.log())?);
        let story = asker.finish()?;
        let moved = story.since(stopped).answered_by();
        ensure!(moved.contains(&mac(&successor)), "{moved:?} answered");
        let answered_by = story.since(goes_on).answered_by();
        ensure!(answered_by == BTreeSet::from([mac(&successor)]), "{answered_by:?} answer in the end");
        Ok(vec![story])
    })
    .context("frozen")
}
