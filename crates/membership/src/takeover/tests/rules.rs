//! Each rule of the module, by one machine alone. Node 1 is the machine's own.

use super::*;

mod sharing;
mod start;
mod taking;

const ME: NodeId = NodeId(1);
const A: NodeId = NodeId(2);
const B: NodeId = NodeId(3);

/// A machine with its clock.
struct Speaker {
    machine: Takeover,
    now: Instant,
    /// Questions to kernels so far.
    kernel_asked: usize,
}

impl Speaker {
    fn starting() -> Self {
        let now = start();
        Self { machine: Takeover::new(ME, Config::default(), now), now, kernel_asked: 0 }
    }

    /// Synced, with two live members that have been heard for long enough to be taken at their word.
    fn active() -> Self {
        let mut speaker = Self::starting();
        speaker.member(A, Liveness::Alive);
        speaker.member(B, Liveness::Alive);
        speaker.machine.handle_synced(speaker.now);
        speaker.pass(Config::default().handover_settle);
        assert_eq!(speaker.actions(), []);
        speaker
    }

    /// Active; `A` holds the group with term 2, and `ranked` are its candidates.
    fn watching(ranked: &[NodeId]) -> Self {
        let mut speaker = Self::active();
        speaker.machine.handle_hold(A, G, Term(2), speaker.now);
        speaker.group(ranked);
        assert_eq!(speaker.actions(), []);
        speaker
    }

    /// Active, and holds the group with term 2.
    fn holding(ranked: &[NodeId]) -> Self {
        let mut speaker = Self::active();
        speaker.group(&[ME]);
        speaker.wire(HolderAnswer::Silent);
        speaker.group(ranked);
        assert!(speaker.machine.announces(G));
        speaker.actions();
        speaker.events();
        speaker
    }

    fn candidacy(ranked: &[NodeId]) -> Candidacy {
        Candidacy {
            ranked: ranked.to_vec(),
            outgoing: Outgoing::Forwards,
            lingers: false,
            checks_thoroughly: false,
            revert: false,
        }
    }

    fn group(&mut self, ranked: &[NodeId]) {
        self.machine.set_group(G, Self::candidacy(ranked), self.now);
    }

    fn member(&mut self, node: NodeId, liveness: Liveness) {
        self.machine.handle_member(node, liveness, self.now);
    }

    fn hold(&mut self, node: NodeId, term: u32) {
        self.machine.handle_hold(node, G, Term(term), self.now);
    }

    fn release(&mut self, node: NodeId, term: u32) {
        self.machine.handle_release(node, G, Term(term), self.now);
    }

    fn wire(&mut self, answer: HolderAnswer) {
        self.machine.handle_probe(ProbeResult::Holder { group: G, answer }, self.now);
    }

    fn dead(&mut self, node: NodeId, answered: bool) {
        self.machine.handle_probe(ProbeResult::Dead { node, answered }, self.now);
    }

    fn pass(&mut self, by: Duration) {
        let until = self.now + by;
        while let Some(due) = self.machine.poll_timeout()
            && due <= until
        {
            assert!(due >= self.now, "no timer is left behind");
            self.now = due;
            self.machine.handle_timeout(due);
            assert!(self.machine.poll_timeout().is_none_or(|next| next > due), "time moves on");
        }
        self.now = until;
    }

    /// Questions to kernels are counted apart.
    fn actions(&mut self) -> Vec<Action> {
        let mut actions: Vec<_> = std::iter::from_fn(|| self.machine.poll_action()).collect();
        let count = actions.len();
        actions.retain(|action| !matches!(action, Action::AskKernel { .. }));
        self.kernel_asked += count - actions.len();
        actions
    }

    fn kernel(&mut self, node: NodeId, answered: bool) {
        self.machine.handle_probe(ProbeResult::Kernel { node, answered }, self.now);
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.machine.poll_event()).collect()
    }

    /// The cause of the one move since events were last fetched.
    fn moved(&mut self) -> Option<Cause> {
        self.events().into_iter().find_map(|event| match event {
            Event::Moved { cause, .. } => Some(cause),
            Event::Stopped { .. } | Event::Damped { .. } | Event::Foreign { .. } => None,
        })
    }
}

fn claimed(term: u32) -> Vec<Action> {
    vec![Action::Announce { group: G, term: Term(term) }, Action::TellHold { group: G, term: Term(term) }]
}

fn stopped(term: u32) -> Vec<Action> {
    vec![Action::Withdraw { group: G }, Action::TellRelease { group: G, term: Term(term) }]
}

const ASK_HOLDER: Action = Action::AskHolder { group: G, thorough: false };
const ASK_A: Action = Action::AskDead { node: A, group: G };
