//! Who claims which address, and who of several claimants keeps it.

use std::net::IpAddr;

use crate::GroupKey;
use crate::relation::Relation;

/// One claim on an address. Of several claimants the first keeps it. Exposures come before all Services, by name: only
/// Keryx' controller can write one, while the status of Services is open to whoever was given that right. Services
/// follow by age, then by namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Claimant {
    /// Seconds since 1970; the least possible value for exposures.
    created_secs: i64,
    pub(crate) group: GroupKey,
}

impl Claimant {
    pub(crate) fn exposure(group: GroupKey) -> Self {
        Self { created_secs: i64::MIN, group }
    }

    pub(crate) fn service(created_secs: i64, group: GroupKey) -> Self {
        Self { created_secs, group }
    }
}

impl Default for Claimant {
    /// The least value: an exposure without a name.
    fn default() -> Self {
        Self::exposure(GroupKey::Exposure("".into()))
    }
}

/// Every claimed address with its claimants, best right first.
pub(crate) type Claims = Relation<IpAddr, Claimant>;
