//! What an independent dissector, tshark, says of the frames that a node sends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use keryx_lab::capture::{Capture, MacAddr as Mac};
use keryx_lab::{Dissected, Lab};
use keryx_layer2::{Check, MacAddr};

use crate::Test;
use crate::discovery::{wait_neighbour, want};
use crate::lab::lab;
use crate::run::run;
use crate::segment::{LIMIT, VIPS};
use crate::station::Station;

pub(crate) const TESTS: &[Test] =
    &[("dissector::tshark_finds_nothing_wrong_with_any_frame_that_layer_2_sends", sound)];

/// Addresses that are asked for before they are used.
const FREE: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(10, 98, 0, 201)), IpAddr::V6(Ipv6Addr::new(0xfd98, 0, 0, 0, 0, 0, 0, 0x201))];

fn sound() -> Result<()> {
    let lab = lab(|wire| wire.nodes(1).dissector(true))?;
    let (node, client) = (lab.node(1), lab.client_host(1));
    let mac = Mac(node.mac());
    let mut capture = Capture::start(&client.namespace(), "eth0")?;
    let station = Station::start(&node)?;
    station.announce(&VIPS)?;
    let clients_mac = MacAddr(client.mac());
    for (vip, free) in VIPS.into_iter().zip(FREE) {
        // Answers: to all, to one, and to a kernel that wants the address.
        want(&client, vip)?;
        wait_neighbour(&client, vip, mac, Some("REACHABLE"))?;
        run(&client, &format!("ip neigh replace {vip} lladdr {mac} dev eth0 nud probe"))?;
        wait_neighbour(&client, vip, mac, Some("REACHABLE"))?;
        // Questions: to one, and to all.
        station.ask(move |announcer, eth0, now| {
            announcer.ask_station(eth0, free, clients_mac, now).expect("few questions are open")
        })?;
        station.ask(move |announcer, eth0, now| {
            announcer.check_address(eth0, free, Check::Fast, now).expect("few questions are open")
        })?;
    }
    run(&client, "sysctl -qw net.ipv6.conf.eth0.accept_dad=1 net.ipv6.conf.eth0.dad_transmits=1")?;
    run(&client, &format!("ip address add {}/64 dev eth0", VIPS[1]))?;
    let told = |event: &keryx_lab::capture::Event| is_told_to_all(event, VIPS[1]);
    capture.wait_for(told, LIMIT).context("no answer to duplicate address detection")?;
    capture.stop();

    let folder = tempfile::tempdir()?;
    let pcap = folder.path().join("sent.pcap");
    capture.save_pcap(&pcap)?;
    let frames = dissect(&lab, &pcap, mac)?;
    for frame in &frames {
        ensure!(frame.complaints.is_empty(), "tshark complains: {frame:?}");
        ensure!(frame.checksum_is_right != Some(false), "the checksum is wrong: {frame:?}");
    }
    for words in KINDS {
        let is_it = |frame: &Dissected| words.iter().all(|word| frame.info.contains(word));
        ensure!(frames.iter().any(is_it), "no frame with {words:?} among {frames:#?}");
    }
    let is_detection = |frame: &Dissected| frame.info == "Neighbor Solicitation for fd98::201";
    ensure!(frames.iter().any(is_detection), "no duplicate address detection among {frames:#?}");
    ensure!(frames.iter().any(|frame| frame.checksum_is_right.is_some()), "no checksum was looked at");
    Ok(())
}

fn dissect(lab: &Lab, pcap: &Path, mac: Mac) -> Result<Vec<Dissected>> {
    lab.dissect(
        pcap,
        &format!(
            "eth.src == {mac} && (arp || icmpv6.type == 135 || icmpv6.type == 136) && !(icmpv6.type == 137)"
        ),
    )
}

/// Words that tshark has for each kind of frame that layer 2 sends.
const KINDS: &[&[&str]] = &[
    &["ARP Announcement for 10.98.0.200"],
    &["Gratuitous ARP for 10.98.0.200", "Reply"],
    &["10.98.0.200 is at"],
    &["Who has 10.98.0.201? Tell 10.98.0.11"],
    &["Who has 10.98.0.201?", "ARP Probe"],
    &["Neighbor Advertisement fd98::200 (ovr) is at"],
    &["Neighbor Advertisement fd98::200 (sol, ovr) is at"],
    &["Neighbor Solicitation for fd98::201 from"],
];

/// An advertisement to all nodes that is no answer to a question, but to duplicate address detection.
fn is_told_to_all(event: &keryx_lab::capture::Event, vip: IpAddr) -> bool {
    let keryx_lab::capture::Packet::NeighborAdvertisement(it) = event.packet else { return false };
    IpAddr::V6(it.target_ip) == vip && !it.is_solicited && it.destination_ip.is_multicast()
}
