//! Questions of a node to its segment, and conflicts, among real kernels.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use anyhow::{Result, ensure};
use keryx_lab::Host;
use keryx_layer2::{Check, Event, MacAddr, Outcome};

use crate::Test;
use crate::lab::lab;
use crate::run::run;
use crate::segment::{LIMIT, VIPS};
use crate::station::Station;

pub(crate) const TESTS: &[Test] = &[
    ("questions::a_station_is_found_to_hold_a_vip_only_while_it_does", stations),
    ("questions::an_address_that_a_kernel_has_is_found_before_it_is_used", checked),
    ("questions::a_router_that_answers_for_all_addresses_is_found_out", proxy),
    ("questions::a_kernel_that_takes_a_vip_is_a_conflict", conflict),
    ("questions::two_members_that_announce_one_vip_hear_of_each_other", members),
];

fn ask_station(station: &Station, vip: IpAddr, mac: MacAddr) -> Result<Outcome> {
    station.ask(move |announcer, eth0, now| {
        announcer.ask_station(eth0, vip, mac, now).expect("few questions are open")
    })
}

fn check(station: &Station, vip: IpAddr, check: Check) -> Result<Outcome> {
    station.ask(move |announcer, eth0, now| {
        announcer.check_address(eth0, vip, check, now).expect("few questions are open")
    })
}

fn stations() -> Result<()> {
    let lab = lab(|wire| wire.nodes(2))?;
    let (asker, holder) = (Station::start(&lab.node(1))?, Station::start(&lab.node(2))?);
    let mac = MacAddr(lab.node(2).mac());
    holder.announce(&VIPS)?;
    for vip in VIPS {
        let outcome = ask_station(&asker, vip, mac)?;
        ensure!(outcome == Outcome::Answered(mac), "{vip}: {outcome:?} of a station that holds it");
        let outcome = ask_station(&asker, vip, MacAddr(lab.client_host(1).mac()))?;
        ensure!(outcome == Outcome::Silent, "{vip}: {outcome:?} of another station");
    }
    holder.announce(&[])?;
    for vip in VIPS {
        let outcome = ask_station(&asker, vip, mac)?;
        ensure!(outcome == Outcome::Silent, "{vip}: {outcome:?} of a station that gave it up");
    }
    // A kernel answers as well.
    for own in [IpAddr::from(lab.node(2).address_v4()), lab.node(2).address_v6().into()] {
        let outcome = ask_station(&asker, own, mac)?;
        ensure!(outcome == Outcome::Answered(mac), "{own}: {outcome:?} of a kernel");
    }
    Ok(())
}

/// Gives a host's kernel the VIPs; IPv6 without detection, so that it has them at once.
fn take(host: &Host) -> Result<()> {
    run(host, &format!("ip address add {}/24 dev eth0", VIPS[0]))?;
    run(host, &format!("ip address add {}/64 dev eth0 nodad", VIPS[1]))?;
    Ok(())
}

fn checked() -> Result<()> {
    let lab = lab(|wire| wire.nodes(1))?;
    let (station, client) = (Station::start(&lab.node(1))?, lab.client_host(1));
    for vip in VIPS {
        let outcome = check(&station, vip, Check::Fast)?;
        ensure!(outcome == Outcome::Silent, "{vip}: {outcome:?} for an address that nobody has");
    }
    take(&client)?;
    let mac = MacAddr(client.mac());
    for vip in VIPS {
        for how in [Check::Fast, Check::Full] {
            let outcome = check(&station, vip, how)?;
            ensure!(outcome == Outcome::Answered(mac), "{vip}, {how:?}: {outcome:?}");
        }
    }
    Ok(())
}

fn proxy() -> Result<()> {
    let lab = lab(|wire| wire.nodes(1))?;
    let (station, router) = (Station::start(&lab.node(1))?, lab.client_host(1));
    let mac = MacAddr(router.mac());
    let unused = IpAddr::from(Ipv4Addr::new(10, 98, 0, 250));
    let unused_v6 = IpAddr::from(Ipv6Addr::new(0xfd98, 0, 0, 0, 0, 0, 0, 0x250));
    for address in [unused, unused_v6] {
        let outcome = ask_station(&station, address, mac)?;
        ensure!(outcome == Outcome::Silent, "{address}: {outcome:?} of a host");
    }
    // Answers for what it would send elsewhere.
    for line in [
        "sysctl -qw net.ipv4.conf.eth0.proxy_arp=1 net.ipv4.ip_forward=1",
        "sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv6.conf.all.proxy_ndp=1",
        "ip route add 10.98.0.250/32 dev mgmt0",
        "ip -6 neigh add proxy fd98::250 dev eth0",
    ] {
        run(&router, line)?;
    }
    for address in [unused, unused_v6] {
        let outcome = ask_station(&station, address, mac)?;
        ensure!(outcome == Outcome::Answered(mac), "{address}: {outcome:?} of a proxy");
    }
    Ok(())
}

fn conflict() -> Result<()> {
    let lab = lab(|wire| wire.nodes(1))?;
    let (station, client) = (Station::start(&lab.node(1))?, lab.client_host(1));
    station.announce(&VIPS)?;
    let mac = MacAddr(client.mac());
    // Takes an address without detection, and announces it if it is one of IPv6.
    let careless =
        "net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.eth0.accept_dad=0 net.ipv6.conf.eth0.ndisc_notify=1";
    run(&client, &format!("sysctl -qw {careless}"))?;
    run(&client, &format!("ip address add {}/24 dev eth0", VIPS[0]))?;
    run(&client, &format!("ip address add {}/64 dev eth0", VIPS[1]))?;
    // It asks for others from the one of IPv4.
    client.namespace().run(|| -> Result<()> {
        let socket = UdpSocket::bind(SocketAddr::new(VIPS[0], 0))?;
        socket.send_to(b"?", "10.98.0.251:53")?;
        Ok(())
    })?;
    for wanted in VIPS {
        station.wait_event(&format!("a conflict about {wanted}"), LIMIT, |event| {
            (matches!(event, Event::Conflict { vip, mac: of, .. } if *vip == wanted && *of == mac))
                .then_some(())
        })?;
    }
    let defences = station.tell(|inside| inside.announcer.counters().defences)?;
    ensure!((1..=4).contains(&defences), "defended {defences} times");
    Ok(())
}

fn members() -> Result<()> {
    let lab = lab(|wire| wire.nodes(2))?;
    let stations = [Station::start(&lab.node(1))?, Station::start(&lab.node(2))?];
    let macs = [MacAddr(lab.node(1).mac()), MacAddr(lab.node(2).mac())];
    for (station, other) in stations.iter().zip([macs[1], macs[0]]) {
        station.tell(move |inside| inside.announcer.set_members([other].into()))?;
    }
    for station in &stations {
        station.announce(&VIPS)?;
    }
    for (station, other) in stations.iter().zip([macs[1], macs[0]]) {
        for wanted in VIPS {
            station.wait_event(&format!("a member's announcement of {wanted}"), LIMIT, |event| {
                let is_it =
                    matches!(event, Event::MemberAnnounces { vip, mac, .. } if *vip == wanted && *mac == other);
                is_it.then_some(())
            })?;
        }
        let defences = station.tell(|inside| inside.announcer.counters().defences)?;
        ensure!(defences == 0, "fought a member");
    }
    Ok(())
}
