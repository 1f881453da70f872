//! Claims that begin and end, and what that does to pools, rests, keys and counts.

use std::net::IpAddr;

use super::holds::Holder;
use super::names::NameId;
use super::owners::Handle;
use super::{Allocator, Named};
use crate::family::{Family, number};
use crate::owner::OwnerId;
use crate::request::{Freed, Then};
use crate::sharing::Sharing;

impl Allocator {
    /// Puts a claim down. If it is not bound, how its owner shares is not known to hold for this address.
    pub(super) fn claim(&mut self, address: IpAddr, owner: Handle, pool: NameId, bound: bool) {
        let owners = &self.owners;
        let before = |other| owners.identity(other) > owners.identity(owner);
        let is_sole = self.holds.add(address, Holder::new(owner, pool, bound), before);
        if is_sole && self.end_rest(address).is_none() {
            self.mark(address, false);
        }
        self.rests.forget_over(address);
        self.pool_names.take_again(pool);
        let of_pool = |holder: &&Holder| holder.pool() == pool;
        if is_sole || self.holds.at(address).iter().filter(of_pool).count() == 1 {
            self.count(address, pool, |counter| *counter += 1);
        }
        self.owners.add(owner, address);
        if bound {
            self.list(owner, address);
        }
    }

    /// Ends the claim of `owner` on `address`. That the owner holds it must have been taken from what is known of the owner.
    pub(super) fn unclaim(
        &mut self,
        address: IpAddr,
        owner: &OwnerId,
        handle: Handle,
        now_secs: u64,
    ) -> Option<Freed> {
        let (holder, is_shared) = self.holds.remove(address, handle)?;
        let pool = holder.pool();
        if holder.is_bound() {
            self.unlist(handle, address);
        }
        if !is_shared || self.holds.at(address).iter().all(|holder| holder.pool() != pool) {
            self.count(address, pool, |counter| *counter -= 1);
        }
        let then = if is_shared {
            Then::Shared
        } else if let Some(rest_secs) = self.rest_secs(address, pool) {
            self.begin_rest(address, owner.clone(), pool, now_secs, rest_secs);
            Then::Rests { released_at_secs: now_secs }
        } else {
            self.mark(address, true);
            Then::Free
        };
        self.touch(address);
        self.drop_pool_name(pool);
        Some(Freed { address, then })
    }

    /// Takes out an owner that holds nothing any more.
    pub(super) fn remove_owner(&mut self, handle: Handle) {
        let facts = self.owners.remove(handle);
        self.sharers.drop(facts);
    }

    /// Sets how the owner shares to what its request says.
    pub(super) fn set_sharing(&mut self, handle: Handle, sharing: Option<&Sharing>) {
        if self.sharers.are(self.owners.facts(handle), sharing) {
            return;
        }
        let mut bound = self.owners.held(handle).to_vec();
        bound.retain(|address| {
            let mut holders = self.holds.at(*address).iter();
            holders.any(|holder| holder.owner == handle && holder.is_bound())
        });
        for &address in &bound {
            self.unlist(handle, address);
        }
        let facts = self.sharers.take(sharing);
        let old = self.owners.set_facts(handle, facts);
        self.sharers.drop(old);
        for address in bound {
            self.list(handle, address);
        }
    }

    /// Binds the owner's claim on `address` to how it shares, or unbinds it.
    pub(super) fn bind(&mut self, address: IpAddr, handle: Handle, bound: bool) {
        if !self.holds.bind(address, handle, bound) {
            return;
        }
        if bound {
            self.list(handle, address);
        } else {
            self.unlist(handle, address);
            self.touch(address);
        }
    }

    /// Marks `address` as free, unless it is reserved, or as not free, in every pool that can give it.
    pub(super) fn mark(&mut self, address: IpAddr, free: bool) {
        if free && self.reserved_why(address).is_some() {
            return;
        }
        for place in 0..self.pools.covering(address).len() {
            let index = self.pools.covering(address)[place];
            self.pools.mark_one(index, Family::of(address), number(address), free);
        }
    }

    /// How long the address rests if it is released now; `None` if it does not.
    fn rest_secs(&self, address: IpAddr, pool: NameId) -> Option<u64> {
        let index = self.current(pool)?;
        let rest_secs = self.pools.states()[index].pool.reuse_after_secs;
        rest_secs.filter(|secs| *secs > 0 && self.pools.gives(index, address))
    }

    /// Begins a rest on an address that nobody holds.
    pub(super) fn begin_rest(
        &mut self,
        address: IpAddr,
        owner: OwnerId,
        pool: NameId,
        released_at_secs: u64,
        rest_secs: u64,
    ) {
        self.pool_names.take_again(pool);
        self.rests.begin(address, owner, pool, released_at_secs, rest_secs);
        self.mark_resting(address, released_at_secs, true);
    }

    /// Ends a rest; the address counts as taken then.
    pub(super) fn end_rest(&mut self, address: IpAddr) -> Option<()> {
        let resting = self.rests.end(address)?;
        self.mark_resting(address, resting.released_at_secs, false);
        self.drop_pool_name(resting.pool);
        Some(())
    }

    /// Ends what is over at `now_secs`.
    pub(super) fn end_rests(&mut self, now_secs: u64) {
        while let Some(address) = self.rests.first_over(now_secs) {
            self.end_rest(address);
            self.mark(address, true);
            self.rests.note_over(address);
            self.touch(address);
        }
    }

    fn mark_resting(&mut self, address: IpAddr, released_at_secs: u64, resting: bool) {
        if resting && self.reserved_why(address).is_some() {
            return;
        }
        let family = Family::of(address);
        for place in 0..self.pools.covering(address).len() {
            let index = self.pools.covering(address)[place];
            self.pools.mark_resting(index, family, (released_at_secs, number(address)), resting);
        }
    }

    /// Lists the address under the key of an owner that is bound to it.
    fn list(&mut self, handle: Handle, address: IpAddr) {
        if let Some(facts) = self.owners.facts(handle) {
            self.sharers.list(facts, self.owners.namespace_id(handle), address);
        }
        self.touch(address);
    }

    /// Takes the address from the list of the key of an owner that is no longer bound to it.
    fn unlist(&mut self, handle: Handle, address: IpAddr) {
        if let Some(facts) = self.owners.facts(handle) {
            self.sharers.unlist(facts, self.owners.namespace_id(handle), address);
        }
    }

    /// Changes the count of addresses held under the name of a pool, and the count of those that it does not cover.
    fn count(&mut self, address: IpAddr, pool: NameId, change: impl Fn(&mut u64)) {
        let family = Family::of(address);
        let outside = self.current(pool).is_none_or(|index| !self.pools.gives(index, address));
        let named = self.named_mut(pool);
        change(named.assigned.get_mut(family));
        if outside {
            change(named.outside.get_mut(family));
        }
    }

    /// Place of the pool that has the name with this number now.
    pub(super) fn current(&self, pool: NameId) -> Option<usize> {
        self.named.get(pool as usize).and_then(|named| named.current)
    }

    pub(super) fn named_mut(&mut self, pool: NameId) -> &mut Named {
        let index = pool as usize;
        if self.named.len() <= index {
            self.named.resize_with(index + 1, Named::default);
        }
        &mut self.named[index]
    }

    pub(super) fn drop_pool_name(&mut self, pool: NameId) {
        if self.pool_names.drop(pool) {
            *self.named_mut(pool) = Named::default();
        }
    }
}
