//! `BGPPeer`: a router, and how this cluster's nodes speak BGP with it. The fields that MetalLB's kind of this name has mean what they
//! mean there, so that its files move by changing `apiVersion` and namespace.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::Selector;
use kube::{CustomResource, CustomResourceExt as _};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::definition;
use crate::selectors::{UnreadableSelector, read_all};
use crate::status::ConditionsStatus;

/// Name of the kind's definition.
pub const DEFINITION: &str = "bgppeers.keryx.dev";

/// TCP port of BGP (RFC 4271 §8.2.1).
pub const PORT: u16 = 179;
/// Hold time that is offered, unless the peer says otherwise (RFC 4271 §10).
pub const HOLD_TIME_SECS: u16 = 90;
/// How long a peer keeps routes over a restart, unless it is said otherwise.
pub const RESTART_TIME_SECS: u16 = 120;

/// A router, and how nodes speak BGP with it. Only peers in the namespace that Keryx runs in are read.
#[derive(Clone, Debug, Default, PartialEq, CustomResource, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "keryx.dev",
    version = "v1alpha1",
    kind = "BGPPeer",
    singular = "bgppeer",
    plural = "bgppeers",
    shortname = "kpeer",
    category = "keryx",
    namespaced,
    status = "ConditionsStatus",
    derive = "PartialEq",
    doc = "A router, and how nodes speak BGP with it. Only peers in the namespace that Keryx runs in are read.",
    printcolumn = r#"{"name":"Address","type":"string","jsonPath":".spec.peerAddress"}"#,
    printcolumn = r#"{"name":"Interface","type":"string","jsonPath":".spec.interface","priority":1}"#,
    printcolumn = r#"{"name":"ASN","type":"integer","jsonPath":".spec.peerASN"}"#,
    printcolumn = r#"{"name":"BFD-Profile","type":"string","jsonPath":".spec.bfdProfile"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct BGPPeerSpec {
    /// The AS of the nodes.
    #[serde(default, rename = "myASN", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    pub my_asn: Option<u32>,
    /// The AS of the nodes, from each Node's own label or annotation.
    #[serde(default, rename = "myASNFrom", skip_serializing_if = "Option::is_none")]
    pub my_asn_from: Option<NodeValue>,
    /// The AS of the router.
    #[serde(default, rename = "peerASN", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    pub peer_asn: Option<u32>,
    /// The AS of the router, from each Node's own label or annotation.
    #[serde(default, rename = "peerASNFrom", skip_serializing_if = "Option::is_none")]
    pub peer_asn_from: Option<NodeValue>,
    /// Which AS the router may be in, in place of a number: any but that of the nodes, or theirs.
    #[serde(default, rename = "dynamicASN", skip_serializing_if = "Option::is_none")]
    pub dynamic_asn: Option<DynamicAsn>,
    /// The AS that the router sees in place of myASN.
    #[serde(default, rename = "localASN", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    pub local_asn: Option<u32>,
    /// Address of the router.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 45))]
    pub peer_address: Option<String>,
    /// Address of the router, from each Node's own label or annotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_address_from: Option<NodeValue>,
    /// Interface on which the router is the only one, in place of an address (unnumbered). Its link-local address is learned from its router
    /// advertisements, and it learns the node's from those that the speaker sends. Both families are offered by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15), regex(pattern = r"^[^/\s]+$"))]
    pub interface: Option<String>,
    /// Address of the node that is dialled from. Without it, the kernel's routes decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 45))]
    pub source_address: Option<String>,
    /// TCP port that is dialled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub peer_port: Option<u16>,
    /// Hold time that is offered: 0 for none, else at least 3 s. Whole seconds, such as 90s or 1m30s. 90 s by default, or three
    /// keepaliveTimes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "duration")]
    pub hold_time: Option<String>,
    /// Between two KEEPALIVEs. By default, and at most, a third of the hold time in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "duration")]
    pub keepalive_time: Option<String>,
    /// The longest wait between two attempts to reach the router: 1 s to 65535 s, 120 s by default. The first waits are shorter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "duration")]
    pub connect_time: Option<String>,
    /// BGP identifier of the nodes, in the form of an IPv4 address. By default each Node's first IPv4 address, or a number that
    /// follows from its name. One for several nodes is only right if they speak with different routers.
    #[serde(default, rename = "routerID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 7, max = 15))]
    pub router_id: Option<String>,
    /// Nodes that have the session, by their labels: those that one of the selectors matches, all if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub node_selectors: Vec<LabelSelector>,
    /// Password of TCP MD5 (RFC 2385), for everyone to read who may read this object. Better is passwordSecret.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 80))]
    pub password: String,
    /// A Secret of type kubernetes.io/basic-auth in Keryx' namespace whose key `password` is the password of TCP MD5. It may
    /// change while the session stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_secret: Option<SecretReference>,
    /// Name of the BFDProfile by which BFD watches the path. Without it, BFD does not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    pub bfd_profile: String,
    /// The router keeps the routes while a node's speaker is restarted (RFC 4724).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub enable_graceful_restart: bool,
    /// How graceful restart is, if it is enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graceful_restart: Option<GracefulRestart>,
    /// An external router may be more than one hop away. Internal ones always may.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ebgp_multi_hop: bool,
    /// Only packets that have passed no router count (GTSM, RFC 5082). The router must be set up in the same way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ttl_security: bool,
    /// VRF device of the node that the session is bound to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 15), regex(pattern = r"^[^/\s]*$"))]
    pub vrf: String,
    /// Routes of both families go over the session. By default only those of its own address' family do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dual_stack_address_family: bool,
    /// Families of which routes go over the session, in place of dualStackAddressFamily.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2), extend("x-kubernetes-list-type" = "set"))]
    pub families: Vec<AddressFamily>,
    /// Does nothing. It is here for files that were written for MetalLB.
    #[serde(default, rename = "disableMP", skip_serializing_if = "std::ops::Not::not")]
    pub disable_mp: bool,
    /// Nodes wait until the router dials them, on port 179, for which their speakers need the capability NET_BIND_SERVICE.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub passive: bool,
    /// Shut the session down, on all nodes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub admin_down: bool,
    /// What the router's operator is told of that (RFC 9003).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 128))]
    pub admin_down_message: String,
}

/// A value that stands at each Node, under the key of a label or of an annotation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeValue {
    /// Key of the label.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 317))]
    pub node_label: String,
    /// Key of the annotation.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 317))]
    pub node_annotation: String,
}

/// Which AS a router may be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DynamicAsn {
    /// That of the nodes.
    Internal,
    /// Any other.
    External,
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum AddressFamily {
    /// IPv4 unicast.
    IPv4,
    /// IPv6 unicast.
    IPv6,
}

/// A Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretReference {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace: that of Keryx, or empty for the same.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub namespace: String,
}

/// How a router keeps routes over a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GracefulRestart {
    /// How long it keeps them at most: 1 s to 4095 s, 120 s by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "duration")]
    pub restart_time: Option<String>,
    /// It keeps them even when BFD calls the path down. A path that is really broken keeps its traffic until the time is over.
    #[serde(default, rename = "overBFDDown", skip_serializing_if = "std::ops::Not::not")]
    pub over_bfd_down: bool,
}

fn duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 32,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^([0-9]{1,6}[hms]){1,3}$')",
            "message": "write hours, minutes and seconds in whole numbers, such as 90s or 1m30s",
        }],
    })
}

/// Whole seconds of a text such as `1m30s`; `None` if it is no such text or too large.
#[must_use]
pub fn whole_secs(text: &str) -> Option<u32> {
    let mut rest = text;
    let mut total = 0_u32;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let (digits, unit) = rest.split_at(end);
        let secs = match unit.as_bytes().first()? {
            b'h' => 3600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        total = total.checked_add(digits.parse::<u32>().ok()?.checked_mul(secs)?)?;
        rest = &unit[1..];
    }
    (!text.is_empty()).then_some(total)
}

impl BGPPeerSpec {
    /// Its node selectors.
    ///
    /// # Errors
    /// The first that cannot be read.
    pub fn selectors(&self) -> Result<Vec<Selector>, UnreadableSelector> {
        read_all("spec.nodeSelectors", &self.node_selectors)
    }
}

/// What the API server refuses, each with what the user reads.
const RULES: [(&str, &str); 12] = [
    ("has(self.myASN) != has(self.myASNFrom)", "exactly one of myASN and myASNFrom is to be set"),
    (
        "[has(self.peerASN), has(self.peerASNFrom), has(self.dynamicASN)].filter(set, set).size() == 1",
        "exactly one of peerASN, peerASNFrom and dynamicASN is to be set",
    ),
    (
        "[has(self.peerAddress), has(self.peerAddressFrom), has(self.interface)].filter(set, set).size() == 1",
        "exactly one of peerAddress, peerAddressFrom and interface is to be set",
    ),
    ("!has(self.peerAddress) || isIP(self.peerAddress)", "peerAddress is to be an IP address"),
    ("!has(self.sourceAddress) || isIP(self.sourceAddress)", "sourceAddress is to be an IP address"),
    (
        "!has(self.routerID) || isIP(self.routerID) && ip(self.routerID).family() == 4 && self.routerID != '0.0.0.0'",
        "routerID is to have the form of an IPv4 address other than 0.0.0.0",
    ),
    (
        "!has(self.passwordSecret) || !has(self.password) || self.password == ''",
        "at most one of password and passwordSecret is to be set",
    ),
    (
        "!has(self.ttlSecurity) || !self.ttlSecurity || !has(self.ebgpMultiHop) || !self.ebgpMultiHop",
        "ttlSecurity takes only packets that have passed no router, so it excludes ebgpMultiHop",
    ),
    (
        "!has(self.holdTime) || duration(self.holdTime) == duration('0s') || \
         duration(self.holdTime) >= duration('3s') && duration(self.holdTime) <= duration('65535s')",
        "holdTime is to be 0s, or 3s to 65535s",
    ),
    (
        "!has(self.keepaliveTime) || duration(self.keepaliveTime) >= duration('1s') && \
         duration(self.keepaliveTime) <= (has(self.holdTime) ? duration(self.holdTime) : duration('21845s'))",
        "keepaliveTime is to be at least 1s, and no longer than holdTime",
    ),
    (
        "!has(self.connectTime) || duration(self.connectTime) >= duration('1s') && \
         duration(self.connectTime) <= duration('65535s')",
        "connectTime is to be 1s to 65535s",
    ),
    (
        "!has(self.gracefulRestart) || !has(self.gracefulRestart.restartTime) || \
         duration(self.gracefulRestart.restartTime) >= duration('1s') && \
         duration(self.gracefulRestart.restartTime) <= duration('4095s')",
        "gracefulRestart.restartTime is to be 1s to 4095s",
    ),
];

/// The definition of the kind, as it is installed.
pub fn definition() -> CustomResourceDefinition {
    definition::with_rules(BGPPeer::crd(), &RULES)
}

#[cfg(test)]
mod tests;
