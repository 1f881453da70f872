//! One session against a peer that the test plays, packet by packet.

use std::num::{NonZeroU8, NonZeroU32};

use super::*;

mod admin;
mod detection;
mod poll;
mod table;
mod transmit;

const LOCAL: Discriminator = Discriminator(NonZeroU32::new(0x0a0a_0a0a).unwrap());
const REMOTE: Discriminator = Discriminator(NonZeroU32::new(0x0b0b_0b0b).unwrap());

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a virtual clock needs some instant to count from")]
    Instant::now()
}

fn multiplier(multiplier: u8) -> NonZeroU8 {
    NonZeroU8::new(multiplier).unwrap()
}

fn config(interval_millis: u64) -> Config {
    let interval = millis(interval_millis);
    Config { receive_interval: interval, transmit_interval: interval, ..Config::default() }
}

fn passive() -> Config {
    Config { role: Role::Passive, ..Config::default() }
}

/// A packet of a peer that knows this side: 300 ms both ways, multiplier 3.
fn packet(state: State) -> Packet {
    Packet {
        diagnostic: Diagnostic::NONE,
        state,
        is_poll: false,
        is_final: false,
        is_control_plane_independent: false,
        is_demand: false,
        detect_multiplier: multiplier(3),
        my_discriminator: REMOTE,
        your_discriminator: Some(LOCAL),
        desired_min_tx_interval: millis(300),
        required_min_rx_interval: millis(300),
        required_min_echo_rx_interval: Duration::ZERO,
    }
}

fn poll(state: State) -> Packet {
    Packet { is_poll: true, ..packet(state) }
}

fn final_answer(state: State) -> Packet {
    Packet { is_final: true, ..packet(state) }
}

/// A session and the time.
struct Bench {
    session: Session,
    now: Instant,
}

impl Bench {
    /// What a new session owes is taken.
    fn new(config: &Config) -> Self {
        let now = start();
        let mut bench = Self { session: Session::new(LOCAL, config, 1, now), now };
        bench.drain();
        bench
    }

    /// In the state, as a handshake leads there; nothing is owed, and no poll is out.
    fn in_state(state: State, config: &Config) -> Self {
        let mut bench = Self::new(config);
        match state {
            State::AdminDown => {
                bench.session.disable(bench.now);
            }
            State::Down => {}
            State::Init => {
                bench.receive(&packet(State::Down));
            }
            State::Up => {
                bench.receive(&packet(State::Init));
                bench.finish_poll();
            }
        }
        bench.drain();
        assert_eq!(bench.session.state(), state);
        bench
    }

    fn up() -> Self {
        Self::in_state(State::Up, &Config::default())
    }

    fn receive(&mut self, packet: &Packet) -> Option<Change> {
        self.session.handle_packet(packet, self.now)
    }

    /// Answers the poll that is under way, at once, and shows that no further answers come.
    fn finish_poll(&mut self) {
        assert!(self.drain().iter().any(|packet| packet.is_poll), "a poll is under way");
        self.receive(&final_answer(State::Up));
        self.receive(&packet(State::Up));
    }

    fn drain(&mut self) -> Vec<Packet> {
        std::iter::from_fn(|| self.session.poll_transmit()).collect()
    }

    /// Lets time pass, and everything happen when it is due; what was sent, and when.
    fn pass(&mut self, time: Duration) -> Vec<(Instant, Packet)> {
        let until = self.now + time;
        let mut sent = Vec::new();
        while let Some(due) = self.session.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.session.handle_timeout(self.now);
            sent.extend(self.drain().into_iter().map(|packet| (self.now, packet)));
        }
        self.now = until;
        sent
    }

    /// The same, with a packet of the peer each 100 ms.
    fn pass_hearing(&mut self, time: Duration, heard: &Packet) -> Vec<(Instant, Packet)> {
        let until = self.now + time;
        let mut sent = Vec::new();
        while self.now < until {
            sent.extend(self.pass(millis(100)));
            self.receive(heard);
            sent.extend(self.drain().into_iter().map(|packet| (self.now, packet)));
        }
        sent
    }
}
