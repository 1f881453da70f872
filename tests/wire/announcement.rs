//! Layer 2: when a VIP is announced, and how often.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Result, ensure};
use keryx_lab::capture::{ArpOperation, Capture, MacAddr};
use keryx_tests::wait;

use crate::Test;
use crate::driver::{Driver, announcing};
use crate::lab::lab;
use crate::run::run;
use crate::segment::{VIP, announcements, ask, wait_announced};

pub(crate) const TESTS: &[Test] = &[
    ("layer2::a_vip_is_announced_six_times_a_second_apart_and_not_after_its_withdrawal", bursts),
    ("layer2::a_new_mac_address_is_announced_by_a_whole_burst_of_its_own", new_mac),
    ("layer2::an_address_that_a_foreign_host_uses_is_not_announced_until_that_is_over", foreign),
];

/// Announcements in a burst.
const BURST: usize = 6;
/// Allowed for the pause between two announcements, which is to be a second: the machine is shared.
const PAUSE_MIN: Duration = Duration::from_millis(800);
const PAUSE_MAX: Duration = Duration::from_millis(1800);

fn bursts() -> Result<()> {
    let lab = lab(|wire| wire.nodes(1))?;
    let [withdrawn, late] = [201, 202].map(|host| Ipv4Addr::new(10, 98, 0, host));
    let mac = MacAddr(lab.node(1).mac());
    let capture = Capture::start(&lab.client_host(1).namespace(), "eth0")?;
    let driver = Driver::layer2(&lab.node(1), announcing(&[VIP.into(), withdrawn.into()]))?;
    wait_announced(&capture, VIP, mac, 3)?;
    wait_announced(&capture, withdrawn, mac, 3)?;
    driver.order(announcing(&[VIP.into(), late.into()]));
    // Ends two seconds after the first burst: time for a seventh announcement, or for one of the withdrawn address.
    wait_announced(&capture, late, mac, BURST)?;

    ensure!(capture.missed() == 0, "the capture is incomplete");
    let count = |vip| announcements(&capture, vip).len();
    ensure!(
        count(withdrawn) == 2 * 3,
        "{} frames announced {withdrawn}, withdrawn after 6",
        count(withdrawn)
    );
    ensure!(count(VIP) == 2 * BURST, "{} frames announced {VIP}, not {}", count(VIP), 2 * BURST);
    for form in [ArpOperation::Request, ArpOperation::Reply] {
        let seen = announcements(&capture, VIP).into_iter().filter(|(_, arp)| arp.operation == form);
        let times: Vec<_> = seen.map(|(event, _)| event.at_nanos).collect();
        let pauses: Vec<_> = times.windows(2).map(|pair| Duration::from_nanos(pair[1] - pair[0])).collect();
        let fits = |pause: &Duration| (PAUSE_MIN..=PAUSE_MAX).contains(pause);
        ensure!(times.len() == BURST && pauses.iter().all(fits), "{form:?} with pauses of {pauses:?}");
    }
    Ok(())
}

fn new_mac() -> Result<()> {
    let lab = lab(|wire| wire.nodes(1))?;
    let (node, client) = (lab.node(1), lab.client_host(1));
    let new = MacAddr([0x02, 0, 0, 0, 0, 0x99]);
    let capture = Capture::start(&client.namespace(), "eth0")?;
    let _driver = Driver::layer2(&node, announcing(&[VIP.into()]))?;
    wait_announced(&capture, VIP, MacAddr(node.mac()), 1)?;

    run(&node, &format!("ip link set eth0 address {new}"))?;
    let first = wait_announced(&capture, VIP, new, 1)?;
    let answers = ask(&client, 0, &capture, &[VIP])?;
    ensure!(answers == [(VIP, new)], "answers: {answers:?}");
    // One more than the burst that was under way had left.
    let last = wait_announced(&capture, VIP, new, BURST)?;
    ensure!(last.source_mac == new, "sent from {}", last.source_mac);
    let announcers = capture.announcers(VIP.into(), first.at_nanos);
    ensure!(announcers.iter().eq([&new]), "the old address was named again: {announcers:?}");
    Ok(())
}

fn foreign() -> Result<()> {
    let lab = lab(|wire| wire.nodes(1))?;
    let (node, client) = (lab.node(1), lab.client_host(1));
    run(&client, &format!("ip addr add {VIP}/32 dev eth0"))?;
    let capture = Capture::start(&client.namespace(), "eth0")?;
    let driver = Driver::layer2(&node, announcing(&[VIP.into()]))?;
    wait::until("the foreign host noticed", || Ok((driver.metrics.conflicts.get() > 0).then_some(())))?;
    std::thread::sleep(PAUSE_MAX);
    ensure!(announcements(&capture, VIP).is_empty(), "announced beside a foreign host");
    run(&client, &format!("ip addr del {VIP}/32 dev eth0"))?;
    // It is asked again ten seconds after the first time.
    wait_announced(&capture, VIP, MacAddr(node.mac()), 1).map(drop)
}
