//! Two sets of sessions over a link with faults, in virtual time. The seed replays everything.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;
use crate::random::Random;

/// What the link does to what is sent from one end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Faults {
    pub(super) loss_percent: u64,
    pub(super) duplicate_percent: u64,
    /// Each packet takes between the two, so packets overtake each other unless `is_ordered`.
    pub(super) delay: (Duration, Duration),
    pub(super) is_ordered: bool,
    pub(super) is_cut: bool,
}

impl Faults {
    pub(super) const NONE: Self = Self {
        loss_percent: 0,
        duplicate_percent: 0,
        delay: (Duration::from_millis(1), Duration::from_millis(1)),
        is_ordered: true,
        is_cut: false,
    };
}

/// One end. Its peer is the other.
pub(super) struct End {
    pub(super) sessions: Sessions,
    pub(super) session: Discriminator,
    pub(super) events: Vec<(Instant, Event)>,
    pub(super) sent: Vec<(Instant, Packet)>,
    /// Does nothing until then; what arrives lies unread.
    pub(super) starved_until: Option<Instant>,
    inbox: Vec<[u8; PACKET_LEN]>,
    /// When it was last handed a packet.
    last_handed: Option<Instant>,
}

/// A packet on its way. Ordered by the time of its arrival, then by that of its departure.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    arrival: Instant,
    number: usize,
    to: usize,
    payload: [u8; PACKET_LEN],
}

pub(super) struct Link {
    pub(super) now: Instant,
    pub(super) ends: [End; 2],
    /// By the end that sends.
    pub(super) faults: [Faults; 2],
    /// Every wake-up is late up to this: the grain of the drivers' clocks.
    pub(super) grain: Duration,
    pub(super) random: Random,
    start: Instant,
    /// The earliest first.
    flights: BinaryHeap<Reverse<Flight>>,
    last_arrival: [Instant; 2],
    launched: usize,
}

fn peer_of(end: usize) -> Peer {
    single(1 + (1 - end) as u8)
}

impl Link {
    pub(super) fn new(configs: [Config; 2], seed: u64) -> Self {
        let now = start();
        let mut random = Random::new(seed);
        let ends = [0, 1].map(|end| End::new(end, configs[end], random.draw(), now));
        Self {
            now,
            ends,
            faults: [Faults::NONE; 2],
            grain: Duration::ZERO,
            random,
            start: now,
            flights: BinaryHeap::new(),
            last_arrival: [now; 2],
            launched: 0,
        }
    }

    /// An end begins anew and remembers nothing.
    pub(super) fn restart(&mut self, end: usize, config: Config) {
        self.ends[end] = End::new(end, config, self.random.draw(), self.now);
    }

    pub(super) fn configure(&mut self, end: usize, config: Config) {
        let now = self.now;
        self.ends[end].sessions.acquire(peer_of(end), CLIENT, config, now).unwrap();
    }

    pub(super) fn state(&self, end: usize) -> State {
        self.ends[end].status().state
    }

    pub(super) fn are_both_up(&self) -> bool {
        (0..2).all(|end| self.state(end) == State::Up)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.random.draw() % limit
    }

    pub(super) fn run(&mut self, time: Duration) {
        self.run_while(time, |_| true);
    }

    /// Runs until `goes_on` is false or the time is up; true if it became false.
    pub(super) fn run_while(&mut self, time: Duration, goes_on: impl Fn(&Self) -> bool) -> bool {
        let until = self.now + time;
        self.work();
        while goes_on(self) {
            let Some(next) = self.next_wake().filter(|next| *next <= until) else {
                self.now = until;
                return false;
            };
            self.now = self.now.max(next);
            self.work();
        }
        true
    }

    /// The next time at which anything happens, rounded up to the grain.
    fn next_wake(&self) -> Option<Instant> {
        let arrival = self.flights.peek().map(|flight| flight.0.arrival);
        let timers = self.ends.iter().map(|end| match end.starved_until {
            Some(until) => Some(until),
            None => end.sessions.poll_timeout(),
        });
        let next = timers.chain([arrival]).flatten().min()?;
        let grain = self.grain.as_nanos().max(1);
        let grains = next.saturating_duration_since(self.start).as_nanos().div_ceil(grain);
        Some(self.start + Duration::from_nanos((grains * grain) as u64))
    }

    /// One turn of the loop of each driver.
    fn work(&mut self) {
        while let Some(Reverse(flight)) = self.flights.peek().filter(|flight| flight.0.arrival <= self.now) {
            self.ends[flight.to].inbox.push(flight.payload);
            self.flights.pop();
        }
        for end in 0..2 {
            if self.ends[end].starved_until.is_some_and(|until| until > self.now) {
                continue;
            }
            for packet in self.ends[end].work(end, self.now, self.grain) {
                self.launch(end, packet);
            }
        }
    }

    fn launch(&mut self, from: usize, payload: [u8; PACKET_LEN]) {
        let faults = self.faults[from];
        if faults.is_cut || self.below(100) < faults.loss_percent {
            return;
        }
        let copies = if self.below(100) < faults.duplicate_percent { 2 } else { 1 };
        for _ in 0..copies {
            let span = (faults.delay.1 - faults.delay.0).as_nanos() as u64 + 1;
            let mut arrival = self.now + faults.delay.0 + Duration::from_nanos(self.below(span));
            if faults.is_ordered {
                arrival = arrival.max(self.last_arrival[from]);
                self.last_arrival[from] = arrival;
            }
            self.launched += 1;
            self.flights.push(Reverse(Flight { arrival, number: self.launched, to: 1 - from, payload }));
        }
    }
}

impl End {
    fn new(end: usize, config: Config, seed: u64, now: Instant) -> Self {
        let mut sessions = Sessions::new(seed);
        let session = sessions.acquire(peer_of(end), CLIENT, config, now).unwrap();
        Self {
            sessions,
            session,
            events: Vec::new(),
            sent: Vec::new(),
            starved_until: None,
            inbox: Vec::new(),
            last_handed: None,
        }
    }

    pub(super) fn status(&self) -> Status {
        self.sessions.status(self.session).expect("the session is never released")
    }

    fn work(&mut self, end: usize, now: Instant, grain: Duration) -> Vec<[u8; PACKET_LEN]> {
        self.starved_until = None;
        let (mut state, mut has_changed) = (self.status().state, false);
        for payload in std::mem::take(&mut self.inbox) {
            let source = 1 + (1 - end) as u8;
            // What was meant for an earlier start is discarded.
            if self.sessions.handle_input(&datagram(&payload, source), now).is_ok() {
                self.last_handed = Some(now);
            }
            // There and back again is a change, too.
            let after = self.status().state;
            has_changed |= std::mem::replace(&mut state, after) != after;
        }
        self.sessions.handle_timeout(now);
        let mut launched = Vec::new();
        while let Some(transmit) = self.sessions.poll_transmit() {
            self.check_pace(Packet::decode(&transmit.payload).unwrap(), has_changed, now);
            launched.push(transmit.payload);
        }
        while let Some(event) = self.sessions.poll_event() {
            self.events.push((now, event));
        }
        self.check_life(now, grain);
        launched
    }

    /// Two packets are never closer than three quarters of the interval, but for answers to polls and for one that tells
    /// of a change.
    fn check_pace(&mut self, packet: Packet, has_changed: bool, now: Instant) {
        let interval = self.status().transmit_interval;
        let said = |packet: &Packet| (packet.state, packet.diagnostic);
        let is_change = has_changed || self.sent.last().is_none_or(|(_, last)| said(last) != said(&packet));
        let regular = self.sent.iter().rev().find(|(_, before)| !before.is_final);
        if let Some((at, before)) = regular
            && !packet.is_final
            && !is_change
        {
            let gap = now - *at;
            assert!(gap >= interval * 3 / 4, "{gap:?} after {before:?}, interval {interval:?}");
        }
        self.sent.push((now, packet));
    }

    /// Nobody is Up who was handed nothing for a detection time.
    fn check_life(&self, now: Instant, grain: Duration) {
        let status = self.status();
        if status.state == State::Up {
            let last = self.last_handed.expect("it was handed a packet");
            assert!(now < last + status.detection_time + grain, "Up, unheard for {:?}", now - last);
        }
    }
}
