//! Who owns which address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::coverage::Coverage;
use crate::family::{Family, PerFamily, number};
use crate::interval::{IntervalSet, Span};
use crate::owner::{Claim, Conflict, Holder, Owner, OwnerId};
use crate::pool::{KeyPrefix, Order, Pool, Scope};
use crate::reason::{Reason, ReservedWhy};
use crate::request::{Assigned, Assignment, Change, Freed, Request, Rest, Then};
use crate::usage::{Counts, Overlap, Usage};

mod choice;
#[cfg(test)]
mod tests;

/// Holds every claim of the cluster and answers requests for more.
///
/// At the start: [`observe`](Self::observe) every entry of the ledger, then every address in a status, and
/// [`set_pools`](Self::set_pools) and [`set_reserved`](Self::set_reserved), in any order; then requests.
///
/// **Writing and undoing.** [`request`](Self::request) claims in memory at once, so requests of one batch see each other, and
/// frees nothing. Write the ledger next, then the statuses. If the ledger refuses one owner for good,
/// [`forget`](Self::forget) the addresses that are [`Change::New`]; if it was changed by someone else, drop the whole
/// allocator and build a new one from what the ledger says.
///
/// Finding, claiming and freeing an address costs O(log n) in the claims and ranges; pools overlap at will.
#[derive(Clone, Debug, Default)]
pub struct Allocator {
    /// Sorted by name.
    pools: Vec<PoolState>,
    /// Places in `pools` of each namespace's own keys, `cidr-` and `range-`.
    of_namespace: BTreeMap<String, [Option<usize>; 2]>,
    /// The same of the global keys.
    global: [Option<usize>; 2],
    /// Places in `pools` of those that cover an address, left-out addresses included.
    pools_at: PerFamily<Coverage<usize>>,
    reserved: BTreeMap<IpNet, ReservedWhy>,
    reserved_at: PerFamily<Coverage<IpNet>>,
    held: BTreeMap<IpAddr, Hold>,
    /// Addresses of each owner, ascending, never none.
    holders: BTreeMap<Holder, Vec<IpAddr>>,
    waiting: BTreeSet<OwnerId>,
}

#[derive(Clone, Debug)]
struct Hold {
    owner: Arc<Owner>,
    pool: Arc<str>,
}

impl Hold {
    fn claim(&self, address: IpAddr) -> Claim {
        Claim { address, owner: Arc::clone(&self.owner), pool: Arc::clone(&self.pool) }
    }
}

#[derive(Clone, Debug)]
struct PoolState {
    pool: Pool,
    name: Arc<str>,
    capacity: PerFamily<u128>,
    /// Ordinals ([`crate::ordinal`]) of the addresses that are neither held nor reserved.
    free: PerFamily<IntervalSet>,
}

impl PoolState {
    fn new(pool: Pool) -> Self {
        let capacity = PerFamily::from_fn(|family| pool.capacity(family));
        Self { name: Arc::clone(&pool.name), capacity, free: PerFamily::default(), pool }
    }

    /// The free address that is given next.
    fn next_free(&self, family: Family) -> Option<IpAddr> {
        let free = self.free.get(family);
        let ordinal = match self.pool.order {
            Order::Lowest => free.first(),
            Order::Highest => free.last(),
        }?;
        Some(family.address(self.pool.numbering(family).number(ordinal)))
    }

    /// Marks the addresses of `span`, as far as the pool has them, as free or not free.
    fn mark(&mut self, family: Family, span: Span, free: bool) {
        let Some(ordinals) = self.pool.numbering(family).ordinals(span) else { return };
        let set = self.free.get_mut(family);
        if free { set.insert(ordinals) } else { set.remove(ordinals) }
    }
}

impl Allocator {
    /// Replaces all pools, one for each key. Claims stay as they are, whatever the pools say now. Costs O(ranges + claims) if anything
    /// changed.
    pub fn set_pools(&mut self, mut pools: Vec<Pool>) {
        pools.sort_by(|a, b| a.name.cmp(&b.name));
        if pools.iter().eq(self.pools()) {
            return;
        }
        self.pools = pools.into_iter().map(PoolState::new).collect();
        self.of_namespace.clear();
        self.global = [None; 2];
        for (index, state) in self.pools.iter().enumerate() {
            let crate::PoolSource::Key(key) = &state.pool.source else { continue };
            let keys = match &key.scope {
                Scope::Namespace(namespace) => self.of_namespace.entry(namespace.clone()).or_default(),
                Scope::Global => &mut self.global,
            };
            let place = match key.prefix {
                KeyPrefix::Cidr => 0,
                KeyPrefix::Range => 1,
            };
            keys[place] = Some(index);
        }
        self.pools_at = PerFamily::from_fn(|family| {
            let spans_of = |(index, state)| {
                let state: &PoolState = state;
                state.pool.ranges.of(family).spans().map(move |span| (span, index))
            };
            Coverage::new(self.pools.iter().enumerate().flat_map(spans_of))
        });
        for family in Family::ALL {
            for index in 0..self.pools.len() {
                self.refill(index, family, Span::ALL);
            }
        }
    }

    /// Replaces the networks whose addresses must not become VIPs: Nodes' addresses, Service and Pod ranges. Where they
    /// nest, the smallest gives the reason. What is held stays held.
    pub fn set_reserved(&mut self, reserved: BTreeMap<IpNet, ReservedWhy>) {
        let before: BTreeSet<IpNet> = self.reserved.keys().copied().collect();
        let after: BTreeSet<IpNet> = reserved.keys().copied().collect();
        self.reserved = reserved;
        if before == after {
            return;
        }
        self.reserved_at = PerFamily::from_fn(|family| {
            let of_family = after.iter().filter(|net| Family::of(net.addr()) == family);
            Coverage::new(of_family.map(|net| (Span::of_network(*net), *net)))
        });
        for changed in before.symmetric_difference(&after) {
            let (family, span) = (Family::of(changed.addr()), Span::of_network(*changed));
            let touched: BTreeSet<usize> =
                self.pools_at.get(family).overlapping(span).flat_map(|(_, pools)| pools).copied().collect();
            for index in touched {
                self.refill(index, family, span);
            }
        }
    }

    /// The pools, by name.
    pub fn pools(&self) -> impl Iterator<Item = &Pool> {
        self.pools.iter().map(|state| &state.pool)
    }

    /// How much of the pool called `name` is in use; `None` if there is no such pool and no claim names it.
    pub fn usage(&self, name: &str) -> Option<Usage> {
        let state = self.pool(name)?;
        let counts = |family| Counts {
            capacity: *state.capacity.get(family),
            available: state.free.get(family).count(),
            ..Counts::default()
        };
        Some(Usage { v4: counts(Family::V4), v6: counts(Family::V6) })
    }

    /// Pairs of pools that have addresses in common, by name.
    pub fn overlaps(&self) -> Vec<Overlap> {
        Vec::new()
    }

    /// Takes in a claim that exists already: from the ledger, or from a status. Addresses outside every pool and reserved
    /// ones are taken in as well. A claim of the same owner on the same address changes nothing.
    ///
    /// # Errors
    /// The address is another owner's; that owner keeps it.
    pub fn observe(&mut self, claim: Claim) -> Result<(), Conflict> {
        match self.held.get(&claim.address) {
            Some(hold) if hold.owner.id == claim.owner.id => Ok(()),
            Some(hold) => Err(Conflict {
                address: claim.address,
                holder: Arc::clone(&hold.owner),
                refused: claim.owner,
            }),
            None => {
                self.claim(claim);
                Ok(())
            }
        }
    }

    /// Takes in a claim on an address that the ledger lists together with other claims: it joins whoever holds the address.
    pub fn observe_shared(&mut self, claim: Claim) {
        let _ = self.observe(claim);
    }

    /// Takes in a released address from the ledger. Where somebody holds the address, this changes nothing.
    pub fn observe_released(&mut self, _rest: Rest) {}

    /// Addresses that rest, IPv4 first.
    pub fn rests(&self) -> impl Iterator<Item = Rest> {
        std::iter::empty()
    }

    /// When the next rest ends, in seconds since 1970; call [`expire`](Self::expire) then.
    pub fn next_expiry(&self) -> Option<u64> {
        None
    }

    /// Ends the rests that are over at `now_secs`, and returns the addresses whose ledger entries can go.
    pub fn expire(&mut self, _now_secs: u64) -> Vec<IpAddr> {
        Vec::new()
    }

    /// Owners to ask again now, oldest first, each once.
    pub fn take_ready(&mut self) -> Vec<OwnerId> {
        Vec::new()
    }

    /// Owners that did not get all they would like, by identity.
    pub fn waiting(&self) -> impl ExactSizeIterator<Item = &OwnerId> {
        self.waiting.iter()
    }

    /// Gives the owner what it asks for. Level-triggered: what it holds and still wants stays, byte for byte, even outside
    /// its pool; what is missing is claimed; what is no longer wanted is named as surplus and stays claimed. A re-created
    /// owner (same kind, namespace and name, another uid) takes over the old one's claims.
    ///
    /// Without addresses asked for by value, the first key present of `cidr-<ns>`, `cidr-global`, `range-<ns>`,
    /// `range-global` decides; a broken or exhausted one is not passed over. An address asked for by value may be in any
    /// of the four.
    ///
    /// # Errors
    /// The request cannot be met. Nothing was changed: the owner keeps what it has.
    pub fn request(&mut self, request: &Request, _now_secs: u64) -> Result<Assignment, Reason> {
        let choice = self.choose(request)?;
        let (owner, taken_over) = self.current_owner(&request.owner);
        let mut addresses = Vec::with_capacity(choice.picks.len());
        for pick in choice.picks {
            let change = if self.held.contains_key(&pick.address) {
                if taken_over { Change::TakenOver } else { Change::Kept }
            } else {
                let pool = Arc::clone(&pick.pool);
                self.claim(Claim { address: pick.address, owner: Arc::clone(&owner), pool });
                Change::New
            };
            addresses.push(Assigned {
                address: pick.address,
                change,
                outside_pool: !self.pool(&pick.pool).is_some_and(|state| state.pool.contains(pick.address)),
                reserved: self.reserved_why(pick.address).cloned(),
                pool: pick.pool,
            });
        }
        let is_surplus = |claim: &Claim| addresses.iter().all(|assigned| assigned.address != claim.address);
        let surplus = self.claims_of(&request.owner.id).filter(is_surplus).collect();
        Ok(Assignment { addresses, surplus, partial: choice.partial })
    }

    /// Ends the claim of `owner` on one address, and says what becomes of it; `None` if the owner does not hold it.
    pub fn forget(&mut self, address: IpAddr, owner: &OwnerId, _now_secs: u64) -> Option<Freed> {
        if self.held.get(&address)?.owner.id != *owner {
            return None;
        }
        let hold = self.held.remove(&address)?;
        if let Some(addresses) = self.holders.get_mut(&hold.owner.id) {
            addresses.retain(|held| *held != address);
            if addresses.is_empty() {
                self.holders.remove(&hold.owner.id);
            }
        }
        if self.reserved_why(address).is_none() {
            self.mark(address, true);
        }
        Some(Freed { claim: hold.claim(address), then: Then::Free })
    }

    /// Ends every claim of an owner that is gone, by address, and says what becomes of each. It no longer waits either.
    pub fn release(&mut self, owner: &OwnerId, now_secs: u64) -> Vec<Freed> {
        self.waiting.remove(owner);
        let addresses = self.addresses_of(owner).to_vec();
        addresses.into_iter().filter_map(|address| self.forget(address, owner, now_secs)).collect()
    }

    /// Every claim, by address, IPv4 first.
    pub fn claims(&self) -> impl Iterator<Item = Claim> {
        self.held.iter().map(|(&address, hold)| hold.claim(address))
    }

    /// The claims of one owner, by address, IPv4 first.
    pub fn claims_of(&self, owner: &OwnerId) -> impl Iterator<Item = Claim> {
        self.addresses_of(owner).iter().filter_map(|&address| Some(self.held.get(&address)?.claim(address)))
    }

    fn addresses_of(&self, owner: &OwnerId) -> &[IpAddr] {
        self.holders.get(owner).map_or(&[], Vec::as_slice)
    }

    fn pool(&self, name: &str) -> Option<&PoolState> {
        let index = self.pools.binary_search_by(|state| (*state.name).cmp(name)).ok()?;
        self.pools.get(index)
    }

    fn reserved_why(&self, address: IpAddr) -> Option<&ReservedWhy> {
        let nets = self.reserved_at.get(Family::of(address)).at(number(address));
        self.reserved.get(nets.iter().max_by_key(|net| net.prefix_len())?)
    }

    /// The shared copy of `owner`, and whether it has just taken over the claims of a namesake with another uid.
    fn current_owner(&mut self, owner: &Owner) -> (Arc<Owner>, bool) {
        let Some((Holder(known), _)) = self.holders.get_key_value(&owner.id) else {
            return (Arc::new(owner.clone()), false);
        };
        if known.uid == owner.uid {
            return (Arc::clone(known), false);
        }
        let owner = Arc::new(owner.clone());
        let addresses = self.holders.remove(&owner.id).unwrap_or_default();
        for address in &addresses {
            if let Some(hold) = self.held.get_mut(address) {
                hold.owner = Arc::clone(&owner);
            }
        }
        self.holders.insert(Holder(Arc::clone(&owner)), addresses);
        (owner, true)
    }

    /// Puts down a claim on an address that nobody holds.
    fn claim(&mut self, claim: Claim) {
        let Claim { address, owner, pool } = claim;
        let addresses = self.holders.entry(Holder(Arc::clone(&owner))).or_default();
        addresses.push(address);
        addresses.sort_unstable();
        self.held.insert(address, Hold { owner, pool });
        self.mark(address, false);
    }

    /// Marks `address` as free or not free in every pool that has it.
    fn mark(&mut self, address: IpAddr, free: bool) {
        let (family, span) = (Family::of(address), Span::single(number(address)));
        for &index in self.pools_at.get(family).at(span.first) {
            self.pools[index].mark(family, span, free);
        }
    }

    /// Works out anew which addresses of one pool within `span` are free.
    fn refill(&mut self, index: usize, family: Family, span: Span) {
        let state = &mut self.pools[index];
        let covered: Vec<Span> = state.pool.ranges.of(family).overlapping(span).collect();
        for covered in covered {
            state.mark(family, covered, true);
            for (reserved, _) in self.reserved_at.get(family).overlapping(covered) {
                state.mark(family, reserved, false);
            }
            for (&address, _) in self.held.range(family.address(covered.first)..=family.address(covered.last))
            {
                state.mark(family, Span::single(number(address)), false);
            }
        }
    }
}
