//! One session: the variables of RFC 5880 §6.8.1 and what moves them.

use std::time::{Duration, Instant};

use crate::config::{Config, Role};
use crate::event::DownCause;
use crate::packet::{Diagnostic, Discriminator, Packet, State};
use negotiation::{Negotiation, Parameters};
use transmission::{Kind, Transmission};

mod negotiation;
#[cfg(test)]
mod tests;
mod transmission;

/// What a session's clients have to know. That it comes up step by step is none of it (RFC 5882 §3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Up,
    Down(DownCause),
}

/// What the peer last said; [`Remote::default`] is what is assumed of one that says nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remote {
    /// bfd.RemoteDiscr
    pub(crate) discriminator: Option<Discriminator>,
    /// bfd.RemoteSessionState
    pub(crate) state: State,
    pub(crate) diagnostic: Diagnostic,
    /// bfd.RemoteDemandMode
    pub(crate) is_demand: bool,
    pub(crate) is_control_plane_independent: bool,
    pub(crate) detect_multiplier: u8,
    pub(crate) min_tx: Duration,
    /// bfd.RemoteMinRxInterval
    pub(crate) min_rx: Duration,
}

impl Default for Remote {
    fn default() -> Self {
        Self {
            discriminator: None,
            state: State::Down,
            diagnostic: Diagnostic::NONE,
            is_demand: false,
            is_control_plane_independent: false,
            detect_multiplier: 0,
            min_tx: Duration::ZERO,
            // RFC 5880 §6.8.1: one microsecond, so that it limits nothing and is not zero.
            min_rx: Duration::from_micros(1),
        }
    }
}

impl From<&Packet> for Remote {
    fn from(packet: &Packet) -> Self {
        Self {
            discriminator: Some(packet.my_discriminator),
            state: packet.state,
            diagnostic: packet.diagnostic,
            is_demand: packet.is_demand,
            is_control_plane_independent: packet.is_control_plane_independent,
            detect_multiplier: packet.detect_multiplier.get(),
            min_tx: packet.desired_min_tx_interval,
            min_rx: packet.required_min_rx_interval,
        }
    }
}

/// The machine. It neither knows its peer's address nor looks at a packet's discriminator: packets that are handed in
/// are its own.
#[derive(Debug)]
pub(crate) struct Session {
    discriminator: Discriminator,
    role: Role,
    state: State,
    diagnostic: Diagnostic,
    remote: Remote,
    negotiation: Negotiation,
    transmission: Transmission,
    /// When the peer was heard last; `None` once a detection time has passed since.
    last_received: Option<Instant>,
    /// While AdminDown: until when the peer is told so.
    told_until: Option<Instant>,
}

impl Session {
    /// A session in state Down. An active one has a packet to send at once. The seed is for jitter.
    pub(crate) fn new(discriminator: Discriminator, config: &Config, seed: u64, now: Instant) -> Self {
        let mut session = Self {
            discriminator,
            role: config.role,
            state: State::Down,
            diagnostic: Diagnostic::NONE,
            remote: Remote::default(),
            negotiation: Negotiation::new(Parameters::from(config)),
            transmission: Transmission::new(seed, now),
            last_received: None,
            told_until: None,
        };
        session.tell(now);
        session
    }

    /// Changes what this side asks for. While Up that takes a poll sequence, and one that is under way is waited for.
    pub(crate) fn set_config(&mut self, config: &Config) {
        self.role = config.role;
        self.negotiation.set_wanted(Parameters::from(config), self.state == State::Up);
    }

    /// RFC 5880 §6.8.16. Nothing if the session is not AdminDown.
    pub(crate) fn enable(&mut self, now: Instant) {
        if self.state == State::AdminDown {
            self.told_until = None;
            self.enter(State::Down, None, now);
        }
    }

    /// RFC 5880 §6.8.16. Tells the peer for a detection time: the longer one of this side's and the peer's as it is from
    /// now on, so that the peer is sent as many packets as it takes to find a path dead. Nothing if already AdminDown.
    pub(crate) fn disable(&mut self, now: Instant) -> Option<Change> {
        if self.state == State::AdminDown {
            return None;
        }
        let change = self.enter(State::AdminDown, Some(Diagnostic::ADMINISTRATIVELY_DOWN), now);
        let at_peer =
            self.transmit_interval() * u32::from(self.negotiation.advertised().detect_multiplier.get());
        self.told_until = Some(now + at_peer.max(self.detection_time()));
        change.then_some(Change::Down(DownCause::Disabled))
    }

    /// Takes a packet of this session's peer, in the order of RFC 5880 §6.8.6. Never looks whether a timer is due: a
    /// packet that was left lying is no silence.
    pub(crate) fn handle_packet(&mut self, packet: &Packet, now: Instant) -> Option<Change> {
        self.remote = Remote::from(packet);
        if packet.is_final {
            self.negotiation.final_received(now);
        } else {
            self.negotiation.plain_received(self.state == State::Up, now);
        }
        self.last_received = Some(now);
        if self.state == State::AdminDown {
            return None;
        }
        let change = next(self.state, packet.state).and_then(|state| self.follow(state, packet, now));
        if packet.is_poll {
            self.transmission.owe_final();
        }
        change
    }

    /// Does what is due. Calling it too early or twice does nothing.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<Change> {
        let mut change = None;
        if self.detection_deadline().is_some_and(|due| due <= now) {
            // RFC 5880 §6.8.1, §6.8.18: the peer's discriminator and interval are forgotten in every state.
            self.last_received = None;
            self.remote = Remote::default();
            self.negotiation.peer_forgotten();
            if matches!(self.state, State::Init | State::Up) {
                let was_up = self.enter(State::Down, Some(Diagnostic::CONTROL_DETECTION_TIME_EXPIRED), now);
                change = was_up.then_some(Change::Down(DownCause::DetectionTimeExpired));
            }
        }
        if self.told_until.is_some_and(|until| until <= now) {
            self.told_until = None;
        }
        if self.next_transmit().is_some_and(|due| due <= now) {
            self.transmission.owe_periodic(now);
        }
        change
    }

    /// The next packet to send, until there is none. It says what holds now, not what held when it fell due.
    pub(crate) fn poll_transmit(&mut self) -> Option<Packet> {
        let is_final = match self.transmission.take()? {
            Kind::Final => true,
            Kind::Regular => false,
        };
        let is_poll = !is_final && self.remote.discriminator.is_some() && self.negotiation.is_polling();
        if is_poll {
            self.negotiation.poll_sent(self.transmission.last());
        }
        let advertised = self.negotiation.advertised();
        Some(Packet {
            diagnostic: self.diagnostic,
            state: self.state,
            is_poll,
            is_final,
            is_control_plane_independent: false,
            is_demand: false,
            detect_multiplier: advertised.detect_multiplier,
            my_discriminator: self.discriminator,
            your_discriminator: self.remote.discriminator,
            desired_min_tx_interval: advertised.desired_min_tx,
            required_min_rx_interval: advertised.required_min_rx,
            required_min_echo_rx_interval: Duration::ZERO,
        })
    }

    /// True if [`poll_transmit`](Self::poll_transmit) would give a packet.
    pub(crate) fn has_transmit(&self) -> bool {
        self.transmission.is_owed()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        [self.next_transmit(), self.detection_deadline(), self.told_until].into_iter().flatten().min()
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn diagnostic(&self) -> Diagnostic {
        self.diagnostic
    }

    pub(crate) fn remote(&self) -> &Remote {
        &self.remote
    }

    /// True if this session is AdminDown and need not tell it any more.
    pub(crate) fn is_over(&self) -> bool {
        self.state == State::AdminDown && self.told_until.is_none()
    }

    /// RFC 5880 §6.8.2: what lies between two packets, before jitter.
    pub(crate) fn transmit_interval(&self) -> Duration {
        self.negotiation.sending().max(self.remote.min_rx)
    }

    /// RFC 5880 §6.8.4, asynchronous mode: how long the peer may be silent. Zero while nothing is known of it.
    pub(crate) fn detection_time(&self) -> Duration {
        self.negotiation.receiving().max(self.remote.min_tx) * u32::from(self.remote.detect_multiplier)
    }

    fn detection_deadline(&self) -> Option<Instant> {
        Some(self.last_received? + self.detection_time())
    }

    fn next_transmit(&self) -> Option<Instant> {
        let multiplier = self.negotiation.advertised().detect_multiplier;
        let due = || self.transmission.due(self.transmit_interval(), multiplier);
        (!self.is_silent()).then(due)
    }

    /// RFC 5880 §6.8.7: the cases in which nothing is sent periodically.
    fn is_silent(&self) -> bool {
        let remote = &self.remote;
        let are_both_up = self.state == State::Up && remote.state == State::Up;
        self.waits_for_peer()
            || remote.min_rx.is_zero()
            || (remote.is_demand && are_both_up && !self.negotiation.is_polling())
            || self.is_over()
    }

    /// RFC 5880 §6.8.7: a passive side that does not know its peer sends nothing at all.
    fn waits_for_peer(&self) -> bool {
        self.role == Role::Passive && self.remote.discriminator.is_none()
    }

    /// RFC 5880 §6.8.6: goes where a packet leads.
    fn follow(&mut self, state: State, packet: &Packet, now: Instant) -> Option<Change> {
        if state != State::Down {
            self.enter(state, None, now);
            return (state == State::Up).then_some(Change::Up);
        }
        let was_up = self.enter(state, Some(Diagnostic::NEIGHBOR_SIGNALED_SESSION_DOWN), now);
        let cause = if packet.state == State::AdminDown {
            DownCause::PeerAdminDown(packet.diagnostic)
        } else {
            DownCause::PeerDown(packet.diagnostic)
        };
        was_up.then_some(Change::Down(cause))
    }

    /// Changes the state, and the diagnostic if there is one, and tells the peer. Returns whether it was Up.
    fn enter(&mut self, state: State, diagnostic: Option<Diagnostic>, now: Instant) -> bool {
        let was_up = self.state == State::Up;
        self.state = state;
        if let Some(diagnostic) = diagnostic {
            self.diagnostic = diagnostic;
        }
        self.negotiation.state_changed(state == State::Up);
        self.tell(now);
        was_up
    }

    /// RFC 5880 §6.8.7: a change of state is sent between two periodic packets.
    fn tell(&mut self, now: Instant) {
        if !self.waits_for_peer() {
            self.transmission.owe_change(now);
        }
    }
}

/// The state machine of RFC 5880 §6.8.6: where a packet with state `received` leads, if anywhere else.
fn next(state: State, received: State) -> Option<State> {
    match (state, received) {
        (State::AdminDown, _)
        | (State::Down, State::AdminDown | State::Up)
        | (State::Init, State::Down)
        | (State::Up, State::Init | State::Up) => None,
        (State::Init | State::Up, State::AdminDown) | (State::Up, State::Down) => Some(State::Down),
        (State::Down, State::Down) => Some(State::Init),
        (State::Down, State::Init) | (State::Init, State::Init | State::Up) => Some(State::Up),
    }
}
