//! What the ledger and the marks need to know of one address or one owner.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::Allocator;
use super::holds::Holder;
use crate::owner::{Claim, OwnerId};
use crate::request::Rest;

impl Allocator {
    /// The claims on one address, in the order in which its holders came.
    pub fn claims_on(&self, address: IpAddr) -> impl Iterator<Item = Claim> {
        self.holds.at(address).iter().map(move |holder| Claim {
            address,
            owner: Arc::new(self.owners.owner(holder.owner)),
            pool: Arc::clone(self.pool_names.get(holder.pool())),
        })
    }

    /// Owners of an address that they would not be given any more: the pool it was taken from no longer covers it, or the
    /// cluster uses it itself. Costs O(claims · log ranges).
    pub fn strays(&self) -> BTreeSet<OwnerId> {
        let strays = |(address, holders): (IpAddr, &'_ [Holder])| {
            let is_reserved = self.reserved_why(address).is_some();
            let covers = |holder: &Holder| {
                let current = self.current(holder.pool()).map(|index| &self.pools.states()[index].pool);
                current.is_some_and(|pool| pool.contains(address))
            };
            holders
                .iter()
                .filter(|holder| is_reserved || !covers(holder))
                .map(|holder| holder.owner)
                .collect::<Vec<_>>()
        };
        self.holds.iter().flat_map(strays).map(|handle| self.owners.owner(handle).id).collect()
    }

    /// The rest of one address.
    pub fn rest_of(&self, address: IpAddr) -> Option<Rest> {
        let resting = self.rests.at(address)?;
        Some(Rest {
            address,
            owner: resting.owner.clone(),
            pool: Arc::clone(self.pool_names.get(resting.pool)),
            released_at_secs: resting.released_at_secs,
        })
    }

    /// The key by which an owner shares its addresses, as of its last request that was met.
    pub fn sharing_key_of(&self, owner: &OwnerId) -> Option<&str> {
        let facts = self.owners.facts(self.owners.find(owner)?)?;
        Some(self.sharers.key(facts))
    }
}
