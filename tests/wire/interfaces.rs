//! Layer 2 and the state of the interfaces: each VIP goes through the one that it belongs to, while that works.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Result, ensure};
use keryx_lab::capture::{Capture, MacAddr, wall_nanos};
use keryx_lab::{Host, Lab};
use keryx_tests::wait;

use crate::Test;
use crate::driver::{Driver, announcing};
use crate::lab::lab;
use crate::run::run;
use crate::segment::{
    LIMIT, VIP, VIPS, announcements, ask, wait_announced, wait_announced_since, wait_claimed,
};

pub(crate) const TESTS: &[Test] = &[
    ("layer2::an_interface_that_was_down_announces_and_answers_again", down_and_up),
    ("layer2::a_lost_carrier_silences_its_segment_alone_until_it_is_back", carrier_lost),
    ("layer2::a_vip_goes_through_the_interface_of_its_segment_alone", second_segment),
    ("layer2::an_interface_that_is_renamed_goes_on_unless_its_new_name_is_one_to_skip", renamed),
    ("layer2::an_interface_that_is_deleted_and_made_again_announces_both_families_again", made_again),
    ("layer2::an_mtu_too_small_for_ipv6_silences_ipv6_alone_until_it_has_an_address_again", small_mtu),
    ("layer2::a_vip_goes_with_the_prefix_of_a_secondary_address_and_comes_back_with_it", secondary),
];

/// A VIP on the second segment.
const SECOND: Ipv4Addr = Ipv4Addr::new(10, 98, 1, 200);

/// A node that announces some of [`VIPS`], and what a client sees of it. Taken apart in this order, the lab goes last.
struct Announced {
    _lab: Lab,
    node: Host,
    client: Host,
    mac: MacAddr,
    capture: Capture,
    driver: Driver,
}

impl Announced {
    fn start(vips: &[IpAddr]) -> Result<Self> {
        let lab = lab(|wire| wire.nodes(1))?;
        let (node, client) = (lab.node(1), lab.client_host(1));
        let mac = MacAddr(node.mac());
        let capture = Capture::start(&client.namespace(), "eth0")?;
        let driver = Driver::layer2(&node, announcing(vips))?;
        for vip in vips {
            wait_claimed(&capture, *vip, mac, 0)?;
        }
        Ok(Self { _lab: lab, node, client, mac, capture, driver })
    }
}

/// Waits until the driver has found so many VIPs for which it has no interface.
fn wait_without_interface(driver: &Driver, count: i64) -> Result<()> {
    wait::until_within(LIMIT, &format!("{count} VIPs without an interface"), || {
        Ok((driver.metrics.vips_without_interface.get() == count).then_some(()))
    })
}

/// Waits for an announcement of [`VIP`] since then, and for an answer to a request.
fn wait_back(client: &Host, capture: &Capture, mac: MacAddr, since_nanos: u64) -> Result<()> {
    wait_announced_since(capture, VIP, mac, 1, since_nanos)?;
    let answers = ask(client, 0, capture, &[VIP])?;
    ensure!(answers == [(VIP, mac)], "answers: {answers:?}");
    Ok(())
}

fn down_and_up() -> Result<()> {
    let Announced { _lab, node, client, mac, capture, driver } = Announced::start(&VIPS[..1])?;
    run(&node, "ip link set eth0 down")?;
    wait_without_interface(&driver, 1)?;
    let since = wall_nanos();
    run(&node, "ip link set eth0 up")?;
    wait_back(&client, &capture, mac, since)?;
    wait_without_interface(&driver, 0)
}

fn carrier_lost() -> Result<()> {
    let lab = lab(|wire| wire.nodes(1).segments(2))?;
    let (node, client) = (lab.node(1), lab.client_host(1));
    let first = Capture::start(&client.namespace(), "eth0")?;
    let second = Capture::start(&client.namespace(), "eth1")?;
    let driver = Driver::layer2(&node, announcing(&[VIP.into(), SECOND.into()]))?;
    wait_announced(&first, VIP, MacAddr(node.mac()), 1)?;

    node.set_carrier(0, false)?;
    wait_without_interface(&driver, 1)?;
    let answers = ask(&client, 1, &second, &[VIP, SECOND])?;
    ensure!(answers == [(SECOND, second_mac(&node))], "answers on the second segment: {answers:?}");
    ensure!(announcements(&second, VIP).is_empty(), "{VIP} moved to a segment that it is not on");

    let since = wall_nanos();
    node.set_carrier(0, true)?;
    wait_back(&client, &first, MacAddr(node.mac()), since)
}

fn second_segment() -> Result<()> {
    let lab = lab(|wire| wire.nodes(1).segments(2))?;
    let (node, client) = (lab.node(1), lab.client_host(1));
    let first = Capture::start(&client.namespace(), "eth0")?;
    let second = Capture::start(&client.namespace(), "eth1")?;
    let _driver = Driver::layer2(&node, announcing(&[VIP.into(), SECOND.into()]))?;
    wait_announced(&second, SECOND, second_mac(&node), 2)?;
    let elsewhere = announcements(&first, SECOND);
    ensure!(elsewhere.is_empty(), "{SECOND} was announced on the first segment: {elsewhere:?}");
    let on_first = ask(&client, 0, &first, &[SECOND, VIP])?;
    ensure!(on_first == [(VIP, MacAddr(node.mac()))], "answers on the first segment: {on_first:?}");
    let on_second = ask(&client, 1, &second, &[VIP, SECOND])?;
    ensure!(on_second == [(SECOND, second_mac(&node))], "answers on the second segment: {on_second:?}");
    Ok(())
}

/// The hardware address of a node's `eth1`: the lab's addresses spell the IPv4 address.
fn second_mac(node: &Host) -> MacAddr {
    let [a, b, c, d] = node.addresses_on(1).0.octets();
    MacAddr([0x02, 0, a, b, c, d])
}

fn renamed() -> Result<()> {
    let Announced { _lab, node, client, mac, capture, driver } = Announced::start(&VIPS[..1])?;

    run(&node, "ip link set eth0 name lan0")?;
    let answers = ask(&client, 0, &capture, &[VIP])?;
    ensure!(answers == [(VIP, mac)], "answers: {answers:?}");
    // A name that container runtimes give.
    run(&node, "ip link set lan0 name docker0")?;
    wait_without_interface(&driver, 1)?;
    let since = wall_nanos();
    run(&node, "ip link set docker0 name eth0")?;
    wait_back(&client, &capture, mac, since)?;
    wait_without_interface(&driver, 0)
}

fn made_again() -> Result<()> {
    let Announced { _lab, node, client, mac, capture, driver } = Announced::start(&VIPS)?;
    let number = || -> Result<String> {
        let shown = run(&node, "ip -oneline link show dev eth0")?;
        Ok(shown.split(':').next().unwrap_or_default().to_owned())
    };
    let before = number()?;
    node.remove_interface(0)?;
    wait_without_interface(&driver, 2)?;
    let since = wall_nanos();
    node.make_interface(0)?;
    ensure!(number()? != before, "it is the same interface");
    wait_back(&client, &capture, mac, since)?;
    wait_claimed(&capture, VIPS[1], mac, since)?;
    ensure!(is_in_group(&node)?, "the kernel does not let questions for {} through", VIPS[1]);
    wait_without_interface(&driver, 0)
}

fn small_mtu() -> Result<()> {
    let Announced { _lab, node, client, mac, capture, driver } = Announced::start(&VIPS)?;
    ensure!(is_in_group(&node)?, "the kernel does not let questions for {} through", VIPS[1]);
    run(&node, "ip link set eth0 mtu 1000")?;
    wait_without_interface(&driver, 1)?;
    let answers = ask(&client, 0, &capture, &[VIP])?;
    ensure!(answers == [(VIP, mac)], "answers: {answers:?}");

    let since = wall_nanos();
    run(&node, "ip link set eth0 mtu 1500")?;
    run(&node, &format!("ip address add {}/64 dev eth0 nodad", node.address_v6()))?;
    wait_claimed(&capture, VIPS[1], mac, since)?;
    ensure!(is_in_group(&node)?, "the kernel does not let questions for {} through", VIPS[1]);
    wait_without_interface(&driver, 0)
}

fn secondary() -> Result<()> {
    let lab = lab(|wire| wire.nodes(1))?;
    let (node, client) = (lab.node(1), lab.client_host(1));
    let (mac, moved) = (MacAddr(node.mac()), Ipv4Addr::new(10, 98, 7, 200));
    run(&node, "ip address add 10.98.7.11/24 dev eth0")?;
    run(&node, "ip address add 10.98.0.12/24 dev eth0")?;
    let capture = Capture::start(&client.namespace(), "eth0")?;
    let driver = Driver::layer2(&node, announcing(&[VIP.into(), moved.into()]))?;
    for vip in [VIP, moved] {
        wait_announced(&capture, vip, mac, 1)?;
    }
    // Another one of the same prefix stays.
    run(&node, "ip address del 10.98.0.12/24 dev eth0")?;
    run(&node, "ip address del 10.98.7.11/24 dev eth0")?;
    wait_without_interface(&driver, 1)?;
    let answers = ask(&client, 0, &capture, &[moved, VIP])?;
    ensure!(answers == [(VIP, mac)], "answers: {answers:?}");

    let since = wall_nanos();
    run(&node, "ip address add 10.98.7.11/24 dev eth0")?;
    wait_announced_since(&capture, moved, mac, 1, since)?;
    wait_without_interface(&driver, 0)
}

/// Whether a node's kernel is in the solicited-node group of the VIP of IPv6.
fn is_in_group(node: &Host) -> Result<bool> {
    let IpAddr::V6(vip) = VIPS[1] else { return Ok(false) };
    let [.., a, b, c] = vip.octets();
    let group = format!("ff02::1:ff{a:02x}:{:x}", u16::from_be_bytes([b, c]));
    Ok(run(node, "ip -6 maddress show dev eth0")?.lines().any(|line| line.trim().ends_with(&group)))
}
