//! Speakers that do not reach each other, or not always: who answers meanwhile and afterwards.
//!
//! What holds in all of them: a client is without an answer for at most 500 ms, and never has two for longer than 200 ms.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use keryx_lab::Loss;
use keryx_lab::capture::wall_nanos;

use crate::Test;
use crate::segment::{VIP, wait_announced_since};
use crate::speakers::{Speakers, mac, play};

pub(crate) const TESTS: &[Test] = &[
    ("partitions::each_half_of_a_split_segment_has_an_announcer_and_the_whole_has_one", split),
    ("partitions::a_holder_that_hears_and_cannot_send_is_replaced_and_gets_nothing_back", mute),
    ("partitions::heartbeats_that_are_lost_doubled_and_overtaken_move_nothing", disorder),
    ("partitions::gossip_that_is_dropped_everywhere_and_comes_back_moves_nothing", blocked),
    ("partitions::a_speaker_that_comes_back_with_a_wrong_key_is_no_second_announcer", wrong_key),
];

/// The port of the gossip.
const GOSSIP: u16 = 7947;
/// Long enough for a death to be noticed, and for what it brings about.
const WHILE: Duration = Duration::from_secs(2);

fn split() -> Result<()> {
    play(2, |speakers| {
        let (first, holder) = (speakers.lab.node(1), speakers.wait_holder()?);
        ensure!(
            holder.name() == first.name(),
            "{} is the first choice, {} holds it",
            first.name(),
            holder.name()
        );
        let askers = [speakers.ask(1)?, speakers.ask(2)?];
        // The holder and a client on the one side, the many and a client on the other.
        for host in [&first, &speakers.lab.client_host(1)] {
            host.split_off(0)?;
        }
        let successor = speakers.wait_holder_but(Some(&first))?;
        std::thread::sleep(WHILE);
        let healed = wall_nanos();
        for host in [&first, &speakers.lab.client_host(1)] {
            host.plug(0)?;
        }
        // Who stays says so to all, and the client of the other side hears it.
        wait_announced_since(askers[0].capture(), VIP, mac(&successor), 1, healed)?;
        speakers.wait_members(1, 2)?;
        ensure!(speakers.wait_holder()?.name() == successor.name(), "the side with fewer nodes kept it");
        std::thread::sleep(WHILE);
        let [one, other] = askers;
        let stories = vec![one.finish()?, other.finish()?];
        let after = stories.iter().map(|story| story.since(wall_nanos() - nanos(WHILE) / 2).answered_by());
        for answered_by in after {
            ensure!(answered_by == BTreeSet::from([mac(&successor)]), "{answered_by:?} answer in the end");
        }
        Ok(stories)
    })
}

fn mute() -> Result<()> {
    play(1, |speakers| {
        let holder = speakers.wait_holder()?;
        let asker = speakers.ask(1)?;
        holder.set_loss(0, Loss { from_host_percent: 100, ..Loss::default() })?;
        let successor = speakers.wait_holder_but(Some(&holder))?;
        std::thread::sleep(WHILE);
        holder.set_loss(0, Loss::default())?;
        (1..=3).try_for_each(|number| speakers.wait_members(number, 2))?;
        std::thread::sleep(WHILE);
        let story = asker.finish()?;
        // At first both answer, until the one that was mute has been heard and told.
        let answered_by = story.since(wall_nanos() - nanos(WHILE) / 2).answered_by();
        ensure!(answered_by == BTreeSet::from([mac(&successor)]), "{answered_by:?} answer in the end");
        Ok(vec![story])
    })
}

/// Three in ten datagrams are lost, at random and everywhere; three in ten come once more, up to 300 ms later, which is half a dozen
/// heartbeats; and those of which only the second one comes have been overtaken.
fn disorder() -> Result<()> {
    play(1, |speakers| {
        let holder = speakers.wait_holder()?;
        let asker = speakers.ask(1)?;
        let mut copies = Vec::new();
        for node in speakers.lab.nodes() {
            copies.push(node.copy_late(0, GOSSIP, 30, Duration::from_millis(300))?);
            node.set_udp_loss(GOSSIP, 30)?;
        }
        std::thread::sleep(4 * WHILE);
        let copies: Vec<u32> = copies.into_iter().map(|copies| copies.finish()).collect();
        ensure!(copies.iter().all(|count| *count > 10), "only {copies:?} datagrams came late");
        for number in 1..=3 {
            let heard = speakers.driver(number)?.metrics.members.get();
            ensure!(heard == 2, "node {number} hears {heard} others");
        }
        nothing_moved(speakers, &holder, asker)
    })
}

fn blocked() -> Result<()> {
    play(1, |speakers| {
        let holder = speakers.wait_holder()?;
        let asker = speakers.ask(1)?;
        for node in speakers.lab.nodes() {
            node.set_udp_loss(GOSSIP, 100)?;
        }
        (1..=3).try_for_each(|number| speakers.wait_members(number, 0))?;
        std::thread::sleep(WHILE);
        for node in speakers.lab.nodes() {
            node.set_udp_loss(GOSSIP, 0)?;
        }
        (1..=3).try_for_each(|number| speakers.wait_members(number, 2))?;
        std::thread::sleep(WHILE);
        nothing_moved(speakers, &holder, asker)
    })
}

fn wrong_key() -> Result<()> {
    play(1, |speakers| {
        let holder = speakers.wait_holder()?;
        ensure!(holder.name() == "n1", "{} is the first choice", holder.name());
        let asker = speakers.ask(1)?;
        speakers.stop_speaker(1);
        speakers.set_key(1, [8; 32])?;
        speakers.start_speaker(1)?;
        for number in 2..=3 {
            speakers.wait_members(number, 1)?;
        }
        // For longer than the others wait for one that said that it would be back.
        std::thread::sleep(Duration::from_secs(12));
        speakers.wait_members(1, 0)?;
        Ok(vec![asker.finish()?])
    })
}

/// Ends the questions; only `holder` has answered them, and still does.
fn nothing_moved(
    speakers: &Speakers,
    holder: &keryx_lab::Host,
    asker: crate::asker::Asker,
) -> Result<Vec<crate::asker::Story>> {
    let story = asker.finish()?;
    let answered_by = story.answered_by();
    ensure!(answered_by == BTreeSet::from([mac(holder)]), "{answered_by:?} answered");
    ensure!(speakers.wait_holder()?.name() == holder.name(), "it moved");
    Ok(vec![story])
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
