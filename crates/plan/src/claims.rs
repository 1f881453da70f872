//! Who claims which address, who of several claimants keeps it, and which owners hang together by what they share.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::relation::Relation;
use crate::{Index, OwnerKey};

/// Stands for the age of exposures, so that they come before all Services.
const EXPOSED_SECS: i64 = i64::MIN;

/// One claim on an address. Of several claimants the first keeps it, and with it those that carry its sharing key.
/// Exposures come before all Services, by name: only Keryx' controller can write one, while the status of Services is
/// open to whoever was given that right. Services follow by age, then by namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Claimant {
    /// Seconds since 1970; [`EXPOSED_SECS`] for exposures.
    created_secs: i64,
    pub(crate) owner: OwnerKey,
}

impl Claimant {
    pub(crate) fn exposure(owner: OwnerKey) -> Self {
        Self { created_secs: EXPOSED_SECS, owner }
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

/// What decides who an owner hangs together with.
struct Ties<'a> {
    created_secs: i64,
    sharing_key: Option<&'a str>,
    claimed: &'a [IpAddr],
}

impl Index {
    /// All owners of the group that `owner` is in, best right first: those that it shares an address with, those that
    /// these share one with, and so on. Addresses of Nodes tie nobody. Empty if there is no such owner.
    ///
    /// They all carry one sharing key, since each has one at most and an address is shared by one key only.
    pub(crate) fn members(&self, owner: &OwnerKey) -> Vec<OwnerKey> {
        let Some(ties) = self.ties(owner) else { return Vec::new() };
        let Some(key) = ties.sharing_key else { return vec![owner.clone()] };
        let first = Claimant { created_secs: ties.created_secs, owner: owner.clone() };
        let mut members = BTreeSet::from([first]);
        let mut to_visit = vec![ties.claimed];
        let mut visited = BTreeSet::new();
        while let Some(claimed) = to_visit.pop() {
            for address in claimed {
                if !visited.insert(address) || self.nodes.with_address(*address).is_some() {
                    continue;
                }
                for sharer in self.sharers(address, key) {
                    if members.insert(sharer.clone()) {
                        to_visit.extend(self.ties(&sharer.owner).map(|ties| ties.claimed));
                    }
                }
            }
        }
        members.into_iter().map(|member| member.owner).collect()
    }

    /// The claimant that an address is kept from, if `owner` claims it but does not keep it.
    pub(crate) fn better_claimant(&self, address: IpAddr, owner: &OwnerKey) -> Option<&OwnerKey> {
        let first = &self.claims.of(&address).next()?.owner;
        if first == owner {
            return None;
        }
        let key = self.sharing_key(first);
        let keeps = key.is_some() && key == self.sharing_key(owner);
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
        self.ties(owner)?.sharing_key
    }

    fn ties(&self, owner: &OwnerKey) -> Option<Ties<'_>> {
        match owner {
            OwnerKey::Exposure(name) => self.exposures.get(name).map(|exposure| Ties {
                created_secs: EXPOSED_SECS,
                sharing_key: exposure.sharing_key.as_deref(),
                claimed: &exposure.addresses,
            }),
            OwnerKey::Service(name) => self.services.get(name).map(|facts| Ties {
                created_secs: facts.created_secs,
                sharing_key: facts.sharing_key(),
                claimed: &facts.assigned,
            }),
        }
    }
}
