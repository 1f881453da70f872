//! The ledger: ConfigMaps in Keryx' own namespace, one per 256 addresses, that say who owns which address. Only
//! controllers read and write it, and always with the resourceVersion they read, so a stale leader cannot give an
//! address twice.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::{Deserialize, Serialize};

/// What is known about one address. The JSON value under [`data_key`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerEntry {
    /// Pool that the address was taken from, which may have gone since.
    pub pool: String,
    /// Who holds the address, several if they share it; of a released one, who held it last. Never empty.
    pub owners: Vec<LedgerOwner>,
    /// When the last owner let it go, while it rests; absent while it is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_at: Option<Time>,
}

/// An owner, or the last one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerOwner {
    /// `Service` or `Gateway`.
    pub kind: OwnerKind,
    /// Namespace of the owner.
    pub namespace: String,
    /// Name of the owner.
    pub name: String,
    /// UID of the owner.
    pub uid: String,
}

/// Kind of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OwnerKind {
    /// `gateway.networking.k8s.io/Gateway`.
    Gateway,
    /// `v1/Service` of type LoadBalancer.
    Service,
}

impl OwnerKind {
    /// The Kubernetes kind.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "Gateway",
            Self::Service => "Service",
        }
    }
}

/// Name of the ledger ConfigMap that holds `address`: its /24 (IPv4) or /120 (IPv6), in hexadecimal for IPv6.
pub fn block_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format!("keryx-ledger-v4-{a}-{b}-{c}")
        }
        IpAddr::V6(v6) => format!("keryx-ledger-v6-{:030x}", u128::from(v6) >> 8),
    }
}

/// Key of `address` in the `data` of its block. ConfigMap keys allow no colon, so IPv6 is written in full with dashes.
pub fn data_key(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => v6.segments().map(|segment| format!("{segment:04x}")).join("-"),
    }
}

/// The address behind a [`data_key`]; `None` for any other text.
pub fn address_of(data_key: &str) -> Option<IpAddr> {
    if data_key.contains('-') {
        data_key.replace('-', ":").parse::<Ipv6Addr>().ok().map(IpAddr::V6)
    } else {
        data_key.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_legal_and_reversible() {
        for text in ["192.0.2.10", "2001:db8::10", "::1", "255.255.255.255"] {
            let address: IpAddr = text.parse().unwrap();
            let key = data_key(address);
            assert!(key.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c)), "{key}");
            assert_eq!(address_of(&key), Some(address));
        }
        assert_eq!(address_of("README"), None);
    }

    #[test]
    fn an_entry_reads_what_it_writes() {
        let text = concat!(
            r#"{"pool":"edge","owners":[{"kind":"Service","namespace":"a","name":"b","uid":"u"}],"#,
            r#""releasedAt":"2026-08-01T10:00:00Z"}"#
        );
        let entry: LedgerEntry = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&entry).unwrap(), text);
    }

    #[test]
    fn a_block_is_256_addresses() {
        let name = |text: &str| block_name(text.parse().unwrap());
        assert_eq!(name("192.0.2.0"), name("192.0.2.255"));
        assert_ne!(name("192.0.2.255"), name("192.0.3.0"));
        assert_eq!(name("2001:db8::"), name("2001:db8::ff"));
        assert_ne!(name("2001:db8::ff"), name("2001:db8::100"));
    }
}
