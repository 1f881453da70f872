//! The three machines of layer 2, and what each tells the others: who is alive ([`Members`]), which groups this node
//! holds ([`Takeover`]), and what is answered and announced for them ([`Announcer`]).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use keryx_layer2::{Announcer, Config, Counters, IfIndex};
use keryx_membership::members::{self, Members};
use keryx_membership::takeover::{self, Takeover};
use keryx_membership::{Candidacy, Facts, GroupId, Keys, Liveness, NodeId, Outgoing, Seed, Term};
use keryx_netio::link::Links;
use keryx_plan::{Decision, NodeName, Plan};
use tracing::{debug, info, warn};

use super::paths::Paths;
use super::placing::{self, Placing};
use super::questions::Questions;
use super::roster::{Roster, node_id};
use crate::clock;
use crate::metrics::Metrics;
use crate::orders::Orders;

/// How long changes of what is held wait to be noted together.
const NOTE_PAUSE: Duration = Duration::from_millis(200);

/// What is set for the machines.
pub(super) struct Settings {
    /// This node.
    pub(super) node: NodeName,
    /// Names the cluster in sealed datagrams.
    pub(super) cluster: String,
    /// Names given by `--interface`.
    pub(super) only: BTreeSet<String>,
}

/// All state of layer 2 but its sockets.
pub(super) struct Machines {
    pub(super) me: NodeId,
    pub(super) announcer: Announcer,
    pub(super) members: Members,
    pub(super) takeover: Takeover,
    pub(super) questions: Questions,
    pub(super) roster: Roster,
    pub(super) placing: Placing,
    /// As last told to the members.
    seeds: Vec<Seed>,
    paths: Paths,
    /// The groups of the plan.
    pub(super) groups: BTreeMap<GroupId, Group>,
    /// The group of each VIP.
    group_of: BTreeMap<IpAddr, GroupId>,
    /// Groups that the takeover machine has this node announce.
    pub(super) held: BTreeMap<GroupId, Term>,
    /// What is announced, and where.
    on_wire: BTreeMap<IpAddr, IfIndex>,
    /// VIPs of held groups that no interface can announce, so that each is said once.
    pub(super) unannounced: BTreeSet<IpAddr>,
    /// When the latest change of `held` is to be noted.
    note_at: Option<Instant>,
    /// There was a stall, and nobody was asked yet.
    resync_wanted: bool,
    restarting_secs: Option<u16>,
    draining: bool,
    /// What of the counters stands in the metrics already.
    counted: Counters,
    pub(super) metrics: Metrics,
}

/// One group of the plan, as far as announcing is concerned.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Group {
    /// Its VIPs that this node announces while it holds the group.
    pub(super) announced: BTreeSet<IpAddr>,
    /// All its VIPs.
    pub(super) vips: Box<[IpAddr]>,
}

impl Machines {
    /// Announces nothing yet. `held` is what this node held before its speaker was restarted.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub(super) fn new(
        settings: Settings,
        keys: Keys,
        held: &BTreeMap<GroupId, Term>,
        metrics: Metrics,
        now: Instant,
    ) -> anyhow::Result<Self> {
        let me = node_id(&settings.node);
        let config = members::Config { cluster: settings.cluster, keys, timing: members::Timing::default() };
        let mut takeover = Takeover::new(me, takeover::Config::default(), now);
        for (group, term) in held {
            takeover.handle_hold(me, *group, *term, now);
        }
        Ok(Self {
            me,
            announcer: Announcer::new(Config { seed: random()?, ..Config::default() }),
            members: Members::new(config, me, random()?, now),
            takeover,
            questions: Questions::default(),
            roster: Roster::default(),
            placing: Placing { only: settings.only, ..Placing::default() },
            seeds: Vec::new(),
            paths: Paths::default(),
            groups: BTreeMap::new(),
            group_of: BTreeMap::new(),
            held: BTreeMap::new(),
            on_wire: BTreeMap::new(),
            unannounced: BTreeSet::new(),
            note_at: None,
            resync_wanted: false,
            restarting_secs: None,
            draining: false,
            counted: Counters::default(),
            metrics,
        })
    }

    /// The machine that answers and announces.
    pub(super) fn announcer(&self) -> &Announcer {
        &self.announcer
    }

    /// To fetch its frames.
    pub(super) fn announcer_mut(&mut self) -> &mut Announcer {
        &mut self.announcer
    }

    /// Takes other keys for the gossip.
    pub(super) fn set_keys(&mut self, keys: &Keys) {
        self.members.set_keys(keys);
    }

    /// Takes in the plan and the interfaces. Gives the interfaces that came back.
    pub(super) fn follow(&mut self, orders: &Orders, links: &Links, now: Instant) -> Vec<IfIndex> {
        let links: Vec<_> = links.values().map(placing::link).collect();
        let returned = self.follow_links(links, now);
        self.placing.internal_ips.clone_from(&orders.internal_ips);
        self.draining = orders.draining;
        self.roster.set_nodes(&orders.nodes);
        self.tell_facts();
        self.learn(now);
        self.follow_plan(&orders.plan, now);
        self.settle(now);
        returned
    }

    fn follow_links(&mut self, links: Vec<keryx_layer2::interface::Link>, now: Instant) -> Vec<IfIndex> {
        let works = |link: &keryx_layer2::interface::Link| link.up && link.carrier;
        let worked = |index: IfIndex| self.placing.link(index).is_some_and(works);
        let returned: Vec<IfIndex> =
            links.iter().filter(|link| works(link) && !worked(link.index)).map(|link| link.index).collect();
        let gone: Vec<IfIndex> = self
            .announcer
            .interfaces()
            .filter(|index| links.iter().all(|link| link.index != *index))
            .collect();
        for index in gone {
            self.announcer.remove_interface(index);
            self.on_wire.retain(|_, on| *on != index);
        }
        self.placing.links = links;
        for link in &self.placing.links {
            // Only what has been used so far: an interface is made known when a VIP comes to it.
            if let Some(mac) = link.mac
                && self.announcer.interfaces().any(|index| index == link.index)
            {
                self.announcer.set_interface(link.index, mac, now);
                let _known = self.announcer.set_addresses(link.index, &link.addresses);
            }
        }
        for index in &returned {
            for (vip, _) in self.on_wire.iter().filter(|(_, on)| *on == index) {
                self.announcer.burst(*index, *vip, now);
            }
        }
        returned
    }

    /// Tells the other speakers what this node is like.
    fn tell_facts(&mut self) {
        let facts = Facts {
            interfaces: self.placing.facts(),
            draining: self.draining,
            restarting_secs: self.restarting_secs,
        };
        if let Err(error) = self.members.set_facts(facts) {
            warn!("failed to tell the other speakers about this node's interfaces: {error}");
        }
    }

    /// Takes in what the members tell of themselves.
    fn learn(&mut self, now: Instant) {
        let macs = self.roster.learn(self.me, &self.members);
        self.announcer.set_members(macs);
        self.placing.segments = self.roster.segments(self.me, &self.members);
        let seeds = self.roster.seeds(self.me, &self.members, &self.placing.dead_segments());
        if self.seeds != seeds {
            self.members.set_seeds(&seeds, now);
            self.seeds = seeds;
        }
    }

    fn follow_plan(&mut self, plan: &Plan, now: Instant) {
        let mut groups = BTreeMap::new();
        self.group_of.clear();
        for planned in plan.groups.values() {
            let id = GroupId(planned.id);
            let announces = |vip: &&IpAddr| {
                plan.vips.get(*vip).is_some_and(|vip| vip.while_holding == Decision::Announce)
            };
            let announced = planned.vips.iter().filter(announces).copied().collect();
            self.group_of.extend(planned.vips.iter().map(|vip| (*vip, id)));
            groups.insert(id, Group { announced, vips: planned.vips.clone() });
        }
        let before = std::mem::replace(&mut self.groups, groups);
        for id in before.keys().filter(|id| !self.groups.contains_key(id)) {
            self.takeover.remove_group(*id, now);
        }
        for planned in plan.groups.values() {
            let id = GroupId(planned.id);
            self.say_obstacle(id, now);
            let candidacy = Candidacy {
                ranked: planned.candidates.iter().map(node_id).collect(),
                outgoing: if planned.forwards { Outgoing::Forwards } else { Outgoing::DeadEnd },
                revert: false,
            };
            self.takeover.set_group(id, candidacy, now);
            if before.get(&id) != self.groups.get(&id) {
                self.bring(id, now);
            }
        }
        self.unannounced.retain(|vip| self.group_of.contains_key(vip));
        for vip in
            self.on_wire.keys().filter(|vip| !self.group_of.contains_key(vip)).copied().collect::<Vec<_>>()
        {
            self.take_off_wire(vip);
        }
    }

    /// Tells the takeover machine whether this node can announce a group at all.
    fn say_obstacle(&mut self, id: GroupId, now: Instant) {
        let Some(group) = self.groups.get(&id) else { return };
        let mut obstacle = None;
        for vip in &group.vips {
            match self.placing.choose(*vip) {
                Ok(_) => {
                    obstacle = None;
                    break;
                }
                Err(hindered) => obstacle = Some(hindered.obstacle),
            }
        }
        self.takeover.handle_obstacle(id, obstacle, now);
    }

    /// Interfaces, members or both have changed: every group is looked at again.
    fn place_anew(&mut self, now: Instant) {
        for id in self.groups.keys().copied().collect::<Vec<_>>() {
            self.say_obstacle(id, now);
            self.bring(id, now);
        }
    }

    /// Announces what of a group should be announced, where it should be, and nothing else.
    pub(super) fn bring(&mut self, id: GroupId, now: Instant) {
        let Some(group) = self.groups.get(&id) else { return };
        let is_held = self.held.contains_key(&id);
        for vip in group.vips.clone() {
            let wanted = is_held && self.groups.get(&id).is_some_and(|group| group.announced.contains(&vip));
            let place = wanted.then(|| self.placing.choose(vip));
            match place {
                Some(Ok(index)) => {
                    self.unannounced.remove(&vip);
                    if self.on_wire.get(&vip) != Some(&index) {
                        self.take_off_wire(vip);
                        self.put_on_wire(vip, index, now);
                    }
                }
                Some(Err(hindered)) => {
                    if self.unannounced.insert(vip) {
                        warn!("{}", hindered.why);
                    }
                    self.take_off_wire(vip);
                }
                None => {
                    self.unannounced.remove(&vip);
                    self.take_off_wire(vip);
                }
            }
        }
    }

    fn put_on_wire(&mut self, vip: IpAddr, index: IfIndex, now: Instant) {
        self.use_interface(index, now);
        match self.announcer.announce(index, vip, now) {
            Ok(()) => {
                self.on_wire.insert(vip, index);
            }
            Err(error) => warn!("failed to announce {vip}: {error}"),
        }
    }

    fn take_off_wire(&mut self, vip: IpAddr) {
        if let Some(index) = self.on_wire.remove(&vip) {
            self.announcer.withdraw(index, vip);
        }
    }

    /// Makes an interface known to the announcer, if it is not.
    pub(super) fn use_interface(&mut self, index: IfIndex, now: Instant) {
        let Some((mac, addresses)) =
            self.placing.link(index).and_then(|link| Some((link.mac?, link.addresses.clone())))
        else {
            return;
        };
        self.announcer.set_interface(index, mac, now);
        // It is known since the line before.
        let _known = self.announcer.set_addresses(index, &addresses);
    }

    /// What of a group is announced.
    pub(super) fn on_wire(&self, id: GroupId) -> Vec<(IfIndex, IpAddr)> {
        let vips = self.groups.get(&id).map(|group| &*group.vips).unwrap_or_default();
        vips.iter().filter_map(|vip| Some((*self.on_wire.get(vip)?, *vip))).collect()
    }

    /// Takes a datagram of another speaker.
    pub(super) fn handle_datagram(&mut self, from: SocketAddr, datagram: &[u8], now: Instant) {
        // Counted there, by reason.
        let _rejected = self.members.handle_input(from, datagram, now);
    }

    /// Takes a frame that an interface received.
    pub(super) fn handle_frame(&mut self, index: IfIndex, frame: &[u8], now: Instant) {
        self.announcer.handle_input(index, frame, now);
    }

    /// Does what is due. Everything that the sockets have must have been handed over before.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.members.handle_timeout(now);
        self.takeover.handle_timeout(now);
        self.announcer.handle_timeout(now);
        self.settle(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let due = [
            self.members.poll_timeout(),
            self.takeover.poll_timeout(),
            self.announcer.poll_timeout(),
            self.note_at,
        ];
        due.into_iter().flatten().min()
    }

    /// If something was due long ago this process was stopped or starved, and others may have taken over: then nothing
    /// may be answered before that is known. Heartbeats are due all the time, so it shows soon. To be called first of all
    /// after a wait.
    pub(super) fn notice_stall(&mut self, now: Instant) {
        let Some(due) = self.members.poll_timeout() else { return };
        let lost = now.saturating_duration_since(due);
        if lost < takeover::Config::default().stall_min {
            return;
        }
        warn!(?lost, "this process was stopped or starved; asking who holds what before going on");
        self.metrics.stalls.inc();
        self.takeover.handle_stall(lost, now);
        self.act(now);
        self.resync_wanted = true;
    }

    /// After a stall: asks the others who holds what. To be called when all datagrams that came in before are handed over.
    pub(super) fn resync(&mut self, now: Instant) {
        if std::mem::take(&mut self.resync_wanted) {
            self.members.resync(now);
            self.members.handle_timeout(now);
        }
    }

    /// Carries what one machine has to say to the others, until none has anything.
    pub(super) fn settle(&mut self, now: Instant) {
        loop {
            let told = self.carry_members(now) | self.carry_segment(now);
            if !self.act(now) && !told {
                break;
            }
        }
        self.count();
    }

    fn carry_members(&mut self, now: Instant) -> bool {
        let mut told = false;
        let mut changed = false;
        while let Some(event) = self.members.poll_event() {
            told = true;
            debug!(?event, "members");
            match event {
                members::Event::Up(node) | members::Event::Facts(node) => {
                    changed = true;
                    self.say_liveness(node, now);
                }
                members::Event::Down(node) => {
                    changed = true;
                    info!(node = self.roster.name(node), "speaker is not heard any more");
                    self.takeover.handle_member(node, Liveness::Dead, now);
                }
                members::Event::Held { node, group, term } => {
                    self.takeover.handle_hold(node, group, term, now)
                }
                members::Event::Released { node, group } => {
                    // One that restarts releases nothing: its new process has only not spoken yet.
                    if self.members.facts(node).is_none_or(|facts| facts.restarting_secs.is_none()) {
                        self.takeover.handle_release(node, group, Term(0), now);
                    }
                }
                // If nobody is heard, nobody has told anything: the takeover machine asks the segment in time.
                members::Event::Synced if self.members.joined() => self.takeover.handle_synced(now),
                members::Event::Synced => {}
                // Noticed here before, by the same clock.
                members::Event::Stalled(_) => {}
                members::Event::PathUp { node, address } => {
                    info!(node = self.roster.name(node), %address, "path is up");
                    self.paths.set(node, address.ip(), true);
                    changed = true;
                }
                members::Event::PathDown { node, address } => {
                    warn!(node = self.roster.name(node), %address, "path is down; the node is heard on another");
                    self.paths.set(node, address.ip(), false);
                    changed = true;
                }
            }
        }
        if changed {
            self.placing.cut_off = self.paths.cut_off(&self.placing, |node| self.members.is_up(node));
            self.learn(now);
            self.place_anew(now);
            self.metrics.members.set(i64::try_from(self.members.members().count()).unwrap_or(i64::MAX));
        }
        told
    }

    fn say_liveness(&mut self, node: NodeId, now: Instant) {
        let facts = self.members.facts(node);
        let liveness = if let Some(secs) = facts.and_then(|facts| facts.restarting_secs) {
            Liveness::Restarting { back_in: Duration::from_secs(secs.into()) }
        } else if !self.members.is_up(node) {
            Liveness::Dead
        } else if facts.is_some_and(|facts| facts.draining) {
            Liveness::Draining
        } else {
            Liveness::Alive
        };
        self.takeover.handle_member(node, liveness, now);
    }

    fn carry_segment(&mut self, now: Instant) -> bool {
        let mut told = false;
        while let Some(event) = self.announcer.poll_event() {
            told = true;
            debug!(?event, "segment");
            match event {
                keryx_layer2::Event::Decided { question, outcome, seen, .. } => {
                    let roster = &self.roster;
                    let result = self.questions.decided(question, outcome, &seen, |mac| roster.by_mac(mac));
                    if let Some(result) = result {
                        self.takeover.handle_probe(result, now);
                    }
                }
                keryx_layer2::Event::Conflict { vip, mac, .. } => {
                    self.metrics.conflicts.inc();
                    warn!(%vip, %mac, "another station claims this VIP; find it, or take the address out of the pool");
                }
                keryx_layer2::Event::ConflictOver { vip, mac, .. } => {
                    info!(%vip, %mac, "the other station does not claim this VIP any more");
                }
                keryx_layer2::Event::MemberAnnounces { vip, mac, .. } => {
                    if let (Some(node), Some(group)) = (self.roster.by_mac(mac), self.group_of.get(&vip)) {
                        self.takeover.handle_sighting(node, *group, now);
                    }
                }
            }
        }
        told
    }

    /// Tells the others to wait for the next speaker on this node.
    pub(super) fn announce_restart(&mut self, back_in_secs: u16) {
        self.restarting_secs = Some(back_in_secs);
        self.tell_facts();
        // What is held must be noted now, or never.
        if self.note_at.is_some() {
            self.note_at = Some(clock::now());
        }
    }

    /// The next datagram to send, until there is none.
    pub(super) fn poll_datagram(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.members.poll_transmit().map(|transmit| (transmit.to, transmit.datagram))
    }

    /// Notes that what is held has changed.
    pub(super) fn note_later(&mut self, now: Instant) {
        self.note_at.get_or_insert(now + NOTE_PAUSE);
    }

    /// What this node holds, if that changed and is to be noted now.
    pub(super) fn changed_holds(&mut self) -> Option<BTreeMap<GroupId, Term>> {
        if self.note_at? > clock::now() {
            return None;
        }
        self.note_at = None;
        Some(self.held.clone())
    }

    fn count(&mut self) {
        let counters = self.announcer.counters();
        let set = |gauge: &prometheus_client::metrics::gauge::Gauge, length: usize| {
            gauge.set(i64::try_from(length).unwrap_or(i64::MAX));
        };
        set(&self.metrics.vips_announced, self.on_wire.len());
        set(&self.metrics.vips_without_interface, self.unannounced.len());
        self.metrics.count(&counters, &self.counted);
        self.counted = counters;
    }
}

/// 64 bits from the system's random source.
fn random() -> anyhow::Result<u64> {
    let mut octets = [0; 8];
    getrandom::fill(&mut octets)
        .map_err(std::io::Error::other)
        .context("the system gives no random numbers")?;
    Ok(u64::from_ne_bytes(octets))
}
