//! The guard: packets that come before kube-proxy is ready, and the life of its table.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, Result, ensure};
use keryx_lab::capture::{Direction, Event, Packet};
use keryx_lab::probe::{self, ProbeError, UdpFlow};
use keryx_tests::wait;

use crate::Test;
use crate::driver::guarding;
use crate::run::nft;
use crate::scene::{AT_ONCE, SILENCE, Scene, TCP, UDP, wait_guarded};
use crate::segment::{LIMIT, VIPS};

pub(crate) const TESTS: &[Test] = &[
    ("guard::without_it_a_udp_flow_that_began_too_early_is_never_answered", unguarded),
    ("guard::a_udp_flow_that_began_too_early_is_answered_when_its_service_is_programmed", early_udp),
    ("guard::a_tcp_connect_that_began_too_early_completes_when_its_service_is_programmed", early_tcp),
    ("guard::packets_are_sent_on_again_when_no_vip_is_left", emptied),
    ("guard::its_table_is_made_anew_at_once_when_somebody_deletes_it", deleted),
    ("guard::its_table_goes_when_the_speaker_stops", stopped),
];

/// A port that no Service claims.
const UNCLAIMED: u16 = 4242;

fn unguarded() -> Result<()> {
    let scene = Scene::start()?;
    for vip in VIPS {
        let client = scene.client().namespace();
        let server = SocketAddr::new(vip, UDP);
        let mut flow = UdpFlow::open(&client, 0, server)?;
        ensure!(flow.ask(SILENCE).is_err(), "{server} is served before its time");
        let tracked = format!("sport={} dport={UDP} [UNREPLIED]", flow.local_addr()?.port());
        let connections = scene.kube_proxy.connections("udp", UDP)?;
        ensure!(
            connections.iter().any(|line| line.contains(&tracked)),
            "the node does not track {tracked}: {connections:?}"
        );
        scene.kube_proxy.serve(vip, UDP)?;
        probe::udp_once(&client, server, LIMIT).context("a new flow is not answered")?;
        let late = flow.ask(SILENCE);
        ensure!(late.is_err(), "the kernel mends such flows by itself; the guard is not needed: {late:?}");
    }
    Ok(())
}

fn early_udp() -> Result<()> {
    let scene = Scene::start()?;
    let _guard = scene.guard()?;
    for vip in VIPS {
        let server = SocketAddr::new(vip, UDP);
        let mut flow = UdpFlow::open(&scene.client().namespace(), 0, server)?;
        let early = flow.ask(SILENCE);
        ensure!(early == Err(ProbeError::TimedOut), "{server} was to say nothing: {early:?}");
        let connections = scene.kube_proxy.connections("udp", UDP)?;
        let own_port = format!(" sport={} ", flow.local_addr()?.port());
        ensure!(
            !connections.iter().any(|line| line.contains(&own_port)),
            "tracked untranslated: {connections:?}"
        );
        scene.kube_proxy.serve(vip, UDP)?;
        flow.ask(LIMIT).with_context(|| format!("the flow to {server} stays without answer"))?;
    }
    Ok(())
}

fn early_tcp() -> Result<()> {
    let scene = Scene::start()?;
    let _guard = scene.guard()?;
    let capture = scene.capture()?;
    let client = scene.client().namespace();
    let connect = |vip| probe::tcp_once(&client, SocketAddr::new(vip, TCP), LIMIT);
    std::thread::scope(|scope| {
        let connecting = VIPS.map(|vip| (vip, scope.spawn(move || connect(vip))));
        for vip in VIPS {
            let is_syn = |event: &Event| matches!(event.packet, Packet::Tcp(segment) if segment.syn && segment.destination.ip() == vip);
            ensure!(capture.wait_for(is_syn, LIMIT).is_some(), "no SYN came for {vip}");
            scene.kube_proxy.serve(vip, TCP)?;
        }
        for (vip, connecting) in connecting {
            let answer = connecting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            answer.with_context(|| format!("the connect to {vip} that began before"))?;
        }
        Ok(())
    })
}

fn emptied() -> Result<()> {
    let scene = Scene::start()?;
    let guard = scene.guard()?;
    for vip in VIPS {
        ensure!(is_refused(&scene, vip), "{vip} is not guarded");
    }
    let capture = scene.capture()?;
    guard.order(guarding(&[], &[]));
    for vip in VIPS {
        // The node looks for a neighbour that it could send the packet to.
        wait::until_within(LIMIT, &format!("the node to send on what is for {vip}"), || {
            UdpFlow::open(&scene.client().namespace(), 0, SocketAddr::new(vip, UNCLAIMED))?.send()?;
            Ok(capture.events().iter().any(|event| looks_for(event, vip)).then_some(()))
        })?;
        ensure!(!is_refused(&scene, vip), "{vip} is refused still");
    }
    Ok(())
}

/// True for a question of the captured host where `ip` is.
fn looks_for(event: &Event, ip: IpAddr) -> bool {
    let target: IpAddr = match event.packet {
        Packet::Arp(arp) => arp.target_ip.into(),
        Packet::NeighborSolicitation(solicitation) => solicitation.target_ip.into(),
        Packet::NeighborAdvertisement(_)
        | Packet::Tcp(_)
        | Packet::Udp(_)
        | Packet::Bfd(_)
        | Packet::Unreachable(_) => return false,
    };
    event.direction == Direction::Sent && target == ip
}

/// True if a port of the VIP that no Service claims is refused at once.
fn is_refused(scene: &Scene, vip: IpAddr) -> bool {
    let server = SocketAddr::new(vip, UNCLAIMED);
    probe::udp_once(&scene.client().namespace(), server, AT_ONCE) == Err(ProbeError::Refused)
}

fn deleted() -> Result<()> {
    let scene = Scene::start()?;
    let guard = scene.guard()?;
    for command in ["delete table inet keryx_guard", "flush ruleset"] {
        nft(&scene.node(), command)?;
        wait_guarded(&scene.node(), &VIPS)?;
        for vip in VIPS {
            ensure!(is_refused(&scene, vip), "{vip} is not guarded by the new table");
        }
    }
    ensure!(guard.metrics.guard_errors.get() == 0, "{} errors counted", guard.metrics.guard_errors.get());
    Ok(())
}

fn stopped() -> Result<()> {
    let scene = Scene::start()?;
    let guard = scene.guard()?;
    drop(guard);
    let tables = nft(&scene.node(), "list tables")?;
    ensure!(!tables.contains("keryx"), "left behind: {tables}");
    ensure!(tables.contains("inet kp"), "a table of others went too: {tables}");
    Ok(())
}
