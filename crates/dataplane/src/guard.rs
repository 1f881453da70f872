//! The guard: no packet that is still addressed to a VIP once kube-proxy's rules have run is ever sent on.
//!
//! Such a packet is either early (some Service claims the port, but kube-proxy has not programmed it yet) or wrong
//! (nobody serves the port). Sent on, an early UDP packet leaves a confirmed, untranslated conntrack entry, and its flow
//! stays untranslated for as long as the client goes on; a wrong one may run in circles between node and router until
//! its hop limit is spent.
//!
//! | packet to a VIP, untranslated | answer | why |
//! |---|---|---|
//! | to a claimed port | dropped | the client's retry finds kube-proxy ready; a dropped packet leaves no conntrack entry |
//! | other TCP | TCP reset | refused at once |
//! | anything else, ICMP echo too | ICMP port unreachable | refused at once. kube-proxy in nftables mode refuses a ping of a ClusterIP alike |
//! | Neighbor Discovery, forwarded | dropped | a neighbour probes its entry for the VIP by unicast (RFC 4861 section 7.3.3). The kernel would forward that; the speaker has its copy from a packet socket |
//! | Neighbor Discovery, sent by this node | sent | the node resolves like any host |
//! | sent by this node to an address of its own | sent | the node holds the VIP itself (kube-proxy in IPVS mode), nothing is forwarded |
//!
//! The kernel answers no reset, no ICMP error, and no fragment that conntrack has not put together: these are only
//! discarded. A packet that conntrack calls invalid is not translated, so it meets the table above. ICMP errors that
//! belong to a translated connection are translated with it and never come here.
//!
//! Limits. A local process that sends UDP too early, or to a port that nobody serves, gets `EPERM` from its send
//! call: the kernel says so of any packet discarded in output. Forwarded packets reach the guard only if the node has a
//! route for the VIP (else the kernel answers "network unreachable"). Where `send_redirects` is on, as it is unless
//! switched off, an IPv4 client on the VIP's own segment is sent ICMP redirects before the guard sees its packet; they use
//! up the kernel's ICMP budget for that client, so that most refusals of UDP and echo are not sent. Resets always are.
//!
//! The rules must stand before a VIP is first announced and stay until it is no longer announced.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::rules::{Action, Base, Chain, Element, Family, Hook, Key, Match, Rule, Set, Table, Transport};

/// Name of the guard's table.
pub const TABLE: &str = "keryx_guard";
/// Priority of its base chains: after kube-proxy's nat (-100) and filter (0, in both its modes), so that what kube-proxy
/// translates or refuses is decided when the guard looks.
pub const PRIORITY: i32 = 10;

const VIPS_V4: Set = Set { name: "vips4", family: Family::Ipv4, key: Key::Address };
const VIPS_V6: Set = Set { name: "vips6", family: Family::Ipv6, key: Key::Address };
const CLAIMED_V4: Set = Set { name: "claimed4", family: Family::Ipv4, key: Key::Port };
const CLAIMED_V6: Set = Set { name: "claimed6", family: Family::Ipv6, key: Key::Port };

const UNTRANSLATED: &str = "untranslated";

/// What the guard knows: the content of its sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// Every VIP, announced here or not: any node may be sent a packet for it.
    pub vips: BTreeSet<IpAddr>,
    /// Ports that some Service claims. Those of an address that is not in `vips` have no effect.
    pub claimed: BTreeSet<(IpAddr, Transport, u16)>,
}

/// What changes in one set of the guard's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetChange {
    /// The set.
    pub set: Set,
    /// Elements that it holds and shall lose.
    pub remove: Vec<Element>,
    /// Elements that it lacks and shall hold.
    pub add: Vec<Element>,
}

/// The way from one state of the guard to another: at most one entry per set, none without a change, elements ordered.
/// It is meant as one atomic batch; from an empty table, `installed` is [`Guard::default`].
pub fn change(installed: &Guard, wanted: &Guard) -> Vec<SetChange> {
    [VIPS_V4, VIPS_V6, CLAIMED_V4, CLAIMED_V6]
        .into_iter()
        .filter_map(|set| {
            let (remove, add) = (missing(wanted, installed, set), missing(installed, wanted, set));
            (!remove.is_empty() || !add.is_empty()).then_some(SetChange { set, remove, add })
        })
        .collect()
}

/// The elements that `set` lacks in one state of the guard and holds in the other, ordered.
fn missing(lacks: &Guard, holds: &Guard, set: Set) -> Vec<Element> {
    let is_of_family = |address: &IpAddr| Family::of(*address) == set.family;
    match set.key {
        Key::Address => {
            let vips = holds.vips.difference(&lacks.vips).filter(|vip| is_of_family(vip));
            vips.map(|vip| Element::Address(*vip)).collect()
        }
        Key::Port => {
            let claimed = holds.claimed.difference(&lacks.claimed).filter(|(vip, ..)| is_of_family(vip));
            claimed.map(|(vip, transport, port)| Element::Port(*vip, *transport, *port)).collect()
        }
    }
}

/// The guard's table with empty sets. It never changes; only the elements of its sets do.
pub fn layout() -> Table {
    let to_vip = |set| Rule { matches: vec![Match::Destination(set)], action: Action::Goto(UNTRANSLATED) };
    let forward = vec![
        Rule { matches: vec![Match::Destination(VIPS_V6), Match::NeighborDiscovery], action: Action::Drop },
        to_vip(VIPS_V4),
        to_vip(VIPS_V6),
    ];
    let output = vec![
        Rule { matches: vec![Match::LeavesByLoopback], action: Action::Accept },
        Rule { matches: vec![Match::NeighborDiscovery], action: Action::Accept },
        to_vip(VIPS_V4),
        to_vip(VIPS_V6),
    ];
    // The last rule has no match: what cannot be parsed (later fragments, broken extension headers) ends here too.
    let untranslated = vec![
        Rule { matches: vec![Match::DestinationPort(CLAIMED_V4)], action: Action::Drop },
        Rule { matches: vec![Match::DestinationPort(CLAIMED_V6)], action: Action::Drop },
        Rule { matches: vec![Match::Transport(Transport::Tcp)], action: Action::ResetTcp },
        Rule { matches: vec![], action: Action::PortUnreachable },
    ];
    let base = |hook| Some(Base { hook, priority: PRIORITY });
    Table {
        name: TABLE,
        sets: vec![VIPS_V4, VIPS_V6, CLAIMED_V4, CLAIMED_V6],
        chains: vec![
            Chain { name: "forward", base: base(Hook::Forward), rules: forward },
            Chain { name: "output", base: base(Hook::Output), rules: output },
            Chain { name: UNTRANSLATED, base: None, rules: untranslated },
        ],
    }
}

#[cfg(test)]
mod tests;
