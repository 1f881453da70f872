//! Two peers and the network between them, with a virtual clock. A run with the same seed is the same run.
//!
//! TCP loses nothing, but all else is permitted: octets come in any pieces and at any time, a socket takes nothing for a
//! while, a connection breaks at any octet, a node starts anew.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;

use super::receiver::{Receiver, Seen};
use crate::attributes::Attributes;
use crate::random::Random;
use crate::{Action, Config, ConnectionId, Event, Peer, Stop};

pub(crate) struct Sim {
    pub(crate) now: Instant,
    nodes: [Node; 2],
    links: Vec<Link>,
    agenda: BinaryHeap<Reverse<(Instant, u64, Due)>>,
    planned: u64,
    random: Random,
}

struct Node {
    config: Config,
    address: IpAddr,
    peer: Peer,
    wanted: BTreeMap<IpNet, Arc<Attributes>>,
    /// Sockets take nothing before.
    blocked_until: Instant,
}

/// A TCP connection, or an attempt at one.
struct Link {
    dialer: usize,
    /// What the nodes call it; `None` for one that has not heard of it or has closed it.
    ids: [Option<ConnectionId>; 2],
    ends: [End; 2],
}

/// What is under way to one side, and what it has received.
#[derive(Default)]
struct End {
    pieces: VecDeque<Piece>,
    last: Option<Instant>,
    receiver: Receiver,
}

enum Piece {
    Octets(Vec<u8>),
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// The dialer's first packet arrives.
    Dialed(usize),
    /// The other's answer arrives.
    Answered(usize),
    /// The next piece arrives at this side of this link.
    Piece(usize, usize),
    Unblocked,
}

impl Sim {
    pub(crate) fn new(configs: [Config; 2], seed: u64, now: Instant) -> Self {
        let mut random = Random::new(seed);
        let mut node = 0;
        let nodes = configs.map(|config| {
            node += 1;
            Node {
                peer: Peer::new(config.clone(), random.draw()),
                config,
                address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, node)),
                wanted: BTreeMap::new(),
                blocked_until: now,
            }
        });
        let mut sim = Self { now, nodes, links: Vec::new(), agenda: BinaryHeap::new(), planned: 0, random };
        for node in &mut sim.nodes {
            node.peer.set_routes_complete();
            node.peer.start(now);
        }
        sim.drive();
        sim
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        let mut steps = 0;
        loop {
            steps += 1;
            assert!(steps < 200_000, "the machines do not come to rest");
            let timer = self.nodes.iter().filter_map(|node| node.peer.poll_timeout()).min();
            let arrival = self.agenda.peek().map(|Reverse((at, ..))| *at);
            let Some(next) = timer.into_iter().chain(arrival).min().filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            // Octets before time, as a driver has it.
            if arrival.is_some_and(|arrival| arrival <= self.now)
                && let Some(Reverse((_, _, due))) = self.agenda.pop()
            {
                self.arrive(due);
            } else {
                for node in &mut self.nodes {
                    node.peer.handle_timeout(self.now);
                }
            }
            self.drive();
        }
        self.now = end;
    }

    pub(crate) fn change(&mut self, node: usize, prefix: IpNet, attributes: Option<Arc<Attributes>>) {
        let node = &mut self.nodes[node];
        match attributes.clone() {
            Some(attributes) => drop(node.wanted.insert(prefix, attributes)),
            None => drop(node.wanted.remove(&prefix)),
        }
        node.peer.change_routes([(prefix, attributes)]);
        self.drive();
    }

    /// All connections break. Of what is under way, only a part arrives.
    pub(crate) fn reset_links(&mut self) {
        for link in 0..self.links.len() {
            for side in 0..2 {
                let Some(id) = self.links[link].ids[side] else { continue };
                let mut keep = self.random.draw() as usize % 200;
                while let Some(Piece::Octets(octets)) = self.links[link].ends[side].pieces.pop_front() {
                    let taken = octets.len().min(keep);
                    keep -= taken;
                    self.receive(link, side, &octets[..taken]);
                }
                self.nodes[side].peer.handle_closed(id, self.now);
            }
            self.links[link].ids = [None, None];
        }
        self.drive();
    }

    /// The node's sockets take nothing for a while.
    pub(crate) fn block(&mut self, node: usize, duration: Duration) {
        let until = self.now + duration;
        self.nodes[node].blocked_until = self.nodes[node].blocked_until.max(until);
        self.plan(until, Due::Unblocked);
    }

    /// The speaker of a node dies and starts anew; its kernel closes the connections.
    pub(crate) fn restart(&mut self, node: usize) {
        let seed = self.random.draw();
        for link in 0..self.links.len() {
            if self.links[link].ids[node].take().is_some() {
                self.send(link, 1 - node, Piece::Closed);
            }
        }
        let node = &mut self.nodes[node];
        if let Some(restart) = &mut node.config.graceful_restart {
            restart.restarting = true;
        }
        node.peer = Peer::new(node.config.clone(), seed);
        node.peer.start(self.now);
        node.peer.change_routes(
            node.wanted.iter().map(|(prefix, attributes)| (*prefix, Some(Arc::clone(attributes)))),
        );
        node.peer.set_routes_complete();
        self.drive();
    }

    pub(crate) fn reset(&mut self, node: usize) {
        self.nodes[node].peer.stop(&Stop::Reset { text: "again".to_owned() }, self.now);
        self.drive();
    }

    pub(crate) fn bfd_down(&mut self, node: usize) {
        self.nodes[node].peer.handle_bfd_down(self.now);
        self.drive();
    }

    /// Both stand on one connection, and each knows what the other wants it to.
    pub(crate) fn check_quiet(&self) {
        let open: Vec<_> = self.links.iter().filter(|link| link.ids.iter().any(Option::is_some)).collect();
        let [link] = open[..] else { panic!("{} connections are open", open.len()) };
        for (side, node) in self.nodes.iter().enumerate() {
            let standing = node.peer.session().map(|session| session.connection);
            assert!(standing.is_some() && standing == link.ids[side], "{side}: {:?}", node.peer.state());
            let other = &self.nodes[1 - side];
            let end = &link.ends[side];
            let ipv6 = other.config.next_hops.ipv6.map(IpAddr::V6);
            let expected: BTreeMap<IpNet, Seen> = other
                .wanted
                .iter()
                .map(|(prefix, attributes)| {
                    let next_hop = if prefix.addr().is_ipv4() { Some(other.address) } else { ipv6 };
                    (*prefix, Seen::expected(attributes, other.config.local_as.get(), next_hop.unwrap()))
                })
                .collect();
            assert_eq!(end.receiver.routes, expected, "what {side} knows");
            assert_eq!((end.receiver.ended.ipv4, end.receiver.ended.ipv6), (1, 1));
        }
    }

    fn plan(&mut self, at: Instant, due: Due) {
        self.planned += 1;
        self.agenda.push(Reverse((at, self.planned, due)));
    }

    fn delay(&mut self) -> Duration {
        // Mostly a network, sometimes a retransmission.
        let late = self.random.draw().is_multiple_of(20);
        Duration::from_micros(100 + self.random.draw() % if late { 900_000 } else { 20_000 })
    }

    fn arrive(&mut self, due: Due) {
        match due {
            Due::Unblocked => {}
            Due::Dialed(link) => {
                let side = 1 - self.links[link].dialer;
                let node = &mut self.nodes[side];
                self.links[link].ids[side] = node.peer.accept(node.address, self.now);
                let at = self.now + self.delay();
                self.plan(at, Due::Answered(link));
            }
            Due::Answered(link) => {
                let side = self.links[link].dialer;
                let Some(id) = self.links[link].ids[side] else { return };
                let node = &mut self.nodes[side];
                // Pieces that overtook the answer wait in the kernel; here they are planned behind it.
                if self.links[link].ids[1 - side].is_some() || !self.links[link].ends[side].pieces.is_empty()
                {
                    node.peer.handle_connected(id, node.address, self.now);
                } else {
                    self.links[link].ids[side] = None;
                    node.peer.handle_closed(id, self.now);
                }
            }
            Due::Piece(link, side) => match self.links[link].ends[side].pieces.pop_front() {
                Some(Piece::Octets(octets)) => self.receive(link, side, &octets),
                Some(Piece::Closed) => {
                    if let Some(id) = self.links[link].ids[side].take() {
                        self.nodes[side].peer.handle_closed(id, self.now);
                    }
                }
                None => {}
            },
        }
    }

    fn receive(&mut self, link: usize, side: usize, octets: &[u8]) {
        if let Some(id) = self.links[link].ids[side] {
            self.links[link].ends[side].receiver.take(octets);
            self.nodes[side].peer.handle_input(id, octets, self.now);
        }
    }

    /// What both drivers do after anything has happened.
    fn drive(&mut self) {
        for side in 0..2 {
            while let Some(action) = self.nodes[side].peer.poll_action() {
                self.act(side, action);
            }
            while let Some(event) = self.nodes[side].peer.poll_event() {
                if let Event::Down(reason) | Event::Failed(reason) = event {
                    assert!(!reason.to_string().is_empty());
                }
            }
            if self.nodes[side].blocked_until > self.now {
                continue;
            }
            for link in 0..self.links.len() {
                let Some(id) = self.links[link].ids[side] else { continue };
                while let Some(octets) = self.nodes[side].peer.poll_transmit(id) {
                    self.send(link, 1 - side, Piece::Octets(octets));
                }
            }
        }
    }

    fn act(&mut self, side: usize, action: Action) {
        match action {
            Action::Connect(id) => {
                let mut ids = [None, None];
                ids[side] = Some(id);
                self.links.push(Link { dialer: side, ids, ends: Default::default() });
                let at = self.now + self.delay();
                self.plan(at, Due::Dialed(self.links.len() - 1));
            }
            Action::Close { connection, notification } => {
                let known = self.links.iter().position(|link| link.ids[side] == Some(connection));
                let Some(link) = known else { return };
                self.links[link].ids[side] = None;
                if let Some(octets) = notification {
                    self.send(link, 1 - side, Piece::Octets(octets));
                }
                self.send(link, 1 - side, Piece::Closed);
            }
        }
    }

    /// Puts octets on the way, in pieces that arrive in order, but not before the connection's answer can have.
    fn send(&mut self, link: usize, to: usize, piece: Piece) {
        let mut pieces = VecDeque::new();
        match piece {
            Piece::Closed => pieces.push_back(Piece::Closed),
            Piece::Octets(octets) => {
                let mut rest = &octets[..];
                while !rest.is_empty() {
                    let (head, tail) = rest.split_at(1 + self.random.draw() as usize % rest.len().min(3_000));
                    pieces.push_back(Piece::Octets(head.to_vec()));
                    rest = tail;
                }
            }
        }
        for piece in pieces {
            let earliest = self.links[link].ends[to].last.unwrap_or(self.now + Duration::from_secs(1));
            let at = earliest.max(self.now + self.delay());
            let end = &mut self.links[link].ends[to];
            end.last = Some(at);
            end.pieces.push_back(piece);
            self.plan(at, Due::Piece(link, to));
        }
    }
}
