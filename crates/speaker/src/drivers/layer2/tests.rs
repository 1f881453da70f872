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

use super::machines::{Machines, Seeds, Settings};
use crate::clock;
use crate::metrics::Metrics;
use crate::orders::Orders;

const ETH0: u32 = 1;
const MANAGEMENT: u32 = 2;
const VIPS: [&str; 2] = ["192.0.2.100", "2001:db8::100"];
/// What is random in a story: boot ids, whom a node asks first, when its first heartbeat is due.
const SEEDS: u64 = 40;
/// A death has to be known, and the segment asked.
const HALF_A_SECOND: Duration = Duration::from_millis(500);

struct Node {
    machines: Machines,
    /// Answers for the node's own addresses, whatever its speaker does.
    kernel: Announcer,
    number: u8,
    /// No frame and no datagram passes its `eth0`.
    unplugged: bool,
    /// Nothing comes in there, and what it sends leaves.
    deaf: bool,
    /// Nothing that it sends leaves there, and what others send comes in.
    mute: bool,
    /// It does not run.
    frozen: bool,
    carrier: bool,
    /// Frames and datagrams that came in while it was frozen.
    waiting: Vec<Waiting>,
}

enum Waiting {
    Frame(Vec<u8>),
    Datagram(SocketAddr, Vec<u8>),
}

struct World {
    seed: u64,
    /// Speakers started so far.
    started: u64,
    nodes: Vec<Node>,
    now: Instant,
    gossip_blocked: bool,
    /// A firewall drops it on the segment, and lets it pass on the management network.
    gossip_blocked_on_segment: bool,
    /// There is no management network.
    one_network: bool,
    /// So many of 100 datagrams are lost.
    loss: u64,
    /// So many of 100 frames are, at each station for itself.
    frame_loss: u64,
    /// State of the chance by which they are.
    chance: u64,
    /// For how long two nodes announced at once, at the longest.
    overlap: Duration,
    two_since: Option<Instant>,
    /// For how long no node announced that sends and receives, at the longest.
    outage: Duration,
    none_since: Option<Instant>,
    /// The hardware address by which a client on the segment knows the first VIP: the last that claimed it there.
    cached: Option<MacAddr>,
}

fn name(number: u8) -> NodeName {
    NodeName::from(&*format!("n{number}"))
}

fn links(number: u8, carrier: bool) -> Links {
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

fn orders(number: u8, of: u8) -> Orders {
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

fn machines(number: u8, held: &BTreeMap<GroupId, Term>, seed: u64, now: Instant) -> Machines {
    let settings = Settings { node: name(number), cluster: "test".to_owned(), only: BTreeSet::new() };
    let keys = Keys { sending: Key::new([7; 32]), accepted: None };
    let seeds = Seeds { announcer: seed, members: seed };
    Machines::new(settings, keys, held, Metrics::default(), seeds, now)
}

fn kernel(number: u8, now: Instant) -> Announcer {
    let mut kernel = Announcer::new(Config::default());
    kernel.set_interface(IfIndex(ETH0), MacAddr([2, 0, 0, 0, ETH0 as u8, number]), now);
    for own in [IpAddr::from([192, 0, 2, number]), format!("2001:db8::{number}").parse().unwrap()] {
        kernel.announce(IfIndex(ETH0), own, now).unwrap();
    }
    // It announces nothing by itself.
    while kernel.poll_transmit().is_some() {}
    kernel
}

fn speaker_seed(seed: u64, speaker: u64) -> u64 {
    seed << 32 | speaker
}

/// Runs a story with many seeds. One that fails prints its own.
fn tell(count: u8, gossip_blocked: bool, story: impl Fn(&mut World)) {
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
    fn start(count: u8, gossip_blocked: bool, seed: u64) -> Self {
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
    fn answerers(&self) -> Vec<usize> {
        let answers = |place: &usize| {
            let node = &self.nodes[*place];
            !(node.frozen || node.unplugged || node.deaf || node.mute)
        };
        self.announcers().into_iter().filter(answers).collect()
    }

    /// True with a chance of so many of 100.
    fn chance(&mut self, percent: u64) -> bool {
        // xorshift64 (Marsaglia 2003).
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance % 100 < percent
    }

    /// The nodes that announce, by their places. Each announces both VIPs or none.
    fn announcers(&self) -> Vec<usize> {
        let announced =
            |node: &Node| VIPS.map(|vip| node.machines.on_wire.contains_key(&vip.parse::<IpAddr>().unwrap()));
        let places = (0..self.nodes.len()).filter(|place| {
            let [v4, v6] = announced(&self.nodes[*place]);
            assert_eq!(v4, v6, "only one family of a group is announced");
            v4
        });
        places.collect()
    }

    fn holder(&self) -> usize {
        let announcers = self.announcers();
        assert_eq!(announcers.len(), 1, "{announcers:?} announce");
        announcers[0]
    }

    fn set_carrier(&mut self, place: usize, carrier: bool) {
        let (now, count) = (self.now, self.nodes.len() as u8);
        let node = &mut self.nodes[place];
        (node.carrier, node.unplugged) = (carrier, !carrier);
        node.machines.follow(&orders(node.number, count), &links(node.number, carrier), now);
        self.deliver();
    }

    fn thaw(&mut self, place: usize) {
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
    fn restart(&mut self, place: usize, pause: Duration) {
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

    fn run(&mut self, duration: Duration) {
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

    fn look(&mut self) {
        let count = self.answerers().len();
        let lasts = |since: &mut Option<Instant>, longest: &mut Duration, holds: bool| {
            *since = holds.then(|| since.unwrap_or(self.now));
            *longest = since.map_or(*longest, |since| (self.now - since).max(*longest));
        };
        lasts(&mut self.two_since, &mut self.overlap, count > 1);
        lasts(&mut self.none_since, &mut self.outage, count == 0);
    }

    fn mac(&self, place: usize) -> MacAddr {
        MacAddr([2, 0, 0, 0, ETH0 as u8, self.nodes[place].number])
    }

    /// A client takes a frame in, as Linux does: a gratuitous ARP reply.
    fn cache(&mut self, frame: &[u8]) {
        let vip: IpAddr = VIPS[0].parse().unwrap();
        let IpAddr::V4(vip) = vip else { return };
        // Ethernet, then ARP: operation 2, sender and target both the VIP.
        let is_arp_reply = frame.len() >= 42 && frame[12..14] == [8, 6] && frame[20..22] == [0, 2];
        if is_arp_reply && frame[28..32] == vip.octets() && frame[38..42] == vip.octets() {
            self.cached = frame[22..28].try_into().ok().map(MacAddr);
        }
    }

    /// Carries everything that is ready, until nothing is.
    fn deliver(&mut self) {
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

    fn deliver_frame(&mut self, from: usize, frame: &[u8]) {
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

    fn deliver_datagram(&mut self, from: usize, to: SocketAddr, datagram: Vec<u8>) {
        let IpAddr::V4(ip) = to.ip() else { return };
        let [first, .., host] = ip.octets();
        let on_segment = first == 192;
        let now = self.now;
        let (cut, number) =
            (self.nodes[from].unplugged || self.nodes[from].mute, self.nodes[from].number);
        let is_lost = self.chance(self.loss);
        let Some(node) = self.nodes.iter_mut().find(|node| node.number == host) else { return };
        if is_lost {
            return;
        }
        let blocked = self.gossip_blocked
            || if on_segment { self.gossip_blocked_on_segment } else { self.one_network };
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

#[test]
fn the_first_candidate_announces_both_families_and_keeps_them() {
    tell(3, false, |world| {
        let holder = world.holder();
        world.run(Duration::from_secs(20));
        assert_eq!(world.holder(), holder);
        assert_eq!(world.overlap, Duration::ZERO);
    });
}

#[test]
fn a_speaker_that_dies_is_followed_in_half_a_second() {
    tell(3, false, |world| {
        let holder = world.holder();
        world.nodes[holder].frozen = true;
        world.run(HALF_A_SECOND);
        let others: Vec<usize> = world.announcers().into_iter().filter(|place| *place != holder).collect();
        assert_eq!(others.len(), 1);
    });
}

#[test]
fn a_frozen_speaker_that_goes_on_stays_silent() {
    tell(3, false, |world| {
        let holder = world.holder();
        world.nodes[holder].frozen = true;
        world.run(Duration::from_secs(2));
        world.thaw(holder);
        world.run(Duration::from_secs(3));
        assert_ne!(world.holder(), holder);
        assert_eq!(world.overlap, Duration::ZERO);
    });
}

#[test]
fn a_speaker_that_was_frozen_shortly_leaves_its_group_to_whoever_took_it() {
    for frozen_ms in (500..1_500).step_by(100) {
        tell(3, false, |world| {
            let holder = world.holder();
            world.nodes[holder].frozen = true;
            world.run(Duration::from_millis(frozen_ms));
            let after = |world: &World| world.announcers().into_iter().find(|place| *place != holder);
            let successor = after(world);
            // What was learned meanwhile takes its time to get through.
            world.loss = 20;
            world.thaw(holder);
            world.run(Duration::from_secs(1));
            world.loss = 0;
            world.run(Duration::from_secs(3));
            assert_eq!(Some(world.holder()), successor, "after {frozen_ms} ms");
            assert_eq!(world.overlap, Duration::ZERO, "after {frozen_ms} ms");
        });
    }
}

#[test]
fn a_rolling_update_moves_nothing() {
    tell(3, false, |world| {
        let holder = world.holder();
        for place in 0..3 {
            world.restart(place, Duration::from_millis(1500));
            world.run(Duration::from_secs(2));
            assert_eq!(world.holder(), holder, "after the restart of {place}");
        }
        assert_eq!(world.overlap, Duration::ZERO);
    });
}

#[test]
fn a_node_that_is_switched_off_is_replaced_although_its_speaker_said_that_it_would_be_back() {
    tell(3, false, |world| {
        let holder = world.holder();
        world.nodes[holder].machines.announce_restart(10, world.now);
        world.deliver();
        world.nodes[holder].frozen = true;
        world.run(Duration::from_secs(3));
        assert!(!world.announcers().iter().any(|place| *place != holder), "its kernel answers");
        world.nodes[holder].unplugged = true;
        world.run(Duration::from_millis(1_100));
        assert_ne!(world.announcers(), [holder]);
        assert_eq!(world.overlap, Duration::ZERO);
    });
}

#[test]
fn a_node_that_is_cut_off_the_segment_alone_gives_up_and_is_followed() {
    tell(3, false, |world| {
        let holder = world.holder();
        world.nodes[holder].unplugged = true;
        world.run(HALF_A_SECOND);
        let successor = world.holder();
        assert_ne!(successor, holder);
        world.nodes[holder].unplugged = false;
        world.run(Duration::from_secs(3));
        assert_eq!(world.holder(), successor, "it came back and took it");
        assert_eq!(world.overlap, Duration::ZERO);
    });
}

#[test]
fn a_lost_carrier_is_told_by_the_other_network_at_once() {
    tell(3, false, |world| {
        let holder = world.holder();
        world.set_carrier(holder, false);
        world.run(Duration::from_millis(20));
        let successor = world.holder();
        assert_ne!(successor, holder);
        // Until heartbeats have told the old holder on the other network who has it now.
        world.run(Duration::from_millis(300));
        world.set_carrier(holder, true);
        world.run(Duration::from_secs(3));
        assert_eq!(world.holder(), successor);
    });
}

/// Without the management network, which is cut first.
fn tell_on_one_network(count: u8, story: impl Fn(&mut World)) {
    tell(count, false, |world| {
        world.one_network = true;
        world.run(Duration::from_secs(1));
        story(world);
    });
}

#[test]
fn a_holder_that_sends_and_hears_nothing_is_followed_in_half_a_second_and_no_second_announcer_afterwards() {
    for count in [2, 3] {
        tell_on_one_network(count, |world| {
            let holder = world.holder();
            world.nodes[holder].deaf = true;
            world.run(HALF_A_SECOND);
            let [successor] = world.answerers()[..] else { panic!("{:?} answer", world.answerers()) };
            assert!(world.outage < HALF_A_SECOND, "nobody answered for {:?}", world.outage);
            // It repeats its announcement each minute, and a client that takes that in is told better at once.
            world.run(Duration::from_secs(70));
            assert_eq!(world.cached, Some(world.mac(successor)));
            world.nodes[holder].deaf = false;
            world.run(Duration::from_secs(3));
            assert_eq!(world.holder(), successor);
            assert!(world.overlap <= Duration::from_millis(200), "two answered for {:?}", world.overlap);
        });
    }
}

#[test]
fn a_node_that_hears_nothing_takes_no_client_from_the_holder() {
    tell_on_one_network(3, |world| {
        let holder = world.holder();
        let deaf = (holder + 1) % 3;
        world.nodes[deaf].deaf = true;
        for _ in 0..15 {
            world.run(Duration::from_secs(5));
            assert_eq!(world.answerers(), [holder]);
            assert_eq!(world.cached, Some(world.mac(holder)));
        }
        world.nodes[deaf].deaf = false;
        world.run(Duration::from_secs(3));
        assert_eq!(world.holder(), holder);
        assert!(world.overlap <= Duration::from_millis(200), "two answered for {:?}", world.overlap);
    });
}

#[test]
fn the_last_living_node_hears_nobody_and_goes_on() {
    tell_on_one_network(2, |world| {
        let holder = world.holder();
        let other = 1 - holder;
        (world.nodes[other].frozen, world.nodes[other].unplugged) = (true, true);
        world.run(Duration::from_secs(10));
        assert_eq!(world.holder(), holder);
        (world.nodes[other].frozen, world.nodes[other].unplugged) = (false, false);
        world.restart(other, Duration::from_millis(10));
        world.run(Duration::from_secs(5));
        assert_eq!(world.holder(), holder, "who comes back takes nothing away");
        assert_eq!((world.outage, world.overlap), (Duration::ZERO, Duration::ZERO));
    });
}

#[test]
fn a_tenth_of_all_frames_and_datagrams_lost_moves_nothing() {
    for one_network in [false, true] {
        tell(3, false, |world| {
            world.one_network = one_network;
            world.run(Duration::from_secs(1));
            let holder = world.holder();
            (world.loss, world.frame_loss) = (10, 10);
            world.run(Duration::from_secs(30));
            assert_eq!(world.holder(), holder);
            assert_eq!((world.outage, world.overlap), (Duration::ZERO, Duration::ZERO));
        });
    }
}

#[test]
fn blocked_gossip_moves_nothing_and_a_dead_node_is_found_without_it() {
    tell(3, false, |world| {
        let holder = world.holder();
        world.gossip_blocked = true;
        world.run(Duration::from_secs(10));
        assert_eq!(world.holder(), holder);
        assert_eq!(world.overlap, Duration::ZERO);
        world.nodes[holder].unplugged = true;
        // Until the successor has sent its last announcement.
        world.run(Duration::from_secs(12));
        let others: Vec<usize> = world.announcers().into_iter().filter(|place| *place != holder).collect();
        assert_eq!(others.len(), 1);
        // Both announce when the cable is back, and nobody says so on the segment; gossip tells them of each other.
        world.nodes[holder].unplugged = false;
        world.gossip_blocked = false;
        world.run(Duration::from_secs(1));
        world.holder();
        assert!(world.overlap < HALF_A_SECOND, "two announced for {:?}", world.overlap);
    });
}

#[test]
fn gossip_that_is_blocked_on_the_segment_alone_moves_nothing_and_hides_no_cut() {
    tell(3, false, |world| {
        let holder = world.holder();
        world.gossip_blocked_on_segment = true;
        world.run(Duration::from_secs(10));
        assert_eq!(world.holder(), holder);
        world.nodes[holder].unplugged = true;
        world.run(Duration::from_millis(1_200));
        assert_ne!(world.holder(), holder, "it still believes to be heard");
        assert_eq!(world.overlap, Duration::ZERO);
    });
}

#[test]
fn nodes_that_never_heard_of_each_other_ask_the_segment_before_one_announces() {
    tell(3, true, |world| {
        world.run(Duration::from_secs(10));
        world.holder();
        assert_eq!(world.overlap, Duration::ZERO);
    });
}

#[test]
fn two_nodes_without_a_word_from_each_other_do_not_both_announce() {
    tell(2, false, |world| {
        let holder = world.holder();
        world.gossip_blocked = true;
        world.run(Duration::from_secs(10));
        assert_eq!(world.holder(), holder);
        assert_eq!(world.overlap, Duration::ZERO);
    });
}

#[test]
fn a_node_that_is_alone_in_its_cluster_waits_for_nobody() {
    let now = clock::now();
    let mut alone = machines(1, &BTreeMap::new(), 1, now);
    alone.follow(&orders(1, 1), &links(1, true), now);
    assert!(alone.takeover.is_active());
    let mut one_of_two = machines(1, &BTreeMap::new(), 1, now);
    one_of_two.follow(&orders(1, 2), &links(1, true), now);
    assert!(!one_of_two.takeover.is_active());
}
