//! What a request would get, decided without changing anything. The order of choice stands in [`super::pools`].

use std::net::IpAddr;
use std::sync::Arc;

use super::Allocator;
use super::fit::Candidate;
use super::names::NameId;
use super::pools::{PoolState, Rank};
use super::waiting::Line;
use crate::access::Applicant;
use crate::family::{Family, number};
use crate::interval::Span;
use crate::reason::Reason;
use crate::request::{Families, Request};

/// One address for the owner.
pub(super) struct Pick {
    pub(super) address: IpAddr,
    /// Number of the pool of the claim that exists, or that the address is taken from.
    pub(super) pool: NameId,
    /// Whether the owner holds it already.
    pub(super) held: bool,
}

/// What a request gets.
pub(super) struct Choice {
    /// At least one.
    pub(super) picks: Vec<Pick>,
    /// Why a family that would be welcome is missing.
    pub(super) partial: Option<Reason>,
}

/// Who asks for what.
pub(super) struct Ask<'a> {
    pub(super) request: &'a Request,
    owner: Applicant<'a>,
    /// The same as others on an address see it.
    pub(super) candidate: Candidate<'a>,
    /// Place of the pool asked for by name, or why there is none.
    named: Option<Result<usize, Reason>>,
}

impl Allocator {
    pub(super) fn ask<'a>(&self, request: &'a Request) -> Ask<'a> {
        let owner = Applicant {
            kind: request.owner.id.kind,
            namespace: &request.owner.id.namespace,
            namespace_labels: &request.namespace_labels,
            labels: &request.labels,
        };
        let named = request.pool.as_ref().map(|name| self.named(name, owner));
        Ask { request, owner, candidate: self.candidate(&request.owner.id, request.sharing.as_ref()), named }
    }

    /// Decides, and adds to `lines` what the owner waits for if it does not get everything.
    pub(super) fn choose(&self, ask: &Ask<'_>, lines: &mut Vec<Line>) -> Result<Choice, Reason> {
        let request = ask.request;
        if request.families == Families::EachAvailable && !request.addresses.is_empty() {
            return self.choose_exactly(ask, lines);
        }
        let families = self.families(ask, lines)?;
        fit_families(request, families)?;
        let mut picks = Vec::with_capacity(families.len());
        let mut missing = None;
        for &family in families {
            let is_wanted = |address: &&IpAddr| Some(Family::of(**address)) == family;
            let pick = match request.addresses.iter().find(is_wanted) {
                Some(&address) => Ok(self.exact(ask, address, lines)?),
                None => self.any(ask, family, lines),
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
    fn choose_exactly(&self, ask: &Ask<'_>, lines: &mut Vec<Line>) -> Result<Choice, Reason> {
        let mut picks: Vec<Pick> = Vec::with_capacity(ask.request.addresses.len());
        for &address in &ask.request.addresses {
            if picks.iter().all(|pick| pick.address != address) {
                picks.push(self.exact(ask, address, lines)?);
            }
        }
        Ok(Choice { picks, partial: None })
    }

    /// The families that the request comes down to, in order, never none; `None` stands for either.
    fn families(&self, ask: &Ask<'_>, lines: &mut Vec<Line>) -> Result<&'static [Option<Family>], Reason> {
        const V4: Option<Family> = Some(Family::V4);
        const V6: Option<Family> = Some(Family::V6);
        let of = |family| match family {
            None => &[None][..],
            Some(Family::V4) => &[V4],
            Some(Family::V6) => &[V6],
        };
        let request = ask.request;
        Ok(match request.families {
            Families::Single(None) => of(request.addresses.first().map(|address| Family::of(*address))),
            Families::Single(family) => of(family),
            Families::Prefer(Family::V4) | Families::Require(Family::V4) => &[V4, V6],
            Families::Prefer(Family::V6) | Families::Require(Family::V6) => &[V6, V4],
            Families::EachAvailable => {
                let exists = |family: Family| {
                    let in_pool = |index| (*self.state(index).capacity.get(family) > 0).then_some(());
                    self.kept(ask, Some(family)).is_some() || self.find_candidate(ask, in_pool).is_some()
                };
                match (exists(Family::V4), exists(Family::V6)) {
                    (true, true) => &[V4, V6],
                    (true, false) => of(V4),
                    (false, true) => of(V6),
                    (false, false) => return Err(self.refusal(ask, V4, lines)),
                }
            }
        })
    }

    /// An address that is not asked for by value.
    fn any(&self, ask: &Ask<'_>, family: Option<Family>, lines: &mut Vec<Line>) -> Result<Pick, Reason> {
        if let Some(pick) = self.kept(ask, family) {
            return Ok(pick);
        }
        if let Some(pick) = self.rested(ask, family).or_else(|| self.joined(ask, family)) {
            return Ok(pick);
        }
        let next = |index| Some((index, self.pools.next(index, family)?));
        match self.find_candidate(ask, next) {
            Some((index, address)) => Ok(Pick { address, pool: self.state(index).id, held: false }),
            None => Err(self.refusal(ask, family, lines)),
        }
    }

    /// The lowest address of `family` that the owner holds and still wants. Naming a pool is to ask for an address of that
    /// pool: one that was taken from elsewhere, and is not in it, is then no longer wanted. Nor is one that it
    /// shares with others whom it does not fit any more.
    fn kept(&self, ask: &Ask<'_>, family: Option<Family>) -> Option<Pick> {
        let me = ask.candidate.me?;
        let is_wanted = |address: &&IpAddr| family.is_none_or(|family| Family::of(**address) == family);
        self.owners.held(me).iter().filter(is_wanted).find_map(|&address| {
            let holders = self.holds.at(address);
            let pool = holders.iter().find(|holder| holder.owner == me)?.pool();
            let in_named = match (&ask.request.pool, &ask.named) {
                (Some(name), Some(named)) => {
                    **self.pool_names.get(pool) == **name
                        || named.as_ref().is_ok_and(|index| self.pools.gives(*index, address))
                }
                (None, _) | (_, None) => true,
            };
            let fits = holders.len() == 1 || self.misfit(ask, address, true).is_none();
            (in_named && fits).then_some(Pick { address, pool, held: true })
        })
    }

    /// The lowest address that rests for the owner in a pool that automatic choice looks at.
    fn rested(&self, ask: &Ask<'_>, family: Option<Family>) -> Option<Pick> {
        let resting = self.rests.of(&ask.request.owner.id).iter();
        let mut wanted =
            resting.filter(|address| family.is_none_or(|family| Family::of(**address) == family));
        wanted.find_map(|&address| {
            let (_, index) = self.candidate_with(ask, address)?;
            Some(Pick { address, pool: self.state(index).id, held: false })
        })
    }

    /// The lowest address of the first pool that has one which others share and this owner fits to.
    fn joined(&self, ask: &Ask<'_>, family: Option<Family>) -> Option<Pick> {
        let Candidate { me, namespace, sharing, key } = ask.candidate;
        let listed = self.sharers.listed(key?, sharing?.across_namespaces, namespace);
        let fitting = listed.filter_map(|address| {
            let wanted = family.is_none_or(|family| Family::of(address) == family);
            let mine = me.is_some_and(|me| self.owners.held(me).contains(&address));
            if !wanted || mine || self.misfit(ask, address, false).is_some() {
                return None;
            }
            let (rank, index) = self.candidate_with(ask, address)?;
            Some((rank, address, index))
        });
        let (_, address, index) = fitting.min()?;
        Some(Pick { address, pool: self.state(index).id, held: false })
    }

    /// The first pool that automatic choice looks at, or that is named, which can give `address`.
    fn candidate_with(&self, ask: &Ask<'_>, address: IpAddr) -> Option<(Rank, usize)> {
        if self.reserved_why(address).is_some() {
            return None;
        }
        let candidates = self.pools.giving(address).filter(|index| match &ask.named {
            Some(named) => named.as_ref() == Ok(index),
            None => self.pools.is_automatic(*index, ask.owner),
        });
        candidates.filter_map(|index| Some((self.pools.rank(index, ask.owner)?, index))).min()
    }

    /// Looks at the pool that is named, or else at those of automatic choice in order, until `look` finds something.
    fn find_candidate<T>(&self, ask: &Ask<'_>, mut look: impl FnMut(usize) -> Option<T>) -> Option<T> {
        match &ask.named {
            Some(named) => look(*named.as_ref().ok()?),
            None => self.pools.find_automatic(ask.owner, look),
        }
    }

    /// Why none of the pools gives an address of `family`, and what there is to wait for.
    fn refusal(&self, ask: &Ask<'_>, family: Option<Family>, lines: &mut Vec<Line>) -> Reason {
        if let Some(Err(reason)) = &ask.named {
            return reason.clone();
        }
        // Most owners have one pool to try, which then takes no list.
        let (mut first, mut others) = (None, Vec::new());
        let none: Option<()> = self.find_candidate(ask, |index| {
            let state = self.state(index);
            let family = family.or_else(|| state.usual_family()).unwrap_or(Family::V4);
            let reason = self.why_nothing(state, family);
            if let Reason::PoolExhausted { .. } = reason {
                if lines.is_empty() {
                    lines.reserve_exact(1 + usize::from(ask.candidate.sharing.is_some()));
                }
                lines.push(Line::Pool(state.id, family));
                if let Some(sharing) = ask.candidate.sharing {
                    lines.push(Line::Key(state.id, family, sharing.key.as_str().into()));
                }
            }
            match first {
                None => first = Some(reason),
                Some(_) => others.push(reason),
            }
            None
        });
        debug_assert!(none.is_none());
        match first {
            None => Reason::NoPool { namespace: ask.owner.namespace.to_owned() },
            Some(reason) if others.is_empty() => reason,
            Some(reason) => {
                others.insert(0, reason);
                Reason::PoolsExhausted { tried: others }
            }
        }
    }

    fn why_nothing(&self, state: &PoolState, family: Family) -> Reason {
        let pool = Arc::clone(&state.pool.name);
        let capacity = *state.capacity.get(family);
        match &state.pool.problem {
            Some(problem) => Reason::PoolInvalid { pool, problem: problem.clone() },
            None if capacity == 0 => Reason::FamilyNotInPool { pool, family },
            None => {
                let reserved = self.reserved_count(state, family);
                Reason::PoolExhausted { pool, family, capacity, reserved }
            }
        }
    }

    /// Exactly this address.
    fn exact(&self, ask: &Ask<'_>, address: IpAddr, lines: &mut Vec<Line>) -> Result<Pick, Reason> {
        let holders = self.holds.at(address);
        let mine = holders.iter().find(|holder| Some(holder.owner) == ask.candidate.me);
        let pool = match mine {
            Some(holder) => holder.pool(),
            // Pools first: an owner learns nothing about addresses that are not for it.
            None => {
                let pool = self.state(self.pool_of(ask, address)?).id;
                if let Some(why) = self.reserved_why(address) {
                    return Err(Reason::AddressReserved { address, why: why.clone() });
                }
                pool
            }
        };
        match self.misfit(ask, address, mine.is_some()) {
            None => Ok(Pick { address, pool, held: mine.is_some() }),
            Some(reason) => {
                lines.push(Line::Address(address));
                Err(reason)
            }
        }
    }

    /// Place of the first pool open to the owner that can give `address`.
    fn pool_of(&self, ask: &Ask<'_>, address: IpAddr) -> Result<usize, Reason> {
        let named = ask.named.clone().transpose()?;
        let is_open = |index: &usize| match named {
            Some(named) => named == *index,
            None => self.pools.rank(*index, ask.owner).is_some(),
        };
        let giving = self.pools.giving(address).filter(is_open);
        if let Some(first) = giving.min_by_key(|index| self.pools.rank(*index, ask.owner)) {
            return Ok(first);
        }
        if let Some(index) = self.pools.covering(address).iter().copied().find(is_open) {
            let pool = &self.state(index).pool;
            let kept_back = pool.reserved.of(Family::of(address)).contains(number(address));
            let pool = Arc::clone(&pool.name);
            return Err(if kept_back {
                Reason::AddressKeptBack { address, pool }
            } else {
                Reason::AddressAvoided { address }
            });
        }
        if let Some(index) = named {
            let state = self.state(index);
            return Err(match &state.pool.problem {
                Some(_) => self.why_nothing(state, Family::of(address)),
                None => Reason::AddressNotInPool { address, pool: Arc::clone(&state.pool.name) },
            });
        }
        let namespace = ask.owner.namespace.to_owned();
        let mut open = self.pools.open_to(ask.owner).peekable();
        if open.peek().is_none() {
            return Err(Reason::NoPool { namespace });
        }
        // The address may stand in a pool that cannot be read.
        let broken = open.find(|index| self.state(*index).pool.problem.is_some());
        Err(match broken {
            Some(index) => self.why_nothing(self.state(index), Family::of(address)),
            None => Reason::AddressOutsidePools { address, namespace },
        })
    }

    /// The pool called `name`, if it is open to the owner.
    fn named(&self, name: &str, owner: Applicant<'_>) -> Result<usize, Reason> {
        let open = self.pools.find(name).filter(|index| self.pools.rank(*index, owner).is_some());
        let namespace = owner.namespace.to_owned();
        open.ok_or_else(|| Reason::PoolUnknown { pool: name.to_owned(), namespace })
    }

    /// How many addresses of the pool are kept back for the cluster itself.
    fn reserved_count(&self, state: &PoolState, family: Family) -> u128 {
        let reserved = self.reserved_at.get(family);
        if reserved.is_empty() {
            return 0;
        }
        let numbering = state.pool.numbering(family);
        let spans = state.pool.ranges.of(family).spans();
        let given = spans.flat_map(|span| state.pool.reserved.of(family).gaps(span));
        given
            .flat_map(|span| reserved.overlapping(span))
            .filter_map(|(span, _)| numbering.ordinals(span))
            .map(Span::count)
            .sum()
    }

    fn state(&self, index: usize) -> &PoolState {
        &self.pools.states()[index]
    }
}

/// Addresses asked for by value must be of wanted families, one of each at most.
fn fit_families(request: &Request, families: &[Option<Family>]) -> Result<(), Reason> {
    let mut named: Vec<IpAddr> = Vec::new();
    for &address in &request.addresses {
        let family = Family::of(address);
        let second = named.iter().any(|other| Family::of(*other) == family && *other != address);
        if second || !families.contains(&Some(family)) {
            let families = families.iter().flatten().map(|family| family.as_str());
            let families = families.collect::<Vec<_>>().join(", ");
            return Err(Reason::AddressNotWanted { address, families });
        }
        named.push(address);
    }
    Ok(())
}
