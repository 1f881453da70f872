//! What `BGPAdvertisement` objects say.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use keryx_api::bgp_advertisement::{BGPAdvertisementSpec, Selectors};
use keryx_api::community::{Aliases, CommunityValue};
use keryx_api::exposure::{AnnounceFrom, WithoutEndpoints};

use super::RouteAttributes;
use crate::matching::Matching;
use crate::nodes::Nodes;

/// One advertisement that can be read.
#[derive(Debug, PartialEq)]
pub(crate) struct Advertisement {
    pub(crate) matching: Matching,
    /// Empty for all.
    pub(crate) peers: BTreeSet<Arc<str>>,
    ipv4_length: u8,
    ipv6_length: u8,
    pub(crate) attributes: RouteAttributes,
    pub(crate) announce_from: Option<AnnounceFrom>,
    pub(crate) without_endpoints: Option<WithoutEndpoints>,
    /// Whether it selects each node, by its place in [`Nodes::standings`].
    selected: Vec<bool>,
}

impl Advertisement {
    /// An error in words if it cannot be read: a selector or a community has no meaning.
    pub(super) fn of(spec: &BGPAdvertisementSpec, aliases: &Aliases, nodes: &Nodes) -> Result<Self, String> {
        let Selectors { pools, nodes: node_selectors, services } =
            spec.selectors().map_err(|error| error.to_string())?;
        let mut attributes = RouteAttributes {
            local_pref: spec.local_pref,
            med: spec.med,
            as_path_prepend: spec.as_path_prepend,
            ..RouteAttributes::default()
        };
        for text in &spec.communities {
            match aliases.read(text).map_err(|error| error.to_string())? {
                CommunityValue::Standard(value) => drop(attributes.communities.insert(value)),
                CommunityValue::Large(value) => drop(attributes.large_communities.insert(value)),
                CommunityValue::Extended(value) => drop(attributes.extended_communities.insert(value)),
            }
        }
        let matching = Matching {
            pools: spec.ip_address_pools.iter().cloned().collect(),
            pool_selectors: pools,
            service_selectors: services,
            node_selectors,
        };
        Ok(Self {
            selected: nodes.labels().map(|labels| matching.selects(labels)).collect(),
            matching,
            peers: spec.peers.iter().map(|name| name.as_str().into()).collect(),
            ipv4_length: spec.aggregation_length.unwrap_or(32),
            ipv6_length: spec.aggregation_length_v6.unwrap_or(128),
            attributes,
            announce_from: spec.announce_from,
            without_endpoints: spec.without_endpoints,
        })
    }

    /// Whether it selects the node at `place`.
    pub(crate) fn selects(&self, place: usize) -> bool {
        self.selected.get(place).copied().unwrap_or_default()
    }

    /// Whether it is for a peer.
    pub(crate) fn is_for(&self, peer: &str) -> bool {
        self.peers.is_empty() || self.peers.contains(peer)
    }

    /// The prefix by which an address is advertised; `None` for a length that the family does not have.
    pub(crate) fn prefix(&self, address: IpAddr) -> Option<IpNet> {
        let prefix = match address {
            IpAddr::V4(address) => IpNet::from(Ipv4Net::new(address, self.ipv4_length).ok()?),
            IpAddr::V6(address) => IpNet::from(Ipv6Net::new(address, self.ipv6_length).ok()?),
        };
        Some(prefix.trunc())
    }
}
