//! Whether a node advertises an address.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use keryx_api::exposure::{AnnounceFrom, WithoutEndpoints};

use super::objects::Objects;
use super::peers::Sessions;
use super::{Advertisement, Because, BgpDecision};
use crate::advertisements::{About, stricter_from, stricter_without};
use crate::group::{Group, GroupPort};
use crate::nodes::Nodes;
use crate::{NodeName, Reason};

/// What BGPAdvertisements say of one address, over all owners that share it.
#[derive(Debug, Default)]
pub(crate) struct BgpVip {
    /// Those about it for one of its owners.
    pub(crate) about: About,
    /// Some owner is content with any node.
    pub(crate) from_any_node: bool,
    /// Some owner wants it to be advertised without endpoints.
    pub(crate) refuses: bool,
}

impl BgpVip {
    /// Takes in what holds for one more owner, whose own policy is `announce_from` and `without_endpoints`.
    pub(crate) fn join(
        &mut self,
        objects: &Objects,
        about: About,
        announce_from: AnnounceFrom,
        without_endpoints: WithoutEndpoints,
    ) {
        let each = || about.iter().filter_map(|name| objects.advertisement(name));
        let said_from = each().filter_map(|it| it.announce_from).reduce(stricter_from);
        let said_without = each().filter_map(|it| it.without_endpoints).reduce(stricter_without);
        self.from_any_node |= said_from.unwrap_or(announce_from) == AnnounceFrom::AnyNode;
        self.refuses |= said_without.unwrap_or(without_endpoints) == WithoutEndpoints::Refuse;
        self.about.extend(about);
    }
}

/// A node, and with whom it has sessions.
#[derive(Clone, Copy)]
pub(crate) struct Advertiser<'a> {
    pub(crate) node: &'a NodeName,
    pub(crate) sessions: &'a Sessions,
}

/// Whether `advertiser` advertises an address of a group, and why not.
pub(crate) fn decide(
    group: &Group,
    address: IpAddr,
    nodes: &Nodes,
    objects: &Objects,
    advertiser: Advertiser<'_>,
) -> BgpDecision {
    let decided = because(group, address, nodes, objects, advertiser)
        .and_then(|because| Ok((because, leaves(nodes, advertiser.node)?)));
    match decided {
        Ok((because, leaving)) => BgpDecision::Advertise { because, leaving },
        Err(reason) => BgpDecision::Skip(reason),
    }
}

/// Whether the node is about to hand over; an error if it may not advertise at all.
pub(crate) fn leaves(nodes: &Nodes, node: &NodeName) -> Result<bool, Reason> {
    let place = nodes.place(node).ok_or(Reason::NodeUnknown)?;
    match &nodes.standings()[place].obstacle {
        // The one that decides is alive.
        None | Some(Reason::SpeakerNotReady) => Ok(false),
        Some(reason) if reason.is_leaving() => Ok(true),
        Some(reason) => Err(reason.clone()),
    }
}

/// By what the address is advertised, or why it is not.
fn because(
    group: &Group,
    address: IpAddr,
    nodes: &Nodes,
    objects: &Objects,
    advertiser: Advertiser<'_>,
) -> Result<Because, Reason> {
    let vip = group.vips.get(&address).map(|vip| &vip.bgp).ok_or(Reason::NoBgpAdvertisement)?;
    if vip.about.is_empty() {
        return Err(Reason::NoBgpAdvertisement);
    }
    let place = nodes.place(advertiser.node).ok_or(Reason::NodeUnknown)?;
    let named = vip.about.iter().filter_map(|name| Some((name, objects.advertisement(name)?)));
    let selecting: Vec<(&Arc<str>, &Advertisement)> = named.filter(|(_, it)| it.selects(place)).collect();
    if selecting.is_empty() {
        return Err(Reason::NotInBgpAdvertisement);
    }
    serves(group, address, vip, advertiser.node)?;
    let has_peer = |it: &Advertisement| advertiser.sessions.told(it, address.is_ipv6()).next().is_some();
    let told = selecting.into_iter().filter(|(_, it)| has_peer(it));
    let because: BTreeSet<(IpNet, Arc<str>)> =
        told.filter_map(|(name, it)| Some((it.prefix(address)?, Arc::clone(name)))).collect();
    if because.is_empty() { Err(Reason::NoBgpPeer) } else { Ok(because.into_iter().collect()) }
}

/// Whether traffic for the address that comes to the node is served as well there as anywhere.
fn serves(group: &Group, address: IpAddr, vip: &BgpVip, node: &NodeName) -> Result<(), Reason> {
    let ports = || group.ports.iter().filter(|port| port.addresses.contains(&address));
    let served: Vec<&GroupPort> = ports().filter(|port| port.endpoints.exist()).collect();
    if served.is_empty() {
        return if vip.refuses { Ok(()) } else { Err(Reason::NoEndpoints) };
    }
    let covered = served.iter().filter(|port| port.is_covered_by(node)).count();
    if covered == 0 {
        return Err(Reason::NoLocalEndpoint);
    }
    if covered < served.len() {
        return Err(Reason::ServesFewerPorts { covered, of: served.len() });
    }
    let have_nodes = served.iter().any(|port| !port.endpoints.nodes.is_empty());
    let is_local = served.iter().any(|port| port.endpoints.nodes.contains(node));
    if !vip.from_any_node && have_nodes && !is_local {
        return Err(Reason::NoLocalEndpoint);
    }
    Ok(())
}
