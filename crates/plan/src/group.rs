//! What a group is made of: its owners, their addresses, and the ports behind these.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use keryx_api::Protocol;
use keryx_api::assigned::pool_of;
use keryx_api::exposure::{AnnounceFrom, AnnouncePolicy, Exposure, ServedBy, WithoutEndpoints};
use keryx_api::ledger::OwnerKind;

use crate::advertisements::{About, stricter_from};
use crate::bgp::decision::BgpVip;
use crate::endpoints::Endpoints;
use crate::service::{LabelText, ServiceFacts};
use crate::{Family, GroupKey, Index, ObjectName, Owner, OwnerKey, Reason, StatusPart, TrafficPolicy};

/// Addresses that one node announces together, and what is behind them. Owners that share an address are of one group,
/// so a group is the addresses of one owner, or of several that hang together by addresses that they share.
///
/// Owners of one group may differ in policy. Then
/// - a node needs a local endpoint only if every owner asks for one; else an owner that is content with any node would
///   go dark for the sake of another. A node with a local endpoint still comes before one without;
/// - an address without endpoints is announced all the same if any of its own owners says `Refuse`.
///
/// What an owner says is what the advertisements about its addresses say, and its own policy where they say nothing.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) key: GroupKey,
    /// Every owner, best right first.
    pub(crate) members: Vec<OwnerKey>,
    pub(crate) announce_from: AnnounceFrom,
    /// Addresses that its owners keep.
    pub(crate) vips: BTreeMap<IpAddr, Vip>,
    /// Addresses that an owner has but does not get.
    pub(crate) refused: Vec<RefusedAddress>,
    /// Every port, once for each owner and family. If two owners claim one port of an address, it is the first's.
    pub(crate) ports: Vec<GroupPort>,
}

/// One address of a group.
#[derive(Debug, Default)]
pub(crate) struct Vip {
    /// Who shares it, best right first.
    pub(crate) owners: Vec<Owner>,
    pub(crate) claimed_ports: BTreeSet<(Protocol, u16)>,
    pub(crate) without_endpoints: WithoutEndpoints,
    /// The interfaces to which its owners limit it; any if one of them names none.
    pub(crate) interfaces: Limit,
    /// The advertisements about it for one of its owners; `None` if there are no advertisements at all.
    pub(crate) about: Option<About>,
    /// What BGPAdvertisements say of it.
    pub(crate) bgp: BgpVip,
}

/// Interfaces to which something is limited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Nobody has said anything yet.
    #[default]
    Unsaid,
    Any,
    To(BTreeSet<Arc<str>>),
}

impl Limit {
    /// Takes in the word of one more owner, who does not limit it if he names no interface.
    fn join(&mut self, interfaces: &BTreeSet<Arc<str>>) {
        *self = match std::mem::take(self) {
            Self::Unsaid if !interfaces.is_empty() => Self::To(interfaces.clone()),
            Self::To(known) if !interfaces.is_empty() => Self::To(&known | interfaces),
            Self::Unsaid | Self::Any | Self::To(_) => Self::Any,
        };
    }

    /// What is left of the interfaces that advertisements name, if they name any: both must allow it.
    pub(crate) fn within(&self, advertised: Option<BTreeSet<Arc<str>>>) -> Option<BTreeSet<Arc<str>>> {
        match (self, advertised) {
            (Self::To(own), Some(advertised)) => Some(own & &advertised),
            (Self::To(own), None) => Some(own.clone()),
            (Self::Unsaid | Self::Any, advertised) => advertised,
        }
    }
}

/// An address that a member does not get.
#[derive(Debug)]
pub(crate) struct RefusedAddress {
    pub(crate) member: OwnerKey,
    pub(crate) owner: Owner,
    pub(crate) address: IpAddr,
    pub(crate) reason: Reason,
}

/// One port of one owner in one family.
#[derive(Debug)]
pub(crate) struct GroupPort {
    pub(crate) owner: Owner,
    pub(crate) family: Family,
    pub(crate) protocol: Protocol,
    pub(crate) port: u16,
    /// The addresses on which the port is this owner's; at least one.
    pub(crate) addresses: Box<[IpAddr]>,
    /// The Service whose endpoints serve it; `None` for the anchor's.
    pub(crate) service: Option<ObjectName>,
    pub(crate) policy: TrafficPolicy,
    pub(crate) endpoints: Endpoints,
}

/// What one owner brings into its group.
struct Member<'a> {
    owner: Owner,
    announce: AnnouncePolicy,
    claimed: &'a [IpAddr],
    pools: Pools<'a>,
    /// Any if there are none.
    interfaces: BTreeSet<Arc<str>>,
    /// Of a Service.
    labels: Option<&'a LabelText>,
    half_assigned: &'a [(IpAddr, StatusPart)],
    ports: Vec<MemberPort>,
}

/// Pools of an owner's addresses.
#[derive(Clone, Copy)]
enum Pools<'a> {
    Exposed(&'a [String]),
    Kept(&'a [Arc<str>]),
}

impl<'a> Pools<'a> {
    fn of(self, place: usize) -> Option<&'a str> {
        match self {
            Self::Exposed(pools) => pool_of(pools, place),
            Self::Kept(pools) => pool_of(pools, place),
        }
    }
}

struct MemberPort {
    protocol: Protocol,
    port: u16,
    service: Option<ObjectName>,
}

impl Index {
    /// The group that `owner` is in; `None` if there is no such owner.
    pub(crate) fn group(&self, owner: &OwnerKey) -> Option<Group> {
        let members = self.members(owner);
        let mut group = Group {
            key: GroupKey(members.first()?.clone()),
            members: Vec::new(),
            announce_from: AnnounceFrom::LocalEndpoints,
            vips: BTreeMap::new(),
            refused: Vec::new(),
            ports: Vec::new(),
        };
        for key in &members {
            self.join(&mut group, key, self.member(key)?);
        }
        Some(Group { members, ..group })
    }

    fn member(&self, key: &OwnerKey) -> Option<Member<'_>> {
        match key {
            OwnerKey::Exposure(name) => self.exposures.get(name).map(gateway),
            OwnerKey::Service(name) => self.services.get(name).map(|facts| plain_service(name, facts)),
        }
    }

    /// Adds an owner to its group, after all those with a better right.
    fn join(&self, group: &mut Group, key: &OwnerKey, member: Member<'_>) {
        let labels = member.labels.filter(|_| !self.advertisements.is_default()).map(LabelText::read);
        let mut said_from = None;
        let mut kept = BTreeSet::new();
        for (place, &address) in member.claimed.iter().enumerate() {
            if let Some(reason) = self.why_refused(address, key) {
                group.refuse(key, &member.owner, address, reason);
                continue;
            }
            kept.insert(address);
            let about = self.advertisements.about(member.pools.of(place), labels.as_ref());
            let said = self.advertisements.merged(about.as_ref());
            said_from = said_from.into_iter().chain(said.announce_from()).reduce(stricter_from);
            let without_endpoints = said.without_endpoints().unwrap_or(member.announce.without_endpoints);
            group.keep(address, &member, without_endpoints, about);
            let pool = member.pools.of(place);
            let by_bgp = self.bgp.about(pool, self.advertisements.pool_labels(pool), labels.as_ref());
            let AnnouncePolicy { announce_from, without_endpoints } = member.announce;
            let vip = group.vips.entry(address).or_default();
            vip.bgp.join(&self.bgp, by_bgp, announce_from, without_endpoints);
        }
        if said_from.unwrap_or(member.announce.announce_from) == AnnounceFrom::AnyNode {
            group.announce_from = AnnounceFrom::AnyNode;
        }
        for &(address, missing_from) in member.half_assigned {
            group.refuse(key, &member.owner, address, Reason::NotAssigned { missing_from });
        }
        for family in [Family::V4, Family::V6] {
            for port in &member.ports {
                let of_family = kept.iter().filter(|address| Family::of(**address) == family);
                let addresses: Box<[IpAddr]> =
                    of_family.copied().filter(|address| group.claim_port(*address, port)).collect();
                if !addresses.is_empty() {
                    group.ports.push(self.port(&member.owner, family, port, addresses));
                }
            }
        }
    }

    fn why_refused(&self, address: IpAddr, owner: &OwnerKey) -> Option<Reason> {
        if let Some(node) = self.nodes.with_address(address) {
            return Some(Reason::NodeAddress { node: node.clone() });
        }
        let other = self.owner(self.better_claimant(address, owner)?)?;
        Some(Reason::DuplicateClaim { other: Box::new(other) })
    }

    /// One port of a group. A clone that is not there yet, or lacks the port, has no endpoints; so has the anchor.
    fn port(&self, owner: &Owner, family: Family, port: &MemberPort, addresses: Box<[IpAddr]>) -> GroupPort {
        let facts = port.service.as_ref().and_then(|service| self.services.get(service));
        let policy = facts.map(|facts| facts.policy).unwrap_or_default();
        let ports = facts.map(|facts| &*facts.ports).unwrap_or_default();
        let facts = ports.iter().find(|facts| facts.protocol == port.protocol && facts.port == port.port);
        let endpoints = port.service.as_ref().zip(facts);
        let endpoints = endpoints
            .map(|(service, facts)| Endpoints::choose(self.slices_of(service), family, facts, policy));
        GroupPort {
            owner: owner.clone(),
            family,
            protocol: port.protocol,
            port: port.port,
            addresses,
            service: port.service.clone(),
            policy,
            endpoints: endpoints.unwrap_or_default(),
        }
    }

    /// Who an owner is, for people.
    pub(crate) fn owner(&self, key: &OwnerKey) -> Option<Owner> {
        match key {
            OwnerKey::Exposure(name) => self.exposures.get(name).map(owner_of),
            OwnerKey::Service(name) => Some(Owner { kind: OwnerKind::Service, name: name.clone() }),
        }
    }
}

impl Group {
    fn refuse(&mut self, member: &OwnerKey, owner: &Owner, address: IpAddr, reason: Reason) {
        let refused = RefusedAddress { member: member.clone(), owner: owner.clone(), address, reason };
        self.refused.push(refused);
    }

    /// Adds an address that an owner keeps.
    fn keep(
        &mut self,
        address: IpAddr,
        member: &Member<'_>,
        without_endpoints: WithoutEndpoints,
        about: Option<About>,
    ) {
        let vip = self.vips.entry(address).or_default();
        vip.owners.push(member.owner.clone());
        vip.interfaces.join(&member.interfaces);
        if without_endpoints == WithoutEndpoints::Refuse {
            vip.without_endpoints = WithoutEndpoints::Refuse;
        }
        if let Some(about) = about {
            vip.about.get_or_insert_default().extend(about);
        }
    }

    /// True if no owner with a better right has the port on this address.
    fn claim_port(&mut self, address: IpAddr, port: &MemberPort) -> bool {
        self.vips.entry(address).or_default().claimed_ports.insert((port.protocol, port.port))
    }
}

fn gateway(exposure: &Exposure) -> Member<'_> {
    let ports = exposure.ports.iter().map(|exposed| MemberPort {
        protocol: exposed.protocol,
        port: exposed.port,
        service: match &exposed.served_by {
            ServedBy::Clone { namespace, name } => Some(ObjectName::new(namespace, name)),
            ServedBy::Anchor => None,
        },
    });
    Member {
        owner: owner_of(exposure),
        announce: exposure.announce,
        claimed: &exposure.addresses,
        pools: Pools::Exposed(&exposure.pools),
        interfaces: exposure.interfaces.iter().map(|name| name.as_str().into()).collect(),
        labels: None,
        half_assigned: &[],
        ports: ports.collect(),
    }
}

fn plain_service<'a>(name: &ObjectName, facts: &'a ServiceFacts) -> Member<'a> {
    let announce_from = match facts.policy {
        TrafficPolicy::Cluster => AnnounceFrom::AnyNode,
        TrafficPolicy::Local => AnnounceFrom::LocalEndpoints,
    };
    let ports = facts.ports.iter().map(|port| MemberPort {
        protocol: port.protocol,
        port: port.port,
        service: Some(name.clone()),
    });
    Member {
        owner: Owner { kind: OwnerKind::Service, name: name.clone() },
        announce: AnnouncePolicy { announce_from, without_endpoints: WithoutEndpoints::Withdraw },
        claimed: &facts.assigned,
        pools: Pools::Kept(&facts.pools),
        interfaces: facts.interfaces().iter().cloned().collect(),
        labels: Some(&facts.labels),
        half_assigned: facts.half_assigned(),
        ports: ports.collect(),
    }
}

fn owner_of(exposure: &Exposure) -> Owner {
    let name = ObjectName::new(&exposure.gateway.namespace, &exposure.gateway.name);
    Owner { kind: OwnerKind::Gateway, name }
}
