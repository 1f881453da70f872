//! What holds for whatever frames a segment carries. Each function takes any octets and panics if it does not hold: the fuzz targets of
//! the folder `fuzz` call them, and the tests here with its corpora. Compiled for these two alone.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::router_discovery::RouterDiscovery;
use crate::wire::arp::{ArpPacket, Operation};
use crate::wire::ndp::{Message, NdpPacket};
use crate::wire::router::{HOP_LIMIT, RouterMessage};
use crate::{Announcer, Check, Config, IfIndex, MacAddr};

/// Of each thing that is asked for after a step, more than any step may bring.
const ENOUGH: usize = 64;
/// Longer than all that an announcer of four addresses holds in words, with the questions that a script can ask.
const WORDS_MAX: usize = 256 * 1024;
/// Steps after which a script asks no more questions.
const QUESTIONS_MAX: usize = 32;
const ETH0: IfIndex = IfIndex(2);
const OWN: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x0a]);

/// A frame that is read is read as the same when it is written again.
pub fn frame(octets: &[u8]) {
    if let Ok(packet) = ArpPacket::parse(octets) {
        assert_eq!(ArpPacket::parse(&packet.emit()), Ok(packet));
    }
    if let Ok(mut packet) = NdpPacket::parse(octets) {
        // Nobody sends both, and only the first is written.
        if let Message::Solicitation { source_mac: Some(_), nonce } = &mut packet.message {
            *nonce = None;
        }
        assert_eq!(NdpPacket::parse(&packet.emit()), Ok(packet));
    }
}

/// A message of a router or to one that is read is read as the same when it is written again; whatever comes, what is due next lies ahead, and a
/// router is only known by its link-local address.
pub fn router_message(octets: &[u8], now: Instant) {
    let sources = [Ipv6Addr::UNSPECIFIED, Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1), Ipv6Addr::LOCALHOST];
    for source in sources {
        if let Ok(message) = RouterMessage::parse(octets, source, HOP_LIMIT) {
            assert_eq!(RouterMessage::parse(&message.emit(), source, HOP_LIMIT), Ok(message));
        }
        let mut discovery = RouterDiscovery::new(OWN, 1, now);
        discovery.handle_input(octets, source, HOP_LIMIT, now);
        assert!(discovery.router().is_none_or(|router| router.is_unicast_link_local()));
        for _ in 0..ENOUGH {
            let due = discovery.poll_timeout();
            discovery.handle_timeout(due);
            while discovery.poll_transmit(due).is_some() {}
            assert!(discovery.poll_timeout() > due, "a storm");
        }
    }
}

/// An announcer that hears any frames lives, answers for its VIPs alone, sends no storm and does not grow. The octets are a script of
/// steps, an octet each and what it takes:
///
/// | step modulo 7 | takes | does |
/// |---|---|---|
/// | 0 | length, octets | a frame comes |
/// | 1 | address, hardware address | an ARP or neighbor discovery message about it comes, whose kind is in the step |
/// | 2 | addresses, one bit each | these are the VIPs |
/// | 3 | address | a station is asked |
/// | 4 | address | the segment is asked |
/// | 5 | address | it is stood in for, or no longer if its number is odd |
/// | 6 | hundredths of a second | time passes |
pub fn announcer(script: &[u8], now: Instant) {
    let mut bench = Bench { announcer: Announcer::new(Config::default()), now, questions: 0 };
    bench.announcer.set_interface(ETH0, OWN, now);
    let mut script = script;
    while let Some(step) = script.split_off_first() {
        let before = bench.announcer.addresses(ETH0);
        if bench.step(*step, &mut script).is_none() {
            break;
        }
        bench.settle(&before);
    }
    assert!(format!("{:?}", bench.announcer).len() < WORDS_MAX);
}

struct Bench {
    announcer: Announcer,
    now: Instant,
    questions: usize,
}

impl Bench {
    fn step(&mut self, step: u8, script: &mut &[u8]) -> Option<()> {
        let number = *script.split_off_first()?;
        let (address, now) = (address(number), self.now);
        match step % 7 {
            0 => {
                let octets = script.split_off(..usize::from(number).min(script.len()))?;
                self.announcer.handle_input(ETH0, octets, now);
            }
            1 => {
                let mac = MacAddr([2, 0, 0, 0, 0, *script.split_off_first()?]);
                self.announcer.handle_input(ETH0, &message(step / 7, address, mac), now);
            }
            2 => {
                let vips = (0..4).filter(|bit| number & 1 << bit != 0).map(self::address);
                self.announcer.set_vips(ETH0, vips.collect(), now).ok()?;
            }
            3 | 4 if self.questions < QUESTIONS_MAX => {
                self.questions += 1;
                let asked = if step % 7 == 3 {
                    self.announcer.ask_station(ETH0, address, MacAddr([2, 0, 0, 0, 0, 0x0b]), now)
                } else {
                    let check = if number & 0x10 == 0 { Check::Fast } else { Check::Full };
                    self.announcer.check_address(ETH0, address, check, now)
                };
                asked.ok()?;
            }
            3 | 4 => {}
            5 if number % 2 == 1 => self.announcer.end_stand_in(ETH0, address),
            5 => self.announcer.stand_in(ETH0, address, MacAddr([2, 0, 0, 0, 0, 0x0c])).ok()?,
            _ => {
                self.now += Duration::from_millis(10) * u32::from(number);
                self.announcer.handle_timeout(self.now);
            }
        }
        Some(())
    }

    /// What is sent is read, and is about addresses that matter now or did before the step; nothing is due once it is done.
    fn settle(&mut self, before: &BTreeSet<IpAddr>) {
        for round in 0.. {
            self.announcer.handle_timeout(self.now);
            for sent in 0.. {
                let Some(transmit) = self.announcer.poll_transmit() else { break };
                assert!(sent < ENOUGH, "a storm");
                let now = self.announcer.addresses(ETH0);
                let concerns =
                    |about: IpAddr| assert!(now.contains(&about) || before.contains(&about), "{about}");
                if transmit.is_ipv6 {
                    let packet = NdpPacket::parse(&transmit.frame).expect("it is read");
                    concerns(packet.target.into());
                } else {
                    let packet = ArpPacket::parse(&transmit.frame).expect("it is read");
                    let is_reply = packet.operation == Operation::Reply;
                    concerns(if is_reply { packet.sender_ip } else { packet.target_ip }.into());
                }
            }
            for told in 0.. {
                if self.announcer.poll_event().is_none() {
                    break;
                }
                assert!(told < ENOUGH, "more and more to tell");
            }
            if self.announcer.poll_timeout().is_none_or(|due| due > self.now) {
                break;
            }
            assert!(round < ENOUGH, "something is always due");
        }
    }
}

/// One of four, two of each family.
fn address(number: u8) -> IpAddr {
    let host = number & 3;
    if host < 2 {
        Ipv4Addr::new(192, 0, 2, host).into()
    } else {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host.into()).into()
    }
}

/// A well-formed message about an address, of a station or of the node's own hardware address.
fn message(kind: u8, address: IpAddr, mac: MacAddr) -> Vec<u8> {
    let is_answer = kind & 1 != 0;
    let is_probe = kind & 2 != 0;
    match address {
        IpAddr::V4(address) => {
            let stranger = if is_probe { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::new(192, 0, 2, 9) };
            let (sender_ip, target_ip) = if is_answer { (address, stranger) } else { (stranger, address) };
            let operation = if is_answer { Operation::Reply } else { Operation::Request };
            let packet = ArpPacket {
                ethernet_destination: MacAddr::BROADCAST,
                ethernet_source: mac,
                operation,
                sender_mac: mac,
                sender_ip,
                target_mac: if is_answer { OWN } else { MacAddr::ZERO },
                target_ip,
            };
            packet.emit().to_vec()
        }
        IpAddr::V6(target) => {
            let group = crate::wire::ndp::solicited_node_group(target);
            let stranger = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9);
            let message = if is_answer {
                let (is_router, is_solicited, overrides) = (false, false, kind & 4 != 0);
                Message::Advertisement { target_mac: Some(mac), is_router, is_solicited, overrides }
            } else if is_probe {
                Message::Solicitation { source_mac: None, nonce: Some([1, 2, 3, 4, 5, kind]) }
            } else {
                Message::Solicitation { source_mac: Some(mac), nonce: None }
            };
            let packet = NdpPacket {
                ethernet_destination: MacAddr::of_group(group),
                ethernet_source: mac,
                source: if is_probe && !is_answer { Ipv6Addr::UNSPECIFIED } else { stranger },
                destination: group,
                target,
                message,
            };
            packet.emit().to_vec()
        }
    }
}

#[cfg(test)]
mod tests {
    use keryx_fuzz_replay::replay;

    use super::*;

    #[test]
    fn the_corpus_of_frames_holds() {
        replay("layer2_frame", frame);
    }

    #[test]
    fn the_corpus_of_announcers_holds() {
        #[expect(clippy::disallowed_methods, reason = "a virtual clock needs some instant to count from")]
        let now = Instant::now();
        replay("layer2_announcer", |script| announcer(script, now));
    }

    #[test]
    fn the_corpus_of_router_messages_holds() {
        #[expect(clippy::disallowed_methods, reason = "a virtual clock needs some instant to count from")]
        let now = Instant::now();
        replay("layer2_router", |octets| router_message(octets, now));
    }
}
