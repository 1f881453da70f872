//! `SpeakerStatus`: what the speaker of one node says of itself, one small object for each node, written when it changes. Who
//! announces which address is not in it: that is asked for, by `keryx explain`.

use std::net::{IpAddr, Ipv4Addr};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, CustomResourceExt as _};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Name of the kind's definition.
pub const DEFINITION: &str = "speakerstatuses.keryx.dev";

/// Conflicts that a status lists; [`SpeakerStatusStatus::conflicting`] counts all.
pub const CONFLICTS_MAX: usize = 64;
/// Sessions that a status lists.
pub const SESSIONS_MAX: usize = 64;

/// What the speaker of a node says of itself. It has the Node's name and belongs to the speaker's Pod, with which it goes.
#[derive(Clone, Debug, Default, PartialEq, CustomResource, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "keryx.dev",
    version = "v1alpha1",
    kind = "SpeakerStatus",
    singular = "speakerstatus",
    plural = "speakerstatuses",
    shortname = "kspeaker",
    category = "keryx",
    namespaced,
    status = "SpeakerStatusStatus",
    derive = "PartialEq",
    doc = "What the speaker of a node says of itself. It has the Node's name and belongs to the speaker's Pod, with which it goes.",
    printcolumn = r#"{"name":"Announced","type":"integer","jsonPath":".status.announced"}"#,
    printcolumn = r#"{"name":"Members","type":"integer","jsonPath":".status.members"}"#,
    printcolumn = r#"{"name":"Established","type":"integer","jsonPath":".status.established"}"#,
    printcolumn = r#"{"name":"Conflicting","type":"integer","jsonPath":".status.conflicting"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct SpeakerStatusSpec {
    /// The Node.
    #[schemars(length(min = 1, max = 253))]
    pub node: String,
}

/// How a speaker stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpeakerStatusStatus {
    /// Addresses that it announces by ARP and NDP.
    #[serde(default)]
    pub announced: u32,
    /// Speakers of other nodes that it hears.
    #[serde(default)]
    pub members: u32,
    /// Addresses that a station which is no node of the cluster uses, too.
    #[serde(default)]
    pub conflicting: u32,
    /// The first of these.
    #[serde(default)]
    #[schemars(length(max = CONFLICTS_MAX))]
    pub conflicts: Vec<AddressConflict>,
    /// BGP sessions that stand.
    #[serde(default)]
    pub established: u32,
    /// BGP sessions that this node has or should have, in the order of their peers' names; the first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = SESSIONS_MAX))]
    pub sessions: Vec<BgpSession>,
}

/// A BGP session. States that a machine passes through while it tries are not told, so that a router which is switched off
/// costs no writes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BgpSession {
    /// Name of the BGPPeer.
    #[schemars(length(max = 253))]
    pub peer: String,
    /// The router's address, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "address")]
    pub address: Option<IpAddr>,
    /// The interface on which the router is found, if it has no address of its own in the BGPPeer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 15))]
    pub interface: Option<String>,
    /// Established; Active while it is tried; Idle if it is stopped or cannot be made (RFC 4271 §8.2.2).
    #[schemars(length(max = 16))]
    pub state: String,
    /// Since when.
    pub since: Time,
    /// Why there is no session, or why the last one ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub last_error: Option<String>,
    /// The router's AS.
    #[serde(default, rename = "remoteASN", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    pub remote_asn: Option<u32>,
    /// The router's BGP identifier.
    #[serde(default, rename = "routerID", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "address")]
    pub router_id: Option<Ipv4Addr>,
    /// Families of which routes are sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    pub families: Vec<String>,
    /// What else both sides know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub capabilities: Vec<String>,
    /// Prefixes that the router is to know.
    #[serde(default)]
    pub prefixes_sent: u32,
    /// If BFD watches the path: Up, Down, or why it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub bfd: Option<String>,
}

/// A station that is no node of the cluster uses an address of a Service or Gateway.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddressConflict {
    /// The address.
    #[schemars(schema_with = "address")]
    pub address: IpAddr,
    /// The interface of the node on which the station was seen.
    #[schemars(length(max = 15))]
    pub interface: String,
    /// The station's hardware address.
    #[schemars(length(max = 17))]
    pub hardware_address: String,
    /// Whether the node announces the address all the same.
    pub announced: bool,
}

fn address(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 45})
}

/// The definition of the kind, as it is installed.
pub fn definition() -> CustomResourceDefinition {
    SpeakerStatus::crd()
}

#[cfg(test)]
mod tests;
