//! Layer 2, seen by the neighbours: who answers for a VIP, and where their kernels believe it is.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Result, ensure};
use keryx_lab::Host;
use keryx_lab::capture::{ArpOperation, Capture, MacAddr};
use keryx_lab::probe::{self, Neighbour, UdpFlow};
use keryx_tests::wait;

use crate::Test;
use crate::driver::{Driver, announcing};
use crate::lab::lab;
use crate::run::{nft, run};
use crate::segment::{LIMIT, VIP, announcements, ask, wait_announced};

pub(crate) const TESTS: &[Test] = &[
    ("layer2::a_neighbours_kernel_finds_the_vip_at_the_announcing_node", resolved),
    ("layer2::one_announcement_by_another_node_moves_a_fresh_neighbour_entry", moved),
    ("layer2::a_neighbour_that_ignores_announcements_for_a_while_learns_of_a_move_by_the_repeats", locked),
    ("layer2::a_request_for_an_address_that_is_no_vip_is_not_answered", foreign_request),
    ("layer2::a_request_for_a_withdrawn_vip_is_not_answered", withdrawn_request),
];

/// An address of the segment that is neither a host's nor a VIP.
const NOBODY: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 201);

/// The client's neighbour entry for the VIP, once its kernel has it at `node`. Until then `ask` makes it want to know.
fn wait_known_at(client: &Host, node: &Host, mut ask: impl FnMut() -> Result<()>) -> Result<Neighbour> {
    wait::until_within(LIMIT, &format!("the client to know {VIP} at {}", node.name()), || {
        ask()?;
        let entries = probe::neighbours(&client.namespace(), "eth0")?;
        let is_there = |entry: &Neighbour| entry.ip == VIP && entry.mac == Some(MacAddr(node.mac()));
        Ok(entries.into_iter().find(is_there))
    })
}

/// Makes the client's kernel ask for the VIP until it has it at `node`.
fn wait_resolved(client: &Host, node: &Host) -> Result<Neighbour> {
    // No server is wanted: a datagram needs the neighbour, and the kernel asks for it.
    let mut flow = UdpFlow::open(&client.namespace(), 0, SocketAddr::new(VIP.into(), 53))?;
    wait_known_at(client, node, || Ok(flow.send()?))
}

fn resolved() -> Result<()> {
    let lab = lab(|wire| wire.nodes(1))?;
    let (node, client) = (lab.node(1), lab.client_host(1));
    let capture = Capture::start(&client.namespace(), "eth0")?;
    let _driver = Driver::layer2(&node, announcing(&[VIP.into()]))?;
    wait_announced(&capture, VIP, MacAddr(node.mac()), 1)?;
    let entry = wait_resolved(&client, &node)?;
    // An announcement makes an entry too, if one is wanted just then, but one that is not confirmed.
    ensure!(entry.state == "REACHABLE", "not answered: {entry:?}");
    Ok(())
}

fn moved() -> Result<()> {
    let lab = lab(|wire| wire.nodes(2))?;
    let (old, new) = (lab.node(1), lab.node(2));
    let (client, mac) = (lab.client_host(1), MacAddr(new.mac()));
    let capture = Capture::start(&client.namespace(), "eth0")?;
    let old_driver = Driver::layer2(&old, announcing(&[VIP.into()]))?;
    let new_driver = Driver::layer2(&new, announcing(&[]))?;
    wait_resolved(&client, &old)?;

    drop(old_driver);
    new_driver.order(announcing(&[VIP.into()]));
    wait_announced(&capture, VIP, mac, 1)?;
    // Before the second announcement, which could mend what the first one did not do.
    new_driver.order(announcing(&[]));
    wait_known_at(&client, &new, || Ok(()))?;

    let seen: Vec<_> =
        announcements(&capture, VIP).into_iter().filter(|(_, arp)| arp.sender_mac == mac).collect();
    let forms: Vec<_> = seen.iter().map(|(_, arp)| arp.operation).collect();
    ensure!(forms == [ArpOperation::Request, ArpOperation::Reply], "one announcement was wanted: {seen:?}");
    for (event, arp) in seen {
        ensure!(event.destination_mac == MacAddr::BROADCAST, "not sent to all: {event:?}");
        ensure!(event.source_mac == mac, "the switch would learn another port: {event:?}");
        ensure!(
            arp.operation == ArpOperation::Request || arp.target_mac == mac,
            "a neighbour in its lock time ignores a reply whose target hardware address is not the sender's: {arp:?}"
        );
    }
    Ok(())
}

/// Linux takes announcements at once. So that the client does not, it sees no gratuitous request, and gratuitous replies as
/// other systems send them; then its kernel takes no change of an entry within the lock time after the last one.
fn ignore_within(client: &Host, lock_time_hundredths: u32) -> Result<()> {
    run(client, &format!("sysctl -qw net.ipv4.neigh.eth0.locktime={lock_time_hundredths}"))?;
    let rules = "add table netdev deaf; \
        add chain netdev deaf in { type filter hook ingress device eth0 priority 0; }; \
        add rule netdev deaf in arp operation request arp saddr ip 10.98.0.200 drop; \
        add rule netdev deaf in arp operation reply arp saddr ip 10.98.0.200 arp daddr ip 10.98.0.200 \
            arp daddr ether set ff:ff:ff:ff:ff:ff";
    nft(client, rules).map(drop)
}

fn locked() -> Result<()> {
    let lab = lab(|wire| wire.nodes(2))?;
    let (old, new) = (lab.node(1), lab.node(2));
    let (client, mac) = (lab.client_host(1), MacAddr(new.mac()));
    let capture = Capture::start(&client.namespace(), "eth0")?;
    let old_driver = Driver::layer2(&old, announcing(&[VIP.into()]))?;
    let new_driver = Driver::layer2(&new, announcing(&[]))?;
    wait_announced(&capture, VIP, MacAddr(old.mac()), 1)?;
    ignore_within(&client, 250)?;
    wait_resolved(&client, &old)?;

    drop(old_driver);
    new_driver.order(announcing(&[VIP.into()]));
    wait_announced(&capture, VIP, mac, 1)?;
    let entries = probe::neighbours(&client.namespace(), "eth0")?;
    let is_old = |entry: &Neighbour| entry.ip == VIP && entry.mac == Some(MacAddr(old.mac()));
    ensure!(entries.iter().any(is_old), "the first announcement was heeded: {entries:?}");
    wait_known_at(&client, &new, || Ok(()))?;
    let sent = announcements(&capture, VIP).into_iter().filter(|(_, arp)| arp.sender_mac == mac).count();
    ensure!((4..=12).contains(&sent), "learnt after {sent} frames of the burst");
    Ok(())
}

fn foreign_request() -> Result<()> {
    let lab = lab(|wire| wire.nodes(1))?;
    let (node, client) = (lab.node(1), lab.client_host(1));
    let capture = Capture::start(&client.namespace(), "eth0")?;
    let _driver = Driver::layer2(&node, announcing(&[VIP.into()]))?;
    wait_announced(&capture, VIP, MacAddr(node.mac()), 1)?;
    let answers = ask(&client, 0, &capture, &[NOBODY, VIP])?;
    ensure!(answers == [(VIP, MacAddr(node.mac()))], "answers: {answers:?}");
    Ok(())
}

fn withdrawn_request() -> Result<()> {
    let lab = lab(|wire| wire.nodes(1))?;
    let (node, client) = (lab.node(1), lab.client_host(1));
    let stays = NOBODY;
    let capture = Capture::start(&client.namespace(), "eth0")?;
    let driver = Driver::layer2(&node, announcing(&[VIP.into(), stays.into()]))?;
    for vip in [VIP, stays] {
        wait_announced(&capture, vip, MacAddr(node.mac()), 1)?;
    }
    let both = ask(&client, 0, &capture, &[VIP, stays])?;
    ensure!(both.len() == 2, "answers before the withdrawal: {both:?}");

    driver.order(announcing(&[stays.into()]));
    let answers = ask(&client, 0, &capture, &[VIP, stays])?;
    ensure!(answers == [(stays, MacAddr(node.mac()))], "answers after the withdrawal: {answers:?}");
    Ok(())
}
