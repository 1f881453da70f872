//! Addresses that were released and are held back for the owner they had.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::net::IpAddr;

use super::names::NameId;
use crate::family::Family;
use crate::interval::Span;
use crate::owner::OwnerId;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resting {
    pub(super) owner: OwnerId,
    pub(super) pool: NameId,
    pub(super) released_at_secs: u64,
    until_secs: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Rests {
    at: BTreeMap<IpAddr, Resting>,
    of: HashMap<OwnerId, Vec<IpAddr>, BuildHasherDefault<DefaultHasher>>,
    ends: BTreeSet<(u64, IpAddr)>,
    /// Addresses whose rest is over and that the caller was not told of yet.
    over: BTreeSet<IpAddr>,
}

impl Rests {
    pub(super) fn at(&self, address: IpAddr) -> Option<&Resting> {
        self.at.get(&address)
    }

    /// What rests for an owner, ascending.
    pub(super) fn of(&self, owner: &OwnerId) -> &[IpAddr] {
        self.of.get(owner).map_or(&[], Vec::as_slice)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (IpAddr, &Resting)> {
        self.at.iter().map(|(address, resting)| (*address, resting))
    }

    /// The addresses of one family within `span` that rest, ascending, with the time of release.
    pub(super) fn within(&self, family: Family, span: Span) -> impl Iterator<Item = (IpAddr, u64)> {
        let range = self.at.range(family.address(span.first)..=family.address(span.last));
        range.map(|(address, resting)| (*address, resting.released_at_secs))
    }

    /// When the first rest ends.
    pub(super) fn next_end(&self) -> Option<u64> {
        self.ends.first().map(|(until, _)| *until)
    }

    /// An address whose rest is over at `now_secs`.
    pub(super) fn first_over(&self, now_secs: u64) -> Option<IpAddr> {
        self.ends.first().filter(|(until, _)| *until <= now_secs).map(|(_, address)| *address)
    }

    /// Begins a rest on an address that does not rest.
    pub(super) fn begin(
        &mut self,
        address: IpAddr,
        owner: OwnerId,
        pool: NameId,
        released_at_secs: u64,
        rest_secs: u64,
    ) {
        let until_secs = released_at_secs.saturating_add(rest_secs);
        self.ends.insert((until_secs, address));
        let of_owner = self.of.entry(owner.clone()).or_default();
        of_owner.push(address);
        of_owner.sort_unstable();
        self.at.insert(address, Resting { owner, pool, released_at_secs, until_secs });
        self.over.remove(&address);
    }

    /// Ends a rest.
    pub(super) fn end(&mut self, address: IpAddr) -> Option<Resting> {
        let resting = self.at.remove(&address)?;
        self.ends.remove(&(resting.until_secs, address));
        if let Some(of_owner) = self.of.get_mut(&resting.owner) {
            of_owner.retain(|other| *other != address);
            if of_owner.is_empty() {
                self.of.remove(&resting.owner);
            }
        }
        Some(resting)
    }

    /// Notes that a rest went to its end, for [`take_over`](Self::take_over).
    pub(super) fn note_over(&mut self, address: IpAddr) {
        self.over.insert(address);
    }

    /// Somebody holds the address: its entry in the ledger is a claim now.
    pub(super) fn forget_over(&mut self, address: IpAddr) {
        if !self.over.is_empty() {
            self.over.remove(&address);
        }
    }

    /// The addresses whose rest went to its end since this was last asked, and that nobody took since.
    pub(super) fn take_over(&mut self) -> Vec<IpAddr> {
        std::mem::take(&mut self.over).into_iter().collect()
    }

    /// Works out anew when each rest ends, from the time that its pool now gives.
    pub(super) fn reschedule(&mut self, rest_secs: impl Fn(NameId) -> u64) {
        self.ends.clear();
        for (address, resting) in &mut self.at {
            resting.until_secs = resting.released_at_secs.saturating_add(rest_secs(resting.pool));
            self.ends.insert((resting.until_secs, *address));
        }
    }
}
