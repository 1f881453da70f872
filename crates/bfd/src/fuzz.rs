//! What holds for whatever octets come in. Each function takes any octets and panics if it does not hold: the fuzz targets of the folder
//! `fuzz` call them, and the tests here with its corpora. Compiled for these two alone.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU8;
use std::time::{Duration, Instant};

use crate::packet::PACKET_LEN;
use crate::{
    ClientId, Config, Datagram, Discriminator, Event, Hops, IfIndex, Packet, Peer, Role, Sessions, TTL,
};

/// Of each thing that is asked for after a step, more than any step may bring.
const ENOUGH: usize = 64;
/// Longer than all that four sessions hold in words.
const WORDS_MAX: usize = 32 * 1024;

/// A payload that is read is written again as it came, but for its length: without what may follow a packet.
pub fn packet(payload: &[u8]) {
    let Ok(packet) = Packet::decode(payload) else { return };
    let mut expected = [0; PACKET_LEN];
    expected.copy_from_slice(&payload[..PACKET_LEN]);
    expected[3] = PACKET_LEN as u8;
    assert_eq!(packet.encode(), expected);
    assert_eq!(Packet::decode(&expected), Ok(packet));
}

/// Sessions that get any datagrams live, send no storm and do not grow. The octets are a script of steps, an octet each and what it takes:
///
/// | step modulo 6 | takes | does |
/// |---|---|---|
/// | 0 | peer, interval, multiplier | a session is asked for |
/// | 1 | peer | it is released |
/// | 2 | peer | it is switched off, or on if the peer's number is odd |
/// | 3 | peer, TTL, length, octets | a datagram comes |
/// | 4 | peer, TTL, length, octets | the same, with the discriminator that the peer should know |
/// | 5 | tenths of a second | time passes |
pub fn sessions(script: &[u8], now: Instant) {
    let mut bench = Bench { sessions: Sessions::new(1), now, asked: BTreeMap::new(), up: BTreeMap::new() };
    let mut script = script;
    while let Some(step) = script.split_off_first() {
        if bench.step(step % 6, &mut script).is_none() {
            break;
        }
        bench.settle();
    }
    assert!(format!("{:?}", bench.sessions).len() < WORDS_MAX);
}

struct Bench {
    sessions: Sessions,
    now: Instant,
    /// Sessions that somebody has asked for.
    asked: BTreeMap<Peer, Discriminator>,
    /// What clients were told last.
    up: BTreeMap<Discriminator, bool>,
}

impl Bench {
    fn step(&mut self, step: u8, script: &mut &[u8]) -> Option<()> {
        let number = *script.split_off_first()?;
        let peer = peer(number);
        match step {
            0 => {
                let interval = Duration::from_millis(u64::from(*script.split_off_first()?) * 10);
                let config = Config {
                    receive_interval: interval,
                    transmit_interval: interval,
                    detect_multiplier: NonZeroU8::new(*script.split_off_first()?)?,
                    role: if number & 0x10 == 0 { Role::Active } else { Role::Passive },
                    minimum_ttl: 250,
                };
                if let Ok(session) = self.sessions.acquire(peer, ClientId(1), config, self.now) {
                    self.asked.insert(peer, session);
                }
            }
            1 => {
                if let Some(session) = self.asked.remove(&peer) {
                    self.sessions.release(session, ClientId(1), self.now);
                    // Nobody is left who was told anything.
                    self.up.remove(&session);
                }
            }
            2 => {
                if let Some(session) = self.sessions.session(&peer) {
                    self.sessions.set_enabled(session, number % 2 == 1, self.now);
                }
            }
            3 | 4 => {
                let ttl = TTL - *script.split_off_first()? % 8;
                let length = usize::from(*script.split_off_first()?).min(script.len());
                let mut payload = script.split_off(..length)?.to_vec();
                if let (4, Some(session), Some(field)) =
                    (step, self.sessions.session(&peer), payload.get_mut(8..12))
                {
                    field.copy_from_slice(&session.0.get().to_be_bytes());
                }
                let (source, hops) = (peer.address, peer.hops);
                let datagram = Datagram { payload: &payload, source, interface: IfIndex(2), hops, ttl };
                let _counted = self.sessions.handle_input(&datagram, self.now);
            }
            _ => {
                self.now += Duration::from_millis(100) * u32::from(number);
                self.sessions.handle_timeout(self.now);
            }
        }
        Some(())
    }

    /// What is sent is read, events take turns, and nothing is due once it is done.
    fn settle(&mut self) {
        for sent in 0.. {
            let Some(transmit) = self.sessions.poll_transmit() else { break };
            assert!(sent < ENOUGH && Packet::decode(&transmit.payload).is_ok());
        }
        for told in 0.. {
            let Some(event) = self.sessions.poll_event() else { break };
            let (session, is_up) = match event {
                Event::Up { session, .. } => (session, true),
                Event::Down { session, .. } => (session, false),
            };
            assert!(told < ENOUGH);
            assert_eq!(self.up.insert(session, is_up).unwrap_or_default(), !is_up);
        }
        for round in 0.. {
            self.sessions.handle_timeout(self.now);
            while self.sessions.poll_transmit().is_some() {}
            if self.sessions.poll_timeout().is_none_or(|due| due > self.now) {
                break;
            }
            assert!(round < ENOUGH, "something is always due");
        }
        assert!(self.sessions.iter().count() <= 4);
    }
}

/// One of four, two of which are several hops away.
fn peer(number: u8) -> Peer {
    let hops = if number & 2 == 0 { Hops::Single } else { Hops::Multi };
    Peer { address: IpAddr::from(Ipv4Addr::new(192, 0, 2, number & 3)), interface: None, hops }
}

#[cfg(test)]
mod tests {
    use keryx_fuzz_replay::replay;

    use super::*;

    #[test]
    fn the_corpus_of_packets_holds() {
        replay("bfd_packet", packet);
    }

    #[test]
    fn the_corpus_of_sessions_holds() {
        #[expect(clippy::disallowed_methods, reason = "a virtual clock needs some instant to count from")]
        let now = Instant::now();
        replay("bfd_sessions", |script| sessions(script, now));
    }
}
