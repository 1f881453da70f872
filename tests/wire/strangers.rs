//! Stations that are no nodes of the cluster and have a VIP already.

use std::net::UdpSocket;

use anyhow::{Result, ensure};
use keryx_lab::capture::{Capture, MacAddr};
use keryx_tests::wait;

use crate::Test;
use crate::driver::{Driver, announcing};
use crate::lab::lab;
use crate::run::run;
use crate::segment::{LIMIT, VIP, VIPS, announcements, wait_announced};

pub(crate) const TESTS: &[Test] = &[
    ("strangers::a_vip_that_a_kernel_has_is_not_announced_until_that_kernel_gives_it_up", holder),
    ("strangers::a_router_that_answers_for_anything_keeps_no_vip_from_being_announced", proxy),
    ("strangers::a_kernel_that_takes_an_announced_vip_is_named_and_not_given_way", taker),
];

fn holder() -> Result<()> {
    let lab = lab(|wire| wire.nodes(1))?;
    let (node, client) = (lab.node(1), lab.client_host(1));
    run(&client, &format!("ip address add {}/24 dev eth0", VIPS[0]))?;
    run(&client, &format!("ip address add {}/64 dev eth0 nodad", VIPS[1]))?;
    let capture = Capture::start(&client.namespace(), "eth0")?;
    let driver = Driver::layer2(&node, announcing(&VIPS))?;
    wait::until_within(LIMIT, "a conflict about both", || {
        Ok((driver.metrics.vips_in_conflict.get() == 2).then_some(()))
    })?;
    ensure!(driver.metrics.conflicts.get() == 2, "counted {} times", driver.metrics.conflicts.get());
    ensure!(driver.metrics.vips_announced.get() == 0, "it is announced all the same");
    ensure!(announcements(&capture, VIP).iter().all(|(_, arp)| arp.sender_mac != MacAddr(node.mac())));
    for vip in VIPS {
        let length = if vip.is_ipv4() { 24 } else { 64 };
        run(&client, &format!("ip address del {vip}/{length} dev eth0"))?;
    }
    // It is asked again after ten seconds.
    wait::until_within(LIMIT * 2, "an announcement of both", || {
        Ok((driver.metrics.vips_announced.get() == 2).then_some(()))
    })?;
    ensure!(driver.metrics.vips_in_conflict.get() == 0, "the conflict goes on");
    Ok(())
}

fn proxy() -> Result<()> {
    let lab = lab(|wire| wire.nodes(1))?;
    let (node, router) = (lab.node(1), lab.client_host(1));
    // Answers at once for all that it would send elsewhere.
    for line in [
        "sysctl -qw net.ipv4.conf.eth0.proxy_arp=1 net.ipv4.ip_forward=1 net.ipv4.neigh.eth0.proxy_delay=0"
            .to_owned(),
        format!("ip route add {VIP}/32 dev mgmt0"),
        "ip route add 192.0.0.0/24 dev mgmt0".to_owned(),
    ] {
        run(&router, &line)?;
    }
    let capture = Capture::start(&router.namespace(), "eth0")?;
    let driver = Driver::layer2(&node, announcing(&[VIP.into()]))?;
    // The router answers the first announcement; until the second one it has been put to the test.
    wait_announced(&capture, VIP, MacAddr(node.mac()), 2)?;
    ensure!(driver.metrics.conflicts.get() == 0, "taken for a conflict");
    // Without the route to what nobody has it is a station like any other.
    drop(driver);
    run(&router, "ip route del 192.0.0.0/24 dev mgmt0")?;
    let driver = Driver::layer2(&node, announcing(&[VIP.into()]))?;
    wait::until_within(LIMIT, "a conflict", || Ok((driver.metrics.vips_in_conflict.get() == 1).then_some(())))
}

fn taker() -> Result<()> {
    let lab = lab(|wire| wire.nodes(1))?;
    let (node, client) = (lab.node(1), lab.client_host(1));
    let capture = Capture::start(&client.namespace(), "eth0")?;
    let driver = Driver::layer2(&node, announcing(&[VIP.into()]))?;
    wait_announced(&capture, VIP, MacAddr(node.mac()), 1)?;
    run(&client, &format!("ip address add {VIP}/24 dev eth0"))?;
    // It asks for another address from that one.
    client.namespace().run(|| -> Result<()> {
        UdpSocket::bind((VIP, 0))?.send_to(b"?", "10.98.0.251:53")?;
        Ok(())
    })?;
    wait::until_within(LIMIT, "a conflict", || {
        Ok((driver.metrics.vips_in_conflict.get() == 1).then_some(()))
    })?;
    ensure!(driver.metrics.vips_announced.get() == 1, "it gave way to a station that is no node");
    Ok(())
}
