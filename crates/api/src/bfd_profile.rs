//! `BFDProfile`: how BFD watches the path to a router. MetalLB's fields.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResource, CustomResourceExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::definition;
use crate::status::ConditionsStatus;

/// Name of the kind's definition.
pub const DEFINITION: &str = "bfdprofiles.keryx.dev";

/// How BFD watches the path to a router. Only profiles in the namespace that Keryx runs in are read.
#[derive(Clone, Debug, PartialEq, CustomResource, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "keryx.dev",
    version = "v1alpha1",
    kind = "BFDProfile",
    singular = "bfdprofile",
    plural = "bfdprofiles",
    shortname = "kbfd",
    category = "keryx",
    namespaced,
    status = "ConditionsStatus",
    derive = "PartialEq",
    doc = "How BFD watches the path to a router. Only profiles in the namespace that Keryx runs in are read.",
    printcolumn = r#"{"name":"Transmit","type":"integer","jsonPath":".spec.transmitInterval"}"#,
    printcolumn = r#"{"name":"Receive","type":"integer","jsonPath":".spec.receiveInterval"}"#,
    printcolumn = r#"{"name":"Multiplier","type":"integer","jsonPath":".spec.detectMultiplier"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct BFDProfileSpec {
    /// Shortest interval at which packets are taken, in milliseconds.
    #[serde(default = "interval")]
    #[schemars(range(min = 10, max = 60_000))]
    pub receive_interval: u32,
    /// Interval at which packets are sent while the session is Up, in milliseconds.
    #[serde(default = "interval")]
    #[schemars(range(min = 10, max = 60_000))]
    pub transmit_interval: u32,
    /// So many packets may be missing before the path counts as down.
    #[serde(default = "multiplier")]
    #[schemars(range(min = 2, max = 255))]
    pub detect_multiplier: u8,
    /// Does nothing: the echo function is left out. It is here for files that were written for MetalLB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 60_000))]
    pub echo_interval: Option<u32>,
    /// Does nothing, as echoInterval.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub echo_mode: bool,
    /// Wait for the router to begin.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub passive_mode: bool,
    /// Over several hops: packets that have less of their TTL left are not taken.
    #[serde(default = "ttl")]
    #[schemars(range(min = 1, max = 254))]
    pub minimum_ttl: u8,
}

impl Default for BFDProfileSpec {
    fn default() -> Self {
        Self {
            receive_interval: interval(),
            transmit_interval: interval(),
            detect_multiplier: multiplier(),
            echo_interval: None,
            echo_mode: false,
            passive_mode: false,
            minimum_ttl: ttl(),
        }
    }
}

fn interval() -> u32 {
    300
}

fn multiplier() -> u8 {
    3
}

fn ttl() -> u8 {
    254
}

/// The definition of the kind, as it is installed. An object without a `spec` is given one of defaults.
pub fn definition() -> CustomResourceDefinition {
    definition::with_empty_spec(BFDProfile::crd())
}

#[cfg(test)]
mod tests;
