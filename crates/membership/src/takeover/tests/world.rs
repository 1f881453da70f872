//! Some speakers, each with its own machine, on a modelled segment and with modelled gossip, in virtual time. Gossip is
//! harsher than the real one: no member vouches for another, so a cut between two is not healed by a third.

use std::collections::VecDeque;

use super::*;

pub(super) mod checks;
mod node;

use node::{Node, Plan};

/// From one heartbeat to the next.
const HEARTBEAT: Duration = Duration::from_millis(100);
/// Silence after which gossip calls a member dead.
const DEAD_AFTER: Duration = Duration::from_millis(400);
/// From the first answer to a sync until it is held complete.
const SYNC_GATHER: Duration = Duration::from_millis(30);

/// What happens at a moment.
#[derive(Clone, Debug)]
enum Happening {
    Heartbeat(usize),
    Datagram {
        to: usize,
        datagram: Datagram,
    },
    Sighting {
        to: usize,
        of: usize,
        group: GroupId,
    },
    /// The further frames of a burst.
    BurstGoesOn {
        from: usize,
        boot: u32,
        burst: u64,
        group: GroupId,
        left: u8,
    },
    Question {
        from: usize,
        boot: u32,
        question: Question,
        left: u8,
    },
    Plan {
        to: usize,
        plan: Plan,
    },
    Synced {
        node: usize,
        boot: u32,
    },
    Thaw(usize),
    Boot(usize),
}

#[derive(Clone, Copy, Debug)]
enum Question {
    Dead { node: usize, group: GroupId },
    Kernel(usize),
    Holder(GroupId),
}

/// A gossip message. Each carries all that its sender has to say of itself.
#[derive(Clone, Debug)]
struct Datagram {
    from: usize,
    boot: u32,
    version: u64,
    leaving: bool,
    draining: bool,
    /// `None`: not synced.
    holds: Option<BTreeMap<GroupId, Term>>,
    /// Releases that carried a term.
    released: BTreeMap<GroupId, Term>,
    asks_sync: bool,
    /// In answer to such: what the sender remembers of the asker.
    remembered: Option<BTreeMap<GroupId, Term>>,
}

pub(super) struct World {
    pub(super) began: Instant,
    pub(super) now: Instant,
    seed: u64,
    sequence: u64,
    queue: BTreeMap<(Instant, u64), Happening>,
    pub(super) nodes: Vec<Node>,
    plan: Plan,
    /// Directed pairs between which gossip is dropped.
    pub(super) blocked: BTreeSet<(usize, usize)>,
    /// Percent of gossip that is lost.
    pub(super) loss: u64,
    /// The part of the LAN that each node is on.
    pub(super) part: Vec<usize>,
    pub(super) events: Vec<(Duration, usize, Event)>,
    pub(super) trace: VecDeque<String>,
    pub(super) checks: checks::Checks,
}

impl World {
    /// `count` nodes that boot within 50 ms, and groups in which all are candidates.
    pub(super) fn new(count: usize, groups: u64, seed: u64) -> Self {
        let now = start();
        let mut world = Self {
            began: now,
            now,
            seed,
            sequence: 0,
            queue: BTreeMap::new(),
            nodes: (0..count).map(|_| Node::default()).collect(),
            plan: Plan::new(count, groups),
            blocked: BTreeSet::new(),
            loss: 0,
            part: vec![0; count],
            events: Vec::new(),
            trace: VecDeque::new(),
            checks: checks::Checks::default(),
        };
        for node in 0..count {
            let after = ms(world.below(50));
            world.at(after, Happening::Boot(node));
        }
        world
    }

    /// SplitMix64: the seed replays everything.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        claims::weight(GroupId(self.seed), NodeId(0)) % limit
    }

    fn at(&mut self, after: Duration, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((self.now + after, self.sequence), happening);
    }

    pub(super) fn log(&mut self, line: String) {
        if self.trace.len() == 400 {
            self.trace.pop_front();
        }
        self.trace.push_back(format!("{:>7} {line}", (self.now - self.began).as_millis()));
    }

    /// Lets time pass; all checks are made after every happening.
    pub(super) fn run(&mut self, by: Duration) {
        let until = self.now + by;
        loop {
            let queued = self.queue.first_key_value().map(|((at, _), _)| *at);
            let timer = self.nodes.iter().filter_map(Node::next_timeout).min();
            let Some(next) = queued.into_iter().chain(timer).min().filter(|next| *next <= until) else {
                break;
            };
            self.now = self.now.max(next);
            if queued == Some(next) {
                let Some((_, happening)) = self.queue.pop_first() else { break };
                self.happen(happening);
            } else {
                for node in 0..self.nodes.len() {
                    if self.nodes[node].next_timeout().is_some_and(|due| due <= self.now) {
                        let now = self.now;
                        self.drive(node, |machine| machine.handle_timeout(now));
                    }
                }
            }
            self.check();
        }
        self.now = until;
        self.check();
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Heartbeat(node) => self.heartbeat(node),
            Happening::Datagram { to, datagram } => self.receive(to, datagram),
            Happening::Sighting { to, of, group } => {
                let now = self.now;
                if self.nodes[to].is_frozen() {
                    self.nodes[to].held.push(Happening::Sighting { to, of, group });
                } else {
                    self.drive(to, |machine| machine.handle_sighting(id(of), group, now));
                }
            }
            Happening::BurstGoesOn { from, boot, burst, group, left } => {
                self.burst_goes_on(from, boot, burst, group, left);
            }
            Happening::Question { from, boot, question, left } => self.question(from, boot, question, left),
            Happening::Plan { to, plan } => self.plan_arrives(to, plan),
            Happening::Synced { node, boot } => {
                if self.nodes[node].boot == boot && !self.nodes[node].is_frozen() && self.nodes[node].up() {
                    self.nodes[node].synced_told = true;
                    let now = self.now;
                    self.log(format!("n{node} synced"));
                    self.drive(node, |machine| machine.handle_synced(now));
                }
            }
            Happening::Thaw(node) => self.thaw(node),
            Happening::Boot(node) => self.boot(node),
        }
    }

    /// Gives a node's machine an input and does what it says.
    pub(super) fn drive(&mut self, node: usize, input: impl FnOnce(&mut Takeover)) {
        let Some(mut machine) = self.nodes[node].machine.take() else { return };
        input(&mut machine);
        let mut told = false;
        while let Some(action) = machine.poll_action() {
            self.log(format!("n{node} {action:?}"));
            told |= matches!(action, Action::TellHold { .. } | Action::TellRelease { .. });
            self.perform(node, action);
        }
        while let Some(event) = machine.poll_event() {
            self.log(format!("n{node} {event:?}"));
            self.events.push((self.now - self.began, node, event));
            self.check_event(node, event);
        }
        self.nodes[node].machine = Some(machine);
        if told {
            self.tell_all(node);
        }
    }

    fn perform(&mut self, node: usize, action: Action) {
        let boot = self.nodes[node].boot;
        match action {
            Action::Announce { group, .. } => {
                self.check_may_announce(node);
                self.nodes[node].answering.insert(group);
                self.burst(node, group);
            }
            Action::Burst { group } => {
                assert!(self.nodes[node].answering.contains(&group), "a burst for what is announced");
                self.burst(node, group);
            }
            Action::Withdraw { group } => {
                assert!(self.nodes[node].answering.remove(&group), "withdrawn is only what is announced");
            }
            Action::Suspend => {
                self.nodes[node].answering.clear();
                self.nodes[node].standing_in.clear();
                self.nodes[node].holds.clear();
            }
            Action::StandIn { group, for_node } => {
                self.nodes[node].standing_in.insert(group, index(for_node));
            }
            Action::StandDown { group } => {
                assert!(self.nodes[node].standing_in.remove(&group).is_some(), "it stood in");
            }
            Action::AskDead { node: dead, group } => {
                let question = Question::Dead { node: index(dead), group };
                self.at(ms(1), Happening::Question { from: node, boot, question, left: 2 });
            }
            Action::AskKernel { node: asked, .. } => {
                let question = Question::Kernel(index(asked));
                self.at(ms(1), Happening::Question { from: node, boot, question, left: 2 });
            }
            Action::AskHolder { group, .. } => {
                let question = Question::Holder(group);
                self.at(ms(1), Happening::Question { from: node, boot, question, left: 2 });
            }
            Action::TellHold { group, term } => {
                self.nodes[node].holds.insert(group, term);
                self.nodes[node].released.remove(&group);
            }
            Action::TellRelease { group, term } => {
                self.nodes[node].holds.remove(&group);
                self.nodes[node].released.insert(group, term);
            }
        }
    }

    /// True if frames pass between two nodes.
    pub(super) fn connected(&self, a: usize, b: usize) -> bool {
        self.part[a] == self.part[b]
    }

    /// True if the node answers for the group, with its own MAC address.
    pub(super) fn answers(&self, node: usize, group: GroupId) -> bool {
        let node = &self.nodes[node];
        node.up() && !node.is_frozen() && node.answering.contains(&group)
    }

    fn burst(&mut self, from: usize, group: GroupId) {
        self.nodes[from].bursts += 1;
        let (burst, boot) = (self.nodes[from].bursts, self.nodes[from].boot);
        self.nodes[from].burst_of.insert(group, burst);
        self.at(Duration::ZERO, Happening::BurstGoesOn { from, boot, burst, group, left: 6 });
    }

    fn burst_goes_on(&mut self, from: usize, boot: u32, burst: u64, group: GroupId, left: u8) {
        let node = &self.nodes[from];
        if node.boot != boot || node.burst_of.get(&group) != Some(&burst) || !node.up() {
            return;
        }
        if self.answers(from, group) {
            for to in 0..self.nodes.len() {
                if to != from && self.connected(from, to) {
                    self.at(ms(1), Happening::Sighting { to, of: from, group });
                }
            }
        }
        if left > 1 {
            self.at(ms(1000), Happening::BurstGoesOn { from, boot, burst, group, left: left - 1 });
        }
    }

    /// Two questions, 20 ms apart; then silence.
    fn question(&mut self, from: usize, boot: u32, question: Question, left: u8) {
        if self.nodes[from].boot != boot || !self.nodes[from].up() {
            return;
        }
        let result = match question {
            Question::Dead { node, group } => {
                let answered = self.connected(from, node) && self.answers(node, group);
                (answered || left == 0).then_some(ProbeResult::Dead { node: id(node), answered })
            }
            // A node that is cut off may as well be switched off.
            Question::Kernel(node) => {
                let answered = self.connected(from, node);
                (answered || left == 0).then_some(ProbeResult::Kernel { node: id(node), answered })
            }
            Question::Holder(group) => {
                let answer = match self.answerer(from, group) {
                    Some(node) => Some(HolderAnswer::Member(id(node))),
                    None => (left == 0).then_some(HolderAnswer::Silent),
                };
                answer.map(|answer| ProbeResult::Holder { group, answer })
            }
        };
        match result {
            Some(result) if self.nodes[from].is_frozen() => {
                let _late = result;
            }
            Some(result) => {
                let now = self.now;
                self.log(format!("n{from} {result:?}"));
                self.drive(from, |machine| machine.handle_probe(result, now));
            }
            None => self.at(ms(20), Happening::Question { from, boot, question, left: left - 1 }),
        }
    }

    /// The node by whose MAC address somebody else answers for the group.
    fn answerer(&mut self, asker: usize, group: GroupId) -> Option<usize> {
        let count = self.nodes.len();
        let first = self.below(count as u64) as usize;
        (first..first + count).map(|node| node % count).find_map(|node| {
            if node == asker || !self.connected(node, asker) {
                return None;
            }
            let stands_in = self.nodes[node].standing_in.get(&group).copied();
            let awake = self.nodes[node].up() && !self.nodes[node].is_frozen();
            if self.answers(node, group) { Some(node) } else { stands_in.filter(|_| awake) }
        })
    }
}

pub(super) fn id(index: usize) -> NodeId {
    NodeId(0x0101_0101_0101_0101u64.wrapping_mul(index as u64 + 1))
}

pub(super) fn index(id: NodeId) -> usize {
    (id.0 / 0x0101_0101_0101_0101) as usize - 1
}
