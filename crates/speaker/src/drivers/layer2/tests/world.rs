//! Three nodes with all of layer 2 but sockets, on a segment and a management network that the test can cut, in virtual
//! time. The machines have tests of their own; here it is about what the driver carries between them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use keryx_api::l2_advertisement::ConflictDetection;
use keryx_api::ledger::OwnerKind;
use keryx_layer2::{Announcer, Config, IfIndex, MacAddr};
use keryx_membership::{GroupId, Key, Keys, Term};
use keryx_netio::link::{Link, Links};
use keryx_plan::{
    Decision, GroupKey, GroupPlan, NodeName, ObjectName, Owner, OwnerKey, Plan, VipPlan, rendezvous,
};

use super::super::machines::{Machines, Seeds, Settings};
use crate::clock;
use crate::metrics::Metrics;
use crate::orders::Orders;

pub(super) const ETH0: u32 = 1;
pub(super) const MANAGEMENT: u32 = 2;
pub(super) const VIPS: [&str; 2] = ["192.0.2.100", "2001:db8::100"];
/// What is random in a story: boot ids, whom a node asks first, when its first heartbeat is due.
pub(super) const SEEDS: u64 = 40;

pub(super) struct Node {
    pub(super) machines: Machines,
    /// Answers for the node's own addresses, whatever its speaker does.
    pub(super) kernel: Announcer,
    pub(super) number: u8,
    /// No frame and no datagram passes its `eth0`.
    pub(super) unplugged: bool,
    /// Nothing comes in there, and what it sends leaves.
    pub(super) deaf: bool,
    /// Nothing that it sends leaves there, and what others send comes in.
    pub(super) mute: bool,
    /// It does not run.
    pub(super) frozen: bool,
    pub(super) carrier: bool,
    /// Frames and datagrams that came in while it was frozen.
    pub(super) waiting: Vec<Waiting>,
}

pub(super) enum Waiting {
    Frame(Vec<u8>),
    Datagram(SocketAddr, Vec<u8>),
}

pub(super) struct World {
    pub(super) seed: u64,
    /// Speakers started so far.
    pub(super) started: u64,
    pub(super) nodes: Vec<Node>,
    pub(super) now: Instant,
    pub(super) gossip_blocked: bool,
    /// A firewall drops it on the segment, and lets it pass on the management network.
    pub(super) gossip_blocked_on_segment: bool,
    /// There is no management network.
    pub(super) one_network: bool,
    /// So many of 100 datagrams are lost.
    pub(super) loss: u64,
    /// So many of 100 frames are, at each station for itself.
    pub(super) frame_loss: u64,
    /// State of the chance by which they are.
    pub(super) chance: u64,
    /// For how long two nodes announced at once, at the longest.
    pub(super) overlap: Duration,
    pub(super) two_since: Option<Instant>,
    /// For how long no node announced that sends and receives, at the longest.
    pub(super) outage: Duration,
    pub(super) none_since: Option<Instant>,
    /// The hardware address by which a client on the segment knows the first VIP: the last that claimed it there.
    pub(super) cached: Option<MacAddr>,
}

pub(super) fn name(number: u8) -> NodeName {
    NodeName::from(&*format!("n{number}"))
}

pub(super) fn links(number: u8, carrier: bool) -> Links {
    let link = |index: u32, name: &str, carrier: bool, addresses: &[String]| Link {
        index,
        name: name.to_owned(),
        mac: Some([2, 0, 0, 0, index as u8, number]),
        up: true,
        carrier,
        broadcast: true,
        noarp: false,
        loopback: false,
        master: None,
        mtu: 1500,
        addresses: addresses.iter().map(|net| net.parse().unwrap()).collect(),
    };
    let eth0 =
        link(ETH0, "eth0", carrier, &[format!("192.0.2.{number}/24"), format!("2001:db8::{number}/64")]);
    let management = link(MANAGEMENT, "mgmt0", true, &[format!("10.0.0.{number}/24")]);
    Arc::new(BTreeMap::from([(ETH0, eth0), (MANAGEMENT, management)]))
}

pub(super) fn orders(number: u8, of: u8) -> Orders {
    let owner = ObjectName::new("shop", "web");
    let group = GroupKey(OwnerKey::Service(owner.clone()));
    let vips = VIPS.map(|vip| vip.parse::<IpAddr>().unwrap());
    let vip_plan = VipPlan {
        owners: [Owner { kind: OwnerKind::Service, name: owner }].into(),
        group: group.clone(),
        decision: Decision::Announce,
        while_holding: Decision::Announce,
        announcer: Some(name(1)),
        interfaces: None,
        conflict_detection: ConflictDetection::Fast,
        bgp: Default::default(),
    };
    let group_plan = GroupPlan {
        id: rendezvous::group_id(&group),
        vips: vips.into(),
        candidates: (1..=of).map(name).collect(),
        unready: [].into(),
        forwards: true,
        lingers: false,
        revert: false,
    };
    let plan = Plan {
        vips: vips.into_iter().map(|vip| (vip, Arc::new(vip_plan.clone()))).collect(),
        groups: [(group, Arc::new(group_plan))].into(),
        ..Plan::default()
    };
    let internal = |number: u8| vec![IpAddr::from([192, 0, 2, number])];
    Orders {
        plan: Arc::new(plan),
        internal_ips: internal(number),
        draining: false,
        nodes: Arc::new((1..=of).map(|number| (name(number), internal(number))).collect()),
    }
}

pub(super) fn machines(number: u8, held: &BTreeMap<GroupId, Term>, seed: u64, now: Instant) -> Machines {
    let settings = Settings { node: name(number), cluster: "test".to_owned(), only: BTreeSet::new() };
    let keys = Keys { sending: Key::new([7; 32]), accepted: None };
    let seeds = Seeds { announcer: seed, members: seed };
    Machines::new(settings, keys, held, Metrics::default(), seeds, now)
}

pub(super) fn kernel(number: u8, now: Instant) -> Announcer {
    let mut kernel = Announcer::new(Config::default());
    kernel.set_interface(IfIndex(ETH0), MacAddr([2, 0, 0, 0, ETH0 as u8, number]), now);
    for own in [IpAddr::from([192, 0, 2, number]), format!("2001:db8::{number}").parse().unwrap()] {
        kernel.announce(IfIndex(ETH0), own, now).unwrap();
    }
    // It announces nothing by itself.
    while kernel.poll_transmit().is_some() {}
    kernel
}

pub(super) fn speaker_seed(seed: u64, speaker: u64) -> u64 {
    seed << 32 | speaker
}

/// Runs a story with many seeds. One that fails prints its own.
pub(super) fn tell(count: u8, gossip_blocked: bool, story: impl Fn(&mut World)) {
    for seed in 1..=SEEDS {
        story(&mut World::start(count, gossip_blocked, seed));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("with seed {}", self.seed);
        }
    }
}

impl World {
    /// So many nodes, which have agreed on who announces.
    pub(super) fn start(count: u8, gossip_blocked: bool, seed: u64) -> Self {
        let now = clock::now();
        let node = |number: u8| {
            let machines = machines(number, &BTreeMap::new(), speaker_seed(seed, number.into()), now);
            let kernel = kernel(number, now);
            Node {
                machines,
                kernel,
                number,
                unplugged: false,
                deaf: false,
                mute: false,
                frozen: false,
                carrier: true,
                waiting: Vec::new(),
            }
        };
        let nodes = (1..=count).map(node).collect();
        let mut world = Self {
            seed,
            started: count.into(),
            nodes,
            now,
            gossip_blocked,
            gossip_blocked_on_segment: false,
            one_network: false,
            loss: 0,
            frame_loss: 0,
            chance: seed,
            overlap: Duration::ZERO,
            two_since: None,
            outage: Duration::ZERO,
            none_since: None,
            cached: None,
        };
        for node in &mut world.nodes {
            node.machines.follow(&orders(node.number, count), &links(node.number, true), now);
        }
        world.run(Duration::from_secs(3));
        assert_eq!(world.announcers().len(), 1);
        world.outage = Duration::ZERO;
        world
    }

    /// The nodes that answer a client: they announce, and are reached and heard by it.
    pub(super) fn answerers(&self) -> Vec<usize> {
        let answers = |place: &usize| {
            let node = &self.nodes[*place];
            !(node.frozen || node.unplugged || node.deaf || node.mute)
        };
        self.announcers().into_iter().filter(answers).collect()
    }

    /// True with a chance of so many of 100.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        // xorshift64 (Marsaglia 2003).
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance % 100 < percent
    }

    /// The nodes that announce, by their places. Each announces both VIPs or none.
    pub(super) fn announcers(&self) -> Vec<usize> {
        let announced =
            |node: &Node| VIPS.map(|vip| node.machines.on_wire.contains_key(&vip.parse::<IpAddr>().unwrap()));
        let places = (0..self.nodes.len()).filter(|place| {
            let [v4, v6] = announced(&self.nodes[*place]);
            assert_eq!(v4, v6, "only one family of a group is announced");
            v4
        });
        places.collect()
    }

    pub(super) fn holder(&self) -> usize {
        let announcers = self.announcers();
        assert_eq!(announcers.len(), 1, "{announcers:?} announce");
        announcers[0]
    }

    pub(super) fn set_carrier(&mut self, place: usize, carrier: bool) {
        let (now, count) = (self.now, self.nodes.len() as u8);
        let node = &mut self.nodes[place];
        (node.carrier, node.unplugged) = (carrier, !carrier);
        node.machines.follow(&orders(node.number, count), &links(node.number, carrier), now);
        self.deliver();
    }

    pub(super) fn thaw(&mut self, place: usize) {
        let now = self.now;
        let node = &mut self.nodes[place];
        node.frozen = false;
        // As the driver does after a wait: datagrams, then frames, then time.
        node.machines.notice_stall(now);
        assert!(node.machines.on_wire.is_empty(), "it would answer before it knows who announces");
        let waiting = std::mem::take(&mut node.waiting);
        for one in &waiting {
            if let Waiting::Datagram(from, datagram) = one {
                node.machines.handle_datagram(*from, datagram, now);
            }
        }
        node.machines.resync(now);
        for one in &waiting {
            if let Waiting::Frame(frame) = one {
                node.machines.handle_frame(IfIndex(ETH0), frame, now);
            }
        }
        node.machines.handle_timeout(now);
        self.deliver();
    }

    /// Ends the speaker of a node as a rolling update does, and starts the next one after `pause`.
    pub(super) fn restart(&mut self, place: usize, pause: Duration) {
        let (now, count) = (self.now, self.nodes.len() as u8);
        let node = &mut self.nodes[place];
        let held = node.machines.held.clone();
        node.machines.announce_restart(10, now);
        self.deliver();
        self.nodes[place].frozen = true;
        self.run(pause);
        self.started += 1;
        let (now, seed) = (self.now, speaker_seed(self.seed, self.started));
        let node = &mut self.nodes[place];
        node.machines = machines(node.number, &held, seed, now);
        node.waiting.clear();
        node.frozen = false;
        node.machines.follow(&orders(node.number, count), &links(node.number, node.carrier), now);
        self.deliver();
    }

    pub(super) fn run(&mut self, duration: Duration) {
        let until = self.now + duration;
        self.deliver();
        loop {
            let running = self.nodes.iter().filter(|node| !node.frozen);
            let due = running.filter_map(|node| node.machines.poll_timeout()).min();
            let Some(due) = due.filter(|due| *due <= until) else { break };
            // Something is always due a moment later, as a driver wakes a little late.
            self.now = self.now.max(due) + Duration::from_micros(50);
            for node in self.nodes.iter_mut().filter(|node| !node.frozen) {
                if node.machines.poll_timeout().is_some_and(|due| due <= self.now) {
                    node.machines.handle_timeout(self.now);
                }
            }
            self.deliver();
            self.look();
        }
        self.now = self.now.max(until);
    }

    pub(super) fn look(&mut self) {
        let count = self.answerers().len();
        let lasts = |since: &mut Option<Instant>, longest: &mut Duration, holds: bool| {
            *since = holds.then(|| since.unwrap_or(self.now));
            *longest = since.map_or(*longest, |since| (self.now - since).max(*longest));
        };
        lasts(&mut self.two_since, &mut self.overlap, count > 1);
        lasts(&mut self.none_since, &mut self.outage, count == 0);
    }

    pub(super) fn mac(&self, place: usize) -> MacAddr {
        MacAddr([2, 0, 0, 0, ETH0 as u8, self.nodes[place].number])
    }

    /// A client takes a frame in, as Linux does: a gratuitous ARP reply.
    pub(super) fn cache(&mut self, frame: &[u8]) {
        let vip: IpAddr = VIPS[0].parse().unwrap();
        let IpAddr::V4(vip) = vip else { return };
        // Ethernet, then ARP: operation 2, sender and target both the VIP.
        let is_arp_reply = frame.len() >= 42 && frame[12..14] == [8, 6] && frame[20..22] == [0, 2];
        if is_arp_reply && frame[28..32] == vip.octets() && frame[38..42] == vip.octets() {
            self.cached = frame[22..28].try_into().ok().map(MacAddr);
        }
    }

    /// Carries everything that is ready, until nothing is.
    pub(super) fn deliver(&mut self) {
        loop {
            let mut carried = false;
            for from in 0..self.nodes.len() {
                while let Some(transmit) = self.nodes[from].machines.announcer_mut().poll_transmit() {
                    carried = true;
                    let leaves = !self.nodes[from].unplugged && !self.nodes[from].mute;
                    if transmit.interface == IfIndex(ETH0) && leaves {
                        self.deliver_frame(from, &transmit.frame);
                    }
                }
                let _noted = self.nodes[from].machines.changed_holds(self.now);
                while let Some((to, datagram)) = self.nodes[from].machines.poll_datagram() {
                    carried = true;
                    self.deliver_datagram(from, to, datagram);
                }
            }
            // As the driver does: everything that waits is taken in before anything follows from it.
            for node in self.nodes.iter_mut().filter(|node| !node.frozen) {
                node.machines.settle(self.now);
            }
            if !carried {
                return;
            }
        }
    }

    pub(super) fn deliver_frame(&mut self, from: usize, frame: &[u8]) {
        let now = self.now;
        self.cache(frame);
        let mut replies = Vec::new();
        for place in 0..self.nodes.len() {
            if self.frame_loss > 0 && self.chance(self.frame_loss) {
                continue;
            }
            let node = &mut self.nodes[place];
            if place == from || node.unplugged || node.deaf {
                continue;
            }
            node.kernel.handle_input(IfIndex(ETH0), frame, now);
            replies
                .extend(std::iter::from_fn(|| node.kernel.poll_transmit()).map(|reply| (place, reply.frame)));
            if node.frozen {
                node.waiting.push(Waiting::Frame(frame.to_vec()));
            } else {
                node.machines.handle_frame(IfIndex(ETH0), frame, now);
            }
        }
        for (place, reply) in replies {
            if self.nodes[place].mute {
                continue;
            }
            self.deliver_frame(place, &reply);
        }
    }

    pub(super) fn deliver_datagram(&mut self, from: usize, to: SocketAddr, datagram: Vec<u8>) {
        let IpAddr::V4(ip) = to.ip() else { return };
        let [first, .., host] = ip.octets();
        let on_segment = first == 192;
        let now = self.now;
        let (cut, number) = (self.nodes[from].unplugged || self.nodes[from].mute, self.nodes[from].number);
        let is_lost = self.chance(self.loss);
        let Some(node) = self.nodes.iter_mut().find(|node| node.number == host) else { return };
        if is_lost {
            return;
        }
        let blocked =
            self.gossip_blocked || if on_segment { self.gossip_blocked_on_segment } else { self.one_network };
        if blocked || (on_segment && (cut || node.unplugged || node.deaf)) {
            return;
        }
        let source =
            if on_segment { IpAddr::from([192, 0, 2, number]) } else { IpAddr::from([10, 0, 0, number]) };
        let source = SocketAddr::new(source, to.port());
        if node.frozen {
            node.waiting.push(Waiting::Datagram(source, datagram));
        } else {
            node.machines.handle_datagram(source, &datagram, now);
        }
    }
}
