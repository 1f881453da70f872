//! `L2Advertisement`: which nodes announce which addresses by ARP and NDP, and on which of their interfaces. The fields that
//! MetalLB's kind of this name has mean what they mean there, so that its files move by changing `apiVersion` and namespace.
//!
//! What several advertisements say of one address is merged by the rules in `plan`'s module `advertisements`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::Selector;
use kube::{CustomResource, CustomResourceExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::definition;
use crate::exposure::{AnnounceFrom, WithoutEndpoints};
use crate::selectors::{UnreadableSelector, read, read_all};
use crate::status::ConditionsStatus;

/// Name of the kind's definition.
pub const DEFINITION: &str = "l2advertisements.keryx.dev";

/// Where and how addresses are announced by ARP and NDP. Only advertisements in the namespace that Keryx runs in are read.
/// Without any, every address is announced by any node, on each interface that fits.
#[derive(Clone, Debug, Default, PartialEq, CustomResource, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "keryx.dev",
    version = "v1alpha1",
    kind = "L2Advertisement",
    singular = "l2advertisement",
    plural = "l2advertisements",
    shortname = "kl2adv",
    category = "keryx",
    namespaced,
    status = "ConditionsStatus",
    derive = "PartialEq",
    doc = "Where and how addresses are announced by ARP and NDP. Only advertisements in the namespace that Keryx runs in are read. Without any, every address is announced by any node, on each interface that fits.",
    printcolumn = r#"{"name":"Pools","type":"string","jsonPath":".spec.ipAddressPools"}"#,
    printcolumn = r#"{"name":"Interfaces","type":"string","jsonPath":".spec.interfaces"}"#,
    printcolumn = r#"{"name":"ResolvedRefs","type":"string","jsonPath":".status.conditions[?(@.type==\"ResolvedRefs\")].status","priority":1}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct L2AdvertisementSpec {
    /// Names of the pools whose addresses it is about: IPAddressPools, or keys of the address ConfigMap. If these and
    /// ipAddressPoolSelectors are empty, it is about all.
    #[serde(default, rename = "ipAddressPools", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 253)), extend("x-kubernetes-list-type" = "set"))]
    pub ip_address_pools: Vec<String>,
    /// Selectors of further IPAddressPools, by their labels. Pools of the address ConfigMap have none.
    #[serde(default, rename = "ipAddressPoolSelectors", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub ip_address_pool_selectors: Vec<LabelSelector>,
    /// Nodes that may announce, by their labels: those that one of the selectors matches, all if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub node_selectors: Vec<LabelSelector>,
    /// Names of the interfaces to announce on; any that fits, if there is none. A node that has none of these, working and
    /// with a fit address, is no candidate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        inner(length(min = 1, max = 15), regex(pattern = r"^[^/\s]+$")),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub interfaces: Vec<String>,
    /// Services that it is about, by their labels: those that one of the selectors matches. If there is none, it is about
    /// all Services and all Gateways; else about no Gateway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub service_selectors: Vec<LabelSelector>,
    /// Nodes that are better than others, of those that serve equally well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub preferred_node_selectors: Vec<PreferredNodeSelector>,
    /// Move an address back to the node that is the best for it as soon as that node can announce it again. Each move breaks
    /// connections under externalTrafficPolicy: Local and can break others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub revert: bool,
    /// How thoroughly it is checked that no other station uses an address, before it is announced for the first time.
    #[serde(default)]
    pub conflict_detection: ConflictDetection,
    /// Which nodes may announce. Without it: for Gateways, and for Services with externalTrafficPolicy: Local, those with a ready endpoint;
    /// for other Services all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announce_from: Option<AnnounceFrom>,
    /// What to do with an address that has no ready endpoint at all. Without it, it is not announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_endpoints: Option<WithoutEndpoints>,
}

/// Nodes, and how much they are preferred.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreferredNodeSelector {
    /// The weights of all selectors that match a node are added; more is better.
    #[schemars(range(min = 1, max = 100))]
    pub weight: u32,
    /// The nodes, by their labels.
    pub preference: LabelSelector,
}

/// How thoroughly an address is checked before its first use. Strictest last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
pub enum ConflictDetection {
    /// Not at all.
    Off,
    /// By one question, decided after 50 ms.
    #[default]
    Fast,
    /// By the probes and waits of RFC 5227 (IPv4), and three solicitations of duplicate address detection (IPv6): 4 to 7 s.
    Full,
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
    /// `preferredNodeSelectors`, each with its weight.
    pub preferred_nodes: Vec<(u32, Selector)>,
}

impl L2AdvertisementSpec {
    /// Its selectors.
    ///
    /// # Errors
    /// The first that cannot be read.
    pub fn selectors(&self) -> Result<Selectors, UnreadableSelector> {
        let preferred = self.preferred_node_selectors.iter().enumerate().map(|(place, preferred)| {
            let field = format!("spec.preferredNodeSelectors[{place}].preference");
            Ok((preferred.weight, read(field, &preferred.preference)?))
        });
        Ok(Selectors {
            pools: read_all("spec.ipAddressPoolSelectors", &self.ip_address_pool_selectors)?,
            nodes: read_all("spec.nodeSelectors", &self.node_selectors)?,
            services: read_all("spec.serviceSelectors", &self.service_selectors)?,
            preferred_nodes: preferred.collect::<Result<_, _>>()?,
        })
    }
}

/// The definition of the kind, as it is installed. An object without a `spec`, as many have for MetalLB, is given an empty one.
pub fn definition() -> CustomResourceDefinition {
    definition::with_empty_spec(L2Advertisement::crd())
}

#[cfg(test)]
mod tests;
