//! `IPAddressPool`: a named set of addresses as an object of its own. The fields that MetalLB's kind of this name has mean
//! what they mean there, so that its files move by changing `apiVersion` and namespace.
//!
//! The API server checks the form of each entry; what it cannot see (a range the wrong way round, addresses that can be no
//! VIP, other pools) is said in the conditions of the status.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, CustomResourceExt as _};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Name of the kind's definition.
pub const DEFINITION: &str = "ipaddresspools.keryx.dev";

/// Condition: whether the pool's addresses can be given.
pub const CONDITION_READY: &str = "Ready";
/// Condition: whether an earlier pool has some of the same addresses.
pub const CONDITION_OVERLAPPING: &str = "Overlapping";

/// Most entries of `addresses` and of `reserved`.
pub const MAX_RANGES: usize = 256;
/// Longest entry of `addresses` and of `reserved`, in characters: two IPv6 addresses in full, a dash, some white space.
pub const MAX_RANGE_LEN: usize = 96;

/// Addresses that Keryx may give to Services and Gateways. Only pools in the namespace that Keryx runs in are read.
#[derive(Clone, Debug, Default, PartialEq, CustomResource, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "keryx.dev",
    version = "v1alpha1",
    kind = "IPAddressPool",
    singular = "ipaddresspool",
    plural = "ipaddresspools",
    shortname = "kpool",
    category = "keryx",
    namespaced,
    status = "IPAddressPoolStatus",
    derive = "PartialEq",
    doc = "Addresses that Keryx may give to Services and Gateways. Only pools in the namespace that Keryx runs in are read.",
    printcolumn = r#"{"name":"IPv4-Capacity","type":"string","jsonPath":".status.ipv4.capacity"}"#,
    printcolumn = r#"{"name":"IPv4-Assigned","type":"string","jsonPath":".status.ipv4.assigned"}"#,
    printcolumn = r#"{"name":"IPv4-Available","type":"string","jsonPath":".status.ipv4.available"}"#,
    printcolumn = r#"{"name":"IPv6-Capacity","type":"string","jsonPath":".status.ipv6.capacity","priority":1}"#,
    printcolumn = r#"{"name":"IPv6-Assigned","type":"string","jsonPath":".status.ipv6.assigned","priority":1}"#,
    printcolumn = r#"{"name":"IPv6-Available","type":"string","jsonPath":".status.ipv6.available","priority":1}"#,
    printcolumn = r#"{"name":"Overlapping","type":"string","jsonPath":".status.conditions[?(@.type==\"Overlapping\")].status","priority":1}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct IPAddressPoolSpec {
    /// The addresses: prefixes (192.0.2.0/28), ranges (192.0.2.10-192.0.2.20) or single ones, of both families.
    #[schemars(schema_with = "addresses")]
    pub addresses: Vec<String>,
    /// Whether an owner that names neither a pool nor an address may get one from here.
    #[serde(default = "yes")]
    pub auto_assign: bool,
    /// Leave out IPv4 addresses that end in .0 or .255.
    #[serde(default, rename = "avoidBuggyIPs")]
    pub avoid_buggy_ips: bool,
    /// Addresses, in the same forms, that are never given: those of routers and machines within the ranges.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "reserved")]
    pub reserved: Vec<String>,
    /// Which free address is given next.
    #[serde(default)]
    pub order: PoolOrder,
    /// How long a released address rests before another owner may get it; an owner of the same kind, namespace and name
    /// gets it back at once. When every free address rests, the one released first is given. Hours, minutes, seconds
    /// and milliseconds, such as 10m or 1h30m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "duration")]
    pub reuse_after: Option<String>,
    /// Which Services may get addresses from here. Without it all may, unless there is a gatewayAllocation: then those in its
    /// namespaces, and none if it selects Gateways.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_allocation: Option<ServiceAllocation>,
    /// Which Gateways may get addresses from here. Without it all may, unless there is a serviceAllocation: then those in its
    /// namespaces, and none if it selects Services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_allocation: Option<GatewayAllocation>,
}

/// Which free address of a pool is given next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum PoolOrder {
    /// The lowest.
    #[default]
    Lowest,
    /// The highest.
    Highest,
}

/// Which Services a pool serves. Without namespaces and selectors, all; else those in one of the namespaces (named or
/// selected; any, if neither is given) that one of the Service selectors matches (any, if none is given).
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAllocation {
    /// Of the pools that serve an owner the one with the lowest number comes first; 0 comes last.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub priority: i32,
    /// Names of namespaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    pub namespaces: Vec<String>,
    /// Selectors of namespaces, by their labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub namespace_selectors: Vec<LabelSelector>,
    /// Selectors of Services, by their labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub service_selectors: Vec<LabelSelector>,
}

/// Which Gateways a pool serves, by the same rules.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayAllocation {
    /// Of the pools that serve an owner the one with the lowest number comes first; 0 comes last.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub priority: i32,
    /// Names of namespaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    pub namespaces: Vec<String>,
    /// Selectors of namespaces, by their labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub namespace_selectors: Vec<LabelSelector>,
    /// Selectors of Gateways, by their labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub gateway_selectors: Vec<LabelSelector>,
}

/// How a pool stands, as the controller sees it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IPAddressPoolStatus {
    /// The generation of the pool that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Its IPv4 addresses; absent if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<PoolUsage>,
    /// Its IPv6 addresses; absent if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<PoolUsage>,
    /// Addresses that were given from this pool, are in use, and are no longer in it.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub outside: i64,
    /// Ready, and Overlapping.
    #[serde(default)]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
}

/// Numbers of addresses of one family, as text: an IPv6 pool can have more than any integer of the API holds. Exact below
/// 10^15; above that a power of two, such as 2^64, with ~ before it if it is the nearest one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolUsage {
    /// Addresses that can be given, those in use included, reserved ones not.
    pub capacity: String,
    /// Addresses in use.
    pub assigned: String,
    /// Addresses that are free.
    pub available: String,
    /// Addresses that rest: released, and held back for the owner they had.
    pub resting: String,
}

/// The definition of the kind, as it is installed.
pub fn definition() -> CustomResourceDefinition {
    IPAddressPool::crd()
}

fn yes() -> bool {
    true
}

/// A list of prefixes, ranges and single addresses, at most [`MAX_RANGES`] of them, no two equal.
fn ranges(least: usize) -> Schema {
    json_schema!({
        "type": "array",
        "minItems": least,
        "maxItems": MAX_RANGES,
        "x-kubernetes-list-type": "set",
        "items": {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_RANGE_LEN,
            "x-kubernetes-validations": [
                {
                    "rule": "isCIDR(self) || isIP(self) || (self.split('-').size() == 2 && \
                             self.split('-').all(end, isIP(end.trim())))",
                    "message": "write a prefix (192.0.2.0/28), a range (192.0.2.10-192.0.2.20) or a single address",
                },
                {
                    "rule": "self.split('-').size() != 2 || !self.split('-').all(end, isIP(end.trim())) || \
                             ip(self.split('-')[0].trim()).family() == ip(self.split('-')[1].trim()).family()",
                    "message": "both ends of a range are of one family; write one range for IPv4 and one for IPv6",
                },
            ],
        },
    })
}

fn addresses(_: &mut SchemaGenerator) -> Schema {
    ranges(1)
}

fn reserved(_: &mut SchemaGenerator) -> Schema {
    ranges(0)
}

/// The durations of Gateway API (GEP-2257): no sign, no fraction, at most four terms.
fn duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 32,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$')",
            "message": "write hours, minutes, seconds or milliseconds in whole numbers, such as 10m, 24h or 1h30m",
        }],
    })
}

#[cfg(test)]
mod tests;
