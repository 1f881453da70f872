//! `SpeakerStatus`: what the speaker of one node says of itself, one small object for each node, written when it changes. Who
//! announces which address is not in it: that is asked for, by `keryx explain`.

use std::net::IpAddr;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResource, CustomResourceExt as _};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Name of the kind's definition.
pub const DEFINITION: &str = "speakerstatuses.keryx.dev";

/// Conflicts that a status lists; [`SpeakerStatusStatus::conflicting`] counts all.
pub const CONFLICTS_MAX: usize = 64;

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
