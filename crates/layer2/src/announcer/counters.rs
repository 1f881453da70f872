//! What an announcer counts.

use std::net::IpAddr;

/// What has been seen and sent so far in one address family. Only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FamilyCounters {
    /// Questions for a VIP that is answered for on the interface that they came in on.
    pub requests: u64,
    /// Answers handed out by [`Announcer::poll_transmit`](super::Announcer::poll_transmit).
    pub replies: u64,
    /// Gratuitous frames, of either form, handed out by [`Announcer::poll_transmit`](super::Announcer::poll_transmit).
    pub gratuitous: u64,
    /// Questions of our own handed out by [`Announcer::poll_transmit`](super::Announcer::poll_transmit).
    pub questions: u64,
}

/// What has been seen and sent so far. Only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// IPv4.
    pub arp: FamilyCounters,
    /// IPv6.
    pub ndp: FamilyCounters,
    /// Frames that are neither ARP for IPv4 over Ethernet nor valid neighbor discovery.
    pub malformed: u64,
    /// Questions left without an answer because 1,024 answers waited to be sent.
    pub overruns: u64,
    /// Claims of foreign stations for VIPs that are announced.
    pub foreign_claims: u64,
    /// Announcements made in defence of a VIP.
    pub defences: u64,
}

impl Counters {
    pub(super) fn of(&mut self, address: IpAddr) -> &mut FamilyCounters {
        if address.is_ipv4() { &mut self.arp } else { &mut self.ndp }
    }
}
