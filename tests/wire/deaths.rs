//! Speakers that end, in order or not, and a whole node that stands still.

use std::time::Duration;

use anyhow::{Result, ensure};
use keryx_lab::Signal;

use crate::Test;
use crate::partitions::{WHILE, ends_with, nothing_moved};
use crate::speakers::play;

pub(crate) const TESTS: &[Test] = &[
    ("deaths::a_killed_holder_is_replaced_and_its_next_speaker_takes_nothing_back", killed),
    ("deaths::a_rolling_update_of_all_speakers_moves_nothing", rolling_update),
    (
        "deaths::a_node_that_stands_still_as_a_whole_is_replaced_and_no_second_announcer_when_it_goes_on",
        still,
    ),
];

/// For which a node stands still.
const STILL: Duration = Duration::from_secs(5);

fn killed() -> Result<()> {
    play(1, |speakers| {
        let process = speakers.run_as_process(1)?;
        let asker = speakers.ask(1)?;
        process.signal(Signal::SIGKILL)?;
        let successor = speakers.wait_holder()?;
        std::thread::sleep(WHILE);
        // As the kubelet does. The file says that it held the address.
        speakers.start_speaker(1)?;
        (1..=3).try_for_each(|number| speakers.wait_members(number, 2))?;
        std::thread::sleep(WHILE);
        Ok(vec![ends_with(asker, &successor)?])
    })
}

fn rolling_update() -> Result<()> {
    play(1, |speakers| {
        let holder = speakers.wait_holder()?;
        let asker = speakers.ask(1)?;
        for number in 1..=3 {
            speakers.stop_speaker(number);
            std::thread::sleep(WHILE / 2);
            speakers.start_speaker(number)?;
            (1..=3).try_for_each(|number| speakers.wait_members(number, 2))?;
            speakers.wait_holder()?;
        }
        nothing_moved(speakers, &holder, asker)
    })
}

/// Neither its speaker nor its kernel does anything, as when a virtual machine is paused.
fn still() -> Result<()> {
    play(1, |speakers| {
        let (node, process) = (speakers.lab.node(1), speakers.run_as_process(1)?);
        let asker = speakers.ask(1)?;
        node.unplug(0)?;
        process.signal(Signal::SIGSTOP)?;
        std::thread::sleep(STILL);
        let successor = speakers.wait_holder()?;
        node.plug(0)?;
        process.signal(Signal::SIGCONT)?;
        (2..=3).try_for_each(|number| speakers.wait_members(number, 2))?;
        std::thread::sleep(WHILE);
        ensure!(process.is_running(), "it has ended: {}", std::fs::read_to_string(process.log())?);
        Ok(vec![ends_with(asker, &successor)?])
    })
}
