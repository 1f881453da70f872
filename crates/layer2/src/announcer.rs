//! Answers for the VIPs of this node and announces them unasked, in both address families.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;

use crate::conflict::ConflictWatch;
use crate::event::{AskError, Check, Event, Outcome, QuestionId, UnknownInterface};
use crate::frames;
use crate::heard::{self, Claim, Heard, Question};
use crate::probe::{Ask, Prober, QUESTIONS_MAX, Station};
use crate::wire::Frame;
use crate::{IfIndex, MacAddr};

mod counters;
mod input;
mod output;
mod pace;
mod schedule;

pub use counters::{Counters, FamilyCounters};
use pace::Pace;
use schedule::{Schedule, Timing};

/// Answers that wait for [`Announcer::poll_transmit`]. A driver that drains after each input never has two; the
/// limit keeps any other from growing without bound, and an asker asks again.
const PENDING_ANSWERS_MAX: usize = 1024;
/// Events that wait for [`Announcer::poll_event`]. What comes when there are so many is as if it had not been heard:
/// a station that goes on claiming is heard again. Decisions always fit, being bounded by the questions.
const PENDING_EVENTS_MAX: usize = 4096;

/// What can be set about announcing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Seconds between two announcements of a VIP after its burst; 0 = none after the burst.
    pub refresh_interval_secs: u32,
    /// What delays and nonces follow from. Should differ from node to node and from start to start; need not be secret.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { refresh_interval_secs: 60, seed: 0 }
    }
}

/// A frame to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Through which interface.
    pub interface: IfIndex,
    /// True for neighbor discovery, false for ARP.
    pub is_ipv6: bool,
    /// From the Ethernet header to the end of the packet, unpadded.
    pub frame: Frame,
}

/// The ARP and neighbor discovery of a node: one value for all its interfaces and VIPs.
///
/// What frames leave, in this order: answers; questions to single stations; questions to segments and gratuitous
/// frames, these two at most 20 in a millisecond, so that no answer waits for them. Of an IPv4 VIP's two frames the second
/// goes behind what is due by then: the first ones of 10,000 VIPs leave within half a second, all of them within a second.
///
/// Cardinality: one timer per VIP and interface in one ordered set, so each event costs O(log n), and a question about
/// an address that is none of ours costs a look-up and no allocation. Every frame is built when it is handed out,
/// from what is announced then: nothing can leave for a VIP that was withdrawn before. A VIP takes some 200 octets.
#[derive(Debug)]
pub struct Announcer {
    interfaces: BTreeMap<IfIndex, Interface>,
    /// How often an interface came, so that none begins with a revision that an earlier one had.
    interfaces_seen: u64,
    members: BTreeSet<MacAddr>,
    schedule: Schedule,
    pace: Pace,
    answers: VecDeque<(IfIndex, Question)>,
    prober: Prober,
    conflicts: ConflictWatch,
    events: VecDeque<Event>,
    counters: Counters,
    /// The latest time that was told. Frames that are due then may be handed out.
    now: Option<Instant>,
}

#[derive(Debug)]
struct Interface {
    mac: MacAddr,
    /// Its own addresses, for questions.
    addresses: Vec<IpNet>,
    vips: BTreeMap<IpAddr, Timing>,
    /// VIPs that are answered for with the hardware address of another node.
    stand_ins: BTreeMap<IpAddr, MacAddr>,
    /// Addresses that were only asked about, and that the kernel lets through until the next revision. Mostly they are announced
    /// next, which then is no reason for one: to tell the kernel thousands of addresses anew takes it a while.
    asked: BTreeSet<IpAddr>,
    revision: u64,
    solicited_revision: u64,
}

impl Announcer {
    /// Announces nothing yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            interfaces: BTreeMap::new(),
            interfaces_seen: 0,
            members: BTreeSet::new(),
            schedule: Schedule::new(Duration::from_secs(config.refresh_interval_secs.into())),
            pace: Pace::new(),
            answers: VecDeque::new(),
            prober: Prober::new(config.seed),
            conflicts: ConflictWatch::default(),
            events: VecDeque::new(),
            counters: Counters::default(),
            now: None,
        }
    }

    /// Tells the MAC address of an interface. A new address brings a new burst for each VIP there, since all
    /// neighbours hold the old one; the same address again changes nothing.
    pub fn set_interface(&mut self, index: IfIndex, mac: MacAddr, now: Instant) {
        let interface = self.interfaces.entry(index).or_insert_with(|| {
            self.interfaces_seen += 1;
            Interface::new(mac, self.interfaces_seen << 32)
        });
        if interface.mac != mac {
            interface.mac = mac;
            for (&vip, timing) in &mut interface.vips {
                self.schedule.begin(timing, (index, vip), now);
            }
        }
        self.handle_timeout(now);
    }

    /// Tells the interface's own addresses, each with the prefix of its segment. Questions to a station are asked from
    /// one of them: for ARP from 0.0.0.0 if there is none, for neighbor discovery from ::, whose answer goes to all.
    ///
    /// # Errors
    /// If [`set_interface`](Self::set_interface) has not told the interface's MAC address.
    pub fn set_addresses(&mut self, index: IfIndex, addresses: &[IpNet]) -> Result<(), UnknownInterface> {
        self.interface_mut(index)?.addresses = addresses.to_vec();
        Ok(())
    }

    /// Tells the hardware addresses of all other nodes with a speaker, on all segments. A conflict with one of them is
    /// over.
    pub fn set_members(&mut self, members: BTreeSet<MacAddr>) {
        for ((interface, vip), mac) in self.conflicts.end_with(&members) {
            self.events.push_back(Event::ConflictOver { vip, interface, mac });
        }
        self.members = members;
    }

    /// Forgets an interface and the VIPs on it: nothing more is sent through it, and questions there are abandoned.
    pub fn remove_interface(&mut self, index: IfIndex) {
        let Some(interface) = self.interfaces.remove(&index) else { return };
        for (vip, mut timing) in interface.vips {
            self.schedule.cancel(&mut timing, (index, vip));
            self.conflicts.forget((index, vip));
        }
        self.prober.abandon(index);
        self.collect_decisions();
    }

    /// Announces exactly `vips` on an interface. A new one gets its burst, beginning at once; for one that is gone
    /// nothing more is sent; the others go on undisturbed.
    ///
    /// # Errors
    /// If [`set_interface`](Self::set_interface) has not told the interface's MAC address.
    pub fn set_vips(
        &mut self,
        index: IfIndex,
        vips: BTreeSet<IpAddr>,
        now: Instant,
    ) -> Result<(), UnknownInterface> {
        let known = self.interface_mut(index)?.vips.keys();
        let gone: Vec<_> = known.filter(|vip| !vips.contains(vip)).copied().collect();
        for vip in gone {
            self.withdraw(index, vip);
        }
        for vip in vips {
            self.announce(index, vip, now)?;
        }
        Ok(())
    }

    /// Announces a VIP on an interface, beginning with a burst. One that is announced there already goes on
    /// undisturbed; one that this node stood in for is its own now.
    ///
    /// # Errors
    /// If [`set_interface`](Self::set_interface) has not told the interface's MAC address.
    pub fn announce(&mut self, index: IfIndex, vip: IpAddr, now: Instant) -> Result<(), UnknownInterface> {
        let interface = self.interfaces.get_mut(&index).ok_or(UnknownInterface(index))?;
        if !interface.vips.contains_key(&vip) {
            if interface.stand_ins.remove(&vip).is_none() {
                interface.let_through(vip, &self.prober, index);
                interface.note_answered(vip);
            }
            let timing = interface.vips.entry(vip).or_default();
            self.schedule.begin(timing, (index, vip), now);
        }
        self.handle_timeout(now);
        Ok(())
    }

    /// Stops announcing a VIP on an interface: from here on nothing is sent for it. Nothing if it is not announced.
    pub fn withdraw(&mut self, index: IfIndex, vip: IpAddr) {
        let Some(interface) = self.interfaces.get_mut(&index) else { return };
        let Some(mut timing) = interface.vips.remove(&vip) else { return };
        interface.revise();
        interface.note_answered(vip);
        self.schedule.cancel(&mut timing, (index, vip));
        self.conflicts.forget((index, vip));
    }

    /// Begins the burst of a VIP anew, for one that another node has announced meanwhile. Nothing if it is not
    /// announced there.
    pub fn burst(&mut self, index: IfIndex, vip: IpAddr, now: Instant) {
        let interface = self.interfaces.get_mut(&index);
        if let Some(timing) = interface.and_then(|interface| interface.vips.get_mut(&vip)) {
            self.schedule.begin(timing, (index, vip), now);
        }
        self.handle_timeout(now);
    }

    /// Answers questions for a VIP with the hardware address of the node that holds it, which cannot answer just now.
    /// Nothing is announced. Frames still have this node as their Ethernet source, or switches would send it what is
    /// meant for the holder. Nothing if the VIP is announced here.
    ///
    /// # Errors
    /// If [`set_interface`](Self::set_interface) has not told the interface's MAC address.
    pub fn stand_in(&mut self, index: IfIndex, vip: IpAddr, holder: MacAddr) -> Result<(), UnknownInterface> {
        let interface = self.interfaces.get_mut(&index).ok_or(UnknownInterface(index))?;
        if !interface.vips.contains_key(&vip) && interface.stand_ins.insert(vip, holder).is_none() {
            interface.let_through(vip, &self.prober, index);
            interface.note_answered(vip);
        }
        Ok(())
    }

    /// Ends what [`stand_in`](Self::stand_in) began. Nothing if there is nothing to end.
    pub fn end_stand_in(&mut self, index: IfIndex, vip: IpAddr) {
        if let Some(interface) = self.interfaces.get_mut(&index)
            && interface.stand_ins.remove(&vip).is_some()
        {
            interface.revise();
            interface.note_answered(vip);
        }
    }

    /// Asks one station twice, 20 ms apart, whether it answers for an address. [`Event::Decided`] tells: that it did as
    /// soon as it does, that it was silent 40 ms after the first question. A decision made so late that this process
    /// must have been starved is not trusted, and the station asked again. The caller has to hand over every frame that
    /// it has received before it calls [`handle_timeout`](Self::handle_timeout).
    ///
    /// With an address that nobody uses this is the test for proxy ARP: a station that answers for it as well says
    /// nothing by its answers for others.
    ///
    /// # Errors
    /// The interface's MAC address is not known, or 20,000 questions are open.
    pub fn ask_station(
        &mut self,
        index: IfIndex,
        address: IpAddr,
        mac: MacAddr,
        now: Instant,
    ) -> Result<QuestionId, AskError> {
        self.begin_question(index, address, |prober| prober.ask_station(index, address, mac, now), now)
    }

    /// Asks a segment whether anybody uses an address, without claiming it. [`Event::Decided`] tells the stations that
    /// answered, members among them, and foreign ones that checked the same address at the same time. The time counts
    /// from the first frame, which can wait for its turn if very many addresses are checked.
    ///
    /// # Errors
    /// As [`ask_station`](Self::ask_station).
    pub fn check_address(
        &mut self,
        index: IfIndex,
        address: IpAddr,
        check: Check,
        now: Instant,
    ) -> Result<QuestionId, AskError> {
        self.begin_question(index, address, |prober| prober.check(index, address, check, now), now)
    }

    fn begin_question(
        &mut self,
        index: IfIndex,
        address: IpAddr,
        ask: impl FnOnce(&mut Prober) -> Option<QuestionId>,
        now: Instant,
    ) -> Result<QuestionId, AskError> {
        let interface = self.interfaces.get_mut(&index).ok_or(UnknownInterface(index))?;
        if !interface.is_answered(address) {
            interface.let_through(address, &self.prober, index);
        }
        let question = ask(&mut self.prober).ok_or(AskError::TooMany(QUESTIONS_MAX))?;
        self.handle_timeout(now);
        Ok(question)
    }

    /// The interfaces whose MAC address was told.
    pub fn interfaces(&self) -> impl Iterator<Item = IfIndex> {
        self.interfaces.keys().copied()
    }

    /// The addresses on an interface that frames matter about: VIPs announced or stood in for, and addresses that
    /// questions are open about. No other frame need be handed over, so this is what the kernel may let through.
    #[must_use]
    pub fn addresses(&self, index: IfIndex) -> BTreeSet<IpAddr> {
        let interface = self.interfaces.get(&index);
        let answered =
            interface.into_iter().flat_map(|known| known.vips.keys().chain(known.stand_ins.keys()));
        let asked = interface.into_iter().flat_map(|known| &known.asked);
        answered.chain(asked).copied().chain(self.prober.addresses(index)).collect()
    }

    /// Changes when [`addresses`](Self::addresses) gets a member, or loses a VIP; one that was only asked about stays
    /// until then. An interface that comes again has another one. To be looked at before frames are sent: the answer to a
    /// question must find its way.
    #[must_use]
    pub fn addresses_revision(&self, index: IfIndex) -> u64 {
        self.interfaces.get(&index).map_or(0, |interface| interface.revision)
    }

    /// Changes whenever [`solicited`](Self::solicited) does, as [`addresses_revision`](Self::addresses_revision) does.
    #[must_use]
    pub fn solicited_revision(&self, index: IfIndex) -> u64 {
        self.interfaces.get(&index).map_or(0, |interface| interface.solicited_revision)
    }

    /// The IPv6 addresses on an interface that are answered for, whose solicited-node groups must be joined.
    pub fn solicited(&self, index: IfIndex) -> impl Iterator<Item = std::net::Ipv6Addr> {
        let interface = self.interfaces.get(&index);
        let answered =
            interface.into_iter().flat_map(|known| known.vips.keys().chain(known.stand_ins.keys()));
        answered.filter_map(|address| match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => Some(*address),
        })
    }

    /// Makes ready what is due: announcements, questions, decisions. Calling it too early or twice does nothing; a late
    /// call makes up for nothing, so a node that was frozen does not flood its segment.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        self.pace.fill(now);
        self.prober.handle_timeout(now);
        while let Some(((index, vip), mac)) = self.conflicts.next_quiet(now) {
            let question = self.prober.ask_station(index, vip, mac, now);
            self.conflicts.asked((index, vip), question, now);
        }
        self.collect_decisions();
    }

    /// What was found out, until there is nothing more.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; `None` while nothing is.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let [station_ask, segment_ask, decision] = self.prober.timeouts();
        let paced = |due| self.pace.permits_at(due);
        let announcement = self.schedule.first().map(|(due, ..)| paced(due));
        let all =
            [station_ask, segment_ask.map(paced), decision, announcement, self.conflicts.poll_timeout()];
        all.into_iter().flatten().min()
    }

    /// What has been seen and sent so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Time never goes back, whatever is told.
    fn advance(&mut self, now: Instant) {
        self.now = Some(self.now.map_or(now, |known| known.max(now)));
    }

    fn interface_mut(&mut self, index: IfIndex) -> Result<&mut Interface, UnknownInterface> {
        self.interfaces.get_mut(&index).ok_or(UnknownInterface(index))
    }
}

impl Interface {
    fn new(mac: MacAddr, revision: u64) -> Self {
        Self {
            mac,
            addresses: Vec::new(),
            vips: BTreeMap::new(),
            stand_ins: BTreeMap::new(),
            asked: BTreeSet::new(),
            revision,
            solicited_revision: revision,
        }
    }

    /// An address is answered for now that was not, or no longer is.
    fn note_answered(&mut self, address: IpAddr) {
        self.solicited_revision += u64::from(address.is_ipv6());
    }

    /// Sees to it that the kernel lets an address through which is neither announced nor stood in for yet.
    fn let_through(&mut self, address: IpAddr, prober: &Prober, index: IfIndex) {
        let is_known = self.asked.remove(&address) || prober.concerns(index, address);
        if !is_known {
            self.revise();
        }
    }

    /// The kernel is to be told anew what to let through.
    fn revise(&mut self) {
        self.revision += 1;
        self.asked.clear();
    }

    fn is_answered(&self, address: IpAddr) -> bool {
        self.vips.contains_key(&address) || self.stand_ins.contains_key(&address)
    }
}

#[cfg(test)]
mod tests;
