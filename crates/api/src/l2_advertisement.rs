//! `L2Advertisement`: which nodes announce which addresses by ARP and NDP, and on which of their interfaces. The fields that
//! MetalLB's kind of this name has mean what they mean there, so that its files move by changing `apiVersion` and namespace.
//!
//! What several advertisements say of one address is merged by the rules in `plan`'s module `advertisements`.

use std::fmt;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, JSON};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::core::{ParseExpressionError, Selector};
use kube::{CustomResource, CustomResourceExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::exposure::{AnnounceFrom, WithoutEndpoints};

/// Name of the kind's definition.
pub const DEFINITION: &str = "l2advertisements.keryx.dev";

/// Condition: whether the advertisement is in force.
pub const CONDITION_READY: &str = "Ready";
/// Condition: whether every pool that the advertisement names exists.
pub const CONDITION_RESOLVED_REFS: &str = "ResolvedRefs";

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
    status = "L2AdvertisementStatus",
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

/// A selector that has no meaning: the API server does not check its operators. Nothing is announced because of such an
/// advertisement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableSelector {
    /// Path of the field, such as `spec.nodeSelectors[0]`.
    pub field: String,
    why: String,
}

impl fmt::Display for UnreadableSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cannot be read: {}; operators are In, NotIn (each with values), Exists and DoesNotExist",
            self.field, self.why
        )
    }
}

impl std::error::Error for UnreadableSelector {}

impl L2AdvertisementSpec {
    /// Its selectors.
    ///
    /// # Errors
    /// The first that cannot be read.
    pub fn selectors(&self) -> Result<Selectors, UnreadableSelector> {
        let preferred = self.preferred_node_selectors.iter().enumerate().map(|(place, preferred)| {
            let field = format!("spec.preferredNodeSelectors[{place}].preference");
            Ok((preferred.weight, selector(field, &preferred.preference)?))
        });
        Ok(Selectors {
            pools: selectors("spec.ipAddressPoolSelectors", &self.ip_address_pool_selectors)?,
            nodes: selectors("spec.nodeSelectors", &self.node_selectors)?,
            services: selectors("spec.serviceSelectors", &self.service_selectors)?,
            preferred_nodes: preferred.collect::<Result<_, _>>()?,
        })
    }
}

fn selectors(field: &str, all: &[LabelSelector]) -> Result<Vec<Selector>, UnreadableSelector> {
    let each = all.iter().enumerate();
    each.map(|(place, one)| selector(format!("{field}[{place}]"), one)).collect()
}

fn selector(field: String, selector: &LabelSelector) -> Result<Selector, UnreadableSelector> {
    selector
        .clone()
        .try_into()
        .map_err(|error: ParseExpressionError| UnreadableSelector { field, why: error.to_string() })
}

/// How an advertisement stands, as the controller sees it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct L2AdvertisementStatus {
    /// The generation of the advertisement that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, and ResolvedRefs.
    #[serde(default)]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
}

/// The definition of the kind, as it is installed. An object without a `spec`, as many have for MetalLB, is given an empty one.
pub fn definition() -> CustomResourceDefinition {
    let mut definition = L2Advertisement::crd();
    for version in &mut definition.spec.versions {
        let schema = version.schema.as_mut().and_then(|validation| validation.open_api_v3_schema.as_mut());
        if let Some(schema) = schema {
            schema.required = None;
            let spec = schema.properties.as_mut().and_then(|properties| properties.get_mut("spec"));
            spec.into_iter().for_each(|spec| spec.default = Some(JSON(serde_json::json!({}))));
        }
    }
    definition
}

#[cfg(test)]
mod tests;
