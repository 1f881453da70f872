//! Questions to a segment: does this station still have that address, does anybody have it already?

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::event::{Check, Event, Outcome, QuestionId};
use crate::heard::Heard;
use crate::random::Random;
use crate::wire::ndp::NONCE_LEN;
use crate::{IfIndex, MacAddr};

/// Questions that may be open at a time: one for each of 10,000 VIPs of both families.
pub(crate) const QUESTIONS_MAX: usize = 20_000;

/// Questions to one station, and the time that each has for its answer.
const STATION_QUESTIONS: u8 = 2;
const STATION_WAIT: Duration = Duration::from_millis(20);
/// How long the one probe of [`Check::Fast`] waits for an answer.
const FAST_WAIT: Duration = Duration::from_millis(50);

/// RFC 5227 §1.1.
const PROBE_WAIT: Duration = Duration::from_secs(1);
const PROBE_NUM: u8 = 3;
const PROBE_MIN: Duration = Duration::from_secs(1);
const PROBE_MAX: Duration = Duration::from_secs(2);
const ANNOUNCE_WAIT: Duration = Duration::from_secs(2);

/// A decision that comes later than this was made by a process that was starved or frozen: the answer may lie unread,
/// so silence proves nothing, and it is asked again.
const LATE: Duration = Duration::from_millis(20);

/// Stations that are told in [`Event::Decided`].
const SEEN_MAX: usize = 8;

/// Who is who on the segments.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Station {
    /// This node.
    Own,
    /// Another node with a speaker.
    Member,
    Foreign,
}

/// What is to be sent for a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) interface: IfIndex,
    pub(crate) address: IpAddr,
    /// To one station, or to all.
    pub(crate) to: Option<MacAddr>,
    pub(crate) nonce: [u8; NONCE_LEN],
}

/// All open questions. Each event costs O(log n).
#[derive(Debug)]
pub(crate) struct Prober {
    random: Random,
    next_id: u64,
    open: BTreeMap<QuestionId, Open>,
    by_address: BTreeSet<(IfIndex, IpAddr, QuestionId)>,
    /// When to ask a station next. These are few and urgent: a dead node's VIPs wait for them.
    station_asks: BTreeSet<(Instant, QuestionId)>,
    /// When to ask a segment next. These can be many.
    segment_asks: BTreeSet<(Instant, QuestionId)>,
    /// When an answer comes too late.
    decisions: BTreeSet<(Instant, QuestionId)>,
    decided: VecDeque<Event>,
}

#[derive(Debug)]
struct Open {
    ask: Ask,
    kind: Kind,
    /// Times to ask that are left; none: to be decided.
    asks_left: u8,
    /// When to ask next, or to decide.
    due: Instant,
    answered: Option<MacAddr>,
    seen: Vec<MacAddr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Asks one station.
    Station,
    /// Asks all of them.
    Segment(Check),
}

impl Prober {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            next_id: 0,
            open: BTreeMap::new(),
            by_address: BTreeSet::new(),
            station_asks: BTreeSet::new(),
            segment_asks: BTreeSet::new(),
            decisions: BTreeSet::new(),
            decided: VecDeque::new(),
        }
    }

    /// Asks one station; `None` if too many questions are open.
    pub(crate) fn ask_station(
        &mut self,
        interface: IfIndex,
        address: IpAddr,
        to: MacAddr,
        now: Instant,
    ) -> Option<QuestionId> {
        let ask = Ask { interface, address, to: Some(to), nonce: [0; NONCE_LEN] };
        self.begin(ask, Kind::Station, STATION_QUESTIONS, now)
    }

    /// Asks all stations; `None` if too many questions are open.
    pub(crate) fn check(
        &mut self,
        interface: IfIndex,
        address: IpAddr,
        check: Check,
        now: Instant,
    ) -> Option<QuestionId> {
        let ask = Ask { interface, address, to: None, nonce: self.random.octets() };
        match check {
            Check::Off => self.begin(ask, Kind::Segment(check), 0, now),
            Check::Fast => self.begin(ask, Kind::Segment(check), 1, now),
            Check::Full => {
                // §2.1.1: "should then wait for a random time interval selected uniformly in the range zero to
                // PROBE_WAIT seconds".
                let wait = self.random.between(Duration::ZERO, PROBE_WAIT);
                self.begin(ask, Kind::Segment(check), PROBE_NUM, now + wait)
            }
        }
    }

    fn begin(&mut self, ask: Ask, kind: Kind, asks_left: u8, due: Instant) -> Option<QuestionId> {
        if self.open.len() >= QUESTIONS_MAX {
            return None;
        }
        let id = QuestionId(self.next_id);
        self.next_id += 1;
        self.by_address.insert((ask.interface, ask.address, id));
        let open = Open { ask, kind, asks_left, due, answered: None, seen: Vec::new() };
        self.queue(&open).insert((due, id));
        self.open.insert(id, open);
        Some(id)
    }

    /// True if a question about the address is open on the interface.
    pub(crate) fn concerns(&self, interface: IfIndex, address: IpAddr) -> bool {
        self.ids(interface, address).next().is_some()
    }

    /// The addresses on an interface that questions are open about, each once.
    pub(crate) fn addresses(&self, interface: IfIndex) -> impl Iterator<Item = IpAddr> {
        let mut last = None;
        self.by_address
            .range((interface, LOWEST, QuestionId(0))..)
            .take_while(move |(index, ..)| *index == interface)
            .map(|(_, address, _)| *address)
            .filter(move |address| last.replace(*address) != Some(*address))
    }

    /// Ends all questions on an interface.
    pub(crate) fn abandon(&mut self, interface: IfIndex) {
        let ids: Vec<_> = self
            .by_address
            .range((interface, LOWEST, QuestionId(0))..)
            .take_while(|(index, ..)| *index == interface)
            .map(|(.., id)| *id)
            .collect();
        for id in ids {
            self.end(id, Some(Outcome::Abandoned));
        }
    }

    /// Takes note of a frame that an interface received. `station` tells who a hardware address belongs to.
    pub(crate) fn hear(
        &mut self,
        interface: IfIndex,
        heard: &Heard,
        station: impl Fn(MacAddr) -> Station,
        now: Instant,
    ) {
        if let Some(claim) = heard.claim {
            let ids: Vec<_> = self.ids(interface, claim.ip).collect();
            for id in ids {
                // A member that stands in for another speaks of it, but does not prove that it lives.
                let is_proof = |of| {
                    heard.sender == of
                        || (claim.mac == of && matches!(station(heard.sender), Station::Foreign))
                };
                self.claimed(id, claim.mac, is_proof, &station, now);
            }
        }
        // RFC 5227 §2.1.1: "if during this period the host receives any ARP Probe where the packet's 'target IP
        // address' is the address being probed for", it is taken too. RFC 4862 §5.4.3 says the same of solicitations.
        if let Some(rival) = heard.question
            && rival.to_ip.is_unspecified()
            // Members that check at the same time agree by themselves.
            && matches!(station(rival.to_mac), Station::Foreign)
        {
            let ids: Vec<_> = self.ids(interface, rival.target).collect();
            for id in ids {
                let is_ours = |open: &Open| rival.nonce == Some(open.ask.nonce);
                if self.open.get(&id).is_some_and(|open| open.ask.to.is_none() && !is_ours(open)) {
                    self.claimed(id, rival.to_mac, |_| false, &station, now);
                }
            }
        }
    }

    fn claimed(
        &mut self,
        id: QuestionId,
        mac: MacAddr,
        is_proof: impl Fn(MacAddr) -> bool,
        station: impl Fn(MacAddr) -> Station,
        now: Instant,
    ) {
        let Some(open) = self.open.get_mut(&id) else { return };
        if !matches!(station(mac), Station::Own) && open.seen.len() < SEEN_MAX && !open.seen.contains(&mac) {
            open.seen.push(mac);
        }
        match open.ask.to {
            Some(of) if is_proof(of) => {
                open.answered = Some(of);
                self.end(id, None);
            }
            Some(_) => {}
            None if open.answered.is_none() && !open.seen.is_empty() => {
                open.answered = open.seen.first().copied();
                // No probe more; but others that have it too get the time to say so.
                self.plan(id, 0, |due, asks_left| {
                    let enough = now + FAST_WAIT;
                    if asks_left == 0 { due.min(enough) } else { enough }
                });
            }
            None => {}
        }
    }

    /// The next question to a station that is due.
    pub(crate) fn next_station_ask(&mut self, now: Instant) -> Option<Ask> {
        let &(due, id) = self.station_asks.first()?;
        if due <= now { self.asked(id, now) } else { None }
    }

    /// The next question to a segment that is due.
    pub(crate) fn next_segment_ask(&mut self, now: Instant) -> Option<Ask> {
        let &(due, id) = self.segment_asks.first()?;
        if due <= now { self.asked(id, now) } else { None }
    }

    fn asked(&mut self, id: QuestionId, now: Instant) -> Option<Ask> {
        let open = self.open.get(&id)?;
        let (ask, asks_left) = (open.ask, open.asks_left.saturating_sub(1));
        let wait = match open.kind {
            Kind::Station => STATION_WAIT,
            // §2.1.1: "spaced randomly and uniformly, PROBE_MIN to PROBE_MAX seconds apart", then ANNOUNCE_WAIT.
            Kind::Segment(Check::Full) if asks_left > 0 => self.random.between(PROBE_MIN, PROBE_MAX),
            Kind::Segment(Check::Full) => ANNOUNCE_WAIT,
            Kind::Segment(Check::Fast | Check::Off) => FAST_WAIT,
        };
        // The time counts from the moment of asking: a question that had to wait for its turn loses none of it.
        self.plan(id, asks_left, |_, _| now + wait);
        Some(ask)
    }

    /// Decides what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(due, id)) = self.decisions.first()
            && due <= now
        {
            let Some(open) = self.open.get(&id) else { return };
            let again = match open.kind {
                Kind::Station => STATION_QUESTIONS,
                Kind::Segment(Check::Fast) => 1,
                // There is nothing to wait for, or it was waited for so long that this does not matter.
                Kind::Segment(Check::Full | Check::Off) => 0,
            };
            let is_late = now.saturating_duration_since(due) > LATE;
            if is_late && again > 0 && open.answered.is_none() {
                self.plan(id, again, |_, _| now);
            } else {
                self.end(id, None);
            }
        }
    }

    /// When something is to be asked of a station, asked of a segment, or decided.
    pub(crate) fn timeouts(&self) -> [Option<Instant>; 3] {
        [&self.station_asks, &self.segment_asks, &self.decisions]
            .map(|queue| queue.first().map(|(due, _)| *due))
    }

    /// The next decision, as [`Event::Decided`].
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.decided.pop_front()
    }

    fn ids(&self, interface: IfIndex, address: IpAddr) -> impl Iterator<Item = QuestionId> {
        self.by_address
            .range((interface, address, QuestionId(0))..=(interface, address, QuestionId(u64::MAX)))
            .map(|(.., id)| *id)
    }

    /// Where a question waits in its present state.
    fn queue(&mut self, open: &Open) -> &mut BTreeSet<(Instant, QuestionId)> {
        match (open.asks_left, open.ask.to) {
            (0, _) => &mut self.decisions,
            (_, Some(_)) => &mut self.station_asks,
            (_, None) => &mut self.segment_asks,
        }
    }

    /// Gives a question a new state.
    fn plan(&mut self, id: QuestionId, asks_left: u8, due: impl FnOnce(Instant, u8) -> Instant) {
        let Some(mut open) = self.open.remove(&id) else { return };
        let old = (open.due, id);
        self.queue(&open).remove(&old);
        open.due = due(open.due, open.asks_left);
        open.asks_left = asks_left;
        let new = (open.due, id);
        self.queue(&open).insert(new);
        self.open.insert(id, open);
    }

    /// Ends a question; by what was heard, if no outcome is given.
    fn end(&mut self, question: QuestionId, outcome: Option<Outcome>) {
        let Some(open) = self.open.remove(&question) else { return };
        self.queue(&open).remove(&(open.due, question));
        let Ask { interface, address, .. } = open.ask;
        self.by_address.remove(&(interface, address, question));
        let outcome = outcome.unwrap_or(match open.answered {
            Some(mac) => Outcome::Answered(mac),
            None => Outcome::Silent,
        });
        self.decided.push_back(Event::Decided { question, interface, address, outcome, seen: open.seen });
    }
}

/// The lowest of all addresses.
const LOWEST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
