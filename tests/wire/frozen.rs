//! A speaker that is stopped for a while, as by a paused machine.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use keryx_lab::Signal;
use keryx_lab::capture::wall_nanos;

use crate::Test;
use crate::speakers::{mac, play};

pub(crate) const TESTS: &[Test] =
    &[("frozen::a_holder_that_goes_on_after_five_seconds_is_no_second_announcer", frozen)];

const STOPPED: Duration = Duration::from_secs(5);
const AFTERWARDS: Duration = Duration::from_secs(2);

fn frozen() -> Result<()> {
    play(1, |speakers| {
        let process = speakers.run_as_process(1)?;
        let asker = speakers.ask(1)?;
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
