//! `Community`: names for BGP communities, for BGPAdvertisements to use; and the forms in which communities are written.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResource, CustomResourceExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::status::ConditionsStatus;

/// Name of the kind's definition.
pub const DEFINITION: &str = "communities.keryx.dev";

/// Names for BGP communities. Only those in the namespace that Keryx runs in are read.
#[derive(Clone, Debug, Default, PartialEq, CustomResource, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "keryx.dev",
    version = "v1alpha1",
    kind = "Community",
    singular = "community",
    plural = "communities",
    shortname = "kcomm",
    category = "keryx",
    namespaced,
    status = "ConditionsStatus",
    derive = "PartialEq",
    doc = "Names for BGP communities. Only those in the namespace that Keryx runs in are read.",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct CommunitySpec {
    /// The names. A name that several objects give is none.
    #[serde(default)]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub communities: Vec<CommunityAlias>,
}

/// A name for a community.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommunityAlias {
    /// The name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// What it stands for: 64512:100, large:64512:100:1, rt:64512:100, soo:64512:100, or a well-known name such as no-export.
    #[schemars(length(min = 1, max = 64))]
    pub value: String,
}

/// The definition of the kind, as it is installed.
pub fn definition() -> CustomResourceDefinition {
    Community::crd()
}

/// The well-known communities that have a name here (RFC 1997, RFC 7999, RFC 8326).
const WELL_KNOWN: [(&str, u32); 6] = [
    ("graceful-shutdown", 0xffff_0000),
    ("accept-own", 0xffff_0001),
    ("blackhole", 0xffff_029a),
    ("no-export", 0xffff_ff01),
    ("no-advertise", 0xffff_ff02),
    ("no-export-subconfed", 0xffff_ff03),
];

/// What a route is marked with, for routers to act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CommunityValue {
    /// RFC 1997: four octets.
    Standard(u32),
    /// RFC 8092: three times four octets.
    Large([u32; 3]),
    /// RFC 4360: eight octets, type included.
    Extended([u8; 8]),
}

/// A text that is no community.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoCommunity(String);

impl fmt::Display for NoCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "'{}' is no community; write two numbers up to 65535 (64512:100), large: and three numbers (large:64512:100:1), \
             rt: or soo: and two numbers (rt:64512:100), or a well-known name such as no-export",
            self.0
        )
    }
}

impl std::error::Error for NoCommunity {}

impl FromStr for CommunityValue {
    type Err = NoCommunity;

    fn from_str(text: &str) -> Result<Self, NoCommunity> {
        let refused = || NoCommunity(text.to_owned());
        let parts: Vec<&str> = text.split(':').collect();
        if let [name] = parts[..] {
            let known = WELL_KNOWN.iter().find(|(known, _)| *known == name);
            return known.map(|(_, value)| Self::Standard(*value)).ok_or_else(refused);
        }
        let (form, numbers) = match parts[0] {
            form @ ("large" | "rt" | "soo") => (form, &parts[1..]),
            _ => ("", &parts[..]),
        };
        let numbers: Option<Vec<u32>> = numbers.iter().map(|number| decimal(number)).collect();
        match (form, numbers.as_deref()) {
            ("", Some(&[high, low])) => standard(high, low).ok_or_else(refused),
            ("large", Some(&[admin, first, second])) => Ok(Self::Large([admin, first, second])),
            ("rt", Some(&[asn, number])) => extended(0x02, asn, number).ok_or_else(refused),
            ("soo", Some(&[asn, number])) => extended(0x03, asn, number).ok_or_else(refused),
            _ => Err(refused()),
        }
    }
}

/// The names that all Community objects give.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aliases(BTreeMap<String, Result<CommunityValue, AliasError>>);

/// A community that a BGPAdvertisement names and that has no meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AliasError {
    /// It is neither a community nor a name that an object gives.
    Unknown(String),
    /// Several entries give this name.
    Ambiguous(String),
    /// What this name stands for is no community.
    Invalid(String, NoCommunity),
}

impl fmt::Display for AliasError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => {
                write!(f, "no Community object gives the name '{name}', and {}", NoCommunity(name.clone()))
            }
            Self::Ambiguous(name) => write!(f, "several Community objects give the name '{name}'"),
            Self::Invalid(name, error) => write!(f, "the community '{name}': {error}"),
        }
    }
}

impl std::error::Error for AliasError {}

impl Aliases {
    /// The names in these specs.
    pub fn of<'a>(specs: impl IntoIterator<Item = &'a CommunitySpec>) -> Self {
        let mut aliases = BTreeMap::new();
        for CommunityAlias { name, value } in specs.into_iter().flat_map(|spec| &spec.communities) {
            let read = value.parse().map_err(|error| AliasError::Invalid(name.clone(), error));
            let entry = aliases.entry(name.clone());
            entry.and_modify(|known| *known = Err(AliasError::Ambiguous(name.clone()))).or_insert(read);
        }
        Self(aliases)
    }

    /// The community that a text stands for: itself, or by a name. What is a community is never looked up.
    ///
    /// # Errors
    /// It has no meaning.
    pub fn read(&self, text: &str) -> Result<CommunityValue, AliasError> {
        text.parse().or_else(|_| {
            self.0.get(text).cloned().unwrap_or_else(|| Err(AliasError::Unknown(text.to_owned())))
        })
    }
}

/// A number in decimal digits alone, without a sign.
fn decimal(text: &str) -> Option<u32> {
    text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse().ok())?
}

fn standard(high: u32, low: u32) -> Option<CommunityValue> {
    let (high, low) = (u16::try_from(high).ok()?, u16::try_from(low).ok()?);
    Some(CommunityValue::Standard(u32::from(high) << 16 | u32::from(low)))
}

/// A route target or route origin: with an AS of two octets and a number of four (RFC 4360 §3.1, §4), or an AS of four octets and a
/// number of two (RFC 5668).
fn extended(subtype: u8, asn: u32, number: u32) -> Option<CommunityValue> {
    let mut octets = [0; 8];
    octets[1] = subtype;
    if let Ok(asn) = u16::try_from(asn) {
        octets[2..4].copy_from_slice(&asn.to_be_bytes());
        octets[4..].copy_from_slice(&number.to_be_bytes());
    } else {
        octets[0] = 0x02;
        octets[2..6].copy_from_slice(&asn.to_be_bytes());
        octets[6..].copy_from_slice(&u16::try_from(number).ok()?.to_be_bytes());
    }
    Some(CommunityValue::Extended(octets))
}

#[cfg(test)]
mod tests;
