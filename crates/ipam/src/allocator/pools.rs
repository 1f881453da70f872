//! The pools: what each can give, and in which order they are looked at.
//!
//! # The order
//! An address asked for by value comes first, then a pool asked for by name. Without either:
//! 1. the `IPAddressPool`s that select the owner, by (priority, name), priority 0 last;
//! 2. the first key present of `cidr-<ns>`, `cidr-global`, `range-<ns>`, `range-global` of the ConfigMap. Where one is present
//!    the search ends, broken or exhausted as it may be;
//! 3. the `IPAddressPool`s that select nobody, by name.
//!
//! `IPAddressPool`s that cannot give are passed over; those without `autoAssign` are not looked at. Each family is chosen for
//! itself. An owner with a sharing key gets, in this order of pools, the lowest address that others hold and that it
//! fits to, before a free one. An address that rests for the owner comes before both. To ask by value or name needs a
//! pool that is open to the owner all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::names::NameId;
use crate::access::{Applicant, Standing};
use crate::coverage::Coverage;
use crate::family::{Family, PerFamily, number};
use crate::free::FreeSet;
use crate::interval::Span;
use crate::owner::OwnerKind;
use crate::pool::{KeyPrefix, Order, Pool, PoolProblem, PoolSource, Ranges, Scope};
use crate::usage::Overlap;

/// One pool and what of it is free.
#[derive(Clone, Debug)]
pub(super) struct PoolState {
    pub(super) pool: Pool,
    /// Number of its name.
    pub(super) id: NameId,
    pub(super) capacity: PerFamily<u128>,
    /// Ordinals ([`crate::ordinal`]) of the addresses that are neither held nor resting nor reserved.
    pub(super) free: PerFamily<FreeSet>,
    /// Addresses that rest and are not reserved, as numbers, the one released first at the head.
    pub(super) resting: PerFamily<BTreeSet<(u64, u128)>>,
}

impl PoolState {
    fn new(pool: Pool, id: NameId) -> Self {
        let capacity = PerFamily::from_fn(|family| pool.capacity(family));
        Self { id, capacity, free: PerFamily::default(), resting: PerFamily::default(), pool }
    }

    /// The address that is given next: a free one, else the one that was released first.
    pub(super) fn next(&self, family: Family) -> Option<IpAddr> {
        let free = self.free.get(family);
        let ordinal = match self.pool.order {
            Order::Lowest => free.first(),
            Order::Highest => free.last(),
        };
        let free = ordinal.map(|ordinal| self.pool.numbering(family).number(ordinal));
        let released = || self.resting.get(family).first().map(|(_, number)| *number);
        free.or_else(released).map(|number| family.address(number))
    }

    /// How many addresses it can give now.
    pub(super) fn available(&self, family: Family) -> u128 {
        self.free.get(family).count() + self.resting.get(family).len() as u128
    }

    /// The family of an owner that takes either: IPv4 if the pool has any, else IPv6.
    pub(super) fn usual_family(&self) -> Option<Family> {
        Family::ALL.into_iter().find(|family| *self.capacity.get(*family) > 0)
    }
}

/// How early a pool is looked at: its class, its place in the class, and its place by name.
pub(super) type Rank = (u8, u64, usize);

/// What one kind of owner finds pinned.
#[derive(Clone, Debug, Default)]
struct Pinned {
    /// Places in [`Pools::states`], by (priority, name).
    order: Vec<usize>,
    /// Places in `order` of pools that name their namespaces and select no others.
    of_namespace: BTreeMap<String, Vec<usize>>,
    /// Places in `order` of all others.
    elsewhere: Vec<usize>,
}

impl Pinned {
    fn new(states: &[PoolState], kind: OwnerKind) -> Self {
        let allocation = |index: usize| match &states[index].pool.source {
            PoolSource::Object(access) => access.allocation(kind).map(|(allocation, _)| allocation),
            PoolSource::Key(_) => None,
        };
        let order = (0..states.len()).filter(|index| allocation(*index).is_some()).collect();
        let mut pinned = Self { order, ..Self::default() };
        pinned.order.sort_by_key(|index| (allocation(*index).map(|pinned| pinned.rank()), *index));
        for (place, index) in pinned.order.iter().enumerate() {
            let Some(allocation) = allocation(*index) else { continue };
            if allocation.namespaces.is_empty() || !allocation.namespace_selectors.is_empty() {
                pinned.elsewhere.push(place);
                continue;
            }
            for namespace in &allocation.namespaces {
                let places = pinned.of_namespace.entry(namespace.clone()).or_default();
                if places.last() != Some(&place) {
                    places.push(place);
                }
            }
        }
        pinned
    }

    /// Pools that may be pinned to an owner in `namespace`, in order.
    fn of(&self, namespace: &str) -> impl Iterator<Item = usize> {
        let mut here = self.of_namespace.get(namespace).map_or(&[][..], Vec::as_slice);
        let mut elsewhere = &self.elsewhere[..];
        std::iter::from_fn(move || {
            let list = match (here.first(), elsewhere.first()) {
                (Some(one), Some(other)) if one < other => &mut here,
                (Some(_), None) => &mut here,
                (Some(_) | None, Some(_)) => &mut elsewhere,
                (None, None) => return None,
            };
            let place = list.split_off_first()?;
            self.order.get(*place).copied()
        })
    }
}

/// All pools.
#[derive(Clone, Debug, Default)]
pub(super) struct Pools {
    /// Sorted by name, a key before an object of the same name.
    states: Vec<PoolState>,
    /// Places of each namespace's own keys, `cidr-` and `range-`.
    of_namespace: BTreeMap<String, [Option<usize>; 2]>,
    /// The same of the global keys.
    global: [Option<usize>; 2],
    services: Pinned,
    gateways: Pinned,
    /// Places of the objects that select nobody.
    open: Vec<usize>,
    /// Those of them that automatic choice looks at.
    open_automatic: Vec<usize>,
    /// Places of those that cover an address, left-out addresses included.
    at: PerFamily<Coverage<usize>>,
    /// Whether each can give an address now: close together, for those who look at many pools that cannot.
    can_give: PerFamily<Vec<bool>>,
}

/// Puts pools in order and closes those whose name is taken.
pub(super) fn arrange(mut pools: Vec<Pool>) -> Vec<Pool> {
    let is_object = |pool: &Pool| matches!(pool.source, PoolSource::Object(_));
    pools.sort_by(|a, b| (&a.name, is_object(a)).cmp(&(&b.name, is_object(b))));
    for index in 1..pools.len() {
        if pools[index - 1].name == pools[index].name {
            let taken = &mut pools[index];
            taken.ranges = Ranges::default();
            taken.problem = Some(PoolProblem::NameTaken { name: Arc::clone(&taken.name) });
        }
    }
    pools
}

impl Pools {
    /// Takes pools as [`arrange`] leaves them, each with the number of its name. Nothing of them is marked as free yet.
    pub(super) fn new(pools: Vec<(Pool, NameId)>) -> Self {
        let states: Vec<PoolState> = pools.into_iter().map(|(pool, id)| PoolState::new(pool, id)).collect();
        let mut of_namespace: BTreeMap<String, [Option<usize>; 2]> = BTreeMap::new();
        let (mut global, mut open) = ([None; 2], Vec::new());
        for (index, state) in states.iter().enumerate() {
            let key = match &state.pool.source {
                PoolSource::Key(key) => key,
                PoolSource::Object(access) => {
                    if access.services.is_none() && access.gateways.is_none() {
                        open.push(index);
                    }
                    continue;
                }
            };
            let keys = match &key.scope {
                Scope::Namespace(namespace) => of_namespace.entry(namespace.clone()).or_default(),
                Scope::Global => &mut global,
            };
            let place = match key.prefix {
                KeyPrefix::Cidr => 0,
                KeyPrefix::Range => 1,
            };
            keys[place] = Some(index);
        }
        let at = PerFamily::from_fn(|family| {
            let spans_of = |(index, state)| {
                let state: &PoolState = state;
                state.pool.ranges.of(family).spans().map(move |span| (span, index))
            };
            Coverage::new(states.iter().enumerate().flat_map(spans_of))
        });
        let services = Pinned::new(&states, OwnerKind::Service);
        let gateways = Pinned::new(&states, OwnerKind::Gateway);
        let can_give = PerFamily::from_fn(|_| vec![false; states.len()]);
        let open_automatic = open.iter().copied().filter(|index| states[*index].pool.auto_assign).collect();
        Self { states, of_namespace, global, services, gateways, open, open_automatic, at, can_give }
    }

    pub(super) fn states(&self) -> &[PoolState] {
        &self.states
    }

    /// The address that the pool gives next, of the family or, without one, of its usual family.
    pub(super) fn next(&self, index: usize, family: Option<Family>) -> Option<IpAddr> {
        let can_give = |family: Family| self.can_give.get(family)[index];
        if !family.map_or_else(|| Family::ALL.into_iter().any(can_give), can_give) {
            return None;
        }
        let state = &self.states[index];
        state.next(family.or_else(|| state.usual_family())?)
    }

    /// Marks the addresses of `span`, as far as the pool can give them, as free or not free.
    pub(super) fn mark(&mut self, index: usize, family: Family, span: Span, free: bool) {
        let state = &mut self.states[index];
        let numbering = state.pool.numbering(family);
        let set = state.free.get_mut(family);
        for gap in state.pool.reserved.of(family).gaps(span) {
            let Some(ordinals) = numbering.ordinals(gap) else { continue };
            if free { set.insert(ordinals) } else { set.remove(ordinals) }
        }
        self.can_give.get_mut(family)[index] = state.available(family) > 0;
    }

    /// Marks one address as free or not free, if the pool can give it.
    pub(super) fn mark_one(&mut self, index: usize, family: Family, number: u128, free: bool) {
        let state = &mut self.states[index];
        if let Some(ordinal) = state.pool.ordinal(family, number) {
            state.free.get_mut(family).set(ordinal, free);
            self.can_give.get_mut(family)[index] = state.available(family) > 0;
        }
    }

    /// Marks an address, by time of release and number, as resting or not, if the pool can give it.
    pub(super) fn mark_resting(
        &mut self,
        index: usize,
        family: Family,
        (released_at_secs, number): (u64, u128),
        resting: bool,
    ) {
        let state = &mut self.states[index];
        let set = state.resting.get_mut(family);
        if !resting {
            set.remove(&(released_at_secs, number));
        } else if state.pool.contains(family.address(number)) {
            set.insert((released_at_secs, number));
        }
        self.can_give.get_mut(family)[index] = state.available(family) > 0;
    }

    /// The place of the pool called `name`.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        let index = self.states.partition_point(|state| *state.pool.name < *name);
        self.states.get(index).filter(|state| *state.pool.name == *name).map(|_| index)
    }

    /// Places of the pools that cover `address`, left-out addresses included.
    pub(super) fn covering(&self, address: IpAddr) -> &[usize] {
        self.at.get(Family::of(address)).at(number(address))
    }

    /// Places of the pools that can give `address`. The same as to ask each with [`Pool::contains`], without a look at its ranges.
    pub(super) fn giving(&self, address: IpAddr) -> impl Iterator<Item = usize> {
        let (family, number) = (Family::of(address), number(address));
        let is_given = move |index: &usize| self.states[*index].pool.ordinal(family, number).is_some();
        self.covering(address).iter().copied().filter(is_given)
    }

    /// Whether that pool can give `address`.
    pub(super) fn gives(&self, index: usize, address: IpAddr) -> bool {
        self.giving(address).any(|other| other == index)
    }

    /// Places of the pools that cover some of `span`, each once.
    pub(super) fn touching(&self, family: Family, span: Span) -> BTreeSet<usize> {
        self.at.get(family).overlapping(span).flat_map(|(_, pools)| pools).copied().collect()
    }

    /// Looks at the pools of automatic choice in order, until `look` finds something.
    pub(super) fn find_automatic<T>(
        &self,
        owner: Applicant<'_>,
        mut look: impl FnMut(usize) -> Option<T>,
    ) -> Option<T> {
        let is_automatic = |index: &usize| self.states[*index].pool.auto_assign;
        if let Some(found) = self.pinned(owner).filter(is_automatic).find_map(&mut look) {
            return Some(found);
        }
        match self.deciding_key(owner.namespace) {
            Some(key) => is_automatic(&key).then(|| look(key)).flatten(),
            None => self.open_automatic.iter().copied().find_map(look),
        }
    }

    /// Whether [`find_automatic`](Self::find_automatic) looks at the pool.
    pub(super) fn is_automatic(&self, index: usize, owner: Applicant<'_>) -> bool {
        let pool = &self.states[index].pool;
        let access = match &pool.source {
            PoolSource::Key(_) => return self.deciding_key(owner.namespace) == Some(index),
            PoolSource::Object(access) => access,
        };
        match access.standing(owner) {
            Standing::Closed => false,
            Standing::Pinned => pool.auto_assign,
            Standing::Open => pool.auto_assign && self.deciding_key(owner.namespace).is_none(),
        }
    }

    /// How early the pool is looked at for an owner that asks by value; `None` if it is closed to it.
    pub(super) fn rank(&self, index: usize, owner: Applicant<'_>) -> Option<Rank> {
        match &self.states[index].pool.source {
            PoolSource::Key(_) => {
                let place = self.keys(owner.namespace).iter().position(|key| *key == Some(index))?;
                Some((1, place as u64, index))
            }
            PoolSource::Object(access) => match access.standing(owner) {
                Standing::Closed => None,
                Standing::Pinned => {
                    let (allocation, _) = access.allocation(owner.kind)?;
                    Some((0, allocation.rank(), index))
                }
                Standing::Open => Some((2, 0, index)),
            },
        }
    }

    /// All pools that are open to the owner, in order.
    pub(super) fn open_to<'a>(&'a self, owner: Applicant<'a>) -> impl Iterator<Item = usize> + 'a {
        self.pinned(owner)
            .chain(self.keys(owner.namespace).into_iter().flatten())
            .chain(self.open.iter().copied())
    }

    /// Pairs of pools that can give the same address, by name, with the lowest range that each pair has in common.
    pub(super) fn overlaps(&self) -> Vec<Overlap> {
        let mut found: BTreeMap<(usize, usize), (IpAddr, IpAddr)> = BTreeMap::new();
        for family in Family::ALL {
            let spans = |(index, state)| {
                let state: &PoolState = state;
                let given = |span| state.pool.reserved.of(family).gaps(span);
                state.pool.ranges.of(family).spans().flat_map(given).map(move |span| (span, index))
            };
            let coverage = Coverage::new(self.states.iter().enumerate().flat_map(spans));
            for (span, pools) in coverage.overlapping(Span::all(family)) {
                for (place, &first) in pools.iter().enumerate() {
                    for &second in &pools[place + 1..] {
                        let example = (family.address(span.first), family.address(span.last));
                        found.entry((first, second)).or_insert(example);
                    }
                }
            }
        }
        let overlap = |((one, other), (first, last)): ((usize, usize), (IpAddr, IpAddr))| {
            let name = |index: usize| Arc::clone(&self.states[index].pool.name);
            Overlap { pools: [name(one), name(other)], first, last }
        };
        found.into_iter().map(overlap).collect()
    }

    fn pinned<'a>(&'a self, owner: Applicant<'a>) -> impl Iterator<Item = usize> + 'a {
        let pinned = match owner.kind {
            OwnerKind::Service => &self.services,
            OwnerKind::Gateway => &self.gateways,
        };
        pinned.of(owner.namespace).filter(move |index| match &self.states[*index].pool.source {
            PoolSource::Object(access) => access.standing(owner) == Standing::Pinned,
            PoolSource::Key(_) => false,
        })
    }

    /// The ConfigMap's keys for a namespace, first choice first, as far as they are present.
    fn keys(&self, namespace: &str) -> [Option<usize>; 4] {
        let [cidr, range] = self.of_namespace.get(namespace).copied().unwrap_or_default();
        let [global_cidr, global_range] = self.global;
        [cidr, global_cidr, range, global_range]
    }

    /// The key that decides for a namespace.
    fn deciding_key(&self, namespace: &str) -> Option<usize> {
        let [cidr, global_cidr, range, global_range] = self.keys(namespace);
        cidr.or(global_cidr).or(range).or(global_range)
    }
}
