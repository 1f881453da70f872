//! From the start of a speaker's process to its VIPs on the wire, by one clock: that of the client's interface.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use keryx_lab::capture::{Event, Packet};
use keryx_lab::probe::arp_once;
use keryx_lab::{Host, Signal};
use keryx_tests::{Keryx, wait};

/// An address that nobody has. A question for it marks a moment in the capture.
const MARK: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 253);
/// Longest wait for the new process, and for its announcements.
const PATIENCE: Duration = Duration::from_secs(60);

/// Kills the speaker on `node` and lets its container be started again. The time from the start of the new process to the
/// first announcement of the last VIP.
pub(crate) fn restart(keryx: &Keryx, node: &Host, vips: &[Ipv4Addr]) -> Result<Duration> {
    let client = keryx.lab.client_host(1).namespace();
    let before = keryx.speaker_pid(node)?;
    keryx.signal_speaker(node, Signal::SIGKILL)?;
    wait::until_within(PATIENCE, "the end of the old process", || {
        Ok((keryx.speaker_pid(node)? != before).then_some(()))
    })?;
    let capture = keryx.client().capture()?;
    wait::until_within(PATIENCE, "a new process", || Ok(keryx.speaker_pid(node)?.map(drop)))?;
    arp_once(&client, "eth0", MARK, Duration::from_millis(1))?;
    let mut missing: HashSet<Ipv4Addr> = vips.iter().copied().collect();
    let mut started = None;
    let last = capture.wait_for(
        |event| {
            if started.is_none() && asks_for_mark(event) {
                started = Some(event.at_nanos);
            }
            if let Packet::Arp(arp) = event.packet
                && arp.sender_mac.0 == node.mac()
            {
                missing.remove(&arp.sender_ip);
            }
            missing.is_empty()
        },
        PATIENCE,
    );
    let last = last.with_context(|| format!("{} VIPs were not announced", missing.len()))?;
    let started = started.context("the mark was not seen")?;
    ensure!(capture.missed() == 0, "the capture missed frames");
    Ok(Duration::from_nanos(last.at_nanos.saturating_sub(started)))
}

fn asks_for_mark(event: &Event) -> bool {
    matches!(event.packet, Packet::Arp(arp) if arp.target_ip == MARK)
}
