//! The three machines of layer 2, and what each tells the others: who is alive ([`Members`]), which groups this node
//! holds ([`Takeover`]), and what is answered and announced for them ([`Announcer`]).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use keryx_api::l2_advertisement::ConflictDetection;
use keryx_layer2::{Announcer, Config, Counters, IfIndex};
use keryx_membership::members::{self, Members};
use keryx_membership::takeover::{self, Takeover};
use keryx_membership::{GroupId, Keys, NodeId, Seed, Term};
use keryx_plan::{GroupPlan, NodeName, Plan};
use tracing::warn;

use super::conflicts::Conflicts;
use super::cuts::Cuts;
use super::hearing::Hearing;
use super::paths::Paths;
use super::placing::Placing;
use super::questions::Questions;
use super::reports::Report;
use super::roster::{Roster, node_id};
use crate::metrics::Metrics;

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

/// What the machines draw their chances from.
#[derive(Clone, Copy)]
pub(super) struct Seeds {
    pub(super) announcer: u64,
    pub(super) members: u64,
}

/// All state of layer 2 but its sockets.
pub(super) struct Machines {
    pub(super) me: NodeId,
    pub(super) announcer: Announcer,
    pub(super) members: Members,
    pub(super) takeover: Takeover,
    pub(super) questions: Questions,
    pub(super) conflicts: Conflicts,
    /// What is to be told to the rest of the speaker.
    pub(super) reports: Vec<Report>,
    pub(super) roster: Roster,
    pub(super) placing: Placing,
    /// As last told to the members.
    pub(super) seeds: Vec<Seed>,
    pub(super) paths: Paths,
    pub(super) cuts: Cuts,
    pub(super) hearing: Hearing,
    /// As last taken in.
    pub(super) plan: Arc<Plan>,
    /// The groups of the plan.
    pub(super) groups: BTreeMap<GroupId, Group>,
    /// The group of each VIP.
    pub(super) group_of: BTreeMap<IpAddr, GroupId>,
    /// Groups that the takeover machine has this node announce.
    pub(super) held: BTreeMap<GroupId, Term>,
    /// What is announced, and where.
    pub(super) on_wire: BTreeMap<IpAddr, IfIndex>,
    /// VIPs that no interface of this node can announce, so that each is said once.
    pub(super) unplaced: BTreeSet<IpAddr>,
    /// How many members are heard.
    pub(super) heard: usize,
    /// Members that said that they restart, and nothing since.
    pub(super) restarting: BTreeSet<NodeId>,
    /// Members that came back, and when to tell the takeover machine all that they hold.
    pub(super) returned: BTreeMap<NodeId, Return>,
    /// When the latest change of `held` is to be noted.
    note_at: Option<Instant>,
    /// There was a stall, and nobody was asked yet.
    resync_wanted: bool,
    pub(super) restarting_secs: Option<u16>,
    pub(super) draining: bool,
    /// What of the counters stands in the metrics already.
    pub(super) counted: Counters,
    pub(super) metrics: Metrics,
}

/// A member that came back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Return {
    /// When to look whether it and this node agree.
    pub(super) due: Instant,
    /// When not to wait for that any longer.
    pub(super) limit: Instant,
}

/// One group of the plan, as far as announcing is concerned.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) planned: Arc<GroupPlan>,
    /// Those of its VIPs that this node does not announce even while it holds the group; mostly none.
    pub(super) withheld: Box<[IpAddr]>,
    /// How thoroughly it is checked before its first use: the strictest of what is said of its VIPs.
    pub(super) conflict_detection: ConflictDetection,
}

impl Group {
    /// All its VIPs.
    pub(super) fn vips(&self) -> &[IpAddr] {
        &self.planned.vips
    }
}

impl Machines {
    /// Announces nothing yet. `held` is what this node held before its speaker was restarted. `seeds` have to be from the
    /// system's random source, new at every start.
    pub(super) fn new(
        settings: Settings,
        keys: Keys,
        held: &BTreeMap<GroupId, Term>,
        metrics: Metrics,
        seeds: Seeds,
        now: Instant,
    ) -> Self {
        let me = node_id(&settings.node);
        let config = members::Config { cluster: settings.cluster, keys, timing: members::Timing::default() };
        let mut takeover = Takeover::new(me, takeover::Config::default(), now);
        for (group, term) in held {
            takeover.handle_hold(me, *group, *term, now);
        }
        Self {
            me,
            announcer: Announcer::new(Config { seed: seeds.announcer, ..Config::default() }),
            members: Members::new(config, me, seeds.members, now),
            takeover,
            questions: Questions::default(),
            conflicts: Conflicts::default(),
            reports: Vec::new(),
            roster: Roster::default(),
            placing: Placing::new(settings.only),
            seeds: Vec::new(),
            paths: Paths::default(),
            cuts: Cuts::default(),
            hearing: Hearing::default(),
            plan: Arc::default(),
            groups: BTreeMap::new(),
            group_of: BTreeMap::new(),
            held: BTreeMap::new(),
            on_wire: BTreeMap::new(),
            heard: 0,
            unplaced: BTreeSet::new(),
            restarting: BTreeSet::new(),
            returned: BTreeMap::new(),
            note_at: None,
            resync_wanted: false,
            restarting_secs: None,
            draining: false,
            counted: Counters::default(),
            metrics,
        }
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

    /// Takes a datagram of another speaker.
    pub(super) fn handle_datagram(&mut self, from: SocketAddr, datagram: &[u8], now: Instant) {
        self.note_heard(now);
        // Counted there, by reason.
        let _rejected = self.members.handle_input(from, datagram, now);
    }

    /// Takes a frame that an interface received.
    pub(super) fn handle_frame(&mut self, index: IfIndex, frame: &[u8], now: Instant) {
        self.note_heard(now);
        self.announcer.handle_input(index, frame, now);
    }

    /// Does what is due. Everything that the sockets have must have been handed over before.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.members.handle_timeout(now);
        self.tell_holds_of_returned(now);
        self.takeover.handle_timeout(now);
        self.announcer.handle_timeout(now);
        if self.cuts.poll_timeout().is_some_and(|due| due <= now) {
            self.look_for_cuts(now);
        }
        self.ask_whom_it_hears(now);
        self.settle(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let due = [
            self.members.poll_timeout(),
            self.takeover.poll_timeout(),
            self.announcer.poll_timeout(),
            self.note_at,
            self.cuts.poll_timeout(),
            self.hearing.poll_timeout(),
            self.returned.values().map(|returned| returned.due).min(),
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
        self.members.begin_resync(now);
        self.resync_wanted = true;
    }

    /// After a stall: asks the others who holds what. To be called when all datagrams that came in before are handed over.
    pub(super) fn resync(&mut self, now: Instant) {
        if std::mem::take(&mut self.resync_wanted) {
            self.members.resync(now);
            self.members.handle_timeout(now);
        }
    }

    /// Takes the groups in which this node is the first choice, one after the other. Returns how many these are.
    pub(super) fn rebalance(&mut self, now: Instant) -> usize {
        let count = self.takeover.handle_rebalance(now);
        self.settle(now);
        count
    }

    /// Tells the others to wait for the next speaker on this node.
    pub(super) fn announce_restart(&mut self, back_in_secs: u16, now: Instant) {
        self.restarting_secs = Some(back_in_secs);
        self.tell_facts();
        // What is held must be noted now, or never.
        if self.note_at.is_some() {
            self.note_at = Some(now);
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
    pub(super) fn changed_holds(&mut self, now: Instant) -> Option<BTreeMap<GroupId, Term>> {
        if self.note_at? > now {
            return None;
        }
        self.note_at = None;
        Some(self.held.clone())
    }
}
