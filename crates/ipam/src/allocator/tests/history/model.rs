//! The written rules, by plain lists and counting on one's fingers.

use super::*;
use crate::{Allocation, Backend, OwnerKind, PoolSpec, Selector, Sharing};

/// Addresses of the game: IPv4 across a .255/.0 border, and IPv6.
const BASES: [(&str, Family); 2] = [("192.0.2.250", Family::V4), ("2001:db8::fa", Family::V6)];
pub(super) const SPREAD: u8 = 12;

/// (base, offset, further addresses)
pub(super) type Piece = (usize, u8, u8);

pub(super) fn nth(base: usize, offset: u8) -> IpAddr {
    let (text, family) = BASES[base];
    family.address(number(ip(text)) + u128::from(offset))
}

pub(super) fn piece_addresses(&(base, offset, more): &Piece) -> impl Iterator<Item = IpAddr> {
    (offset..=offset + more).map(move |offset| nth(base, offset))
}

fn item(&(base, offset, more): &Piece) -> String {
    format!("{}-{}", nth(base, offset), nth(base, offset + more))
}

/// Whom an object serves, by kind of owner.
#[derive(Clone, Debug)]
pub(super) struct Serves {
    pub(super) priority: u32,
    pub(super) namespaces: Vec<&'static str>,
    /// Only owners with the label app=web.
    pub(super) web: bool,
}

impl Serves {
    fn allocation(&self) -> Allocation {
        let web = Selector {
            match_labels: BTreeMap::from([("app".to_owned(), "web".to_owned())]),
            ..Selector::default()
        };
        Allocation {
            priority: self.priority,
            namespaces: self.namespaces.iter().map(|name| (*name).to_owned()).collect(),
            owner_selectors: if self.web { vec![web] } else { vec![] },
            ..Allocation::default()
        }
    }

    fn has_namespace(&self, namespace: &str) -> bool {
        self.namespaces.is_empty() || self.namespaces.contains(&namespace)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) pieces: Vec<Piece>,
    pub(super) reserved: Vec<Piece>,
    pub(super) services: Option<Serves>,
    pub(super) gateways: Option<Serves>,
    pub(super) auto_assign: bool,
    pub(super) avoid: bool,
    pub(super) desc: bool,
    pub(super) reuse_after_secs: Option<u64>,
    pub(super) broken: bool,
}

/// Names of the keys that may be there, and of the objects; the last object has the name of a key.
pub(super) const KEYS: [&str; 4] = ["cidr-a", "range-a", "range-b", "range-global"];
pub(super) const OBJECTS: [&str; 4] = ["p", "q", "r", "range-b"];

#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// Empty = key absent, `None` = broken.
    pub(super) keys: [Option<Vec<Piece>>; 4],
    pub(super) objects: [Option<Object>; 4],
    pub(super) desc: bool,
}

impl Layout {
    pub(super) fn pools(&self) -> Vec<Pool> {
        let mut data = BTreeMap::new();
        for (key, pieces) in KEYS.iter().zip(&self.keys) {
            let value = match pieces {
                None => "oops".to_owned(),
                Some(pieces) if pieces.is_empty() => continue,
                Some(pieces) => pieces.iter().map(item).collect::<Vec<_>>().join(", "),
            };
            data.insert((*key).to_owned(), value);
        }
        if self.desc {
            data.insert("search-order".to_owned(), "desc".to_owned());
        }
        let mut pools = configmap::parse(&data).pools;
        for (name, object) in OBJECTS.iter().zip(&self.objects) {
            let Some(object) = object else { continue };
            let mut addresses: Vec<String> = object.pieces.iter().map(item).collect();
            if object.broken {
                addresses.push("oops".to_owned());
            }
            pools.push(Pool::from_spec(PoolSpec {
                name: (*name).to_owned(),
                addresses,
                reserved: object.reserved.iter().map(item).collect(),
                auto_assign: object.auto_assign,
                avoid_buggy_ips: object.avoid,
                order: if object.desc { crate::Order::Highest } else { crate::Order::Lowest },
                reuse_after_secs: object.reuse_after_secs,
                services: object.services.as_ref().map(Serves::allocation),
                gateways: object.gateways.as_ref().map(Serves::allocation),
            }));
        }
        pools
    }

    pub(super) fn model(&self) -> Vec<ModelPool> {
        let list = |pieces: &[Piece], reserved: &[Piece], avoid: bool, desc: bool| {
            let mut list: Vec<IpAddr> = pieces.iter().flat_map(piece_addresses).collect();
            list.retain(|address| !reserved.iter().flat_map(piece_addresses).any(|other| other == *address));
            list.retain(|address| match address {
                IpAddr::V4(v4) => !avoid || !matches!(v4.octets()[3], 0 | 255),
                IpAddr::V6(_) => true,
            });
            list.sort_unstable();
            list.dedup();
            if desc {
                list.reverse();
            }
            list
        };
        let mut pools = Vec::new();
        for (name, pieces) in KEYS.iter().zip(&self.keys) {
            if pieces.as_ref().is_none_or(|pieces| !pieces.is_empty()) {
                let list = list(pieces.as_deref().unwrap_or_default(), &[], true, self.desc);
                pools.push(ModelPool { name, list, object: None });
            }
        }
        for (name, object) in OBJECTS.iter().zip(&self.objects) {
            let Some(object) = object else { continue };
            let is_taken = pools.iter().any(|pool: &ModelPool| pool.name == *name);
            let list = if object.broken || is_taken {
                Vec::new()
            } else {
                list(&object.pieces, &object.reserved, object.avoid, object.desc)
            };
            // The second pool of a name is nobody's.
            if !is_taken {
                pools.push(ModelPool { name, list, object: Some(object.clone()) });
            }
        }
        pools
    }
}

/// A pool with its assignable addresses in the order in which they are given.
#[derive(Clone, Debug)]
pub(super) struct ModelPool {
    pub(super) name: &'static str,
    pub(super) list: Vec<IpAddr>,
    object: Option<Object>,
}

#[derive(Clone, Debug)]
pub(super) struct Claimed {
    pub(super) owner: OwnerId,
    pub(super) pool: String,
    pub(super) bound: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) pools: Vec<ModelPool>,
    pub(super) reserved: BTreeSet<IpAddr>,
    pub(super) claims: BTreeMap<IpAddr, Vec<Claimed>>,
    pub(super) facts: BTreeMap<OwnerId, Option<Sharing>>,
    pub(super) rests: BTreeMap<IpAddr, Rest>,
}

/// What a request gets: each address and whether it is held; or the address that is forfeited.
pub(super) type Expected = Result<Vec<(IpAddr, bool)>, Option<IpAddr>>;

fn of(family: Option<Family>, address: IpAddr) -> bool {
    family.is_none_or(|family| Family::of(address) == family)
}

impl Model {
    pub(super) fn held(&self, owner: &OwnerId) -> Vec<IpAddr> {
        let holds = |claims: &Vec<Claimed>| claims.iter().any(|claim| claim.owner == *owner);
        self.claims.iter().filter(|(_, claims)| holds(claims)).map(|(address, _)| *address).collect()
    }

    pub(super) fn pool(&self, name: &str) -> Option<&ModelPool> {
        self.pools.iter().find(|pool| pool.name == name)
    }

    pub(super) fn rest_secs(&self, address: IpAddr, pool: &str) -> u64 {
        let pool = self.pool(pool).filter(|pool| pool.list.contains(&address));
        pool.and_then(|pool| pool.object.as_ref()?.reuse_after_secs).unwrap_or(0)
    }

    /// When the rest of an address ends.
    pub(super) fn until(&self, rest: &Rest) -> u64 {
        let pool = self.pool(&rest.pool);
        let secs = pool.and_then(|pool| pool.object.as_ref()?.reuse_after_secs).unwrap_or(0);
        rest.released_at_secs.saturating_add(secs)
    }

    pub(super) fn is_free(&self, address: IpAddr) -> bool {
        !self.claims.contains_key(&address)
            && !self.rests.contains_key(&address)
            && !self.reserved.contains(&address)
    }

    /// (class, priority, name) of a pool that is open to the owner, and whether it is one for automatic choice.
    fn rank(&self, pool: &ModelPool, request: &Request) -> Option<((u8, u64, &'static str), bool)> {
        let OwnerId { kind, namespace, .. } = &request.owner.id;
        let keys =
            ["cidr-NS", "cidr-global", "range-NS", "range-global"].map(|key| key.replace("NS", namespace));
        let mut present = keys.iter().filter(|key| self.pool(key).is_some_and(|pool| pool.object.is_none()));
        let first = present.next();
        let Some(object) = &pool.object else {
            let place = keys.iter().position(|key| key == pool.name)?;
            return Some(((1, place as u64, ""), first.is_some_and(|first| first == pool.name)));
        };
        let (own, other) = match kind {
            OwnerKind::Service => (&object.services, &object.gateways),
            OwnerKind::Gateway => (&object.gateways, &object.services),
        };
        let has_label = request.labels.get("app").is_some_and(|app| app == "web");
        let serves = match (own, other) {
            (None, None) => return Some(((2, 0, pool.name), object.auto_assign && first.is_none())),
            (Some(own), _) => (!own.web || has_label).then_some(own)?,
            (None, Some(other)) => (!other.web).then_some(other)?,
        };
        let priority = if serves.priority == 0 { u64::MAX } else { u64::from(serves.priority) };
        serves.has_namespace(namespace).then_some(((0, priority, pool.name), object.auto_assign))
    }

    /// Pools to look at, in order: the named one, else those of automatic choice.
    fn candidates(&self, request: &Request) -> Vec<&ModelPool> {
        let mut ranked: Vec<_> =
            self.pools.iter().filter_map(|pool| Some((self.rank(pool, request)?, pool))).collect();
        ranked.retain(|((_, automatic), pool)| match &request.pool {
            Some(name) => pool.name == *name,
            None => *automatic,
        });
        ranked.sort_by_key(|((rank, _), _)| *rank);
        ranked.into_iter().map(|(_, pool)| pool).collect()
    }

    /// Whether the owner may be on the address beside those who hold it.
    fn fits(&self, request: &Request, address: IpAddr) -> bool {
        let id = &request.owner.id;
        let claims = self.claims.get(&address).map_or(&[][..], Vec::as_slice);
        let holds = claims.iter().any(|claim| claim.owner == *id);
        claims.iter().filter(|claim| claim.owner != *id).all(|other| {
            let Some(mine) = request.sharing.as_ref().filter(|sharing| !sharing.key.is_empty()) else {
                return false;
            };
            if !other.bound {
                return holds;
            }
            let Some(Some(theirs)) = self.facts.get(&other.owner) else { return false };
            let near =
                other.owner.namespace == id.namespace || mine.across_namespaces && theirs.across_namespaces;
            near && mine.key == theirs.key
                && mine.backend == theirs.backend
                && mine.ports.is_disjoint(&theirs.ports)
        })
    }

    fn kept(&self, request: &Request, family: Option<Family>) -> Option<IpAddr> {
        let id = &request.owner.id;
        self.held(id).into_iter().find(|address| {
            let claim = self.claims[address].iter().find(|claim| claim.owner == *id).unwrap();
            let in_pool = request.pool.as_ref().is_none_or(|name| {
                claim.pool == *name || self.candidates(request).iter().any(|pool| pool.list.contains(address))
            });
            of(family, *address) && in_pool && self.fits(request, *address)
        })
    }

    fn any(&self, request: &Request, family: Option<Family>) -> Option<(IpAddr, bool)> {
        if let Some(address) = self.kept(request, family) {
            return Some((address, true));
        }
        let candidates = self.candidates(request);
        let usable = |address: &IpAddr| {
            of(family, *address)
                && !self.reserved.contains(address)
                && candidates.iter().any(|pool| pool.list.contains(address))
        };
        let mine = |rest: &Rest| rest.owner == request.owner.id;
        let mut resting = self.rests.iter().filter(|(_, rest)| mine(rest)).map(|(address, _)| *address);
        if let Some(address) = resting.find(usable) {
            return Some((address, false));
        }
        if request.sharing.as_ref().is_some_and(|sharing| !sharing.key.is_empty()) {
            for pool in &candidates {
                let held = self.held(&request.owner.id);
                let mut shared = self.claims.keys().copied().filter(|address| pool.list.contains(address));
                let joins = |address: &IpAddr| {
                    usable(address) && !held.contains(address) && self.fits(request, *address)
                };
                if let Some(address) = shared.find(joins) {
                    return Some((address, false));
                }
            }
        }
        for pool in &candidates {
            let usual = Family::ALL
                .into_iter()
                .find(|family| pool.list.iter().any(|address| of(Some(*family), *address)));
            let Some(family) = family.or(usual) else { continue };
            let mut list = pool.list.iter().copied().filter(|address| of(Some(family), *address));
            let free = list.clone().find(|address| self.is_free(*address));
            let resting =
                |address: &IpAddr| self.rests.contains_key(address) && !self.reserved.contains(address);
            let oldest = || {
                list.by_ref()
                    .filter(resting)
                    .min_by_key(|address| (self.rests[address].released_at_secs, *address))
            };
            if let Some(address) = free.or_else(oldest) {
                return Some((address, false));
            }
        }
        None
    }

    fn exact(&self, request: &Request, address: IpAddr) -> Option<(IpAddr, bool)> {
        if self.held(&request.owner.id).contains(&address) {
            return self.fits(request, address).then_some((address, true));
        }
        let open = |pool: &&ModelPool| {
            request.pool.as_ref().is_none_or(|name| pool.name == *name) && self.rank(pool, request).is_some()
        };
        let usable = self.pools.iter().filter(open).any(|pool| pool.list.contains(&address));
        (usable && !self.reserved.contains(&address) && self.fits(request, address))
            .then_some((address, false))
    }

    /// What the owner gets, by the written rules.
    pub(super) fn expected(&self, request: &Request) -> Expected {
        let by_value = request.addresses.first().copied();
        let get = |family: Option<Family>| match by_value {
            Some(address) if of(family, address) => self.exact(request, address),
            _ => self.any(request, family),
        };
        let both = |first: Family| [Some(first), Some(first.other())].map(get);
        let exact_fails = by_value.is_some_and(|address| self.exact(request, address).is_none());
        let given = match request.families {
            Families::Single(Some(family)) if by_value.is_some_and(|address| !of(Some(family), address)) => {
                None
            }
            Families::Single(family) => get(family).map(|got| vec![got]),
            Families::Require(first) => both(first).into_iter().collect(),
            Families::EachAvailable if by_value.is_some() => get(None).map(|got| vec![got]),
            Families::Prefer(_) | Families::EachAvailable if exact_fails => None,
            Families::Prefer(first) => Some(both(first).into_iter().flatten().collect()),
            Families::EachAvailable => Some(both(Family::V4).into_iter().flatten().collect()),
        };
        let unfit = || self.held(&request.owner.id).into_iter().find(|address| !self.fits(request, *address));
        given.filter(|given: &Vec<_>| !given.is_empty()).ok_or_else(unfit)
    }

    /// Takes an answer in.
    pub(super) fn assign(&mut self, request: &Request, assignment: &Assignment) {
        let id = &request.owner.id;
        for assigned in assignment.addresses.iter().filter(|assigned| assigned.change == Change::New) {
            self.rests.remove(&assigned.address);
            let claim = Claimed { owner: id.clone(), pool: assigned.pool.to_string(), bound: true };
            self.claims.entry(assigned.address).or_default().push(claim);
        }
        for (address, claims) in &mut self.claims {
            for claim in claims.iter_mut().filter(|claim| claim.owner == *id) {
                claim.bound = assignment.addresses.iter().any(|assigned| assigned.address == *address);
            }
        }
        let sharing = request.sharing.clone().filter(|sharing| !sharing.key.is_empty());
        self.facts.insert(id.clone(), sharing);
    }

    /// Ends one claim, and says what becomes of the address.
    pub(super) fn end(&mut self, address: IpAddr, owner: &OwnerId, now_secs: u64) -> Then {
        let claims = self.claims.get_mut(&address).unwrap();
        let index = claims.iter().position(|claim| claim.owner == *owner).unwrap();
        let claim = claims.remove(index);
        let shared = !claims.is_empty();
        if self.held(owner).is_empty() {
            self.facts.remove(owner);
        }
        if shared {
            return Then::Shared;
        }
        self.claims.remove(&address);
        if self.rest_secs(address, &claim.pool) == 0 {
            return Then::Free;
        }
        let pool = claim.pool.as_str().into();
        self.rests.insert(address, Rest { address, owner: owner.clone(), pool, released_at_secs: now_secs });
        Then::Rests { released_at_secs: now_secs }
    }

    /// Ends the rests that are over.
    pub(super) fn expire(&mut self, now_secs: u64) {
        let over: Vec<IpAddr> = self
            .rests
            .values()
            .filter(|rest| self.until(rest) <= now_secs)
            .map(|rest| rest.address)
            .collect();
        over.iter().for_each(|address| {
            self.rests.remove(address);
        });
    }

    /// Whether the sharing rule lets all holders be together whose terms are known.
    pub(super) fn is_lawful(&self, claims: &[Claimed]) -> bool {
        let bound: Vec<&Claimed> = claims.iter().filter(|claim| claim.bound).collect();
        bound.iter().enumerate().all(|(index, one)| {
            bound[index + 1..].iter().all(|other| {
                let (Some(Some(a)), Some(Some(b))) =
                    (self.facts.get(&one.owner), self.facts.get(&other.owner))
                else {
                    return false;
                };
                let near = one.owner.namespace == other.owner.namespace
                    || a.across_namespaces && b.across_namespaces;
                near && a.key == b.key && a.backend == b.backend && a.ports.is_disjoint(&b.ports)
            })
        })
    }
}

pub(super) fn backend(number: u8) -> Backend {
    if number == 0 { Backend::Any } else { Backend::Local("pods".to_owned()) }
}
