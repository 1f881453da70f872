//! What a capture shows of who has which address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use anyhow::{Context as _, Result};
use keryx_lab::Host;
use keryx_lab::capture::{Arp, ArpOperation, Capture, Event, MacAddr, Packet, wall_nanos};
use keryx_lab::probe;

/// Longest wait for anything on the wire.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// The addresses of tests, one of each family: on the lab's first segment, and nobody's.
pub(crate) const VIPS: [IpAddr; 2] =
    [IpAddr::V4(VIP), IpAddr::V6(Ipv6Addr::new(0xfd98, 0, 0, 0, 0, 0, 0, 0x200))];
/// The first of [`VIPS`].
pub(crate) const VIP: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 200);

/// The ARP packet of an event, if it is one.
fn arp(event: &Event) -> Option<Arp> {
    if let Packet::Arp(arp) = event.packet { Some(arp) } else { None }
}

/// True for an announcement of `vip`, in either form.
fn is_announcement(arp: &Arp, vip: Ipv4Addr) -> bool {
    arp.is_gratuitous() && arp.sender_ip == vip
}

/// The announcements of `vip` in a capture so far, of both forms, oldest first.
pub(crate) fn announcements(capture: &Capture, vip: Ipv4Addr) -> Vec<(Event, Arp)> {
    let events = capture.events().into_iter().filter_map(|event| Some((event, arp(&event)?)));
    events.filter(|(_, arp)| is_announcement(arp, vip)).collect()
}

/// Waits until a capture has seen `count` announcements of `vip` by the host at `mac`, and returns the last one. An
/// announcement is a pair of frames, so this is its second frame, the reply.
///
/// # Errors
/// They do not come.
pub(crate) fn wait_announced(capture: &Capture, vip: Ipv4Addr, mac: MacAddr, count: usize) -> Result<Event> {
    wait_announced_since(capture, vip, mac, count, 0)
}

/// As [`wait_announced`], but those before `since_nanos` do not count.
///
/// # Errors
/// As [`wait_announced`].
pub(crate) fn wait_announced_since(
    capture: &Capture,
    vip: Ipv4Addr,
    mac: MacAddr,
    count: usize,
    since_nanos: u64,
) -> Result<Event> {
    let mut seen = 0;
    let is_last = |event: &Event| {
        let announcement = arp(event).filter(|arp| is_announcement(arp, vip));
        let is_second = |arp: Arp| arp.sender_mac == mac && arp.operation == ArpOperation::Reply;
        seen += usize::from(event.at_nanos >= since_nanos && announcement.is_some_and(is_second));
        seen == count
    };
    let found = capture.wait_for(is_last, LIMIT);
    found.with_context(|| format!("{vip} was announced {seen} times from {mac}, not {count} times"))
}

/// Waits until a host at `mac` has said, by ARP or neighbor advertisement, that it has `vip`; what was said before `since_nanos`
/// does not count.
///
/// # Errors
/// It does not come.
pub(crate) fn wait_claimed(capture: &Capture, vip: IpAddr, mac: MacAddr, since_nanos: u64) -> Result<Event> {
    let is_it = |event: &Event| event.at_nanos >= since_nanos && event.packet.claimed_by(vip) == Some(mac);
    capture.wait_for(is_it, LIMIT).with_context(|| format!("{vip} was not claimed from {mac}"))
}

/// Lets a client ask a segment for addresses, one after the other, and waits for the answer for the last one. What was
/// asked before it has been answered by then, if at all: a speaker answers in order. Gives the answers for all of them,
/// as `capture` sees them.
///
/// # Errors
/// Nobody answers for the last one.
pub(crate) fn ask(
    client: &Host,
    segment: u8,
    capture: &Capture,
    targets: &[Ipv4Addr],
) -> Result<Vec<(Ipv4Addr, MacAddr)>> {
    let since_nanos = wall_nanos();
    for target in targets {
        // Its own window is not needed: the capture sees the answers.
        probe::arp_once(&client.namespace(), &format!("eth{segment}"), *target, Duration::ZERO)?;
    }
    let answer = |event: &Event| {
        let reply = arp(event).filter(|arp| arp.operation == ArpOperation::Reply && !arp.is_gratuitous())?;
        let is_ours = event.at_nanos >= since_nanos && targets.contains(&reply.sender_ip);
        is_ours.then_some((reply.sender_ip, reply.sender_mac))
    };
    let last = *targets.last().context("nothing was asked for")?;
    capture
        .wait_for(|event| answer(event).is_some_and(|(ip, _)| ip == last), LIMIT)
        .with_context(|| format!("nobody answers for {last}"))?;
    Ok(capture.events().iter().filter_map(answer).collect())
}
