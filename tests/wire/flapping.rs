//! A cable that comes and goes.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use keryx_lab::capture::{Capture, wall_nanos};

use crate::Test;
use crate::segment::{VIP, announcements};
use crate::speakers::{mac, play};

pub(crate) const TESTS: &[Test] =
    &[("flapping::a_link_that_flaps_ten_times_a_second_makes_few_frames_and_one_announcer", flaps)];

const FLAPS: usize = 20;
/// Of each flap.
const HALF: Duration = Duration::from_millis(50);
/// Until everything has been said: a burst takes five seconds.
const SETTLED: Duration = Duration::from_secs(6);
/// Frames of one announcement.
const PAIR: usize = 2;
/// Two announcements for each flap, of who takes the address and of who has it again, and the repeats of one burst.
const FRAMES_MAX: usize = FLAPS * 2 * PAIR + 12;

fn flaps() -> Result<()> {
    play(1, |speakers| {
        let holder = speakers.wait_holder()?;
        let capture = Capture::start(&speakers.lab.client_host(1).namespace(), "eth0")?;
        for _ in 0..FLAPS {
            holder.set_carrier(0, false)?;
            std::thread::sleep(HALF);
            holder.set_carrier(0, true)?;
            std::thread::sleep(HALF);
        }
        let ended = wall_nanos();
        (1..=3).try_for_each(|number| speakers.wait_members(number, 2))?;
        std::thread::sleep(SETTLED);
        let announced = announcements(&capture, VIP);
        let during = announced.iter().filter(|(event, _)| event.at_nanos < ended).count();
        let asker = speakers.ask(1)?;
        let last = speakers.wait_holder()?;
        std::thread::sleep(SETTLED / 6);
        let story = asker.finish()?;
        ensure!(story.answered_by() == BTreeSet::from([mac(&last)]), "{:?} answer", story.answered_by());
        ensure!(capture.missed() == 0, "the capture is incomplete");
        ensure!(during <= FRAMES_MAX, "{during} frames announced it while the link flapped");
        Ok(vec![story])
    })
}
