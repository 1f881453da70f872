//! Plays a script to a [`Peer`].
//!
//! The first octet sets the peer up, bit by bit: no dialling, accepts, IPv4 alone, graceful restart, any external AS, a hold time of 3 s,
//! a hold time of 0. Then come steps, an octet each and what it takes; with its highest bit, the connections take no octets at that step.
//!
//! | step modulo 12 | takes | does |
//! |---|---|---|
//! | 0 | connection, length of two octets, octets | these octets come |
//! | 1 | connection, type, length of two octets, octets | a message with a right header comes |
//! | 2 | a number of two octets | as many tenths of a second pass |
//! | 3 | | what is due next falls due |
//! | 4 | connection | it is connected, to an IPv4 address, or an IPv6 one if the connection's number is odd |
//! | 5 | connection | it is closed |
//! | 6 | | the peer opens one |
//! | 7 | kind | the peer is stopped |
//! | 8 | | it is started |
//! | 9 | | BFD is down |
//! | 10 | a prefix | it is announced, or no longer |
//! | 11 | | all routes are there |

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;

use crate::attributes::Attributes;
use crate::peer::{GracefulRestart, RemoteAs, TRANSMIT_MAX_LEN};
use crate::values::{Asn, HoldTime, PerFamily, RouterId};
use crate::wire::{Framer, HEADER_LEN, MESSAGE_MAX_LEN, MessageType, Reader};
use crate::{Action, Config, ConnectionId, Event, Peer, State, Stop};

/// Of each thing that is asked for after a step, more than any step may bring.
const ENOUGH: usize = 64;
/// One that we dialled, one that the peer has opened, and one that stands.
const CONNECTIONS_MAX: usize = 3;
/// Longer than all that a peer holds in words: a message half received on each connection, and the few routes of a script.
const WORDS_MAX: usize = 128 * 1024;

pub(super) fn play(script: &[u8], now: Instant) {
    let mut reader = Reader::new(script);
    let Ok(settings) = reader.u8() else { return };
    let mut machine = Machine::new(settings, now);
    while let Ok(step) = reader.u8() {
        if machine.step(step % 0x80 % 12, &mut reader).is_none() {
            break;
        }
        machine.act();
        machine.hear();
        if step < 0x80 {
            machine.transmit();
        }
        machine.check();
    }
    assert!(format!("{:?}", machine.peer).len() < WORDS_MAX);
}

struct Machine {
    peer: Peer,
    dials: bool,
    now: Instant,
    running: bool,
    established: bool,
    /// Connections that are not closed, each with what was sent on it.
    connections: BTreeMap<ConnectionId, Sent>,
    octets_received: u64,
}

#[derive(Default)]
struct Sent {
    framer: Framer,
    messages: usize,
}

impl Machine {
    fn new(settings: u8, now: Instant) -> Self {
        let is_set = |bit: u8| settings & 1 << bit != 0;
        let number = |number| Asn::new(number).expect("it is not 0");
        let remote = if is_set(4) { RemoteAs::External } else { RemoteAs::Number(number(65_002)) };
        let identifier = RouterId::new(Ipv4Addr::new(192, 0, 2, 1)).expect("it is not 0.0.0.0");
        let mut config = Config::new(number(65_001), remote, identifier);
        (config.dial, config.accept) = (!is_set(0), is_set(1));
        config.families = PerFamily { ipv4: true, ipv6: !is_set(2) };
        config.graceful_restart = is_set(3).then_some(GracefulRestart {
            restart_time: Duration::from_secs(120),
            over_notification: true,
            over_bfd_down: true,
            restarting: true,
        });
        let hold_time = [90, 3, 0, 0][usize::from(settings >> 5 & 3)];
        config.hold_time = HoldTime::from_secs(hold_time).expect("none of these is 1 or 2");
        let mut peer = Peer::new(config, u64::from(settings));
        peer.start(now);
        let mut machine = Self {
            peer,
            dials: !is_set(0),
            now,
            running: true,
            established: false,
            connections: BTreeMap::new(),
            octets_received: 0,
        };
        machine.act();
        machine
    }

    fn step(&mut self, step: u8, script: &mut Reader<'_>) -> Option<()> {
        match step {
            0 | 1 => self.receive(step == 1, script)?,
            2 => {
                self.now += Duration::from_millis(100) * u32::from(script.u16().ok()?);
                self.pass();
            }
            3 => {
                self.now = self.peer.poll_timeout().map_or(self.now, |due| due.max(self.now));
                self.pass();
            }
            4 => {
                let number = script.u8().ok()?;
                if let Some(id) = self.connection(number) {
                    self.peer.handle_connected(id, local(number % 2 == 1), self.now);
                }
            }
            5 => {
                if let Some(id) = self.connection(script.u8().ok()?) {
                    self.connections.remove(&id);
                    self.peer.handle_closed(id, self.now);
                }
            }
            6 => {
                let accepted = self.peer.accept(local(false), self.now);
                self.connections.extend(accepted.map(|id| (id, Sent::default())));
            }
            7 => self.stop(script.u8().ok()?),
            8 => {
                self.running = true;
                self.peer.start(self.now);
            }
            9 => self.peer.handle_bfd_down(self.now),
            10 => self.change(script.u8().ok()?),
            _ => self.peer.set_routes_complete(),
        }
        Some(())
    }

    /// One of the connections that are not closed.
    fn connection(&self, number: u8) -> Option<ConnectionId> {
        self.connections.keys().nth(usize::from(number) % self.connections.len().max(1)).copied()
    }

    fn receive(&mut self, framed: bool, script: &mut Reader<'_>) -> Option<()> {
        let id = self.connection(script.u8().ok()?);
        let message_type = if framed { script.u8().ok()? } else { 0 };
        let length = usize::from(script.u16().ok()?).min(script.rest().len());
        let body =
            script.slice(if framed { length.min(MESSAGE_MAX_LEN - HEADER_LEN) } else { length }).ok()?;
        let mut octets = Vec::new();
        if framed {
            octets.extend([0xff; 16]);
            octets.extend(((HEADER_LEN + body.len()) as u16).to_be_bytes());
            octets.push(message_type);
        }
        octets.extend(body);
        if let Some(id) = id {
            self.octets_received += octets.len() as u64;
            self.peer.handle_input(id, &octets, self.now);
        }
        Some(())
    }

    /// Nothing that was due is due still.
    fn pass(&mut self) {
        self.peer.handle_timeout(self.now);
        assert!(self.peer.poll_timeout().is_none_or(|due| due > self.now));
    }

    fn stop(&mut self, kind: u8) {
        let stop = match kind % 4 {
            0 => Stop::Shutdown { text: "x".repeat(300) },
            1 => Stop::Deconfigured,
            2 => Stop::Reset { text: String::new() },
            _ => Stop::Restart,
        };
        self.running &= matches!(stop, Stop::Reset { .. });
        self.peer.stop(&stop, self.now);
    }

    fn change(&mut self, number: u8) {
        let host = number % 8;
        let address = if number & 0x10 == 0 {
            IpAddr::from(Ipv4Addr::new(198, 51, 100, host))
        } else {
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host.into()).into()
        };
        let attributes = (number & 0x20 == 0).then(|| Arc::new(Attributes::default()));
        self.peer.change_routes([(IpNet::from(address), attributes)]);
    }

    /// Only connections that are there are closed, with at most one NOTIFICATION.
    fn act(&mut self) {
        for _ in 0..ENOUGH {
            match self.peer.poll_action() {
                None => return,
                Some(Action::Connect(id)) => {
                    assert!(self.connections.insert(id, Sent::default()).is_none());
                }
                Some(Action::Close { connection, notification }) => {
                    assert!(self.connections.remove(&connection).is_some());
                    if let Some(octets) = notification {
                        let types = Sent::default().take(&octets);
                        assert_eq!(types, [MessageType::Notification]);
                    }
                }
            }
        }
        panic!("it asks for more and more");
    }

    /// A session comes and goes, and nothing fails while it stands.
    fn hear(&mut self) {
        for _ in 0..ENOUGH {
            match self.peer.poll_event() {
                None => return,
                Some(Event::Established(_)) => {
                    assert!(!self.established);
                    self.established = true;
                }
                Some(Event::Down(_)) => {
                    assert!(self.established);
                    self.established = false;
                }
                Some(Event::Failed(_)) => assert!(!self.established),
                Some(Event::EndOfRibSent(_)) => {}
            }
        }
        panic!("it has more and more to tell");
    }

    /// An OPEN comes first and once, a route on the connection of the session alone.
    fn transmit(&mut self) {
        let session = self.peer.session().map(|session| session.connection);
        for (id, sent) in &mut self.connections {
            let mut polls = 0;
            while let Some(octets) = self.peer.poll_transmit(*id) {
                polls += 1;
                assert!(polls < ENOUGH && octets.len() <= TRANSMIT_MAX_LEN);
                for message_type in sent.take(&octets) {
                    assert_eq!(message_type == MessageType::Open, sent.messages == 0);
                    assert!(message_type != MessageType::Update || session == Some(*id));
                    sent.messages += 1;
                }
            }
            assert!(!self.peer.wants_transmit(*id));
        }
        // A full table is told, too.
        self.hear();
    }

    /// The state goes with the connections that there are, a stopped peer rests, and one that runs never waits for nothing.
    fn check(&self) {
        let state = self.peer.state();
        assert!(self.connections.len() <= CONNECTIONS_MAX);
        assert_eq!(state >= State::Connect, !self.connections.is_empty(), "{state:?}");
        assert_eq!(state == State::Established, self.established);
        let session = self.peer.session();
        assert_eq!(session.is_some(), self.established);
        assert!(session.is_none_or(|session| self.connections.contains_key(&session.connection)));
        let due = self.peer.poll_timeout();
        if self.running {
            assert!(!self.connections.is_empty() || due.is_some() || !self.dials, "{state:?}");
        } else {
            assert_eq!((state, due), (State::Idle, None));
        }
        let counters = self.peer.counters();
        assert!(counters.received_announced + counters.received_withdrawn <= self.octets_received);
    }
}

impl Sent {
    /// The types of the messages in some octets, which hold whole ones.
    fn take(&mut self, mut octets: &[u8]) -> Vec<MessageType> {
        let mut types = Vec::new();
        while let Some((message_type, message)) =
            self.framer.next(&mut octets).expect("its headers are right")
        {
            types.push(message_type);
            self.framer.give_back(message);
        }
        assert!(!types.is_empty());
        types
    }
}

fn local(is_ipv6: bool) -> IpAddr {
    if is_ipv6 {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()
    } else {
        Ipv4Addr::new(192, 0, 2, 1).into()
    }
}
