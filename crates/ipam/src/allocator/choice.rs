//! What a request would get, decided without changing anything.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Allocator, PoolState};
use crate::family::{Family, number};
use crate::interval::Span;
use crate::reason::Reason;
use crate::request::{Families, Request};

/// One address for the owner: held already, or free.
pub(super) struct Pick {
    pub(super) address: IpAddr,
    /// The pool of the claim that exists, or that the free address is taken from.
    pub(super) pool: Arc<str>,
}

/// What a request gets.
pub(super) struct Choice {
    /// At least one.
    pub(super) picks: Vec<Pick>,
    /// Why a family that would be welcome is missing.
    pub(super) partial: Option<Reason>,
}

/// The pool that automatic choice takes from, or why there is none.
type Deciding<'a> = Result<&'a PoolState, Reason>;

impl Allocator {
    pub(super) fn choose(&self, request: &Request) -> Result<Choice, Reason> {
        if request.families == Families::EachAvailable && !request.addresses.is_empty() {
            return self.choose_exactly(request);
        }
        let pool = self.deciding_pool(request);
        let families = self.families(request, &pool)?;
        fit_families(request, &families)?;
        let mut picks = Vec::with_capacity(families.len());
        let mut missing = None;
        for family in families {
            let by_value = request.addresses.iter().find(|address| Family::of(**address) == family);
            let pick = match by_value {
                Some(&address) => Ok(self.exact(request, address)?),
                None => self.any(request, family, &pool),
            };
            match (pick, request.families) {
                (Ok(pick), _) => picks.push(pick),
                (Err(reason), Families::Single(_) | Families::Require(_)) => return Err(reason),
                (Err(reason), Families::Prefer(_) | Families::EachAvailable) => {
                    missing.get_or_insert(reason);
                }
            }
        }
        match missing {
            Some(reason) if picks.is_empty() => Err(reason),
            partial => Ok(Choice { picks, partial }),
        }
    }

    /// The addresses asked for by value, and no others.
    fn choose_exactly(&self, request: &Request) -> Result<Choice, Reason> {
        let mut picks: Vec<Pick> = Vec::with_capacity(request.addresses.len());
        for &address in &request.addresses {
            if picks.iter().all(|pick| pick.address != address) {
                picks.push(self.exact(request, address)?);
            }
        }
        Ok(Choice { picks, partial: None })
    }

    /// The families that `request` comes down to, in order; never none.
    fn families(&self, request: &Request, pool: &Deciding<'_>) -> Result<Vec<Family>, Reason> {
        let holds = |family| self.kept(request, family, pool).is_some();
        let in_pool = |family| pool.as_ref().is_ok_and(|pool| *pool.capacity.get(family) > 0);
        let families = match request.families {
            Families::Single(Some(family)) => vec![family],
            Families::Single(None) => {
                let by_value = request.addresses.first().map(|address| Family::of(*address));
                let held = || Family::ALL.into_iter().find(|family| holds(*family));
                let available = || Family::ALL.into_iter().find(|family| in_pool(*family));
                by_value.or_else(held).or_else(available).into_iter().collect()
            }
            Families::Prefer(first) | Families::Require(first) => vec![first, first.other()],
            Families::EachAvailable => {
                Family::ALL.into_iter().filter(|family| holds(*family) || in_pool(*family)).collect()
            }
        };
        match (families.is_empty(), pool) {
            (false, _) => Ok(families),
            (true, Err(reason)) => Err(reason.clone()),
            (true, Ok(pool)) => {
                Err(Reason::FamilyNotInPool { pool: Arc::clone(&pool.name), family: Family::V4 })
            }
        }
    }

    /// An address of `family`: the one held, else the pool's next free one.
    fn any(&self, request: &Request, family: Family, pool: &Deciding<'_>) -> Result<Pick, Reason> {
        if let Some(pick) = self.kept(request, family, pool) {
            return Ok(pick);
        }
        let state = *pool.as_ref().map_err(Clone::clone)?;
        let pool = Arc::clone(&state.name);
        match state.next_free(family) {
            Some(address) => Ok(Pick { address, pool }),
            None if *state.capacity.get(family) == 0 => Err(Reason::FamilyNotInPool { pool, family }),
            None => {
                let reserved = self.reserved_count(state, family);
                Err(Reason::PoolExhausted { pool, family, capacity: *state.capacity.get(family), reserved })
            }
        }
    }

    /// The lowest address of `family` that the owner holds and still wants. Naming a pool is to ask for an address of that
    /// pool: one that was taken from elsewhere, and is not in it, is then no longer wanted.
    fn kept(&self, request: &Request, family: Family, pool: &Deciding<'_>) -> Option<Pick> {
        let held =
            self.addresses_of(&request.owner.id).iter().filter(|address| Family::of(**address) == family);
        let mut picks = held
            .filter_map(|&address| Some(Pick { address, pool: Arc::clone(&self.held.get(&address)?.pool) }));
        picks.find(|pick| match &request.pool {
            None => true,
            Some(name) => {
                **name == *pick.pool || pool.as_ref().is_ok_and(|state| state.pool.contains(pick.address))
            }
        })
    }

    /// Exactly this address.
    fn exact(&self, request: &Request, address: IpAddr) -> Result<Pick, Reason> {
        let hold = self.held.get(&address);
        if let Some(hold) = hold
            && hold.owner.id == request.owner.id
        {
            return Ok(Pick { address, pool: Arc::clone(&hold.pool) });
        }
        // Pools first: an owner learns nothing about addresses that are not for its namespace.
        let pool = self.pool_of(request, address)?;
        if let Some(why) = self.reserved_why(address) {
            return Err(Reason::AddressReserved { address, why: why.clone() });
        }
        match hold {
            Some(hold) => Err(Reason::AddressTaken { address, owner: Arc::clone(&hold.owner) }),
            None => Ok(Pick { address, pool: Arc::clone(&pool.name) }),
        }
    }

    /// The first pool open to the owner that can give `address`.
    fn pool_of(&self, request: &Request, address: IpAddr) -> Result<&PoolState, Reason> {
        let open: Vec<&PoolState> = match &request.pool {
            Some(_) => vec![self.deciding_pool(request)?],
            None => self.pools_for(&request.owner.id.namespace).collect(),
        };
        if let Some(state) = open.iter().find(|state| state.pool.contains(address)) {
            return Ok(state);
        }
        let covers = |state: &PoolState| state.pool.ranges.of(Family::of(address)).contains(number(address));
        if open.iter().any(|state| covers(state)) {
            return Err(Reason::AddressAvoided { address });
        }
        if request.pool.is_some() {
            return Err(Reason::AddressNotInPool { address, pool: Arc::clone(&open[0].name) });
        }
        let namespace = request.owner.id.namespace.clone();
        match open.first() {
            None => Err(Reason::NoPool { namespace }),
            // The address may stand in a key that cannot be read.
            Some(_) => match open.into_iter().find_map(|state| intact(state).err()) {
                Some(broken) => Err(broken),
                None => Err(Reason::AddressOutsidePools { address, namespace }),
            },
        }
    }

    /// The pool that is named, else the first that is present for the owner's namespace.
    fn deciding_pool(&self, request: &Request) -> Deciding<'_> {
        let namespace = &request.owner.id.namespace;
        let mut open = self.pools_for(namespace);
        let found = match &request.pool {
            Some(name) => open
                .find(|state| *state.name == **name)
                .ok_or_else(|| Reason::PoolUnknown { pool: name.clone(), namespace: namespace.clone() }),
            None => open.next().ok_or_else(|| Reason::NoPool { namespace: namespace.clone() }),
        };
        found.and_then(intact)
    }

    /// The pools that owners in `namespace` may use, first choice first.
    fn pools_for(&self, namespace: &str) -> impl Iterator<Item = &PoolState> {
        let [cidr, range] = self.of_namespace.get(namespace).copied().unwrap_or_default();
        let [global_cidr, global_range] = self.global;
        [cidr, global_cidr, range, global_range]
            .into_iter()
            .flatten()
            .filter_map(|index| self.pools.get(index))
    }

    /// How many addresses of the pool are kept back for the cluster itself.
    fn reserved_count(&self, state: &PoolState, family: Family) -> u128 {
        let numbering = state.pool.numbering(family);
        let reserved = self.reserved_at.get(family);
        let spans = state.pool.ranges.of(family).spans();
        spans
            .flat_map(|span| reserved.overlapping(span))
            .filter_map(|(span, _)| numbering.ordinals(span))
            .map(Span::count)
            .sum()
    }
}

/// The pool, unless its key is broken.
fn intact(state: &PoolState) -> Result<&PoolState, Reason> {
    match &state.pool.problem {
        None => Ok(state),
        Some(problem) => Err(Reason::PoolInvalid { pool: Arc::clone(&state.name), problem: problem.clone() }),
    }
}

/// Addresses asked for by value must be of wanted families, one of each at most.
fn fit_families(request: &Request, families: &[Family]) -> Result<(), Reason> {
    let mut named: Vec<IpAddr> = Vec::new();
    for &address in &request.addresses {
        let family = Family::of(address);
        let second = named.iter().any(|other| Family::of(*other) == family && *other != address);
        if second || !families.contains(&family) {
            let families = families.iter().map(|family| family.as_str()).collect::<Vec<_>>().join(", ");
            return Err(Reason::AddressNotWanted { address, families });
        }
        named.push(address);
    }
    Ok(())
}
