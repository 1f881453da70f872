//! One node of the world: its process, its driver's state and its side of gossip; and what is done to it.

use super::*;

/// What the API says, as it reaches a node in one piece.
#[derive(Clone, Debug)]
pub(in super::super) struct Plan {
    version: u64,
    pub(in super::super) groups: BTreeSet<GroupId>,
    /// For each node whether it is a candidate, and if not, whether it still forwards.
    pub(in super::super) eligible: Vec<Result<(), Outgoing>>,
    pub(in super::super) revert: bool,
}

impl Plan {
    pub(super) fn new(nodes: usize, groups: u64) -> Self {
        let groups = (0..groups).map(|group| GroupId(G.0 + group)).collect();
        Self { version: 0, groups, eligible: vec![Ok(()); nodes], revert: false }
    }

    pub(super) fn candidacy(&self, group: GroupId, me: usize) -> Candidacy {
        let candidates = (0..self.eligible.len()).filter(|node| self.eligible[*node].is_ok());
        let mut ranked: Vec<NodeId> = candidates.map(id).collect();
        ranked.sort_by_key(|node| std::cmp::Reverse(claims::weight(GroupId(!group.0), *node)));
        let outgoing = self.eligible[me].err().unwrap_or(Outgoing::Forwards);
        Candidacy { ranked, outgoing, lingers: false, checks_thoroughly: false, revert: self.revert }
    }
}

/// What a node has heard of another.
#[derive(Clone, Debug)]
struct Peer {
    boot: u32,
    version: u64,
    heard: Instant,
    liveness: Liveness,
    holds: BTreeMap<GroupId, Term>,
}

#[derive(Default)]
pub(in super::super) struct Node {
    pub(super) machine: Option<Takeover>,
    pub(super) boot: u32,
    pub(super) began: Option<Instant>,
    frozen_since: Option<Instant>,
    /// What came in while it was frozen.
    pub(super) held: Vec<Happening>,
    pub(super) answering: BTreeSet<GroupId>,
    pub(super) standing_in: BTreeMap<GroupId, usize>,
    pub(super) bursts: u64,
    pub(super) burst_of: BTreeMap<GroupId, u64>,
    pub(super) holds: BTreeMap<GroupId, Term>,
    pub(super) released: BTreeMap<GroupId, Term>,
    version: u64,
    pub(super) draining: bool,
    leaving: bool,
    pub(super) obstacle: bool,
    /// The machine has been told of a sync since it started or thawed.
    pub(super) synced_told: bool,
    sync_asked: bool,
    peers: BTreeMap<usize, Peer>,
    pub(super) plan: Option<Plan>,
}

impl Node {
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.machine.as_ref().filter(|_| !self.is_frozen()).and_then(Takeover::poll_timeout)
    }

    pub(super) fn up(&self) -> bool {
        self.machine.is_some()
    }

    pub(in super::super) fn is_frozen(&self) -> bool {
        self.frozen_since.is_some()
    }

    pub(in super::super) fn active(&self) -> bool {
        self.machine.as_ref().is_some_and(Takeover::is_active)
    }
}

impl World {
    pub(super) fn boot(&mut self, node: usize) {
        if self.nodes[node].up() {
            return;
        }
        self.log(format!("n{node} boots"));
        let machine = Takeover::new(id(node), Config::default(), self.now);
        let before = std::mem::take(&mut self.nodes[node]);
        self.nodes[node] = Node {
            machine: Some(machine),
            boot: before.boot + 1,
            began: Some(self.now),
            bursts: before.bursts,
            draining: before.draining,
            obstacle: before.obstacle,
            ..Node::default()
        };
        if self.nodes[node].draining {
            let now = self.now;
            self.drive(node, |machine| machine.handle_member(id(node), Liveness::Draining, now));
        }
        let (after, plan) = (ms(self.below(100)), self.plan.clone());
        self.at(after, Happening::Plan { to: node, plan });
        self.at(Duration::ZERO, Happening::Heartbeat(node));
    }

    pub(super) fn plan_arrives(&mut self, node: usize, plan: Plan) {
        if !self.nodes[node].up() || self.nodes[node].is_frozen() {
            self.nodes[node].held.push(Happening::Plan { to: node, plan });
            return;
        }
        if self.nodes[node].plan.as_ref().is_some_and(|known| known.version > plan.version) {
            return;
        }
        let now = self.now;
        let obstacle = self.nodes[node].obstacle.then_some(Obstacle::CarrierLost);
        let before = self.nodes[node].plan.replace(plan.clone());
        self.drive(node, |machine| {
            for group in before.iter().flat_map(|before| &before.groups) {
                if !plan.groups.contains(group) {
                    machine.remove_group(*group, now);
                }
            }
            for group in &plan.groups {
                machine.set_group(*group, plan.candidacy(*group, node), now);
                machine.handle_obstacle(*group, obstacle, now);
            }
        });
    }

    /// Changes the plan; it reaches each node by itself, after at most `skew_ms`.
    pub(in super::super) fn change_plan(&mut self, skew_ms: u64, change: impl FnOnce(&mut Plan)) {
        change(&mut self.plan);
        self.plan.version += 1;
        for node in 0..self.nodes.len() {
            let (after, plan) = (ms(self.below(skew_ms + 1)), self.plan.clone());
            self.at(after, Happening::Plan { to: node, plan });
        }
    }

    pub(in super::super) fn plan(&self) -> &Plan {
        &self.plan
    }

    fn datagram(&self, from: usize) -> Datagram {
        let node = &self.nodes[from];
        Datagram {
            from,
            boot: node.boot,
            version: node.version,
            leaving: node.leaving,
            draining: node.draining,
            holds: node.active().then(|| node.holds.clone()),
            released: node.released.clone(),
            asks_sync: !node.active() && !node.synced_told,
            remembered: None,
        }
    }

    fn send(&mut self, to: usize, datagram: Datagram) {
        let lost = self.below(100) < self.loss;
        let after = ms(1 + self.below(15));
        if !lost {
            self.at(after, Happening::Datagram { to, datagram });
        }
    }

    pub(super) fn tell_all(&mut self, from: usize) {
        self.nodes[from].version += 1;
        let datagram = self.datagram(from);
        for to in (0..self.nodes.len()).filter(|to| *to != from) {
            self.send(to, datagram.clone());
        }
    }

    pub(super) fn heartbeat(&mut self, node: usize) {
        if !self.nodes[node].up() {
            return;
        }
        if !self.nodes[node].is_frozen() {
            self.notice_the_dead(node);
            self.tell_all(node);
            self.nodes[node].released.clear();
        }
        // One beat per process, also after a restart within the interval.
        let beats =
            |happening: &Happening| matches!(happening, Happening::Heartbeat(other) if *other == node);
        if !self.queue.values().any(beats) {
            self.at(HEARTBEAT, Happening::Heartbeat(node));
        }
    }

    fn notice_the_dead(&mut self, node: usize) {
        let now = self.now;
        let mut dead = Vec::new();
        for (peer, known) in &mut self.nodes[node].peers {
            if known.liveness != Liveness::Dead && known.heard + DEAD_AFTER < now {
                known.liveness = Liveness::Dead;
                known.holds.clear();
                dead.push(*peer);
            }
        }
        for peer in dead {
            self.log(format!("n{node} gossip: n{peer} dead"));
            self.drive(node, |machine| machine.handle_member(id(peer), Liveness::Dead, now));
        }
    }

    pub(super) fn receive(&mut self, to: usize, datagram: Datagram) {
        let from = datagram.from;
        let dropped = self.blocked.contains(&(from, to)) || !self.connected(from, to);
        if dropped || !self.nodes[to].up() {
            return;
        }
        if self.nodes[to].is_frozen() {
            self.nodes[to].held.push(Happening::Datagram { to, datagram });
            return;
        }
        self.take_liveness(to, &datagram);
        self.take_holds(to, &datagram);
        self.sync(to, datagram);
    }

    fn take_liveness(&mut self, to: usize, datagram: &Datagram) {
        let (now, from) = (self.now, datagram.from);
        let back_in = Duration::from_secs(10);
        let liveness = match (datagram.leaving, datagram.draining) {
            (true, _) => Liveness::Restarting { back_in },
            (false, true) => Liveness::Draining,
            (false, false) => Liveness::Alive,
        };
        let fresh = Peer { boot: datagram.boot, version: 0, heard: now, liveness, holds: BTreeMap::new() };
        let known = self.nodes[to].peers.insert(from, fresh.clone());
        let mut tell = Vec::new();
        match known {
            Some(known) if datagram.boot < known.boot => {
                self.nodes[to].peers.insert(from, known);
                return;
            }
            Some(known) if datagram.boot > known.boot => {
                tell.extend([Liveness::Restarting { back_in }, liveness]);
            }
            Some(known) => {
                // A datagram that was overtaken by a farewell revives nobody.
                let stale = datagram.version < known.version;
                let kept = if stale { known.liveness } else { liveness };
                if kept != known.liveness {
                    tell.push(kept);
                }
                let heard = if stale { known.heard } else { now };
                self.nodes[to].peers.insert(from, Peer { liveness: kept, heard, ..known });
            }
            None => tell.push(liveness),
        }
        for liveness in tell {
            self.log(format!("n{to} gossip: n{from} {liveness:?}"));
            self.drive(to, |machine| machine.handle_member(id(from), liveness, now));
        }
    }

    fn take_holds(&mut self, to: usize, datagram: &Datagram) {
        let (now, from) = (self.now, datagram.from);
        let Some(peer) = self.nodes[to].peers.get_mut(&from) else { return };
        if datagram.boot != peer.boot || datagram.version < peer.version {
            return;
        }
        peer.version = datagram.version;
        let Some(holds) = &datagram.holds else {
            // Not synced: what it has not said is no release.
            peer.holds.clear();
            return;
        };
        let before = std::mem::replace(&mut peer.holds, holds.clone());
        let released = datagram.released.clone();
        self.drive(to, |machine| {
            for (group, term) in holds {
                machine.handle_hold(id(from), *group, *term, now);
            }
            let known: BTreeSet<GroupId> = before.keys().chain(released.keys()).copied().collect();
            for group in known.into_iter().filter(|group| !holds.contains_key(group)) {
                let term = released.get(&group).copied().unwrap_or_default();
                machine.handle_release(id(from), group, term, now);
            }
        });
    }

    fn sync(&mut self, to: usize, datagram: Datagram) {
        let (now, from) = (self.now, datagram.from);
        if datagram.asks_sync && self.nodes[to].active() && datagram.remembered.is_none() {
            let groups = self.plan.groups.clone();
            let remembered = groups.into_iter().filter_map(|group| {
                let (holder, term) = self.nodes[to].machine.as_ref()?.holder(group)?;
                (holder == id(from)).then_some((group, term))
            });
            let remembered = Some(remembered.collect());
            let answer = Datagram { remembered, ..self.datagram(to) };
            self.send(from, answer);
        }
        let Some(remembered) = datagram.remembered else { return };
        if self.nodes[to].active() {
            return;
        }
        self.drive(to, |machine| {
            for (group, term) in remembered {
                machine.handle_hold(id(to), group, term, now);
            }
        });
        if !std::mem::replace(&mut self.nodes[to].sync_asked, true) {
            let boot = self.nodes[to].boot;
            self.at(SYNC_GATHER, Happening::Synced { node: to, boot });
        }
    }

    /// SIGKILL.
    pub(in super::super) fn kill(&mut self, node: usize) {
        self.log(format!("n{node} killed"));
        let boot = self.nodes[node].boot;
        let (draining, obstacle) = (self.nodes[node].draining, self.nodes[node].obstacle);
        self.nodes[node] = Node { boot, draining, obstacle, ..Node::default() };
    }

    pub(in super::super) fn start(&mut self, node: usize, after: Duration) {
        self.at(after, Happening::Boot(node));
    }

    /// SIGTERM: it says that it will be back.
    pub(in super::super) fn restart(&mut self, node: usize, down: Duration) {
        if self.nodes[node].up() && !self.nodes[node].is_frozen() {
            self.nodes[node].leaving = true;
            self.tell_all(node);
        }
        self.kill(node);
        self.start(node, down);
    }

    /// SIGSTOP, then SIGCONT.
    pub(in super::super) fn freeze(&mut self, node: usize, for_time: Duration) {
        if self.nodes[node].up() && !self.nodes[node].is_frozen() {
            self.log(format!("n{node} frozen"));
            self.nodes[node].frozen_since = Some(self.now);
            self.at(for_time, Happening::Thaw(node));
        }
    }

    pub(super) fn thaw(&mut self, node: usize) {
        let Some(since) = self.nodes[node].frozen_since.take() else { return };
        let (now, lost) = (self.now, self.now - since);
        self.log(format!("n{node} thaws"));
        let long = lost >= Config::default().stall_min;
        if long {
            self.nodes[node].synced_told = false;
            self.nodes[node].sync_asked = false;
            self.nodes[node].began = Some(now);
            // It does not call others dead for the time that it did not listen.
            for peer in self.nodes[node].peers.values_mut() {
                peer.heard = now;
            }
        }
        self.drive(node, |machine| machine.handle_stall(lost, now));
        assert!(!long || self.nodes[node].answering.is_empty(), "a stall ends all answers");
        for happening in std::mem::take(&mut self.nodes[node].held) {
            self.happen(happening);
        }
    }

    pub(in super::super) fn drain(&mut self, node: usize, draining: bool) {
        self.log(format!("n{node} draining {draining}"));
        self.nodes[node].draining = draining;
        let now = self.now;
        let liveness = if draining { Liveness::Draining } else { Liveness::Alive };
        if !self.nodes[node].is_frozen() {
            self.drive(node, |machine| machine.handle_member(id(node), liveness, now));
            self.tell_all(node);
        }
        self.change_plan(300, |plan| {
            plan.eligible[node] = if draining { Err(Outgoing::Forwards) } else { Ok(()) };
        });
    }

    pub(in super::super) fn hinder(&mut self, node: usize, hindered: bool) {
        self.log(format!("n{node} obstacle {hindered}"));
        self.nodes[node].obstacle = hindered;
        let (now, groups) = (self.now, self.plan.groups.clone());
        let obstacle = hindered.then_some(Obstacle::CarrierLost);
        if !self.nodes[node].is_frozen() {
            self.drive(node, |machine| {
                for group in groups {
                    machine.handle_obstacle(group, obstacle, now);
                }
            });
        }
    }
}
