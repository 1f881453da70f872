//! What `BGPPeer` objects mean for one node.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;

use keryx_api::bfd_profile::BFDProfileSpec;
use keryx_api::bgp_peer::{self, AddressFamily, BGPPeerSpec, DynamicAsn, NodeValue, whole_secs};

use super::{Advertisement, BfdPlan, GracefulRestart, Password, PeerPlan, Remote, RemoteAs};
use crate::matching::{Labels, selects};

/// Longest wait between two attempts, unless the peer says otherwise.
const CONNECT_TIME_SECS: u16 = 120;

/// A node, as far as peers look at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeValues<'a> {
    pub(crate) labels: &'a Labels,
    pub(crate) annotations: &'a Labels,
}

/// The sessions of a node, and why others cannot be: by the name of the BGPPeer.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Sessions {
    pub(crate) peers: BTreeMap<Arc<str>, Arc<PeerPlan>>,
    pub(crate) unusable: BTreeMap<Arc<str>, Arc<str>>,
}

impl Sessions {
    /// The sessions that these objects give a node.
    pub(super) fn of(
        specs: &BTreeMap<Arc<str>, BGPPeerSpec>,
        profiles: &BTreeMap<Arc<str>, BFDProfileSpec>,
        node: NodeValues<'_>,
    ) -> Self {
        let mut sessions = Self::default();
        for (name, spec) in specs {
            match session(spec, profiles, node) {
                Ok(None) => {}
                Ok(Some(peer)) => match sessions.with_remote(&peer) {
                    Some(other) => {
                        let what = if peer.remote.interface().is_some() { "interface" } else { "router" };
                        let why = format!("BGPPeer {other} has the same {what}; delete one of the two");
                        sessions.unusable.insert(Arc::clone(name), why.into());
                    }
                    None => drop(sessions.peers.insert(Arc::clone(name), Arc::new(peer))),
                },
                Err(why) => drop(sessions.unusable.insert(Arc::clone(name), why.into())),
            }
        }
        sessions
    }

    /// Those of the peers that an advertisement is for and that are offered the family.
    pub(super) fn told<'a>(
        &'a self,
        advertisement: &'a Advertisement,
        is_ipv6: bool,
    ) -> impl Iterator<Item = &'a Arc<str>> {
        let offered = move |peer: &PeerPlan| if is_ipv6 { peer.ipv6 } else { peer.ipv4 };
        let told = self.peers.iter().filter(move |(name, peer)| advertisement.is_for(name) && offered(peer));
        told.map(|(name, _)| name)
    }

    /// The peer that is where another one should be, too. Its name is the lesser.
    fn with_remote(&self, peer: &PeerPlan) -> Option<&str> {
        // The name of an interface says which VRF it is in.
        let same_vrf = |other: &PeerPlan| peer.remote.interface().is_some() || other.vrf == peer.vrf;
        let is_same = |other: &PeerPlan| other.remote == peer.remote && same_vrf(other);
        self.peers.iter().find(|(_, other)| is_same(other)).map(|(name, _)| &**name)
    }
}

/// The session of a node with one peer; `None` if the peer does not select the node.
fn session(
    spec: &BGPPeerSpec,
    profiles: &BTreeMap<Arc<str>, BFDProfileSpec>,
    node: NodeValues<'_>,
) -> Result<Option<PeerPlan>, String> {
    let selectors = spec.selectors().map_err(|error| error.to_string())?;
    if !selects(&selectors, node.labels) {
        return Ok(None);
    }
    let my_asn = asn("myASN", spec.my_asn, spec.my_asn_from.as_ref(), node)?.ok_or("myASN is not set")?;
    let remote = remote(spec, node)?;
    let hold_time_secs = hold_time_secs(spec)?;
    let (ipv4, ipv6) = families(spec, &remote);
    Ok(Some(PeerPlan {
        port: spec.peer_port.unwrap_or(bgp_peer::PORT),
        local_as: spec.local_asn.and_then(NonZeroU32::new).unwrap_or(my_asn),
        remote_as: remote_as(spec, node)?,
        source_address: optional("sourceAddress", spec.source_address.as_deref())?,
        router_id: optional::<Ipv4Addr>("routerID", spec.router_id.as_deref())?,
        hold_time_secs,
        keepalive_time_secs: secs("keepaliveTime", spec.keepalive_time.as_deref())?,
        connect_time_secs: Some(
            secs("connectTime", spec.connect_time.as_deref())?.unwrap_or(CONNECT_TIME_SECS),
        ),
        dial: !spec.passive,
        accept: spec.passive,
        ebgp_multi_hop: spec.ebgp_multi_hop,
        ttl_security: spec.ttl_security,
        vrf: (!spec.vrf.is_empty()).then(|| spec.vrf.as_str().into()),
        password: password(spec),
        ipv4,
        ipv6,
        graceful_restart: graceful_restart(spec)?,
        bfd: bfd(spec, profiles)?,
        admin_down: spec.admin_down.then(|| spec.admin_down_message.as_str().into()),
        remote,
    }))
}

fn remote(spec: &BGPPeerSpec, node: NodeValues<'_>) -> Result<Remote, String> {
    let address = match (&spec.peer_address, &spec.peer_address_from) {
        (Some(text), _) => read("peerAddress", text),
        (None, Some(from)) => read("peerAddressFrom", at_node("peerAddressFrom", from, node)?),
        (None, None) => return interface(spec.interface.as_deref()),
    };
    address.map(Remote::Address)
}

fn interface(name: Option<&str>) -> Result<Remote, String> {
    match name {
        None => Err("neither peerAddress nor interface is set".to_owned()),
        Some(name) if name.parse::<IpAddr>().is_ok() => {
            Err(format!("interface: '{name}' is an address; name the router by peerAddress"))
        }
        Some(name) => Ok(Remote::Interface(name.into())),
    }
}

fn remote_as(spec: &BGPPeerSpec, node: NodeValues<'_>) -> Result<RemoteAs, String> {
    match spec.dynamic_asn {
        Some(DynamicAsn::Internal) => Ok(RemoteAs::Internal),
        Some(DynamicAsn::External) => Ok(RemoteAs::External),
        None => asn("peerASN", spec.peer_asn, spec.peer_asn_from.as_ref(), node)?
            .map(RemoteAs::Number)
            .ok_or_else(|| "neither peerASN nor dynamicASN is set".to_owned()),
    }
}

/// An AS number that is given, or stands at the node.
fn asn(
    field: &str,
    given: Option<u32>,
    from: Option<&NodeValue>,
    node: NodeValues<'_>,
) -> Result<Option<NonZeroU32>, String> {
    let number = match (given, from) {
        (Some(number), _) => number,
        (None, Some(from)) => read(field, at_node(field, from, node)?)?,
        (None, None) => return Ok(None),
    };
    NonZeroU32::new(number).map(Some).ok_or_else(|| format!("{field} is 0, which is no AS (RFC 7607)"))
}

fn at_node<'a>(field: &str, from: &NodeValue, node: NodeValues<'a>) -> Result<&'a str, String> {
    let (what, key, values) = if from.node_label.is_empty() {
        ("annotation", &from.node_annotation, node.annotations)
    } else {
        ("label", &from.node_label, node.labels)
    };
    let value = values.get(key).map(String::as_str);
    value.ok_or_else(|| format!("the Node lacks the {what} {key}, which {field} is to come from"))
}

fn read<T: FromStr>(field: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{field}: '{text}' cannot be read"))
}

fn optional<T: FromStr>(field: &str, text: Option<&str>) -> Result<Option<T>, String> {
    text.map(|text| read(field, text)).transpose()
}

fn secs(field: &str, text: Option<&str>) -> Result<Option<u16>, String> {
    let whole = |text: &str| whole_secs(text).and_then(|secs| u16::try_from(secs).ok());
    text.map(|text| whole(text).ok_or_else(|| format!("{field}: '{text}' is no time that BGP can hold")))
        .transpose()
}

/// One that is given, three keepalive times, or the default.
fn hold_time_secs(spec: &BGPPeerSpec) -> Result<u16, String> {
    let keepalive = secs("keepaliveTime", spec.keepalive_time.as_deref())?;
    let from_keepalive = keepalive.map(|secs| secs.saturating_mul(3).max(3));
    let given = secs("holdTime", spec.hold_time.as_deref())?;
    match given.or(from_keepalive).unwrap_or(bgp_peer::HOLD_TIME_SECS) {
        1 | 2 => Err("holdTime is to be 0s, or at least 3s".to_owned()),
        secs => Ok(secs),
    }
}

/// Those that are listed, or that of the address. A router on an interface is told both: IPv4 by a next hop of IPv6 (RFC 8950).
fn families(spec: &BGPPeerSpec, remote: &Remote) -> (bool, bool) {
    if !spec.families.is_empty() {
        let has = |family| spec.families.contains(&family);
        return (has(AddressFamily::IPv4), has(AddressFamily::IPv6));
    }
    match remote {
        Remote::Address(address) if !spec.dual_stack_address_family => (address.is_ipv4(), address.is_ipv6()),
        Remote::Address(_) | Remote::Interface(_) => (true, true),
    }
}

fn password(spec: &BGPPeerSpec) -> Option<Password> {
    match &spec.password_secret {
        Some(secret) => Some(Password::Secret(secret.name.as_str().into())),
        None if spec.password.is_empty() => None,
        None => Some(Password::Inline(spec.password.as_str().into())),
    }
}

fn graceful_restart(spec: &BGPPeerSpec) -> Result<Option<GracefulRestart>, String> {
    if !spec.enable_graceful_restart {
        return Ok(None);
    }
    let given = spec.graceful_restart.as_ref();
    let time = secs("gracefulRestart.restartTime", given.and_then(|given| given.restart_time.as_deref()))?;
    Ok(Some(GracefulRestart {
        restart_time_secs: time.unwrap_or(bgp_peer::RESTART_TIME_SECS).min(4095),
        over_bfd_down: given.is_some_and(|given| given.over_bfd_down),
    }))
}

fn bfd(spec: &BGPPeerSpec, profiles: &BTreeMap<Arc<str>, BFDProfileSpec>) -> Result<Option<BfdPlan>, String> {
    if spec.bfd_profile.is_empty() {
        return Ok(None);
    }
    let profile = profiles.get(spec.bfd_profile.as_str());
    let profile = profile.ok_or_else(|| format!("there is no BFDProfile {}", spec.bfd_profile))?;
    Ok(Some(BfdPlan {
        receive_interval_millis: profile.receive_interval,
        transmit_interval_millis: profile.transmit_interval,
        detect_multiplier: profile.detect_multiplier,
        passive: profile.passive_mode,
        minimum_ttl: profile.minimum_ttl,
    }))
}
