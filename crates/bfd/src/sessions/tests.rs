//! The set of sessions: how datagrams find theirs, who shares them, and two sets over a link with faults.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU8;
use std::time::Duration;

use super::*;
use crate::event::DownCause;
use crate::packet::{Diagnostic, Packet, State};
use crate::peer::{Datagram, Hops, IfIndex};

mod histories;
mod hostile;
mod input;
mod link;
mod link_rules;
mod sharing;

const ETH0: IfIndex = IfIndex(2);
const ETH1: IfIndex = IfIndex(3);
const CLIENT: ClientId = ClientId(1);
const OTHER: ClientId = ClientId(2);
const REMOTE: Discriminator = Discriminator(NonZeroU32::new(0x0b0b_0b0b).unwrap());

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a virtual clock needs some instant to count from")]
    Instant::now()
}

fn address(host: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, host).into()
}

fn single(host: u8) -> Peer {
    Peer { address: address(host), interface: None, hops: Hops::Single }
}

fn multi(host: u8) -> Peer {
    Peer { hops: Hops::Multi, ..single(host) }
}

fn config(interval_millis: u64) -> Config {
    let interval = millis(interval_millis);
    Config { receive_interval: interval, transmit_interval: interval, ..Config::default() }
}

/// A packet of a peer, to the session if one is given.
fn packet(state: State, your_discriminator: Option<Discriminator>) -> Packet {
    Packet {
        diagnostic: Diagnostic::NONE,
        state,
        is_poll: false,
        is_final: false,
        is_control_plane_independent: false,
        is_demand: false,
        detect_multiplier: NonZeroU8::new(3).unwrap(),
        my_discriminator: REMOTE,
        your_discriminator,
        desired_min_tx_interval: millis(300),
        required_min_rx_interval: millis(300),
        required_min_echo_rx_interval: Duration::ZERO,
    }
}

/// Over one hop, as from the link, through the first interface.
fn datagram(payload: &[u8], host: u8) -> Datagram<'_> {
    Datagram { payload, source: address(host), interface: ETH0, hops: Hops::Single, ttl: 255 }
}

/// Sessions, the time, and a peer that the test plays.
struct Bench {
    sessions: Sessions,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self { sessions: Sessions::new(1), now: start() }
    }

    fn acquire(&mut self, peer: Peer, client: ClientId, config: Config) -> Discriminator {
        self.sessions.acquire(peer, client, config, self.now).unwrap()
    }

    /// A session with a peer over one hop, which is Up; nothing is owed and all is told.
    fn up(&mut self, host: u8) -> Discriminator {
        let session = self.acquire(single(host), CLIENT, Config::default());
        self.receive(packet(State::Init, Some(session)), host).unwrap();
        self.drain();
        assert_eq!(self.sessions.poll_event(), Some(Event::Up { session, peer: single(host) }));
        session
    }

    fn receive(&mut self, packet: Packet, host: u8) -> Result<(), crate::Discard> {
        self.sessions.handle_input(&datagram(&packet.encode(), host), self.now)
    }

    fn drain(&mut self) -> Vec<(Peer, Packet)> {
        let sent = std::iter::from_fn(|| self.sessions.poll_transmit());
        sent.map(|transmit| (transmit.peer, Packet::decode(&transmit.payload).unwrap())).collect()
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.sessions.poll_event()).collect()
    }

    fn state(&self, session: Discriminator) -> State {
        self.sessions.status(session).unwrap().state
    }

    /// Lets time pass and everything happen when it is due; what was sent.
    fn pass(&mut self, time: Duration) -> Vec<(Peer, Packet)> {
        let until = self.now + time;
        let mut sent = Vec::new();
        while let Some(due) = self.sessions.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.sessions.handle_timeout(self.now);
            sent.extend(self.drain());
            assert!(self.sessions.poll_timeout().is_none_or(|next| next > self.now), "time moves on");
        }
        self.now = until;
        sent
    }
}
