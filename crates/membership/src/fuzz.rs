//! What holds for whatever datagrams come in, and for whatever a member with the key says. Each function takes any octets and panics if it
//! does not hold: the fuzz targets of the folder `fuzz` call them, and the tests here with its corpora. Compiled for these two alone.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use crate::members::Config;
use crate::seal::{CONTENT_MAX_LEN, Seal};
use crate::wire::Message;
use crate::{DATAGRAM_MAX_LEN, Key, Keys, Members, NodeId, Seed, Timing};

/// Of each thing that is asked for after a step, more than any step may bring.
const ENOUGH: usize = 1_024;
const CLUSTER: &str = "blue";

/// The content of a seal that is read is exactly what is written again.
pub fn content(octets: &[u8]) {
    if let Ok(message) = Message::decode(octets) {
        assert_eq!(message.encode(), octets, "{message:?}");
    }
}

/// A node that gets any datagrams lives, and its timers go on; what nobody has sealed changes nothing and is not answered, and what a member
/// has said before tells nothing new. Two members with the key say anything, and prove their boots. The octets are a script of steps, an octet each and what it takes:
///
/// | step modulo 6 | takes | does |
/// |---|---|---|
/// | 0 | length of two octets, octets | a datagram comes |
/// | 1, 2 | length of two octets, octets | a member says that |
/// | 3 | | what is due next falls due |
/// | 4 | hundredths of a second | time passes |
/// | 5 | | the last datagram of a member comes again |
pub fn members(script: &[u8], now: Instant) {
    let mut bench = Bench::new(now);
    let mut script = script;
    while let Some(step) = script.split_off_first() {
        if bench.step(step % 6, &mut script).is_none() {
            break;
        }
        bench.settle();
    }
}

struct Bench {
    node: Members,
    others: [Seal; 2],
    last: Vec<u8>,
    now: Instant,
}

impl Bench {
    fn new(now: Instant) -> Self {
        let keys = Keys { sending: Key::new([7; 32]), accepted: None };
        let others = [2, 3].map(|node| Seal::new(CLUSTER, NodeId(node), &keys, node));
        let config = Config { cluster: CLUSTER.to_owned(), keys, timing: Timing::default() };
        let mut node = Members::new(config, NodeId(1), 1, now);
        let seeds = [1, 2, 3].map(|node| Seed { node: NodeId(node), addresses: vec![address(node)] });
        node.set_seeds(&seeds, now);
        Self { node, others, last: Vec::new(), now }
    }

    fn step(&mut self, step: u8, script: &mut &[u8]) -> Option<()> {
        match step {
            0 => {
                self.settle();
                let counters = self.node.counters();
                let taken = self.node.handle_input(address(2), slice(script)?, self.now);
                assert!(taken.is_err(), "what nobody has sealed is taken");
                assert!(self.node.poll_transmit().is_none() && self.node.poll_event().is_none());
                assert_eq!(self.node.counters().accepted, counters.accepted);
            }
            1 | 2 => {
                let content = slice(script)?;
                self.say(usize::from(step) - 1, &content[..content.len().min(CONTENT_MAX_LEN)]);
            }
            3 => {
                self.now = self.node.poll_timeout().map_or(self.now, |due| due.max(self.now));
                self.node.handle_timeout(self.now);
            }
            4 => {
                self.now += Duration::from_millis(10) * u32::from(*script.split_off_first()?);
                self.node.handle_timeout(self.now);
            }
            _ => {
                let _counted = self.node.handle_input(address(2), &self.last.clone(), self.now);
                assert!(self.node.poll_event().is_none(), "what came before tells something new");
            }
        }
        Some(())
    }

    fn say(&mut self, member: usize, content: &[u8]) {
        self.last = self.others[member].seal(NodeId(1), content);
        let _counted = self.node.handle_input(address(member as u64 + 2), &self.last.clone(), self.now);
    }

    /// Members answer what asks for proof, and nothing else. The node comes to rest, with nothing due.
    fn settle(&mut self) {
        for round in 0.. {
            let mut challenges = Vec::new();
            while let Some(transmit) = self.node.poll_transmit() {
                assert!(transmit.datagram.len() <= DATAGRAM_MAX_LEN);
                for (member, seal) in self.others.iter_mut().enumerate() {
                    let opened = seal.open(&transmit.datagram, |node| node == NodeId(1));
                    let message = opened.ok().and_then(|opened| Message::decode(&opened.content).ok());
                    if let Some(Message::Challenge { nonce }) = message {
                        challenges.push((member, nonce));
                    }
                }
            }
            for (member, nonce) in &challenges {
                let echo = self.others[*member].seal(NodeId(1), &Message::Echo { nonce: *nonce }.encode());
                let _counted = self.node.handle_input(address(*member as u64 + 2), &echo, self.now);
            }
            while self.node.poll_event().is_some() {}
            self.node.handle_timeout(self.now);
            let is_due = self.node.poll_timeout().is_some_and(|due| due <= self.now);
            if challenges.is_empty() && !is_due {
                break;
            }
            assert!(round < ENOUGH, "something is always due");
        }
        while self.node.poll_transmit().is_some() {}
    }
}

fn slice<'a>(script: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = script.split_first_chunk::<2>()?;
    let (octets, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
    *script = rest;
    Some(octets)
}

fn address(node: u64) -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, node as u8), 7947).into()
}

#[cfg(test)]
mod tests {
    use keryx_fuzz_replay::replay;

    use super::*;

    #[test]
    fn the_corpus_of_contents_holds() {
        replay("membership_content", content);
    }

    #[test]
    fn the_corpus_of_members_holds() {
        #[expect(clippy::disallowed_methods, reason = "a virtual clock needs some instant to count from")]
        let now = Instant::now();
        replay("membership_members", |script| members(script, now));
    }
}
