//! How much of a pool is in use.

use std::net::IpAddr;
use std::sync::Arc;

use crate::family::Family;

/// Addresses of one family and one pool, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Addresses that the pool can give, used ones included.
    pub capacity: u128,
    /// Addresses that are held under the name of this pool, whether or not it still covers them.
    pub assigned: u128,
    /// Addresses that nobody holds, that do not rest and that the cluster does not use itself.
    pub available: u128,
    /// Addresses of the pool that rest.
    pub resting: u128,
    /// Of those assigned, the ones that the pool no longer covers.
    pub outside: u128,
}

/// How much of a pool is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// IPv4 addresses.
    pub v4: Counts,
    /// IPv6 addresses.
    pub v6: Counts,
}

impl Usage {
    /// The counts of `family`.
    pub fn of(&self, family: Family) -> Counts {
        match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        }
    }
}

/// Two pools that have addresses in common. Nobody loses anything by it: an address that one has given is used in both.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Overlap {
    /// Names of the pools, in order.
    pub pools: [Arc<str>; 2],
    /// First address of an example range that both have, the lowest.
    pub first: IpAddr,
    /// Its last address.
    pub last: IpAddr,
}
