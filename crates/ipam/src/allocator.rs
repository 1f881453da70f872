//! Who owns which address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::coverage::Coverage;
use crate::family::{Family, PerFamily, number};
use crate::interval::Span;
use crate::owner::{Claim, Conflict, OwnerId};
use crate::pool::Pool;
use crate::reason::{Reason, ReservedWhy};
use crate::request::{Assigned, Assignment, Change, Freed, Request, Rest};
use crate::usage::{Counts, Overlap, Usage};

mod change;
mod choice;
mod chunks;
mod configuration;
mod facts;
mod fit;
mod holds;
mod index;
mod lines;
mod listed;
mod name;
mod names;
mod owners;
mod pools;
mod rests;
#[cfg(test)]
mod tests;
mod view;
mod waiting;

use choice::{Choice, Pick};
use holds::Holds;
use names::Names;
use owners::{Handle, Owners};
use pools::Pools;
use rests::Rests;
use waiting::Waiting;

/// Holds every claim of the cluster and answers requests for more.
///
/// At the start, in any order: [`observe`](Self::observe) every entry of the ledger, then every address in a status, and
/// [`set_pools`](Self::set_pools) and [`set_reserved`](Self::set_reserved); then requests. Times are the caller's, in seconds
/// since 1970; one that goes backwards only makes rests longer.
///
/// **Order of choice.** An address by value; a pool by name; the `IPAddressPool`s that select the owner, by priority (0 last)
/// and name; the first ConfigMap key present, with which the search ends; the `IPAddressPool`s that select nobody, by name.
/// In full in the module `allocator::pools`.
///
/// **Writing and undoing.** [`request`](Self::request) claims in memory at once, so requests of one batch see each other, and
/// frees nothing. Write the ledger next, then the statuses. If the ledger refuses one owner for good,
/// [`forget`](Self::forget) the addresses that are [`Change::New`]; if it was changed by someone else, drop the whole
/// allocator and build a new one from what the ledger says.
///
/// **Waiting.** An owner that is refused, or given less than it would like, waits. After each change ask those whom
/// [`take_ready`](Self::take_ready) names again; nothing is kept free for them meanwhile.
///
/// Finding, claiming and freeing an address costs O(log n) in the claims and ranges; pools overlap at will. It is linear in the
/// pools that serve an owner and are exhausted, in the holders of one shared address, and in the addresses that are
/// shared under one key in one namespace.
#[derive(Clone, Debug, Default)]
pub struct Allocator {
    pools: Pools,
    /// Names of pools, of claims and rests as well.
    pool_names: Names<Arc<str>>,
    /// By number of the pool's name.
    named: Vec<Named>,
    reserved: BTreeMap<IpNet, ReservedWhy>,
    reserved_at: PerFamily<Coverage<IpNet>>,
    owners: Owners,
    holds: Holds,
    sharers: facts::Sharers,
    rests: Rests,
    waiting: Waiting,
    /// Addresses that changed since those who wait were last looked at.
    touched: BTreeSet<IpAddr>,
}

/// What goes by the name of a pool, whether or not there is one.
#[derive(Clone, Debug, Default)]
struct Named {
    /// Place of the pool that has the name.
    current: Option<usize>,
    assigned: PerFamily<u64>,
    outside: PerFamily<u64>,
}

impl Allocator {
    /// How much of the pool called `name` is in use; `None` if there is no such pool and no claim or rest names it.
    pub fn usage(&self, name: &str) -> Option<Usage> {
        let id = self.pool_names.find(name)?;
        let named = self.named.get(id as usize)?;
        let state = named.current.map(|index| &self.pools.states()[index]);
        let counts = |family: Family| Counts {
            capacity: state.map_or(0, |state| *state.capacity.get(family)),
            assigned: u128::from(*named.assigned.get(family)),
            available: state.map_or(0, |state| state.free.get(family).count()),
            resting: state.map_or(0, |state| state.resting.get(family).len() as u128),
            outside: u128::from(*named.outside.get(family)),
        };
        Some(Usage { v4: counts(Family::V4), v6: counts(Family::V6) })
    }

    /// Pairs of pools that can give the same address, by name. Costs O(ranges · log ranges).
    pub fn overlaps(&self) -> Vec<Overlap> {
        self.pools.overlaps()
    }

    /// The pools, by name. Of two with one name the second has a [`Pool::problem`].
    pub fn pools(&self) -> impl Iterator<Item = &Pool> {
        self.pools.states().iter().map(|state| &state.pool)
    }

    /// Takes in a claim that exists already: from the ledger, or from a status. Addresses outside every pool and reserved
    /// ones are taken in as well. A claim of the same owner on the same address changes nothing.
    ///
    /// # Errors
    /// The address is another owner's; that owner keeps it.
    pub fn observe(&mut self, claim: Claim) -> Result<(), Conflict> {
        let known = self.owners.find(&claim.owner.id);
        match self.holds.at(claim.address).first() {
            Some(holder) if known.is_none_or(|known| !self.owners.held(known).contains(&claim.address)) => {
                let holder = Arc::new(self.owners.owner(holder.owner));
                Err(Conflict { address: claim.address, holder, refused: claim.owner })
            }
            Some(_) | None => {
                self.observe_shared(claim);
                Ok(())
            }
        }
    }

    /// Takes in a claim on an address that the ledger lists together with other claims: it joins whoever holds the address.
    /// How these owners share is known as soon as each of them has made a request; until then nobody else can join.
    pub fn observe_shared(&mut self, claim: Claim) {
        let Claim { address, owner, pool } = claim;
        let handle = match self.owners.find(&owner.id) {
            Some(known) => known,
            None => self.owners.insert(&owner),
        };
        self.owners.observe_uid(handle, &owner.uid);
        if !self.owners.held(handle).contains(&address) {
            let id = self.pool_names.take(&pool);
            self.claim(address, handle, id, false);
            self.drop_pool_name(id);
        }
    }

    /// Takes in a released address from the ledger. Where somebody holds the address, this changes nothing; of two such
    /// entries the later release counts.
    pub fn observe_released(&mut self, rest: Rest) {
        let Rest { address, owner, pool, released_at_secs } = rest;
        if !self.holds.at(address).is_empty() {
            return;
        }
        if let Some(other) = self.rests.at(address) {
            if (other.released_at_secs, &other.owner) >= (released_at_secs, &owner) {
                return;
            }
            self.end_rest(address);
        } else {
            self.mark(address, false);
        }
        let id = self.pool_names.take(&pool);
        let rest_secs = self.current(id).and_then(|index| self.pools.states()[index].pool.reuse_after_secs);
        self.begin_rest(address, owner, id, released_at_secs, rest_secs.unwrap_or(0));
        self.drop_pool_name(id);
    }

    /// Addresses that rest, IPv4 first.
    pub fn rests(&self) -> impl Iterator<Item = Rest> {
        self.rests.iter().map(|(address, resting)| Rest {
            address,
            owner: resting.owner.clone(),
            pool: Arc::clone(self.pool_names.get(resting.pool)),
            released_at_secs: resting.released_at_secs,
        })
    }

    /// When the next rest ends, in seconds since 1970; call [`expire`](Self::expire) then.
    pub fn next_expiry(&self) -> Option<u64> {
        self.rests.next_end()
    }

    /// Ends the rests that are over at `now_secs`, and returns the addresses whose ledger entries can go, those that requests
    /// found to be over included.
    pub fn expire(&mut self, now_secs: u64) -> Vec<IpAddr> {
        self.end_rests(now_secs);
        self.settle(None);
        self.rests.take_over()
    }

    /// Owners to ask again now, oldest first: as many as there is something to get for, and after a change of pools or
    /// reserved networks all that wait. Each is named once, until it asks and is refused again. Costs O(log n) for each.
    pub fn take_ready(&mut self) -> Vec<OwnerId> {
        self.waiting.take_ready()
    }

    /// Owners that did not get all they would like, by identity.
    pub fn waiting(&self) -> impl ExactSizeIterator<Item = &OwnerId> {
        self.waiting.iter()
    }

    /// Gives the owner what it asks for. Level-triggered: what it holds and still wants stays, byte for byte, even outside
    /// its pool; what is missing is claimed; what is no longer wanted is named as surplus and stays claimed. A re-created
    /// owner (same kind, namespace and name, another uid) takes over the old one's claims.
    ///
    /// # Errors
    /// The request cannot be met. Nothing was changed: the owner keeps what it has. But see [`Reason::forfeits`].
    pub fn request(&mut self, request: &Request, now_secs: u64) -> Result<Assignment, Reason> {
        self.end_rests(now_secs);
        let answered = self.stop_waiting(&request.owner.id);
        let mut lines = Vec::new();
        let ask = self.ask(request);
        let outcome = match self.choose(&ask, &mut lines) {
            Ok(choice) => {
                let assignment = self.carry_out(request, ask.candidate.me, choice);
                if assignment.partial.is_some() {
                    self.waiting.join(request, lines);
                }
                Ok(assignment)
            }
            Err(reason) => {
                let reason = self.with_forfeit(&ask, reason);
                self.waiting.join(request, lines);
                Err(reason)
            }
        };
        self.settle(answered);
        outcome
    }

    fn carry_out(&mut self, request: &Request, me: Option<Handle>, choice: Choice) -> Assignment {
        let (handle, taken_over) = match me {
            Some(me) => (me, self.owners.set_uid(me, &request.owner.uid)),
            None => (self.owners.insert(&request.owner), false),
        };
        self.set_sharing(handle, request.sharing.as_ref());
        let mut addresses = Vec::with_capacity(choice.picks.len());
        for Pick { address, pool, held } in choice.picks {
            let (change, outside_pool, reserved) = if held {
                self.bind(address, handle, true);
                let current = self.current(pool).map(|index| &self.pools.states()[index].pool);
                let outside_pool = !current.is_some_and(|pool| pool.contains(address));
                let change = if taken_over { Change::TakenOver } else { Change::Kept };
                (change, outside_pool, self.reserved_why(address).cloned())
            } else {
                self.claim(address, handle, pool, true);
                (Change::New, false, None)
            };
            let pool = Arc::clone(self.pool_names.get(pool));
            addresses.push(Assigned { address, pool, change, outside_pool, reserved });
        }
        let mut surplus = Vec::new();
        if self.owners.held(handle).len() > addresses.len() {
            let is_wanted = |claim: &Claim| addresses.iter().any(|other| other.address == claim.address);
            surplus.extend(self.claims_of(&request.owner.id).filter(|claim| !is_wanted(claim)));
            for claim in &surplus {
                self.bind(claim.address, handle, false);
            }
        }
        Assignment { addresses, surplus, partial: choice.partial }
    }

    /// Ends the claim of `owner` on one address, and says what becomes of it; `None` if the owner does not hold it.
    pub fn forget(&mut self, address: IpAddr, owner: &OwnerId, now_secs: u64) -> Option<Freed> {
        let handle = self.owners.find(owner)?;
        if !self.owners.held(handle).contains(&address) {
            return None;
        }
        let holds_others = self.owners.take(handle, address);
        let freed = self.unclaim(address, owner, handle, now_secs);
        if !holds_others {
            self.remove_owner(handle);
        }
        self.settle(None);
        freed
    }

    /// Ends every claim of an owner that is gone, by address, and says what becomes of each. It no longer waits either.
    pub fn release(&mut self, owner: &OwnerId, now_secs: u64) -> Vec<Freed> {
        let answered = self.stop_waiting(owner);
        let mut freed = Vec::new();
        if let Some(handle) = self.owners.find(owner) {
            let held = self.owners.take_all(handle);
            freed.reserve_exact(held.as_slice().len());
            for &address in held.as_slice() {
                freed.extend(self.unclaim(address, owner, handle, now_secs));
            }
            self.remove_owner(handle);
        }
        self.settle(answered);
        freed
    }

    /// Every claim, by address, IPv4 first, and by owner where several share one.
    pub fn claims(&self) -> impl Iterator<Item = Claim> {
        self.holds.iter().flat_map(move |(address, holders)| {
            holders.iter().map(move |holder| Claim {
                address,
                owner: Arc::new(self.owners.owner(holder.owner)),
                pool: Arc::clone(self.pool_names.get(holder.pool())),
            })
        })
    }

    /// The claims of one owner, by address, IPv4 first.
    pub fn claims_of(&self, owner: &OwnerId) -> impl Iterator<Item = Claim> {
        let handle = self.owners.find(owner);
        let owner = handle.map(|handle| (handle, Arc::new(self.owners.owner(handle))));
        owner.into_iter().flat_map(move |(handle, owner)| {
            self.owners.held(handle).iter().filter_map(move |&address| {
                let holder = self.holds.at(address).iter().find(|holder| holder.owner == handle)?;
                let pool = Arc::clone(self.pool_names.get(holder.pool()));
                Some(Claim { address, owner: Arc::clone(&owner), pool })
            })
        })
    }

    fn reserved_why(&self, address: IpAddr) -> Option<&ReservedWhy> {
        let nets = self.reserved_at.get(Family::of(address)).at(number(address));
        self.reserved.get(nets.iter().max_by_key(|net| net.prefix_len())?)
    }
}
