//! The announcer and its sockets among real kernels: what they make of its answers and announcements, in both families.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use anyhow::{Context as _, Result, ensure};
use keryx_lab::Host;
use keryx_lab::capture::{Capture, Event as Frame, MacAddr as Mac, Packet};
use keryx_lab::probe;
use keryx_layer2::MacAddr;
use keryx_tests::wait;

use crate::Test;
use crate::lab::lab;
use crate::run::run;
use crate::segment::{LIMIT, VIP, VIPS};
use crate::station::Station;

pub(crate) const TESTS: &[Test] = &[
    ("discovery::a_kernel_finds_a_vip_of_each_family_and_keeps_it_by_unicast_probes", resolved),
    ("discovery::a_kernel_that_wants_a_vip_for_itself_is_told_that_it_is_taken", detection_fails),
    ("discovery::one_announcement_moves_a_vip_of_each_family_to_another_node", moved),
    ("discovery::a_stand_in_leads_new_clients_to_the_holder", stand_in),
    ("discovery::frames_about_foreign_addresses_stay_in_the_kernel", foreign_frames),
    ("discovery::solicited_node_groups_are_joined_shared_left_and_joined_again", groups),
];

/// Makes the client's kernel want to know where an address is.
pub(crate) fn want(client: &Host, vip: IpAddr) -> Result<()> {
    client.namespace().run(|| -> Result<()> {
        let any = if vip.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        UdpSocket::bind(any)?.send_to(b"?", SocketAddr::new(vip, 53))?;
        Ok(())
    })
}

/// Waits until the client's neighbour entry for an address is at `mac`, in a certain state if one is given.
pub(crate) fn wait_neighbour(client: &Host, vip: IpAddr, mac: Mac, state: Option<&str>) -> Result<()> {
    wait::until_within(LIMIT, &format!("{vip} at {mac} ({state:?})"), || {
        let entries = probe::neighbours(&client.namespace(), "eth0")?;
        let is_it = entries.iter().any(|entry| {
            entry.ip == vip && entry.mac == Some(mac) && state.is_none_or(|state| entry.state == state)
        });
        Ok(is_it.then_some(()))
    })
}

fn resolved() -> Result<()> {
    let lab = lab(|wire| wire.nodes(1))?;
    let (node, client) = (lab.node(1), lab.client_host(1));
    let mac = Mac(node.mac());
    let station = Station::start(&node)?;
    station.announce(&VIPS)?;
    let capture = Capture::start(&client.namespace(), "eth0")?;
    for vip in VIPS {
        want(&client, vip)?;
        wait_neighbour(&client, vip, mac, Some("REACHABLE")).context("resolution")?;
        // The kernel asks the station alone whether it is still there.
        run(&client, &format!("ip neigh replace {vip} lladdr {mac} dev eth0 nud probe"))?;
        wait_neighbour(&client, vip, mac, Some("REACHABLE")).context("unicast probe")?;
    }
    let v6 = VIPS[1];
    let advertisements: Vec<_> = capture
        .events()
        .into_iter()
        .filter_map(|event| match event.packet {
            Packet::NeighborAdvertisement(it) if IpAddr::V6(it.target_ip) == v6 && it.is_solicited => {
                Some(it)
            }
            Packet::NeighborAdvertisement(_)
            | Packet::Arp(_)
            | Packet::NeighborSolicitation(_)
            | Packet::Tcp(_)
            | Packet::Udp(_)
            | Packet::Bfd(_)
            | Packet::Unreachable(_) => None,
        })
        .collect();
    ensure!(advertisements.len() >= 2, "one answer to all, one to a unicast probe: {advertisements:?}");
    for it in advertisements {
        ensure!(it.target_link_address == Some(mac) && it.overrides && !it.is_router, "{it:?}");
    }
    Ok(())
}

fn detection_fails() -> Result<()> {
    let lab = lab(|wire| wire.nodes(1))?;
    let (node, client) = (lab.node(1), lab.client_host(1));
    let station = Station::start(&node)?;
    station.announce(&VIPS)?;
    // The lab's hosts do without.
    run(&client, "sysctl -qw net.ipv6.conf.eth0.accept_dad=1 net.ipv6.conf.eth0.dad_transmits=1")?;
    run(&client, &format!("ip address add {}/64 dev eth0", VIPS[1]))?;
    wait::until_within(LIMIT, "duplicate address detection to fail", || {
        let shown = run(&client, "ip -6 address show dev eth0")?;
        let line = shown.lines().find(|line| line.contains(&VIPS[1].to_string()));
        Ok(line.filter(|line| line.contains("dadfailed")).map(|_| ()))
    })
}

fn moved() -> Result<()> {
    let lab = lab(|wire| wire.nodes(2))?;
    let (old, new, client) = (lab.node(1), lab.node(2), lab.client_host(1));
    let (first, second) = (Station::start(&old)?, Station::start(&new)?);
    first.announce(&VIPS)?;
    for vip in VIPS {
        want(&client, vip)?;
        wait_neighbour(&client, vip, Mac(old.mac()), Some("REACHABLE"))?;
    }
    first.announce(&[])?;
    let capture = Capture::start(&client.namespace(), "eth0")?;
    second.announce(&VIPS)?;
    let announced = |event: &Frame| event.packet.claimed_by(VIPS[1]) == Some(Mac(new.mac()));
    capture.wait_for(announced, LIMIT).context("no announcement")?;
    // Before the second announcement of the burst.
    second.announce(&[])?;
    for vip in VIPS {
        wait_neighbour(&client, vip, Mac(new.mac()), None)?;
    }
    Ok(())
}

fn stand_in() -> Result<()> {
    let lab = lab(|wire| wire.nodes(2))?;
    let (holder, other, client) = (lab.node(1), lab.node(2), lab.client_host(1));
    let mac = MacAddr(holder.mac());
    let station = Station::start(&other)?;
    station.tell(move |inside| {
        VIPS.into_iter().try_for_each(|vip| inside.announcer.stand_in(inside.eth0, vip, mac))
    })??;
    for vip in VIPS {
        want(&client, vip)?;
        wait_neighbour(&client, vip, Mac(holder.mac()), Some("REACHABLE"))?;
    }
    Ok(())
}

fn foreign_frames() -> Result<()> {
    let lab = lab(|wire| wire.nodes(1))?;
    let (node, client) = (lab.node(1), lab.client_host(1));
    let station = Station::start(&node)?;
    station.announce(&VIPS)?;
    station.passed()?;
    for host in 210..240u8 {
        want(&client, Ipv4Addr::new(10, 98, 0, host).into())?;
        want(&client, Ipv6Addr::new(0xfd98, 0, 0, 0, 0, 0, 0, 0x300 + u16::from(host)).into())?;
    }
    for vip in VIPS {
        want(&client, vip)?;
        wait_neighbour(&client, vip, Mac(node.mac()), Some("REACHABLE"))?;
    }
    // The kernel repeats what is not answered, so there is no telling how often it asked.
    let counted = station.passed()?;
    ensure!(
        counted.iter().all(|count| (1..=3).contains(count)),
        "{counted:?} frames passed for one VIP each"
    );
    let answered = probe::arp_once(&client.namespace(), "eth0", VIP, LIMIT)?;
    ensure!(!answered.is_empty(), "nobody answers");
    Ok(())
}

fn groups() -> Result<()> {
    let lab = lab(|wire| wire.nodes(1))?;
    let node = lab.node(1);
    let station = Station::start(&node)?;
    let joined = || -> Result<usize> {
        let shown = run(&node, "ip -6 maddress show dev eth0")?;
        Ok(shown.lines().filter(|line| line.contains("ff02::1:ff77:")).count())
    };
    // Two addresses in each group.
    let vips: Vec<IpAddr> =
        (0..1200u16).map(|n| Ipv6Addr::new(0xfd98, 0, 0, 0, 0, n % 2, 0x77, n / 2).into()).collect();
    station.announce(&vips)?;
    ensure!(joined()? == 600, "{} groups joined", joined()?);
    station.announce(&vips[..2])?;
    ensure!(joined()? == 1, "{} groups are left", joined()?);
    station.announce(&vips[1..2])?;
    ensure!(joined()? == 1, "a shared group was left with its first address");
    // Too small for IPv6, which takes all groups away.
    run(&node, "ip link set eth0 mtu 1000")?;
    ensure!(joined()? == 0, "the kernel kept the groups");
    run(&node, "ip link set eth0 mtu 1500")?;
    station.tell(|inside| inside.groups.rejoin())??;
    ensure!(joined()? == 1, "{} groups joined again", joined()?);
    station.announce(&[])?;
    ensure!(joined()? == 0, "{} groups are left", joined()?);
    Ok(())
}
