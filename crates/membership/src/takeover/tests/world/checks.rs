//! What must hold at every step.

use super::*;

/// Two announcers on one segment may be there for this long, if gossip reaches between them: a heartbeat and a message.
const OVERLAP_MAX: Duration = Duration::from_millis(350);
/// The same if gossip does not: they see each other's bursts, a second apart.
const OVERLAP_BLIND_MAX: Duration = Duration::from_millis(2500);

#[derive(Default)]
pub(in super::super) struct Checks {
    /// Since when two nodes announce a group on one segment.
    double_since: BTreeMap<(GroupId, usize, usize), Instant>,
    /// Since when nobody answers for a group on a part of the LAN.
    none_since: BTreeMap<(GroupId, usize), Instant>,
    /// The longest times so far.
    pub(in super::super) overlap_max: Duration,
    pub(in super::super) outage_max: Duration,
    /// When gossip was last cut between any two.
    pub(in super::super) blind_at: Option<Instant>,
    /// Faults end at this time; nobody has to be fast before.
    pub(in super::super) disturbed_until: Option<Instant>,
    /// How long after a disturbance a group may be without announcer.
    pub(in super::super) outage_limit: Option<Duration>,
}

impl World {
    /// True if the plan and the node's state allow it to announce on its part of the LAN.
    pub(in super::super) fn can_announce(&self, node: usize) -> bool {
        let state = &self.nodes[node];
        state.active() && !state.is_frozen() && !state.obstacle && self.plan().eligible[node].is_ok()
    }

    pub(in super::super) fn announcers(&self, group: GroupId) -> Vec<usize> {
        (0..self.nodes.len()).filter(|node| self.answers(*node, group)).collect()
    }

    pub(super) fn check(&mut self) {
        if !self.blocked.is_empty() {
            self.checks.blind_at = Some(self.now);
        }
        for group in self.plan().groups.clone() {
            self.check_overlap(group);
            self.check_outage(group);
        }
    }

    /// I1: never two announcers for longer than it takes them to hear of each other.
    fn check_overlap(&mut self, group: GroupId) {
        let announcers = self.announcers(group);
        for a in 0..self.nodes.len() {
            for b in 0..a {
                let key = (group, a, b);
                let both = announcers.contains(&a) && announcers.contains(&b) && self.connected(a, b);
                if !both {
                    self.checks.double_since.remove(&key);
                    continue;
                }
                let since = *self.checks.double_since.entry(key).or_insert(self.now);
                let lasted = self.now - since;
                self.checks.overlap_max = self.checks.overlap_max.max(lasted);
                let recently_blind = self.checks.blind_at.is_some_and(|at| at + ms(1000) > since);
                let limit = if recently_blind || self.loss > 0 { OVERLAP_BLIND_MAX } else { OVERLAP_MAX };
                self.ensure(lasted <= limit, || format!("I1: n{a} and n{b} announce {group} for {lasted:?}"));
            }
        }
    }

    /// I2: where a candidate lives, somebody answers.
    fn check_outage(&mut self, group: GroupId) {
        let parts: BTreeSet<usize> = self.part.iter().copied().collect();
        for part in parts {
            let here = |node: &usize| self.part[*node] == part;
            let able = (0..self.nodes.len()).filter(here).any(|node| self.can_announce(node));
            let served = (0..self.nodes.len()).filter(here).any(|node| {
                let awake = self.nodes[node].up() && !self.nodes[node].is_frozen();
                self.answers(node, group) || awake && self.nodes[node].standing_in.contains_key(&group)
            });
            if !able || served {
                self.checks.none_since.remove(&(group, part));
                continue;
            }
            let since = *self.checks.none_since.entry((group, part)).or_insert(self.now);
            let lasted = self.now - since;
            self.checks.outage_max = self.checks.outage_max.max(lasted);
            let disturbed = self.checks.disturbed_until.unwrap_or(since).max(since);
            if let Some(limit) = self.checks.outage_limit {
                let late = self.now > disturbed + limit;
                self.ensure(!late, || format!("I2: nobody announces {group} on part {part} for {lasted:?}"));
            }
        }
    }

    /// I4 and I5: nothing is announced before the sync of a start or thaw, or its limit.
    pub(super) fn check_may_announce(&mut self, node: usize) {
        let limit = Config::default().sync_limit;
        let waited = self.nodes[node].began.is_some_and(|began| began + limit <= self.now);
        let may = self.nodes[node].synced_told || waited;
        self.ensure(may, || format!("I4, I5: n{node} announces before it is synced"));
    }

    /// I3: no move without its cause.
    pub(super) fn check_event(&mut self, node: usize, event: Event) {
        let Event::Moved { group, from: Some(from), to, cause } = event else { return };
        self.ensure(to == id(node), || "the taker tells".to_owned());
        let from = index(from);
        let draining = self.nodes[from].draining;
        let planned = |world: &Self| {
            let plan = world.nodes[node].plan.as_ref();
            plan.is_some_and(|plan| plan.eligible[from].is_err() || plan.revert)
        };
        let fair = match cause {
            Cause::HolderDead => from == node || !(self.connected(from, node) && self.answers(from, group)),
            Cause::HolderDraining | Cause::HolderNoCandidate => draining || planned(self),
            Cause::Revert => planned(self),
            Cause::NoHolder | Cause::HolderReleased | Cause::HolderForgot | Cause::Rebalance => true,
        };
        self.ensure(fair, || format!("I3: {event:?}"));
    }

    /// I1 and I2 at rest: exactly one announcer on each part that has an able node.
    pub(in super::super) fn check_rest(&mut self) {
        for group in self.plan().groups.clone() {
            for part in self.part.iter().copied().collect::<BTreeSet<usize>>() {
                let here = |node: &usize| self.part[*node] == part;
                let able = (0..self.nodes.len()).filter(here).any(|node| self.can_announce(node));
                let announcers: Vec<usize> = self.announcers(group).into_iter().filter(here).collect();
                let right = announcers.len() == 1 || !able && announcers.len() <= 1;
                self.ensure(right, || format!("at rest: {announcers:?} announce {group} on part {part}"));
            }
        }
    }

    pub(in super::super) fn ensure(&self, holds: bool, message: impl FnOnce() -> String) {
        if !holds {
            let trace: Vec<&str> = self.trace.iter().map(String::as_str).collect();
            panic!("{}\n{}", message(), trace.join("\n"));
        }
    }
}
