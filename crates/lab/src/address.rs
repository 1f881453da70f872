//! The address plan, the same in every lab: labs share nothing, so they need no different addresses.
//!
//! | what | IPv4 | IPv6 |
//! |---|---|---|
//! | host h on segment s | 10.98.s.h/24 | fd98:0:0:s::h/64 |
//! | management of host h | 10.99.0.h/24 | |
//! | pods of node k | 10.97.k.0/24 | fd97:0:0:k::/64 |
//! | Services | 10.96.0.0/16 | fd96::/112 |
//! | fake node k, which nothing answers at | 10.94.0.0 + k | |
//! | Pods of fake nodes, the same | 10.95.0.0/16 | |
//!
//! The control plane is host 10, node k is host 10 + k, client k is host 100 + k. IPv6 groups read like the decimal
//! numbers (host 11 is `::11`). Addresses from 150 on are nobody's, so VIPs go there.

use std::net::{Ipv4Addr, Ipv6Addr};

/// IPv4 range of Services.
pub(crate) const SERVICES_V4: &str = "10.96.0.0/16";
/// IPv6 range of Services.
pub(crate) const SERVICES_V6: &str = "fd96::/112";
/// IPv4 range of all pods.
pub(crate) const PODS_V4: &str = "10.97.0.0/16";
/// IPv6 range of all pods.
pub(crate) const PODS_V6: &str = "fd97::/48";
/// The first address of each Service range, which is the API server's own Service.
pub(crate) const API_SERVICE_V4: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
/// The same of the IPv6 range.
pub(crate) const API_SERVICE_V6: Ipv6Addr = Ipv6Addr::new(0xfd96, 0, 0, 0, 0, 0, 0, 1);
/// The ClusterIP of the cluster's DNS.
pub(crate) const DNS_SERVICE: &str = "10.96.0.10";
/// The most nodes, and the most clients, that the plan has numbers for.
pub(crate) const MOST: u8 = 40;
/// The most segments.
pub(crate) const MOST_SEGMENTS: u8 = 8;
/// The most fake nodes: what Kubernetes itself is made for.
pub(crate) const MOST_FAKE: u16 = 5000;
/// IPv4 range of the Pods on fake nodes.
pub(crate) const FAKE_PODS_V4: &str = "10.95.0.1/16";
/// The control plane's host number.
pub(crate) const CONTROL_PLANE: u8 = 10;

/// The host number of node `number`, counted from 1.
pub(crate) fn node(number: u8) -> u8 {
    CONTROL_PLANE + number
}

/// The host number of client `number`, counted from 1.
pub(crate) fn client(number: u8) -> u8 {
    100 + number
}

pub(crate) fn segment_v4(segment: u8, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 98, segment, host)
}

pub(crate) fn segment_v6(segment: u8, host: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd98, 0, 0, as_read(segment), 0, 0, 0, as_read(host))
}

pub(crate) fn management(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 99, 0, host)
}

/// The pod ranges of node `number`.
pub(crate) fn pods(number: u8) -> [String; 2] {
    [format!("10.97.{number}.0/24"), format!("fd97:0:0:{number}::/64")]
}

/// The InternalIP of fake node `number`, counted from 1.
pub(crate) fn fake_node(number: u16) -> Ipv4Addr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(10, 94, high, low)
}

/// A locally administered unicast address that spells the IPv4 address.
pub(crate) fn mac(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [0x02, 0, a, b, c, d]
}

/// As `02:00:0a:62:00:0b`.
pub(crate) fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// The group whose hexadecimal digits read like the decimal number: 101 becomes 0x101.
fn as_read(number: u8) -> u16 {
    let number = u16::from(number);
    (number / 100) * 0x100 + (number / 10 % 10) * 0x10 + number % 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families_read_alike() {
        assert_eq!(segment_v6(0, node(1)).to_string(), "fd98::11");
        assert_eq!(segment_v6(1, client(20)).to_string(), "fd98:0:0:1::120");
        assert_eq!(segment_v4(1, client(20)).to_string(), "10.98.1.120");
        assert_eq!(fake_node(MOST_FAKE).to_string(), "10.94.19.136");
        assert_eq!(mac_text(mac(segment_v4(0, node(1)))), "02:00:0a:62:00:0b");
    }
}
