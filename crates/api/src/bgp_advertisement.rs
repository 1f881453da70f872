//! `BGPAdvertisement`: which addresses are advertised to which routers, and with which attributes. The fields that MetalLB's kind of
//! this name has mean what they mean there, so that its files move by changing `apiVersion` and namespace.
//!
//! What several advertisements say of one prefix is merged by the rules in `plan`'s module `bgp`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::Selector;
use kube::{CustomResource, CustomResourceExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::definition;
use crate::exposure::{AnnounceFrom, WithoutEndpoints};
use crate::selectors::{UnreadableSelector, read_all};
use crate::status::ConditionsStatus;

/// Name of the kind's definition.
pub const DEFINITION: &str = "bgpadvertisements.keryx.dev";

/// Which addresses are advertised by BGP, to whom and how. Only advertisements in the namespace that Keryx runs in are read. Without
/// any, nothing is advertised by BGP.
#[derive(Clone, Debug, Default, PartialEq, CustomResource, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "keryx.dev",
    version = "v1alpha1",
    kind = "BGPAdvertisement",
    singular = "bgpadvertisement",
    plural = "bgpadvertisements",
    shortname = "kbgpadv",
    category = "keryx",
    namespaced,
    status = "ConditionsStatus",
    derive = "PartialEq",
    doc = "Which addresses are advertised by BGP, to whom and how. Only advertisements in the namespace that Keryx runs in are read. Without any, nothing is advertised by BGP.",
    printcolumn = r#"{"name":"Pools","type":"string","jsonPath":".spec.ipAddressPools"}"#,
    printcolumn = r#"{"name":"Peers","type":"string","jsonPath":".spec.peers"}"#,
    printcolumn = r#"{"name":"ResolvedRefs","type":"string","jsonPath":".status.conditions[?(@.type==\"ResolvedRefs\")].status","priority":1}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct BGPAdvertisementSpec {
    /// Length of the prefix that is advertised for an IPv4 address: 32 for the address alone. Shorter prefixes are advertised while any
    /// address within is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 32))]
    pub aggregation_length: Option<u8>,
    /// The same for IPv6: 128 for the address alone.
    #[serde(default, rename = "aggregationLengthV6", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 128))]
    pub aggregation_length_v6: Option<u8>,
    /// LOCAL_PREF for routers of the nodes' own AS; more is better. Without it, 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4_294_967_295_u32))]
    pub local_pref: Option<u32>,
    /// MULTI_EXIT_DISC; less is better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4_294_967_295_u32))]
    pub med: Option<u32>,
    /// How often the nodes' AS stands in the path beside the one time that it must. Longer paths are worse. Only said to
    /// routers of another AS.
    #[serde(default, rename = "asPathPrepend", skip_serializing_if = "is_zero")]
    #[schemars(range(min = 0, max = 10))]
    pub as_path_prepend: u8,
    /// Communities: 64512:100, large:64512:100:1, rt:64512:100, soo:64512:100, a well-known name such as no-export, or a name that
    /// a Community object gives.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        inner(length(min = 1, max = 253)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub communities: Vec<String>,
    /// Names of the pools whose addresses it is about: IPAddressPools, or keys of the address ConfigMap. If these and
    /// ipAddressPoolSelectors are empty, it is about all.
    #[serde(default, rename = "ipAddressPools", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 253)), extend("x-kubernetes-list-type" = "set"))]
    pub ip_address_pools: Vec<String>,
    /// Selectors of further IPAddressPools, by their labels. Pools of the address ConfigMap have none.
    #[serde(default, rename = "ipAddressPoolSelectors", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub ip_address_pool_selectors: Vec<LabelSelector>,
    /// Nodes that may advertise, by their labels: those that one of the selectors matches, all if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub node_selectors: Vec<LabelSelector>,
    /// Services that it is about, by their labels: those that one of the selectors matches. If there is none, it is about
    /// all Services and all Gateways; else about no Gateway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub service_selectors: Vec<LabelSelector>,
    /// Names of the BGPPeers that are told; all, if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 253)), extend("x-kubernetes-list-type" = "set"))]
    pub peers: Vec<String>,
    /// Which nodes may advertise. Without it: for Gateways, and for Services with externalTrafficPolicy: Local, those with a ready
    /// endpoint; for other Services all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announce_from: Option<AnnounceFrom>,
    /// What to do with an address that has no ready endpoint at all. Without it, it is not advertised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_endpoints: Option<WithoutEndpoints>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// The selectors of an advertisement, ready to be matched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selectors {
    /// `ipAddressPoolSelectors`.
    pub pools: Vec<Selector>,
    /// `nodeSelectors`.
    pub nodes: Vec<Selector>,
    /// `serviceSelectors`.
    pub services: Vec<Selector>,
}

impl BGPAdvertisementSpec {
    /// Its selectors.
    ///
    /// # Errors
    /// The first that cannot be read.
    pub fn selectors(&self) -> Result<Selectors, UnreadableSelector> {
        Ok(Selectors {
            pools: read_all("spec.ipAddressPoolSelectors", &self.ip_address_pool_selectors)?,
            nodes: read_all("spec.nodeSelectors", &self.node_selectors)?,
            services: read_all("spec.serviceSelectors", &self.service_selectors)?,
        })
    }
}

/// The definition of the kind, as it is installed. An object without a `spec`, as many have for MetalLB, is given an empty one.
pub fn definition() -> CustomResourceDefinition {
    definition::with_empty_spec(BGPAdvertisement::crd())
}

#[cfg(test)]
mod tests;
