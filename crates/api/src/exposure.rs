//! One Gateway's table for the speakers, a ConfigMap in Keryx' own namespace: no tenant can write it, so speakers take
//! addresses and ports from here and never from objects in a tenant's namespace.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Protocol;

/// Key of the JSON document in the ConfigMap's `data`.
pub const DATA_KEY: &str = "exposure.json";
/// Version that this build writes, and the only one it reads.
pub const VERSION: u32 = 1;

/// An exposure that this build cannot read. Nothing is announced from it.
#[derive(Debug)]
pub enum Unreadable {
    /// The ConfigMap has no [`DATA_KEY`].
    Missing,
    /// The document is no exposure.
    Malformed(serde_json::Error),
    /// The document is of another schema version.
    Version(u32),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(f, "the ConfigMap has no key {DATA_KEY}"),
            Self::Malformed(error) => write!(f, "its {DATA_KEY} is no exposure: {error}"),
            Self::Version(version) => {
                write!(f, "its {DATA_KEY} is of version {version}, and this build knows {VERSION}")
            }
        }
    }
}

impl std::error::Error for Unreadable {}

impl Exposure {
    /// Reads the `data` of an exposure ConfigMap.
    ///
    /// # Errors
    /// The document is missing, malformed or of another version.
    pub fn read(data: Option<&BTreeMap<String, String>>) -> Result<Self, Unreadable> {
        let text = data.and_then(|data| data.get(DATA_KEY)).ok_or(Unreadable::Missing)?;
        let exposure: Self = serde_json::from_str(text).map_err(Unreadable::Malformed)?;
        if exposure.version == VERSION { Ok(exposure) } else { Err(Unreadable::Version(exposure.version)) }
    }
}

/// What one Gateway exposes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exposure {
    /// Schema version, [`VERSION`].
    pub version: u32,
    /// The Gateway.
    pub gateway: GatewayReference,
    /// Its VIPs, in the order of `status.addresses`. They are announced by one node together.
    pub addresses: Vec<IpAddr>,
    /// The pools that these are from, to be read by [`pool_of`](crate::assigned::pool_of); left out if they are not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<String>,
    /// Names of the interfaces to which announcing is limited; left out if it is not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<String>,
    /// Every listener port of the Gateway, each exactly once per protocol, ordered.
    pub ports: Vec<ExposedPort>,
    /// From which nodes, and what happens without endpoints.
    pub announce: AnnouncePolicy,
    /// Owners of one address that carry the same sharing key share it; left out if the Gateway has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharing_key: Option<String>,
}

/// Identity of a Gateway.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GatewayReference {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID; of two Gateways of one name only one is the living.
    pub uid: String,
}

/// One port of the VIPs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExposedPort {
    /// Port number that clients use.
    pub port: u16,
    /// Transport protocol.
    pub protocol: Protocol,
    /// What serves the port.
    pub served_by: ServedBy,
}

/// What serves a listener port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ServedBy {
    /// The LoadBalancer Service cloned from the route's backend; kube-proxy forwards to its endpoints.
    Clone {
        /// Namespace of the clone (and of the backend).
        namespace: String,
        /// Name of the clone.
        name: String,
    },
    /// The Gateway's own Service without endpoints; kube-proxy refuses.
    Anchor,
}

/// Announcement policy of a Gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnnouncePolicy {
    /// Which nodes may announce.
    pub announce_from: AnnounceFrom,
    /// What to do while no port has an endpoint anywhere.
    pub without_endpoints: WithoutEndpoints,
}

/// Which nodes may announce a VIP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AnnounceFrom {
    /// Only nodes with a ready endpoint of at least one port. The default for Gateways.
    #[default]
    LocalEndpoints,
    /// Any eligible node; a local endpoint only ranks. The default for plain Services of policy `Cluster`.
    AnyNode,
}

/// What to do with a VIP that has no endpoint at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WithoutEndpoints {
    /// Do not announce it, so that outer load balancers and anycast notice.
    #[default]
    Withdraw,
    /// Announce it, so that clients get a reset.
    Refuse,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exposure() -> Exposure {
        Exposure {
            version: VERSION,
            gateway: GatewayReference { namespace: "apps".into(), name: "web".into(), uid: "u".into() },
            addresses: vec!["192.0.2.10".parse().unwrap()],
            pools: vec!["edge".to_owned()],
            interfaces: Vec::new(),
            ports: vec![ExposedPort {
                port: 80,
                protocol: Protocol::Tcp,
                served_by: ServedBy::Clone { namespace: "apps".into(), name: "web-1".into() },
            }],
            announce: AnnouncePolicy {
                announce_from: AnnounceFrom::LocalEndpoints,
                without_endpoints: WithoutEndpoints::Withdraw,
            },
            sharing_key: None,
        }
    }

    fn data(exposure: &Exposure) -> BTreeMap<String, String> {
        BTreeMap::from([(DATA_KEY.to_owned(), serde_json::to_string(exposure).unwrap())])
    }

    #[test]
    fn only_the_known_version_is_read() {
        let mut exposure = exposure();
        assert_eq!(Exposure::read(Some(&data(&exposure))).unwrap(), exposure);
        exposure.version = VERSION + 1;
        assert!(matches!(Exposure::read(Some(&data(&exposure))), Err(Unreadable::Version(_))));
        assert!(matches!(Exposure::read(None), Err(Unreadable::Missing)));
    }
    #[test]
    fn a_sharing_key_is_written_only_if_there_is_one() {
        let alone = exposure();
        assert!(!data(&alone)[DATA_KEY].contains("sharingKey"));
        let sharing = Exposure { sharing_key: Some("edge dns".to_owned()), ..exposure() };
        assert!(data(&sharing)[DATA_KEY].contains(r#""sharingKey":"edge dns""#));
        for exposure in [alone, sharing] {
            assert_eq!(Exposure::read(Some(&data(&exposure))).unwrap(), exposure);
        }
    }
}
