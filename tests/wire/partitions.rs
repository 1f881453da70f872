//! Speakers that do not reach each other, or not always: who answers meanwhile and afterwards.
//!
//! What holds in all of them: a client is without an answer for at most 500 ms, and never has two for longer than 200 ms.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use keryx_lab::capture::wall_nanos;
use keryx_lab::{Host, Loss};

use crate::Test;
use crate::asker::{Asker, Story};
use crate::segment::{VIP, wait_announced_since};
use crate::speakers::{Speakers, mac, number, play, play_on_two_networks};

pub(crate) const TESTS: &[Test] = &[
    ("partitions::each_half_of_a_split_segment_has_an_announcer_and_the_whole_has_one", split),
    ("partitions::a_holder_that_hears_and_cannot_send_is_replaced_and_gets_nothing_back", mute),
    ("partitions::a_holder_that_sends_and_hears_nothing_is_replaced_and_gets_nothing_back", deaf),
    (
        "partitions::a_holder_that_cannot_send_on_one_of_two_networks_is_replaced_and_gets_nothing_back",
        mute_on_one,
    ),
    ("partitions::heartbeats_that_are_lost_doubled_and_overtaken_move_nothing", disorder),
    ("partitions::gossip_that_is_dropped_everywhere_and_comes_back_moves_nothing", blocked),
    ("partitions::a_management_network_that_is_gone_moves_nothing_and_hides_no_death", no_management),
    ("partitions::a_holder_that_is_split_off_the_segment_alone_is_replaced_and_gets_nothing_back", split_off),
    ("partitions::a_speaker_that_comes_back_with_a_wrong_key_is_no_second_announcer", wrong_key),
];

/// The port of the gossip.
const GOSSIP: u16 = 7947;
/// Long enough for a death to be noticed, and for what it brings about.
pub(crate) const WHILE: Duration = Duration::from_secs(2);

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
        for host in [&holder, &speakers.lab.client_host(1)] {
            host.split_off(0)?;
        }
        let successor = speakers.wait_holder_but(Some(&holder))?;
        std::thread::sleep(WHILE);
        let healed = wall_nanos();
        for host in [&holder, &speakers.lab.client_host(1)] {
            host.plug(0)?;
        }
        // Who stays says so to all, and the client of the other side hears it.
        wait_announced_since(askers[0].capture(), VIP, mac(&successor), 1, healed)?;
        speakers.wait_members(number(&holder)?, 2)?;
        std::thread::sleep(WHILE);
        askers.into_iter().map(|asker| ends_with(asker, &successor)).collect()
    })
}

fn mute() -> Result<()> {
    play(1, |speakers| one_way(speakers, Loss { from_host_percent: 100, ..Loss::default() }))
}

fn deaf() -> Result<()> {
    play(1, |speakers| one_way(speakers, Loss { to_host_percent: 100, ..Loss::default() }))
}

fn mute_on_one() -> Result<()> {
    play_on_two_networks(1, |speakers| one_way(speakers, Loss { from_host_percent: 100, ..Loss::default() }))
}

/// The holder loses all frames in one direction for a while, and what it held for good.
fn one_way(speakers: &Speakers, loss: Loss) -> Result<Vec<Story>> {
    let holder = speakers.wait_holder()?;
    let asker = speakers.ask(1)?;
    holder.set_loss(0, loss)?;
    let successor = speakers.wait_holder_but(Some(&holder))?;
    std::thread::sleep(WHILE);
    holder.set_loss(0, Loss::default())?;
    (1..=3).try_for_each(|number| speakers.wait_members(number, 2))?;
    std::thread::sleep(WHILE);
    Ok(vec![ends_with(asker, &successor)?])
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

/// The API server is gone for all, and the segment is fine.
fn no_management() -> Result<()> {
    play_on_two_networks(1, |speakers| {
        let holder = speakers.wait_holder()?;
        let moved = speakers.ask(1)?;
        for node in speakers.lab.nodes() {
            node.cut_management()?;
        }
        std::thread::sleep(WHILE);
        let mut stories = nothing_moved(speakers, &holder, moved)?;
        let asker = speakers.ask(1)?;
        holder.unplug(0)?;
        let successor = speakers.wait_holder_but(Some(&holder))?;
        std::thread::sleep(WHILE);
        stories.push(ends_with(asker, &successor)?);
        Ok(stories)
    })
}

/// The segment is gone for one, and the API server is fine.
fn split_off() -> Result<()> {
    play_on_two_networks(1, |speakers| {
        let holder = speakers.wait_holder()?;
        let asker = speakers.ask(1)?;
        holder.split_off(0)?;
        let successor = speakers.wait_holder_but(Some(&holder))?;
        std::thread::sleep(WHILE);
        ensure!(speakers.driver(number(&holder)?)?.metrics.vips_announced.get() == 0, "it goes on");
        holder.plug(0)?;
        std::thread::sleep(2 * WHILE);
        Ok(vec![ends_with(asker, &successor)?])
    })
}

fn wrong_key() -> Result<()> {
    play(1, |speakers| {
        let holder = speakers.wait_holder()?;
        let (asker, wrong) = (speakers.ask(1)?, number(&holder)?);
        speakers.stop_speaker(wrong);
        speakers.set_key(wrong, [8; 32])?;
        speakers.start_speaker(wrong)?;
        for number in (1..=3).filter(|number| *number != wrong) {
            speakers.wait_members(number, 1)?;
        }
        // For longer than the others wait for one that said that it would be back.
        std::thread::sleep(Duration::from_secs(12));
        speakers.wait_members(wrong, 0)?;
        Ok(vec![asker.finish()?])
    })
}

/// Ends the questions; only `holder` has answered them, and still does.
pub(crate) fn nothing_moved(speakers: &Speakers, holder: &Host, asker: Asker) -> Result<Vec<Story>> {
    let story = asker.finish()?;
    let answered_by = story.answered_by();
    ensure!(answered_by == BTreeSet::from([mac(holder)]), "{answered_by:?} answered");
    ensure!(speakers.wait_holder()?.name() == holder.name(), "it moved");
    Ok(vec![story])
}

/// Ends the questions; in the end only `holder` has answered them.
pub(crate) fn ends_with(asker: Asker, holder: &Host) -> Result<Story> {
    let story = asker.finish()?;
    let answered_by = story.last(WHILE / 2).answered_by();
    ensure!(answered_by == BTreeSet::from([mac(holder)]), "{answered_by:?} answer in the end");
    Ok(story)
}
