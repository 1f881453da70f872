use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use etherparse::{ArpEthIpv4Packet, ArpOperation as WireArpOperation, PacketBuilder};
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{MsgFlags, recv, send};

use crate::capture::{ArpOperation, MacAddr, Packet, PacketSocket, decode};
use crate::clock;
use crate::netns::Namespace;

/// Room for an ARP frame and its padding; the rest of longer frames is not wanted.
pub(super) const FRAME_BYTES: usize = 128;

/// A host that answered for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArpAnswer {
    /// The address that it answered with.
    pub mac: MacAddr,
    /// Time from the question to the answer.
    pub latency: Duration,
}

/// Sends one broadcast ARP request for `target` from an Ethernet interface of the namespace, and collects every answer
/// to it within `window`, in order of arrival. Two different addresses in it are two announcers. The kernel's own
/// neighbour table is left alone.
///
/// It asks in the name of the interface's first IPv4 address; if there is none, with sender 0.0.0.0 as in address
/// conflict detection (RFC 5227 section 2.1.1).
pub fn arp_once(
    namespace: &Namespace,
    interface: &str,
    target: Ipv4Addr,
    window: Duration,
) -> Result<Vec<ArpAnswer>> {
    let socket = PacketSocket::open(namespace, interface)?;
    let own_mac = socket.link.addr().map(MacAddr).context("the interface has no Ethernet address")?;
    let own_ip = namespace.run(|| first_ipv4(interface))?.unwrap_or(Ipv4Addr::UNSPECIFIED);
    let frame = request(own_mac, own_ip, target)?;
    let asked = clock::now();
    send(socket.fd.as_raw_fd(), &frame, MsgFlags::empty()).context("send the ARP request")?;
    let mut answers = Vec::new();
    let mut buffer = [0; FRAME_BYTES];
    while wait_until(&socket, asked + window)? {
        let received = receive(&socket, &mut buffer)?;
        if let Some(mac) = received.and_then(|frame| answer_to(frame, own_mac, target)) {
            answers.push(ArpAnswer { mac, latency: clock::now() - asked });
        }
    }
    Ok(answers)
}

/// Waits for a frame; false when the time is over.
fn wait_until(socket: &PacketSocket, deadline: Instant) -> Result<bool> {
    let left = deadline.saturating_duration_since(clock::now());
    if left.is_zero() {
        return Ok(false);
    }
    let mut waits = [PollFd::new(socket.fd.as_fd(), PollFlags::POLLIN)];
    match ppoll(&mut waits, Some(left.into()), None) {
        Ok(_) | Err(Errno::EINTR) => Ok(true),
        Err(error) => Err(error).context("wait for ARP answers"),
    }
}

/// The next frame that waits, if one does.
pub(super) fn receive<'a>(socket: &PacketSocket, buffer: &'a mut [u8]) -> Result<Option<&'a [u8]>> {
    match recv(socket.fd.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
        Ok(len) => Ok(Some(&buffer[..len])),
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
        Err(error) => Err(error).context("receive ARP answers"),
    }
}

/// The interface's first IPv4 address, in the namespace of the calling thread.
pub(super) fn first_ipv4(interface: &str) -> io::Result<Option<Ipv4Addr>> {
    let mut of_interface = getifaddrs()?.filter(|entry| entry.interface_name == interface);
    Ok(of_interface.find_map(|entry| entry.address.and_then(|address| Some(address.as_sockaddr_in()?.ip()))))
}

/// The broadcast frame that asks for `target`.
pub(super) fn request(own_mac: MacAddr, own_ip: Ipv4Addr, target: Ipv4Addr) -> Result<Vec<u8>> {
    let arp = ArpEthIpv4Packet {
        operation: WireArpOperation::REQUEST,
        sender_mac: own_mac.0,
        sender_ipv4: own_ip.octets(),
        target_mac: MacAddr::UNSPECIFIED.0,
        target_ipv4: target.octets(),
    };
    let mut frame = Vec::new();
    let builder = PacketBuilder::ethernet2(own_mac.0, MacAddr::BROADCAST.0).arp(arp.to_arp_packet());
    builder.write(&mut frame)?;
    Ok(frame)
}

/// Who answers, if the frame is a reply to our question. Announcements are none: they go to everybody.
pub(super) fn answer_to(frame: &[u8], own_mac: MacAddr, target: Ipv4Addr) -> Option<MacAddr> {
    let decoded = decode(frame)?;
    let Packet::Arp(arp) = decoded.packet else { return None };
    let is_answer = arp.operation == ArpOperation::Reply && decoded.destination_mac == own_mac;
    (is_answer && arp.sender_ip == target).then_some(arp.sender_mac)
}
