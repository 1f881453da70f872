//! Answers ARP requests for the VIPs of this node and announces them unasked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::wire::arp::{ArpPacket, FRAME_LEN, Operation};
use crate::{IfIndex, MacAddr};

/// Announcements in a burst, the first of them at once. A neighbour ignores a change for a second after the last
/// one (Linux `locktime`), and frames get lost while a switch learns; so one is not enough.
const BURST_ANNOUNCEMENTS: u8 = 6;
/// From one announcement of a burst to the next.
const BURST_INTERVAL: Duration = Duration::from_secs(1);
/// Answers that wait for [`Announcer::poll_transmit`]. A driver that drains after each input never has two; the
/// limit keeps any other from growing without bound, and an asker asks again.
const PENDING_REPLIES_MAX: usize = 1024;

/// What can be set about announcing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Seconds between two announcements of a VIP after its burst; 0 = none after the burst.
    pub refresh_interval_secs: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { refresh_interval_secs: 60 }
    }
}

/// What has been seen and sent so far. Only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests for a VIP of the interface that they came in on.
    pub requests: u64,
    /// Answers handed out by [`Announcer::poll_transmit`].
    pub replies: u64,
    /// Gratuitous frames, of either form, handed out by [`Announcer::poll_transmit`].
    pub gratuitous: u64,
    /// Frames that are not ARP for IPv4 over Ethernet, or broken.
    pub malformed: u64,
}

/// A frame to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Through which interface.
    pub interface: IfIndex,
    /// From the Ethernet header to the end of the ARP packet, unpadded.
    pub frame: [u8; FRAME_LEN],
}

/// VIPs were given for an interface whose MAC address is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interface {} is not known; set its MAC address first", .0.0)]
pub struct UnknownInterface(pub IfIndex);

/// The ARP side of a node: one value for all its interfaces and VIPs.
///
/// Cardinality: one timer per VIP and interface in one ordered set, so each event costs O(log n), and a request for
/// an address that is none of ours costs a look-up and no allocation. Every frame is built when it is handed out,
/// from what is announced then: nothing can leave for a VIP that was withdrawn before.
#[derive(Debug)]
pub struct Announcer {
    refresh_interval: Option<Duration>,
    interfaces: BTreeMap<IfIndex, Interface>,
    timers: Timers,
    replies: VecDeque<Reply>,
    gratuitous: BTreeSet<(IfIndex, Ipv4Addr, Form)>,
    counters: Counters,
}

/// When the next announcement of each VIP is due; mirrors [`Schedule::due`].
type Timers = BTreeSet<(Instant, IfIndex, Ipv4Addr)>;

#[derive(Debug)]
struct Interface {
    mac: MacAddr,
    vips: BTreeMap<Ipv4Addr, Schedule>,
}

/// The announcements of one VIP on one interface.
#[derive(Debug)]
struct Schedule {
    /// Announcements of the burst that are still to come.
    burst_left: u8,
    /// When the next one is due; `None` after the burst if there is no refresh.
    due: Option<Instant>,
}

/// An answer owed.
#[derive(Debug)]
struct Reply {
    interface: IfIndex,
    vip: Ipv4Addr,
    to_mac: MacAddr,
    to_ip: Ipv4Addr,
}

/// Both forms of a gratuitous frame are sent, in this order: some hosts heed only the one, some only the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    Request,
    Reply,
}

impl Announcer {
    /// Announces nothing yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let refresh_interval = Duration::from_secs(config.refresh_interval_secs.into());
        Self {
            refresh_interval: (!refresh_interval.is_zero()).then_some(refresh_interval),
            interfaces: BTreeMap::new(),
            timers: BTreeSet::new(),
            replies: VecDeque::new(),
            gratuitous: BTreeSet::new(),
            counters: Counters::default(),
        }
    }

    /// Tells the MAC address of an interface. A new address brings a new burst for each VIP there, since all
    /// neighbours hold the old one; the same address again changes nothing.
    pub fn set_interface(&mut self, index: IfIndex, mac: MacAddr, now: Instant) {
        let interface =
            self.interfaces.entry(index).or_insert_with(|| Interface { mac, vips: BTreeMap::new() });
        if interface.mac == mac {
            return;
        }
        interface.mac = mac;
        for (&vip, schedule) in &mut interface.vips {
            schedule.cancel(&mut self.timers, (index, vip));
            *schedule = Schedule::begin(&mut self.timers, (index, vip), now);
        }
        self.handle_timeout(now);
    }

    /// Forgets an interface and the VIPs on it: nothing more is sent through it.
    pub fn remove_interface(&mut self, index: IfIndex) {
        let Some(interface) = self.interfaces.remove(&index) else { return };
        for (vip, schedule) in interface.vips {
            schedule.cancel(&mut self.timers, (index, vip));
        }
    }

    /// Announces exactly `vips` on an interface. A new one gets its burst, beginning at once; for one that is gone
    /// nothing more is sent; the others go on undisturbed.
    ///
    /// # Errors
    /// If [`set_interface`](Self::set_interface) has not told the interface's MAC address.
    pub fn set_vips(
        &mut self,
        index: IfIndex,
        vips: BTreeSet<Ipv4Addr>,
        now: Instant,
    ) -> Result<(), UnknownInterface> {
        let interface = self.interfaces.get_mut(&index).ok_or(UnknownInterface(index))?;
        for (vip, schedule) in interface.vips.extract_if(.., |vip, _| !vips.contains(vip)) {
            schedule.cancel(&mut self.timers, (index, vip));
        }
        for vip in vips {
            let begin = || Schedule::begin(&mut self.timers, (index, vip), now);
            interface.vips.entry(vip).or_insert_with(begin);
        }
        self.handle_timeout(now);
        Ok(())
    }

    /// Takes a frame that an interface received. Requests for its VIPs, broadcast or unicast, are answered; among
    /// them probes, whose sender address is 0.0.0.0 (RFC 5227 §2.1.1). Everything else changes nothing.
    pub fn handle_input(&mut self, index: IfIndex, frame: &[u8]) {
        let Some(interface) = self.interfaces.get(&index) else { return };
        let Ok(packet) = ArpPacket::parse(frame) else {
            self.counters.malformed += 1;
            return;
        };
        if !interface.vips.contains_key(&packet.target_ip) || !asks(&packet, interface.mac) {
            return;
        }
        self.counters.requests += 1;
        if self.replies.len() < PENDING_REPLIES_MAX {
            self.replies.push_back(Reply {
                interface: index,
                vip: packet.target_ip,
                to_mac: packet.sender_mac,
                to_ip: packet.sender_ip,
            });
        }
    }

    /// Makes ready the announcements that are due. Calling it too early or twice does nothing; a late call makes up
    /// for nothing, so a node that was frozen does not flood its segment.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(due, index, vip)) = self.timers.first()
            && due <= now
        {
            self.timers.pop_first();
            let interface = self.interfaces.get_mut(&index);
            let Some(schedule) = interface.and_then(|interface| interface.vips.get_mut(&vip)) else {
                continue;
            };
            schedule.burst_left = schedule.burst_left.saturating_sub(1);
            let interval = if schedule.burst_left > 0 { Some(BURST_INTERVAL) } else { self.refresh_interval };
            schedule.due = interval.map(|interval| now + interval);
            self.timers.extend(schedule.due.map(|due| (due, index, vip)));
            self.gratuitous.extend([(index, vip, Form::Request), (index, vip, Form::Reply)]);
        }
    }

    /// The next frame to send, until there is none. Answers come before announcements, so a driver that asks again
    /// after each input never lets an asker wait for a burst.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        while let Some(reply) = self.replies.pop_front() {
            if let Some(transmit) = self.transmit(reply.interface, reply.vip, |mac| answer(mac, &reply)) {
                self.counters.replies += 1;
                return Some(transmit);
            }
        }
        while let Some((index, vip, form)) = self.gratuitous.pop_first() {
            if let Some(transmit) = self.transmit(index, vip, |mac| gratuitous(mac, vip, form)) {
                self.counters.gratuitous += 1;
                return Some(transmit);
            }
        }
        None
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; `None` while nothing is.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|&(due, _, _)| due)
    }

    /// What has been seen and sent so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The one place where frames come into being: only for a VIP that is announced there now, with the MAC address
    /// of now.
    fn transmit(
        &self,
        index: IfIndex,
        vip: Ipv4Addr,
        packet: impl FnOnce(MacAddr) -> ArpPacket,
    ) -> Option<Transmit> {
        let interface = self.interfaces.get(&index)?;
        interface
            .vips
            .contains_key(&vip)
            .then(|| Transmit { interface: index, frame: packet(interface.mac).emit() })
    }
}

impl Schedule {
    /// A burst whose first announcement is due now.
    fn begin(timers: &mut Timers, (index, vip): (IfIndex, Ipv4Addr), now: Instant) -> Self {
        timers.insert((now, index, vip));
        Self { burst_left: BURST_ANNOUNCEMENTS, due: Some(now) }
    }

    fn cancel(&self, timers: &mut Timers, (index, vip): (IfIndex, Ipv4Addr)) {
        if let Some(due) = self.due {
            timers.remove(&(due, index, vip));
        }
    }
}

/// True if `packet` is a question that an interface with the address `own` has to answer, should it have the target.
fn asks(packet: &ArpPacket, own: MacAddr) -> bool {
    packet.operation == Operation::Request
        // In promiscuous mode the socket also sees what is meant for other stations.
        && (packet.ethernet_destination == own || packet.ethernet_destination == MacAddr::BROADCAST)
        // A gratuitous request tells and does not ask (RFC 5227 §1.1: an announcement).
        && packet.sender_ip != packet.target_ip
        // Nobody owns such an address; an answer to a group address would go to many.
        && packet.sender_mac.is_unicast()
        && packet.sender_mac != own
}

/// RFC 826, "Packet Reception": swapped, own hardware address filled in, sent to the asker alone.
fn answer(mac: MacAddr, reply: &Reply) -> ArpPacket {
    ArpPacket {
        ethernet_destination: reply.to_mac,
        ethernet_source: mac,
        operation: Operation::Reply,
        sender_mac: mac,
        sender_ip: reply.vip,
        target_mac: reply.to_mac,
        target_ip: reply.to_ip,
    }
}

/// RFC 5227 §1.1: sender and target address are both the one that is announced.
fn gratuitous(mac: MacAddr, vip: Ipv4Addr, form: Form) -> ArpPacket {
    let (operation, target_mac) = match form {
        Form::Request => (Operation::Request, MacAddr::ZERO),
        // Linux takes a gratuitous reply inside its lock time only if the target hardware address is the sender's.
        Form::Reply => (Operation::Reply, mac),
    };
    ArpPacket {
        ethernet_destination: MacAddr::BROADCAST,
        ethernet_source: mac,
        operation,
        sender_mac: mac,
        sender_ip: vip,
        target_mac,
        target_ip: vip,
    }
}

#[cfg(test)]
mod tests;
