//! Who claims which address, who of several claimants keeps it, and which owners hang together by what they share.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::relation::Relation;
use crate::{Index, OwnerKey};

/// One claim on an address. Of several claimants the first keeps it, and with it those that carry its sharing key.
/// Exposures come before all Services, by name: only Keryx' controller can write one, while the status of Services is
/// open to whoever was given that right. Services follow by age, then by namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Claimant {
    /// Seconds since 1970; the least possible value for exposures.
    created_secs: i64,
    pub(crate) owner: OwnerKey,
}

impl Claimant {
    pub(crate) fn exposure(owner: OwnerKey) -> Self {
        Self { created_secs: i64::MIN, owner }
    }

    pub(crate) fn service(created_secs: i64, owner: OwnerKey) -> Self {
        Self { created_secs, owner }
    }
}

impl Default for Claimant {
    /// The least value: an exposure without a name.
    fn default() -> Self {
        Self::exposure(OwnerKey::Exposure("".into()))
    }
}

/// Every claimed address with its claimants, best right first.
pub(crate) type Claims = Relation<IpAddr, Claimant>;

impl Index {
    /// All owners of the group that `owner` is in, best right first: those that it shares an address with, those that
    /// these share one with, and so on. Addresses of Nodes tie nobody. Empty if there is no such owner.
    ///
    /// They all carry one sharing key, since each has one at most and an address is shared by one key only.
    pub(crate) fn members(&self, owner: &OwnerKey) -> BTreeSet<Claimant> {
        let Some(first) = self.claimant(owner) else { return BTreeSet::new() };
        let mut members = BTreeSet::from([first.clone()]);
        let Some(key) = self.sharing_key(owner) else { return members };
        let mut to_visit = vec![first];
        let mut visited = BTreeSet::new();
        while let Some(member) = to_visit.pop() {
            for address in self.claimed_by(&member.owner) {
                if visited.insert(address) && self.nodes.with_address(*address).is_none() {
                    let found = self.sharers(address, key).filter(|sharer| members.insert((*sharer).clone()));
                    to_visit.extend(found.cloned());
                }
            }
        }
        members
    }

    /// The claimant that an address is kept from, if `owner` claims it but does not keep it.
    pub(crate) fn better_claimant(&self, address: IpAddr, owner: &OwnerKey) -> Option<&OwnerKey> {
        let first = &self.claims.of(&address).next()?.owner;
        let key = self.sharing_key(first);
        let keeps = first == owner || (key.is_some() && key == self.sharing_key(owner));
        (!keeps).then_some(first)
    }

    /// The claimants that share an address by this key; none if the first claimant carries another.
    fn sharers<'a>(&'a self, address: &'a IpAddr, key: &'a str) -> impl Iterator<Item = &'a Claimant> {
        let carries_key = move |claimant: &&Claimant| self.sharing_key(&claimant.owner) == Some(key);
        let mut claimants = self.claims.of(address);
        let first = claimants.next().filter(carries_key);
        let others = first.is_some().then(|| claimants.filter(carries_key));
        first.into_iter().chain(others.into_iter().flatten())
    }

    /// The sharing key of an owner.
    pub(crate) fn sharing_key(&self, owner: &OwnerKey) -> Option<&str> {
        match owner {
            OwnerKey::Exposure(name) => self.exposures.get(name)?.sharing_key.as_deref(),
            OwnerKey::Service(name) => self.services.get(name)?.sharing_key.as_deref(),
        }
    }

    fn claimant(&self, owner: &OwnerKey) -> Option<Claimant> {
        match owner {
            OwnerKey::Exposure(name) => {
                self.exposures.contains_key(name).then(|| Claimant::exposure(owner.clone()))
            }
            OwnerKey::Service(name) => {
                let facts = self.services.get(name)?;
                Some(Claimant::service(facts.created_secs, owner.clone()))
            }
        }
    }

    fn claimed_by(&self, owner: &OwnerKey) -> &[IpAddr] {
        match owner {
            OwnerKey::Exposure(name) => {
                self.exposures.get(name).map(|exposure| exposure.addresses.as_slice()).unwrap_or_default()
            }
            OwnerKey::Service(name) => {
                self.services.get(name).map(|facts| &*facts.assigned).unwrap_or_default()
            }
        }
    }
}
