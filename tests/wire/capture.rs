//! The lab's own capture of BGP and BFD, on which the tests of those drivers stand.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};

use anyhow::{Context as _, Result, ensure};
use keryx_lab::capture::{BfdState, BgpKind, Capture, Direction, Event, Packet};

use crate::Test;
use crate::lab::lab;
use crate::segment::LIMIT;

pub(crate) const TESTS: &[Test] = &[
    ("capture::bgp_messages_are_read_whole_from_segments_longer_than_a_frame", bgp),
    ("capture::a_bfd_control_packet_is_read_with_its_ttl", bfd),
];

/// UPDATEs of the largest size: more than one segment holds, even with the kernel's segmentation offload.
const UPDATES: usize = 100;

fn message(kind: u8, len: u16) -> Vec<u8> {
    let mut octets = vec![0xff; 16];
    octets.extend(len.to_be_bytes());
    octets.push(kind);
    octets.resize(usize::from(len), 0);
    octets
}

fn bgp() -> Result<()> {
    let lab = lab(|wire| wire.nodes(1))?;
    let (node, client) = (lab.node(1), lab.client_host(1));
    let addresses: [(IpAddr, IpAddr); 2] = [
        (node.address_v4().into(), client.address_v4().into()),
        (node.address_v6().into(), client.address_v6().into()),
    ];
    for (speaker, router) in addresses {
        let mut capture = Capture::start(&node.namespace(), "eth0")?;
        let listener = client.namespace().run(|| TcpListener::bind((router, 179)))?;
        let mut sending =
            node.namespace().run(|| TcpStream::connect_timeout(&(router, 179).into(), LIMIT))?;
        let (mut receiving, _) = listener.accept()?;
        receiving.set_read_timeout(Some(LIMIT))?;
        sending.set_write_timeout(Some(LIMIT))?;
        let sent = [message(1, 29), message(2, 4096).repeat(UPDATES), message(4, 19)].concat();
        let mut received = vec![0; sent.len()];
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| receiving.read_exact(&mut received));
            sending.write_all(&sent).context("sending")?;
            reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).context("receiving")
        })?;
        let last = capture.wait_for_bgp(|message| message.kind == BgpKind::Keepalive, LIMIT);
        last.context("the last message was not seen")?;
        capture.stop();
        let messages = capture.bgp_messages();
        let read: Vec<u8> = messages.iter().flat_map(|message| message.octets.to_vec()).collect();
        ensure!(read == sent, "{} octets of {} were read", read.len(), sent.len());
        let to = SocketAddr::new(router, 179);
        let is_ours = messages
            .iter()
            .all(|it| it.direction == Direction::Sent && it.source.ip() == speaker && it.destination == to);
        ensure!(is_ours, "a message of another way or connection");
        let in_order = messages.is_sorted_by_key(|message| message.at_nanos);
        ensure!(in_order && capture.missed() == 0, "missed: {}", capture.missed());
    }
    Ok(())
}

fn bfd() -> Result<()> {
    let lab = lab(|wire| wire.nodes(1))?;
    let (node, client) = (lab.node(1), lab.client_host(1));
    let capture = Capture::start(&client.namespace(), "eth0")?;
    let mut control = [0; 24];
    control[..4].copy_from_slice(&[0x20, 0x40, 3, 24]);
    control[7] = 9;
    let socket = node.namespace().run(|| UdpSocket::bind((node.address_v4(), 0)))?;
    for (port, ttl) in [(3784, 255), (4784, 64)] {
        socket.set_ttl(ttl)?;
        socket.send_to(&control, (client.address_v4(), port))?;
        let is_it = |event: &Event| {
            matches!(event.packet, Packet::Bfd(it) if it.destination.port() == port && u32::from(it.ttl) == ttl
                && it.state == BfdState::Down && it.my_discriminator == 9)
        };
        capture.wait_for(is_it, LIMIT).with_context(|| format!("nothing to port {port}"))?;
    }
    Ok(())
}
