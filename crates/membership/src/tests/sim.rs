//! A cluster in one thread, with a virtual clock and a bad network. A run with the same seed is the same run.
//!
//! Uses only what the crate gives to all, so that the example can run it too.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use keryx_membership::members::{Config, Event};
use keryx_membership::{DATAGRAM_MAX_LEN, GroupId, Key, Keys, Members, NodeId, Seed, Term, Timing};

/// Octets of the IPv4 and the UDP header of each datagram.
const HEADERS_LEN: u64 = 28;

/// The cluster. Nodes are named by their place, from 0.
pub(crate) struct Sim {
    pub(crate) network: Network,
    pub(crate) timing: Timing,
    now: Instant,
    start: Instant,
    nodes: Vec<Node>,
    seeds: Vec<Seed>,
    /// What comes next: when, in which order among equals, what.
    agenda: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    /// The datagrams that `agenda` names; timers have none.
    arrivals: BTreeMap<u64, Datagram>,
    /// All that was ever sent to whom, if a test wants to send it again.
    tape: Option<Vec<(usize, Datagram)>>,
    planned: u64,
    random: Random,
}

/// What the network does to datagrams.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// From one node to another, at least and at most, in microseconds.
    pub(crate) delay_us: (u64, u64),
    /// Of a thousand datagrams, so many are lost.
    pub(crate) loss_permille: u64,
    /// Of a thousand, so many come twice.
    pub(crate) twice_permille: u64,
    /// Of a thousand, so many take 20 ms longer, and are overtaken.
    pub(crate) late_permille: u64,
    /// Nothing gets from the first to the second on this path.
    pub(crate) cuts: BTreeSet<(usize, usize, u8)>,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            delay_us: (300, 700),
            loss_permille: 0,
            twice_permille: 0,
            late_permille: 0,
            cuts: BTreeSet::new(),
        }
    }
}

struct Node {
    /// `None`: not running.
    members: Option<Members>,
    boots: u64,
    /// Stopped until then; datagrams wait.
    frozen_until: Option<Instant>,
    was_frozen: bool,
    inbox: VecDeque<Datagram>,
    timer: Option<Instant>,
    log: Vec<(Instant, Event)>,
    /// What the events of this run say.
    up: BTreeSet<NodeId>,
    holds: BTreeMap<(NodeId, GroupId), Term>,
    octets: u64,
    datagrams: u64,
    steps: u64,
}

#[derive(Clone)]
struct Datagram {
    from: SocketAddr,
    octets: Vec<u8>,
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

impl Sim {
    /// `count` nodes with `paths` addresses each; none runs yet.
    pub(crate) fn new(count: usize, paths: u8, seed: u64) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a virtual clock needs some instant to count from")]
        let start = Instant::now();
        let seed_of =
            |node| Seed { node: id(node), addresses: (0..paths).map(|path| address(node, path)).collect() };
        Self {
            network: Network::default(),
            timing: Timing::default(),
            now: start,
            start,
            nodes: (0..count).map(|_| Node::stopped()).collect(),
            seeds: (0..count).map(seed_of).collect(),
            agenda: BinaryHeap::new(),
            arrivals: BTreeMap::new(),
            tape: None,
            planned: 0,
            random: Random(seed),
        }
    }

    /// All nodes run and know each other.
    pub(crate) fn joined(count: usize, paths: u8, seed: u64) -> Self {
        let mut sim = Self::new(count, paths, seed);
        (0..count).for_each(|node| sim.start_node(node));
        sim.run_ms(1_500);
        sim
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    pub(crate) fn start_node(&mut self, node: usize) {
        let boots = self.nodes[node].boots + 1;
        let keys = Keys { sending: Key::new([7; 32]), accepted: None };
        let config = Config { cluster: "sim".to_owned(), keys, timing: self.timing };
        let seed = self.random.below(u64::MAX);
        let mut members = Members::new(config, id(node), seed, self.now);
        members.set_seeds(&self.seeds, self.now);
        let (octets, datagrams) = (self.nodes[node].octets, self.nodes[node].datagrams);
        self.nodes[node] = Node { members: Some(members), boots, octets, datagrams, ..Node::stopped() };
        self.drain(node);
    }

    /// The node's process is gone from one moment to the next.
    pub(crate) fn kill(&mut self, node: usize) {
        let Node { boots, octets, datagrams, .. } = self.nodes[node];
        self.nodes[node] = Node { boots, octets, datagrams, ..Node::stopped() };
    }

    /// The node's process is stopped for a while; datagrams to it wait.
    pub(crate) fn freeze(&mut self, node: usize, duration: Duration) {
        self.nodes[node].frozen_until = Some(self.now + duration);
        self.nodes[node].was_frozen = true;
        self.plan(self.now + duration, node, None);
    }

    /// Cuts all paths between the first and the second, both ways.
    pub(crate) fn partition(&mut self, first: &[usize], second: &[usize]) {
        for (a, b) in first.iter().flat_map(|a| second.iter().map(move |b| (*a, *b))) {
            for path in 0..=u8::MAX {
                self.network.cuts.extend([(a, b, path), (b, a, path)]);
            }
        }
    }

    /// From now on all datagrams are recorded.
    pub(crate) fn record(&mut self) {
        self.tape = Some(Vec::new());
    }

    /// Sends all that was recorded again, from the first to the last, one every 100 µs. Returns how many.
    pub(crate) fn replay(&mut self) -> usize {
        let tape = self.tape.take().unwrap_or_default();
        let count = tape.len();
        for (order, (to, datagram)) in tape.into_iter().enumerate() {
            self.plan(self.now + Duration::from_micros(100) * order as u32, to, Some(datagram));
        }
        count
    }

    /// Lets a node do something now.
    pub(crate) fn with<R>(&mut self, node: usize, act: impl FnOnce(&mut Members) -> R) -> Option<R> {
        let result = self.nodes[node].members.as_mut().map(act);
        self.drain(node);
        result
    }

    pub(crate) fn members(&self, node: usize) -> Option<&Members> {
        self.nodes[node].members.as_ref()
    }

    /// What a node's present run has told, and when.
    pub(crate) fn log(&self, node: usize) -> &[(Instant, Event)] {
        &self.nodes[node].log
    }

    /// Octets and datagrams that a node has sent, with UDP and IP headers.
    pub(crate) fn sent(&self, node: usize) -> (u64, u64) {
        (self.nodes[node].octets, self.nodes[node].datagrams)
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = usize> {
        (0..self.nodes.len()).filter(|node| self.nodes[*node].members.is_some())
    }

    /// An event that any running node has told since `since`.
    pub(crate) fn told_since(&self, since: Instant, wanted: impl Fn(&Event) -> bool) -> usize {
        let logs = self.nodes.iter().flat_map(|node| &node.log);
        logs.filter(|(at, event)| *at >= since && wanted(event)).count()
    }

    pub(crate) fn run_ms(&mut self, milliseconds: u64) {
        let end = self.now + Duration::from_millis(milliseconds);
        while self.step(end) {}
    }

    /// Runs until `done`, at most so long. True if it came to that.
    pub(crate) fn run_until(&mut self, limit_ms: u64, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + Duration::from_millis(limit_ms);
        while !done(self) {
            if !self.step(end) {
                return false;
            }
        }
        true
    }

    /// Does what comes next, unless that is after `end`; then it is `end`.
    fn step(&mut self, end: Instant) -> bool {
        let next = self.agenda.peek().map(|Reverse((at, _, _))| *at);
        if next.is_none_or(|at| at > end) {
            self.now = end;
            return false;
        }
        let Some(Reverse((at, order, node))) = self.agenda.pop() else { return false };
        self.now = at;
        let arrival = self.arrivals.remove(&order);
        let now = self.now;
        let state = &mut self.nodes[node];
        let Some(members) = &mut state.members else { return true };
        state.inbox.extend(arrival);
        if state.frozen_until.is_some_and(|until| until > now) {
            return true;
        }
        state.frozen_until = None;
        while let Some(datagram) = state.inbox.pop_front() {
            // What is refused is counted there.
            let _refused = members.handle_input(datagram.from, &datagram.octets, now);
        }
        if members.poll_timeout().is_some_and(|due| due <= now) {
            members.handle_timeout(now);
            assert!(members.poll_timeout().is_none_or(|due| due > now), "a timer that does not move on");
        }
        self.drain(node);
        true
    }

    /// Takes what a node has to send and to tell, and checks it.
    fn drain(&mut self, node: usize) {
        let now = self.now;
        // With many nodes, the check would take longer than all the rest.
        let small = self.nodes.len() <= 64;
        let state = &mut self.nodes[node];
        let Some(members) = &mut state.members else { return };
        let transmits: Vec<_> = std::iter::from_fn(|| members.poll_transmit()).collect();
        let events: Vec<_> = std::iter::from_fn(|| members.poll_event()).collect();
        let due = members.poll_timeout();
        for event in events {
            state.log.push((now, event));
            state.follow(event, id(node));
        }
        state.steps += 1;
        if small || state.steps.is_multiple_of(64) {
            state.check();
        }
        if due != state.timer {
            state.timer = due;
            self.agenda.extend(due.map(|due| Reverse((due.max(now), self.planned, node))));
            self.planned += 1;
        }
        for transmit in transmits {
            assert!(transmit.datagram.len() <= DATAGRAM_MAX_LEN);
            self.nodes[node].octets += transmit.datagram.len() as u64 + HEADERS_LEN;
            self.nodes[node].datagrams += 1;
            self.deliver(node, transmit.to, transmit.datagram);
        }
    }

    fn deliver(&mut self, from: usize, to: SocketAddr, octets: Vec<u8>) {
        let Some((to, path)) = place(to).filter(|(to, _)| *to < self.nodes.len()) else { return };
        if self.network.cuts.contains(&(from, to, path)) {
            return;
        }
        let tape = self.tape.iter_mut();
        tape.for_each(|tape| tape.push((to, Datagram { from: address(from, path), octets: octets.clone() })));
        let copies = if self.random.below(1000) < self.network.twice_permille { 2 } else { 1 };
        for _ in 0..copies {
            if self.random.below(1000) < self.network.loss_permille {
                continue;
            }
            let (least, most) = self.network.delay_us;
            let mut delay_us = least + self.random.below(most - least + 1);
            if self.random.below(1000) < self.network.late_permille {
                delay_us += 20_000;
            }
            let datagram = Datagram { from: address(from, path), octets: octets.clone() };
            self.plan(self.now + Duration::from_micros(delay_us), to, Some(datagram));
        }
    }

    fn plan(&mut self, at: Instant, node: usize, datagram: Option<Datagram>) {
        self.arrivals.extend(datagram.map(|datagram| (self.planned, datagram)));
        self.agenda.push(Reverse((at, self.planned, node)));
        self.planned += 1;
    }
}

impl Node {
    fn stopped() -> Self {
        Self {
            members: None,
            boots: 0,
            frozen_until: None,
            was_frozen: false,
            inbox: VecDeque::new(),
            timer: None,
            log: Vec::new(),
            up: BTreeSet::new(),
            holds: BTreeMap::new(),
            octets: 0,
            datagrams: 0,
            steps: 0,
        }
    }

    /// Follows the events, which may tell no change that is none.
    fn follow(&mut self, event: Event, me: NodeId) {
        match event {
            Event::Up(node) => assert!(node != me && self.up.insert(node), "up twice: {node}"),
            Event::Down(node) => assert!(self.up.remove(&node), "down without being up: {node}"),
            Event::Held { node, group, term } => {
                assert!(node != me);
                self.holds.insert((node, group), term);
            }
            Event::Released { node, group, .. } => {
                self.holds.remove(&(node, group));
            }
            Event::Facts(node) => {
                assert!(self.members.as_ref().is_some_and(|members| members.facts(node).is_some()));
            }
            Event::Stalled(_) => assert!(self.was_frozen, "stalled without having been stopped"),
            Event::Synced | Event::PathUp { .. } | Event::PathDown { .. } => {}
        }
    }

    /// The events and the state tell the same.
    fn check(&self) {
        let Some(members) = &self.members else { return };
        assert!(members.members().eq(self.up.iter().copied()), "events and members differ");
        assert_eq!(members.joined(), !self.up.is_empty());
    }
}

impl Sim {
    /// For all that run: the events and the state tell the same of holds. Costs more than the checks of each step.
    pub(crate) fn check_holds(&self) {
        for state in &self.nodes {
            let Some(members) = &state.members else { continue };
            for node in members.members() {
                let told = state.holds.range((node, GroupId(0))..=(node, GroupId(u64::MAX)));
                let told = told.map(|((_, group), term)| (*group, *term));
                assert!(members.holds(node).eq(told), "events and holds differ");
            }
        }
    }

    /// All that run know each other, nobody else, and what each holds.
    pub(crate) fn agree(&self) -> bool {
        let running: BTreeSet<_> = self.running().map(id).collect();
        self.running().all(|node| {
            let Some(members) = self.members(node) else { return false };
            let others = running.iter().copied().filter(|other| *other != id(node));
            members.members().eq(others)
                && self.running().all(|other| {
                    let theirs = self.members(other).map(|other_members| other_members.holds(id(other)));
                    let facts = self.members(other).and_then(|other_members| other_members.facts(id(other)));
                    theirs.is_some_and(|theirs| theirs.eq(members.holds(id(other))))
                        && (facts.is_none() || facts == members.facts(id(other)))
                })
        })
    }
}

/// The id of a node. Spread, so that neighbours on the ring are not neighbours in place.
pub(crate) fn id(node: usize) -> NodeId {
    NodeId((node as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Address of a node on a path.
pub(crate) fn address(node: usize, path: u8) -> SocketAddr {
    let ip = Ipv4Addr::new(10, path, (node >> 8) as u8, (node & 0xff) as u8);
    SocketAddr::new(IpAddr::V4(ip), 7947)
}

fn place(address: SocketAddr) -> Option<(usize, u8)> {
    let IpAddr::V4(ip) = address.ip() else { return None };
    let [_, path, high, low] = ip.octets();
    Some((usize::from(high) << 8 | usize::from(low), path))
}
