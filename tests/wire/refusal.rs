//! The guard: packets for ports that no Service claims, and packets that nobody may send on.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context as _, Result, ensure};
use keryx_lab::Host;
use keryx_lab::capture::{Capture, Direction, Event, Packet};
use keryx_lab::probe::{self, ProbeError, UdpFlow};

use crate::Test;
use crate::lab::lab;
use crate::run::run;
use crate::scene::{AT_ONCE, SILENCE, Scene, TCP, UDP, start_guard};
use crate::segment::{LIMIT, VIPS};

pub(crate) const TESTS: &[Test] = &[
    ("guard::a_port_that_no_service_claims_is_refused_at_once", unclaimed),
    ("guard::a_claimed_port_says_nothing_until_it_is_served", claimed),
    ("guard::no_packet_circles_between_a_node_and_a_router_that_are_each_others_gateway", circle),
];

fn unclaimed() -> Result<()> {
    let scene = Scene::start()?;
    let _guard = scene.guard()?;
    let client = scene.client().namespace();
    for vip in VIPS {
        // Also ports that are claimed for the other protocol.
        for port in [81, UDP] {
            let answer = probe::tcp_once(&client, SocketAddr::new(vip, port), AT_ONCE);
            ensure!(answer == Err(ProbeError::Refused), "TCP {vip} port {port}: {answer:?}");
        }
        for port in [54, TCP] {
            let answer = probe::udp_once(&client, SocketAddr::new(vip, port), AT_ONCE);
            ensure!(answer == Err(ProbeError::Refused), "UDP {vip} port {port}: {answer:?}");
        }
    }
    Ok(())
}

fn claimed() -> Result<()> {
    let scene = Scene::start()?;
    let _guard = scene.guard()?;
    let client = scene.client().namespace();
    for vip in VIPS {
        let tcp = probe::tcp_once(&client, SocketAddr::new(vip, TCP), SILENCE);
        ensure!(tcp == Err(ProbeError::TimedOut), "TCP {vip}: {tcp:?}");
        let udp = probe::udp_once(&client, SocketAddr::new(vip, UDP), SILENCE);
        ensure!(udp == Err(ProbeError::TimedOut), "UDP {vip}: {udp:?}");
        for (port, is_tcp) in [(TCP, true), (UDP, false)] {
            scene.kube_proxy.serve(vip, port)?;
            let server = SocketAddr::new(vip, port);
            let ask = if is_tcp { probe::tcp_once } else { probe::udp_once };
            let answer = ask(&client, server, LIMIT).with_context(|| format!("{server} is not served"))?;
            ensure!(answer.pod == "web", "{answer:?}");
        }
    }
    Ok(())
}

/// VIPs of no segment, which have a route.
const ROUTED: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 10)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10)),
];

/// The second client sends by the node; for the node the way to the VIP is by the first client, a router; for that one
/// it is by the node.
fn circle() -> Result<()> {
    let lab = lab(|wire| wire.nodes(1).clients(2))?;
    let (node, router, client) = (lab.node(1), lab.client_host(1), lab.client_host(2));
    for setting in ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"] {
        router.namespace().run(|| fs::write(format!("/proc/sys/{setting}"), "1")).context(setting)?;
    }
    for vip in ROUTED {
        for (host, gateway) in [(&client, &node), (&router, &node), (&node, &router)] {
            let gateway = match vip {
                IpAddr::V4(_) => IpAddr::from(gateway.address_v4()),
                IpAddr::V6(_) => IpAddr::from(gateway.address_v6()),
            };
            run(host, &format!("ip route add {vip} via {gateway}"))?;
        }
    }
    let capture = Capture::start(&node.namespace(), "eth0")?;
    for vip in ROUTED {
        let server = SocketAddr::new(vip, UDP);
        UdpFlow::open(&client.namespace(), 0, server)?.send()?;
        let mut copies = 0;
        let tenth = |event: &Event| {
            copies += usize::from(is_copy(event, server));
            copies == 10
        };
        ensure!(
            capture.wait_for(tenth, LIMIT).is_some(),
            "nothing circles without the guard: {copies} copies"
        );
    }

    let _guard = start_guard(&node, &ROUTED)?;
    for vip in ROUTED {
        guarded(&client, &node, vip)?;
    }
    Ok(())
}

fn guarded(client: &Host, node: &Host, vip: IpAddr) -> Result<()> {
    let mut capture = Capture::start(&node.namespace(), "eth0")?;
    let ports = [UDP, 54, 55];
    for port in ports {
        let server = SocketAddr::new(vip, port);
        // The refusal of the last one tells that a copy of those before it would have come round.
        let expected = if port == UDP { ProbeError::TimedOut } else { ProbeError::Refused };
        let answer = probe::udp_once(&client.namespace(), server, SILENCE);
        ensure!(answer == Err(expected), "{server}: {answer:?}");
    }
    capture.stop();
    ensure!(capture.missed() == 0, "the capture is incomplete");
    for port in ports {
        let server = SocketAddr::new(vip, port);
        let copies: Vec<_> = capture.events().into_iter().filter(|event| is_copy(event, server)).collect();
        let came_in_once = copies.len() == 1 && copies[0].direction == Direction::Received;
        ensure!(came_in_once, "{server}: sent on: {copies:?}");
    }
    Ok(())
}

/// True for a datagram to `server`, whichever way it passes.
fn is_copy(event: &Event, server: SocketAddr) -> bool {
    matches!(event.packet, Packet::Udp(datagram) if datagram.destination == server)
}
