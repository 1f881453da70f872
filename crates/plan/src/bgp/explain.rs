//! What each node says of a group by BGP, laid open for a person.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::decision::{Advertiser, decide};
use super::objects::Objects;
use super::peers::Sessions;
use super::routes::left_out;
use super::{Advertisement, BgpDecision};
use crate::group::Group;
use crate::nodes::Nodes;
use crate::{NodeName, Reason};

/// What stands behind what is said of a group's addresses by BGP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BgpExplanation {
    /// The names of the BGPAdvertisements about each address.
    pub advertisements: BTreeMap<IpAddr, Vec<Arc<str>>>,
    /// BGPAdvertisements that cannot be read and so are about nothing, each with the reason in words.
    pub unreadable: BTreeMap<Arc<str>, String>,
    /// Every Node, by name.
    pub nodes: Vec<BgpStanding>,
}

/// What one node says of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BgpStanding {
    /// The Node.
    pub node: NodeName,
    /// What it advertises for each address, by prefix, or why it advertises nothing.
    pub addresses: BTreeMap<IpAddr, Result<Vec<BgpAdvertised>, Reason>>,
    /// BGPPeers that select the node and from which no session can be made, each with the reason in words.
    pub unusable: BTreeMap<Arc<str>, Arc<str>>,
}

/// One prefix that a node advertises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BgpAdvertised {
    /// The prefix.
    pub prefix: IpNet,
    /// The names of the BGPAdvertisements that ask for it.
    pub advertisements: BTreeSet<Arc<str>>,
    /// The names of the BGPPeers that are told.
    pub peers: BTreeSet<Arc<str>>,
    /// The advertisements whose communities some peer is not told, since all together do not fit a message.
    pub left_out: BTreeSet<Arc<str>>,
    /// The node hands over, and withdraws it soon.
    pub leaving: bool,
}

impl BgpExplanation {
    /// `None` without any BGPAdvertisement. The speaker of node `me` lives, whatever the API says of its Pod.
    pub(crate) fn new(
        group: &Group,
        nodes: &Nodes,
        objects: &Objects,
        me: Option<&NodeName>,
    ) -> Option<Self> {
        if !objects.are_advertised() {
            return None;
        }
        let each = nodes.standings().iter().map(|standing| {
            let node = &standing.name;
            let silent = standing.obstacle == Some(Reason::SpeakerNotReady) && me != Some(node);
            let sessions = objects.sessions_of(nodes, node);
            let advertiser = Advertiser { node, sessions: &sessions };
            let addresses = group.vips.keys().map(|&address| {
                let said = match decide(group, address, nodes, objects, advertiser) {
                    BgpDecision::Skip(reason) => Err(reason),
                    BgpDecision::Advertise { .. } if silent => Err(Reason::SpeakerNotReady),
                    BgpDecision::Advertise { because, leaving } => {
                        Ok(advertised(&because, leaving, objects, &sessions))
                    }
                };
                (address, said)
            });
            BgpStanding {
                node: node.clone(),
                addresses: addresses.collect(),
                unusable: sessions.unusable.clone(),
            }
        });
        let about = group.vips.iter();
        Some(Self {
            advertisements: about
                .map(|(address, vip)| (*address, vip.bgp.about.iter().cloned().collect()))
                .collect(),
            unreadable: objects.unreadable().map(|(name, why)| (Arc::clone(name), why.to_owned())).collect(),
            nodes: each.collect(),
        })
    }
}

fn advertised(
    because: &[(IpNet, Arc<str>)],
    leaving: bool,
    objects: &Objects,
    sessions: &Sessions,
) -> Vec<BgpAdvertised> {
    let mut by_prefix: BTreeMap<IpNet, Vec<(&Arc<str>, &Advertisement)>> = BTreeMap::new();
    for (prefix, name) in because {
        let read = objects.advertisement(name).map(|advertisement| (name, advertisement));
        by_prefix.entry(*prefix).or_default().extend(read);
    }
    let each = by_prefix.into_iter().map(|(prefix, each)| {
        let is_ipv6 = matches!(prefix, IpNet::V6(_));
        let peers = each.iter().flat_map(|(_, it)| sessions.told(it, is_ipv6).cloned()).collect();
        BgpAdvertised {
            prefix,
            advertisements: each.iter().map(|(name, _)| Arc::clone(name)).collect(),
            left_out: left_out(&each, sessions, is_ipv6),
            peers,
            leaving,
        }
    });
    each.collect()
}
