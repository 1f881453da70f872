//! Which interface of a node announces a VIP.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::MacAddr;

/// The kernel's number of an interface. Unlike its name it never goes to another interface while this one lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IfIndex(pub u32);

/// What the kernel says about an interface, as far as announcing is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub index: IfIndex,
    /// Its name, such as `eth0`.
    pub name: String,
    /// Its hardware address; `None` if it is not a 48-bit one.
    pub mac: Option<MacAddr>,
    /// Set up by the administrator (`IFF_UP`).
    pub up: bool,
    /// Has a carrier (`IFF_LOWER_UP`).
    pub carrier: bool,
    /// Can broadcast (`IFF_BROADCAST`).
    pub broadcast: bool,
    /// Does no address resolution (`IFF_NOARP`).
    pub noarp: bool,
    /// Is a port of a bridge, a bond or a VRF.
    pub has_master: bool,
    /// Its addresses, each with the prefix length of its segment.
    pub addresses: Vec<IpNet>,
}

/// Interfaces with these name prefixes belong to container runtimes and CNIs and never lead to a user's segment,
/// though some look as if they did.
const SKIPPED_NAME_PREFIXES: [&str; 11] =
    ["cali", "cbr", "cni", "docker", "flannel", "kube-ipvs", "lxc", "nodelocaldns", "tunl", "veth", "virbr"];

/// Why an interface does not announce a VIP.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// `--interface` names others.
    #[error("is not among the interfaces given by --interface")]
    NotListed,
    /// The L2Advertisements about the VIP, or the address ConfigMap, name others.
    #[error("is not among the interfaces named for it by L2Advertisements and the address ConfigMap")]
    NotAdvertised,
    /// The name is one of a container runtime's or CNI's own.
    #[error(
        "is skipped by its name prefix {0:?} (name it with --interface, or in an L2Advertisement, to use it)"
    )]
    SkippedByName(&'static str),
    /// Administratively down.
    #[error("is down (set it up)")]
    Down,
    /// No link.
    #[error("has no carrier (check its cable or switch port)")]
    NoCarrier,
    /// Loopback, tunnels and other interfaces without a segment.
    #[error("cannot broadcast, so no neighbour could ask for an address on it")]
    NoBroadcast,
    /// Address resolution is switched off.
    #[error("has ARP switched off")]
    NoArp,
    /// Hardware addresses are not Ethernet's.
    #[error("has no Ethernet address")]
    NotEthernet,
    /// A bridge's or bond's port.
    #[error("is a port of another interface (bridge, bond or VRF), which carries the addresses")]
    HasMaster,
    /// No address of a prefix that contains the VIP, nor the node's InternalIP.
    #[error("has no address in a prefix that contains {0}, nor the node's InternalIP")]
    OffSegment(IpAddr),
}

/// How well an interface suits a VIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// It only carries the node's InternalIP. Good enough if no node has an interface on the VIP's segment: a
    /// router may have a static route for the VIP there.
    InternalIp,
    /// One of its prefixes, of this length, contains the VIP.
    OnSegment(u8),
}

/// The interface that announces a VIP on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its number.
    pub interface: IfIndex,
    /// Why it is this one; nodes compare it, since one on the segment precedes one that is not.
    pub fit: Fit,
}

/// No interface of this node can announce a VIP; with the reason for each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct NoInterface {
    /// The VIP.
    pub vip: IpAddr,
    /// Interface name and reason, in the order of their numbers.
    pub unfit: Vec<(String, Unfit)>,
}

impl fmt::Display for NoInterface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no interface of this node can announce {}", self.vip)?;
        for (position, (name, unfit)) in self.unfit.iter().enumerate() {
            write!(f, "{} {name} {unfit}", if position == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

/// Names of the interfaces to which announcing is limited. One that is named is used whatever its name looks like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Named<'a> {
    /// Those given by `--interface`: if there are any, no other is used.
    pub only: Option<&'a BTreeSet<String>>,
    /// Those of the advertisements about the VIP; `None` if they leave it open.
    pub advertised: Option<&'a BTreeSet<Arc<str>>>,
}

impl Named<'_> {
    fn check(&self, name: &str) -> Result<(), Unfit> {
        let only = self.only.filter(|only| !only.is_empty());
        if only.is_some_and(|only| !only.contains(name)) {
            return Err(Unfit::NotListed);
        }
        if self.advertised.is_some_and(|advertised| !advertised.contains(name)) {
            return Err(Unfit::NotAdvertised);
        }
        let skipped = SKIPPED_NAME_PREFIXES.into_iter().find(|prefix| name.starts_with(prefix));
        match skipped {
            Some(prefix) if only.is_none() && self.advertised.is_none() => Err(Unfit::SkippedByName(prefix)),
            Some(_) | None => Ok(()),
        }
    }
}

/// How `link` suits `vip`, or why it does not.
///
/// # Errors
/// The first reason against it.
pub fn fit(link: &Link, vip: IpAddr, internal_ip: Option<IpAddr>, named: Named<'_>) -> Result<Fit, Unfit> {
    named.check(&link.name)?;
    let obstacles = [
        (!link.broadcast, Unfit::NoBroadcast),
        (link.noarp, Unfit::NoArp),
        (link.mac.is_none(), Unfit::NotEthernet),
        (link.has_master, Unfit::HasMaster),
        (!link.up, Unfit::Down),
        (!link.carrier, Unfit::NoCarrier),
    ];
    if let Some((_, unfit)) = obstacles.into_iter().find(|(stands, _)| *stands) {
        return Err(unfit);
    }
    // A prefix of full length is one host, not a segment.
    let segments = link.addresses.iter().filter(|net| net.prefix_len() < net.max_prefix_len());
    if let Some(longest) = segments.filter(|net| net.contains(&vip)).map(IpNet::prefix_len).max() {
        return Ok(Fit::OnSegment(longest));
    }
    if internal_ip.is_some_and(|ip| link.addresses.iter().any(|net| net.addr() == ip)) {
        return Ok(Fit::InternalIp);
    }
    Err(Unfit::OffSegment(vip))
}

/// The interface of this node that announces `vip`: the one whose prefix contains it (the longest prefix, as in
/// routing; then the lowest number), else the one that carries `internal_ip`, the Node's InternalIP of the VIP's
/// family.
///
/// # Errors
/// The reason against each interface, if there is none.
pub fn choose<'a>(
    links: impl IntoIterator<Item = &'a Link>,
    vip: IpAddr,
    internal_ip: Option<IpAddr>,
    named: Named<'_>,
) -> Result<Choice, NoInterface> {
    let mut choices = Vec::new();
    let mut unfit = Vec::new();
    for link in links {
        match fit(link, vip, internal_ip, named) {
            Ok(fit) => choices.push(Choice { interface: link.index, fit }),
            Err(reason) => unfit.push((link.index, link.name.clone(), reason)),
        }
    }
    let best = choices.into_iter().max_by_key(|choice| (choice.fit, Reverse(choice.interface)));
    best.ok_or_else(|| {
        unfit.sort_by_key(|(index, _, _)| *index);
        NoInterface { vip, unfit: unfit.into_iter().map(|(_, name, reason)| (name, reason)).collect() }
    })
}

#[cfg(test)]
mod tests;
