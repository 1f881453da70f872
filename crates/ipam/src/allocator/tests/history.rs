//! Random histories against a model that keeps plain lists and counts on its fingers.

use proptest::prelude::*;

use super::*;
use crate::pool::PoolKey;
use crate::{KeyPrefix, Scope};

/// Addresses of the game: IPv4 across a .255/.0 border, and IPv6.
const BASES: [(&str, Family); 2] = [("192.0.2.245", Family::V4), ("2001:db8::f5", Family::V6)];
const SPREAD: u8 = 24;
const NAMES: [(&str, &str); 5] = [("p", "a"), ("q", "a"), ("r", "b"), ("s", "b"), ("t", "c")];

/// (base, offset, further addresses)
type Piece = (usize, u8, u8);

#[derive(Clone, Debug)]
struct Layout {
    /// Of cidr-a, cidr-global, range-a, range-b, range-global; empty = key absent, `None` = broken.
    keys: [Option<Vec<Piece>>; 5],
    desc: bool,
}

#[derive(Clone, Debug)]
enum Op {
    Request { owner: usize, families: Families, by_value: Option<(usize, u8)> },
    Recreate(usize),
    Release(usize),
    ForgetSurplus(usize),
    SetPools(Layout),
    SetReserved(Vec<Piece>),
    Restart { rotate: usize, pools_first: bool },
}

fn piece() -> impl Strategy<Value = Piece> {
    (0..2_usize, 0..SPREAD, 0..6_u8)
}

fn layout() -> impl Strategy<Value = Layout> {
    let key = prop_oneof![
        1 => Just(None),
        9 => prop::collection::vec(piece(), 0..4).prop_map(Some),
    ];
    (prop::array::uniform5(key), any::<bool>()).prop_map(|(keys, desc)| Layout { keys, desc })
}

fn families() -> impl Strategy<Value = Families> {
    prop::sample::select(vec![
        ANY,
        V4,
        V6,
        Families::Prefer(Family::V4),
        Families::Prefer(Family::V6),
        Families::Require(Family::V4),
        Families::Require(Family::V6),
        Families::EachAvailable,
        Families::EachAvailable,
    ])
}

fn op() -> impl Strategy<Value = Op> {
    let owner = || 0..NAMES.len();
    prop_oneof![
        10 => (owner(), families(), prop::option::weighted(0.3, (0..2_usize, 0..SPREAD)))
            .prop_map(|(owner, families, by_value)| Op::Request { owner, families, by_value }),
        1 => owner().prop_map(Op::Recreate),
        3 => owner().prop_map(Op::Release),
        3 => owner().prop_map(Op::ForgetSurplus),
        2 => layout().prop_map(Op::SetPools),
        1 => prop::collection::vec(piece(), 0..4).prop_map(Op::SetReserved),
        2 => (0..10_usize, any::<bool>()).prop_map(|(rotate, pools_first)| Op::Restart { rotate, pools_first }),
    ]
}

fn nth(base: usize, offset: u8) -> IpAddr {
    let (text, family) = BASES[base];
    family.address(number(ip(text)) + u128::from(offset))
}

fn piece_addresses(&(base, offset, more): &Piece) -> impl Iterator<Item = IpAddr> {
    (offset..=offset + more).map(move |offset| nth(base, offset))
}

/// A key as the model sees it: `Err` = broken, else its assignable addresses in order of preference.
type ModelPool = (PoolKey, Result<Vec<IpAddr>, ()>);

fn keys() -> [PoolKey; 5] {
    let key = |prefix, namespace: Option<&str>| {
        let scope = namespace.map_or(Scope::Global, |namespace| Scope::Namespace(namespace.to_owned()));
        PoolKey { prefix, scope }
    };
    [
        key(KeyPrefix::Cidr, Some("a")),
        key(KeyPrefix::Cidr, None),
        key(KeyPrefix::Range, Some("a")),
        key(KeyPrefix::Range, Some("b")),
        key(KeyPrefix::Range, None),
    ]
}

impl Layout {
    fn pools(&self) -> Vec<Pool> {
        let mut data = BTreeMap::new();
        for (key, pieces) in keys().iter().zip(&self.keys) {
            let value = match pieces {
                None => "oops".to_owned(),
                Some(pieces) if pieces.is_empty() => continue,
                Some(pieces) => {
                    let text = |&(base, offset, more): &Piece| {
                        format!("{}-{}", nth(base, offset), nth(base, offset + more))
                    };
                    pieces.iter().map(text).collect::<Vec<_>>().join(", ")
                }
            };
            data.insert(key.to_string(), value);
        }
        if self.desc {
            data.insert("search-order".to_owned(), "desc".to_owned());
        }
        configmap::parse(&data).pools
    }

    fn model(&self) -> Vec<ModelPool> {
        let mut pools = Vec::new();
        for (key, pieces) in keys().into_iter().zip(&self.keys) {
            let Some(pieces) = pieces else {
                pools.push((key, Err(())));
                continue;
            };
            if pieces.is_empty() {
                continue;
            }
            let mut addresses: Vec<IpAddr> = pieces.iter().flat_map(piece_addresses).collect();
            addresses.retain(|address| match address {
                IpAddr::V4(v4) => !matches!(v4.octets()[3], 0 | 255),
                IpAddr::V6(_) => true,
            });
            addresses.sort_unstable();
            addresses.dedup();
            if self.desc {
                addresses.reverse();
            }
            pools.push((key, if addresses.is_empty() { Err(()) } else { Ok(addresses) }));
        }
        pools
    }
}

struct Game {
    allocator: Allocator,
    /// Address, owner, uid: what the ledger would say.
    ledger: BTreeMap<IpAddr, (OwnerId, String)>,
    pool_names: BTreeMap<IpAddr, String>,
    layout: Layout,
    reserved: Vec<Piece>,
    births: [u32; NAMES.len()],
    surplus: BTreeMap<usize, Vec<IpAddr>>,
}

impl Game {
    fn owner(&self, index: usize) -> Owner {
        let (name, namespace) = NAMES[index];
        Owner { uid: format!("{name}-{}", self.births[index]), ..owner(name, namespace) }
    }

    fn reserved_nets(&self) -> BTreeMap<IpNet, ReservedWhy> {
        let nets = self.reserved.iter().flat_map(piece_addresses).map(IpNet::from);
        nets.map(|net| (net, ReservedWhy::PodCidr)).collect()
    }

    /// The keys of the owner's namespace, in order.
    fn open(&self, owner: &OwnerId) -> Vec<ModelPool> {
        let pools = self.layout.model();
        let names = ["cidr-NS", "cidr-global", "range-NS", "range-global"];
        let names = names.map(|name| name.replace("NS", &owner.namespace));
        names
            .iter()
            .filter_map(|name| pools.iter().find(|(key, _)| key.to_string() == *name).cloned())
            .collect()
    }

    fn free(&self, address: IpAddr) -> bool {
        !self.ledger.contains_key(&address)
            && !self.reserved.iter().any(|piece| piece_addresses(piece).any(|a| a == address))
    }

    /// What the owner gets, by the written rules; `None` if it is refused.
    fn expected(&self, owner: &OwnerId, families: Families, by_value: Option<IpAddr>) -> Option<Vec<IpAddr>> {
        let held: Vec<IpAddr> =
            self.ledger.iter().filter(|(_, (id, _))| id == owner).map(|(address, _)| *address).collect();
        let open = self.open(owner);
        let deciding: Vec<IpAddr> = open.first().and_then(|(_, pool)| pool.clone().ok()).unwrap_or_default();
        let of = |family: Family, list: &[IpAddr]| list.iter().copied().find(|a| Family::of(*a) == family);
        let exact = |address: IpAddr| {
            let usable = open.iter().any(|(_, pool)| pool.as_ref().is_ok_and(|list| list.contains(&address)));
            (held.contains(&address) || usable && self.free(address)).then_some(address)
        };
        let free: Vec<IpAddr> = deciding.iter().copied().filter(|address| self.free(*address)).collect();
        let get = |family: Family| match by_value {
            Some(address) if Family::of(address) == family => exact(address),
            _ => of(family, &held).or_else(|| of(family, &free)),
        };
        let misfit = |family: Family| by_value.is_some_and(|address| Family::of(address) != family);
        match families {
            Families::Single(Some(family)) => {
                (!misfit(family)).then(|| get(family))?.map(|address| vec![address])
            }
            Families::Single(None) => {
                let any =
                    |list: &[IpAddr]| Family::ALL.into_iter().find(|family| of(*family, list).is_some());
                let family = by_value.map(Family::of).or_else(|| any(&held)).or_else(|| any(&deciding))?;
                get(family).map(|address| vec![address])
            }
            Families::Require(first) => Some(vec![get(first)?, get(first.other())?]),
            Families::EachAvailable if by_value.is_some() => exact(by_value?).map(|address| vec![address]),
            Families::Prefer(_) | Families::EachAvailable => {
                let first = if let Families::Prefer(first) = families { first } else { Family::V4 };
                if let Some(address) = by_value {
                    exact(address)?;
                }
                let both: Vec<IpAddr> = [first, first.other()].into_iter().filter_map(get).collect();
                (!both.is_empty()).then_some(both)
            }
        }
    }

    fn request(
        &mut self,
        index: usize,
        families: Families,
        by_value: Option<IpAddr>,
    ) -> Result<(), TestCaseError> {
        let owner = self.owner(index);
        let request =
            Request { owner: owner.clone(), families, addresses: by_value.into_iter().collect(), pool: None };
        let expected = self.expected(&owner.id, families, by_value);
        let answer = self.allocator.request(&request);
        let given = answer
            .as_ref()
            .ok()
            .map(|a| a.addresses.iter().map(|assigned| assigned.address).collect::<Vec<_>>());
        prop_assert_eq!(&given, &expected, "{:?} {:?}", request, answer);
        let Ok(assignment) = answer else { return Ok(()) };
        for assigned in &assignment.addresses {
            let known = self.ledger.get(&assigned.address);
            let change = match known {
                None => Change::New,
                Some((_, uid)) if *uid == owner.uid => Change::Kept,
                Some(_) => Change::TakenOver,
            };
            prop_assert_eq!(assigned.change, change);
            prop_assert!(known.is_none_or(|(id, _)| *id == owner.id), "two owners on one address");
            let pool = self.pool_names.entry(assigned.address).or_insert_with(|| assigned.pool.to_string());
            prop_assert_eq!(&*assigned.pool, pool.as_str(), "a claim's pool stays");
            let pools = self.layout.model();
            let covered = pools.iter().any(|(key, list)| {
                key.to_string() == *pool && list.as_ref().is_ok_and(|list| list.contains(&assigned.address))
            });
            prop_assert_eq!(assigned.outside_pool, !covered);
        }
        for (_, (_, uid)) in self.ledger.iter_mut().filter(|(_, (id, _))| *id == owner.id) {
            uid.clone_from(&owner.uid);
        }
        for assigned in &assignment.addresses {
            self.ledger.insert(assigned.address, (owner.id.clone(), owner.uid.clone()));
        }
        self.surplus.insert(index, assignment.surplus.iter().map(|claim| claim.address).collect());
        // The same request again changes nothing.
        let again = self.allocator.request(&request).unwrap();
        prop_assert_eq!(Some(again.addresses.iter().map(|a| a.address).collect::<Vec<_>>()), given);
        prop_assert!(again.addresses.iter().all(|assigned| assigned.change == Change::Kept));
        prop_assert_eq!(again.surplus, assignment.surplus);
        prop_assert_eq!(again.partial, assignment.partial);
        Ok(())
    }

    /// A new controller that reads the ledger, in any order, must know what the old one knew.
    fn restart(&mut self, rotate: usize, pools_first: bool) -> Result<(), TestCaseError> {
        let mut claims: Vec<Claim> = self.allocator.claims().collect();
        let middle = rotate.min(claims.len());
        claims.rotate_left(middle);
        let mut next = Allocator::default();
        if pools_first {
            next.set_pools(self.layout.pools());
        }
        for claim in claims {
            next.observe(claim).unwrap();
        }
        next.set_reserved(self.reserved_nets());
        next.set_pools(self.layout.pools());
        for pool in self.allocator.pools() {
            for family in Family::ALL {
                prop_assert_eq!(next.free(&pool.name(), family), self.allocator.free(&pool.name(), family));
            }
        }
        self.allocator = next;
        Ok(())
    }

    fn play(&mut self, op: Op) -> Result<(), TestCaseError> {
        match op {
            Op::Request { owner, families, by_value } => {
                self.request(owner, families, by_value.map(|(base, offset)| nth(base, offset)))?;
            }
            Op::Recreate(index) => self.births[index] += 1,
            Op::Release(index) => {
                let owner = self.owner(index).id;
                let freed: Vec<IpAddr> =
                    self.allocator.release(&owner).iter().map(|claim| claim.address).collect();
                let held = self.ledger.extract_if(.., |_, (id, _)| *id == owner);
                prop_assert_eq!(freed, held.map(|(address, _)| address).collect::<Vec<_>>());
                self.surplus.remove(&index);
            }
            Op::ForgetSurplus(index) => {
                for address in self.surplus.remove(&index).unwrap_or_default() {
                    prop_assert!(self.allocator.forget(address).is_some());
                    self.ledger.remove(&address);
                }
            }
            Op::SetPools(layout) => {
                self.allocator.set_pools(layout.pools());
                self.layout = layout;
            }
            Op::SetReserved(pieces) => {
                self.reserved = pieces;
                self.allocator.set_reserved(self.reserved_nets());
            }
            Op::Restart { rotate, pools_first } => self.restart(rotate, pools_first)?,
        }
        self.pool_names.retain(|address, _| self.ledger.contains_key(address));
        Ok(())
    }

    /// What must hold after every step.
    fn check(&self) -> Result<(), TestCaseError> {
        let held: BTreeMap<IpAddr, (OwnerId, String)> = self
            .allocator
            .claims()
            .map(|claim| (claim.address, (claim.owner.id.clone(), claim.owner.uid.clone())))
            .collect();
        prop_assert_eq!(&held, &self.ledger, "what is held changes only by request, forget and release");
        for (key, pool) in self.layout.model() {
            for family in Family::ALL {
                let list = pool.clone().unwrap_or_default();
                let free = list.into_iter().filter(|a| Family::of(*a) == family && self.free(*a)).count();
                prop_assert_eq!(self.allocator.free(&key.to_string(), family), Some(free as u128), "{}", key);
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn any_history_follows_the_written_rules(first in layout(), ops in prop::collection::vec(op(), 1..60)) {
        let mut game = Game {
            allocator: Allocator::default(),
            ledger: BTreeMap::new(),
            pool_names: BTreeMap::new(),
            layout: first.clone(),
            reserved: Vec::new(),
            births: [0; NAMES.len()],
            surplus: BTreeMap::new(),
        };
        game.play(Op::SetPools(first))?;
        for op in ops {
            game.play(op)?;
            game.check()?;
        }
    }
}
