//! Random histories against a model.

use proptest::prelude::*;

use super::*;
use crate::{OwnerKind, Protocol, Rest, Sharing};

mod leaders;
mod model;

use model::*;

/// Kind, name, namespace; every second one has the label app=web.
const OWNERS: [(OwnerKind, &str, &str); 6] = [
    (OwnerKind::Service, "s", "a"),
    (OwnerKind::Service, "t", "a"),
    (OwnerKind::Gateway, "s", "a"),
    (OwnerKind::Service, "u", "b"),
    (OwnerKind::Gateway, "v", "b"),
    (OwnerKind::Service, "w", "c"),
];
const ROUNDS_MAX: usize = 100;

#[derive(Clone, Debug)]
struct Wish {
    owner: usize,
    families: Families,
    by_value: Option<(usize, u8)>,
    pool: Option<&'static str>,
    /// Key, across, ports as bits, backend.
    sharing: Option<(u8, bool, u8, u8)>,
}

#[derive(Clone, Debug)]
enum Op {
    Request(Wish),
    Recreate(usize),
    Release(usize),
    ForgetSurplus(usize),
    SetPools(Box<Layout>),
    SetReserved(Vec<Piece>),
    Clock { secs: u64, back: bool },
    Expire,
    Restart { rotate: usize, pools_first: bool },
}

fn piece() -> impl Strategy<Value = Piece> {
    (0..2_usize, 0..SPREAD, 0..3_u8)
}

fn serves() -> impl Strategy<Value = Serves> {
    let namespaces = prop::sample::select(vec![vec![], vec!["a"], vec!["b"], vec!["a", "c"]]);
    (0..3_u32, namespaces, prop::bool::weighted(0.3)).prop_map(|(priority, namespaces, web)| Serves {
        priority,
        namespaces,
        web,
    })
}

fn object() -> impl Strategy<Value = Object> {
    let pieces = prop::collection::vec(piece(), 1..3);
    let reserved = prop::collection::vec(piece(), 0..2);
    let serves = || prop::option::weighted(0.4, serves());
    let switches = (prop::bool::weighted(0.8), any::<bool>(), any::<bool>(), prop::bool::weighted(0.1));
    let reuse = prop::option::of(prop::sample::select(vec![0, 10, 100]));
    (pieces, reserved, serves(), serves(), switches, reuse).prop_map(
        |(pieces, reserved, services, gateways, (auto_assign, avoid, desc, broken), reuse_after_secs)| {
            Object {
                pieces,
                reserved,
                services,
                gateways,
                auto_assign,
                avoid,
                desc,
                reuse_after_secs,
                broken,
            }
        },
    )
}

fn layout() -> impl Strategy<Value = Layout> {
    let key = prop_oneof![
        1 => Just(None),
        5 => Just(Some(Vec::new())),
        5 => prop::collection::vec(piece(), 1..3).prop_map(Some),
    ];
    (prop::array::uniform4(key), prop::array::uniform4(prop::option::weighted(0.7, object())), any::<bool>())
        .prop_map(|(keys, objects, desc)| Layout { keys, objects, desc })
}

fn families() -> impl Strategy<Value = Families> {
    use Families::{EachAvailable, Prefer, Require};
    let (v4, v6) = (Family::V4, Family::V6);
    prop::sample::select(vec![ANY, V4, V6, Prefer(v4), Prefer(v6), Require(v4), Require(v6), EachAvailable])
}

fn wish() -> impl Strategy<Value = Wish> {
    let names: Vec<&str> = KEYS.into_iter().chain(OBJECTS).collect();
    (
        0..OWNERS.len(),
        families(),
        prop::option::weighted(0.3, (0..2_usize, 0..SPREAD)),
        prop::option::weighted(0.15, prop::sample::select(names)),
        prop::option::weighted(0.5, (0..3_u8, prop::bool::weighted(0.7), 0..8_u8, 0..4_u8)),
    )
        .prop_map(|(owner, families, by_value, pool, sharing)| Wish {
            owner,
            families,
            by_value,
            pool,
            sharing,
        })
}

fn op() -> impl Strategy<Value = Op> {
    let owner = || 0..OWNERS.len();
    prop_oneof![
        12 => wish().prop_map(Op::Request),
        1 => owner().prop_map(Op::Recreate),
        4 => owner().prop_map(Op::Release),
        4 => owner().prop_map(Op::ForgetSurplus),
        2 => layout().prop_map(|layout| Op::SetPools(Box::new(layout))),
        1 => prop::collection::vec(piece(), 0..3).prop_map(Op::SetReserved),
        3 => (0..60_u64, prop::bool::weighted(0.2)).prop_map(|(secs, back)| Op::Clock { secs, back }),
        1 => Just(Op::Expire),
        2 => (0..10_usize, any::<bool>()).prop_map(|(rotate, pools_first)| Op::Restart { rotate, pools_first }),
    ]
}

#[derive(Default)]
struct Game {
    allocator: Allocator,
    model: Model,
    /// Of the current pools, to hand them over again.
    pools: Vec<Pool>,
    reserved: BTreeMap<IpNet, ReservedWhy>,
    births: [u32; OWNERS.len()],
    /// Uid in the ledger of each owner that holds something.
    uids: BTreeMap<OwnerId, String>,
    surplus: BTreeMap<OwnerId, Vec<IpAddr>>,
    /// The last request of each owner that is there.
    wishes: BTreeMap<OwnerId, Request>,
    /// Addresses whose rest went to its end, untold.
    over: BTreeSet<IpAddr>,
    now_secs: u64,
}

impl Game {
    fn id(index: usize) -> OwnerId {
        let (kind, name, namespace) = OWNERS[index];
        OwnerId { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }

    fn build(&self, wish: &Wish) -> Request {
        let id = Self::id(wish.owner);
        let sharing = wish.sharing.map(|(key, across_namespaces, ports, backends)| Sharing {
            key: ["k", "l", ""][usize::from(key)].to_owned(),
            across_namespaces,
            ports: (0..3).filter(|bit| ports & (1 << bit) != 0).map(|bit| (Protocol::Tcp, bit)).collect(),
            backend: backend(backends / 3),
        });
        let label = wish.owner.is_multiple_of(2).then(|| ("app".to_owned(), "web".to_owned()));
        Request {
            labels: label.into_iter().collect(),
            families: wish.families,
            addresses: wish.by_value.map(|(base, offset)| nth(base, offset)).into_iter().collect(),
            pool: wish.pool.map(str::to_owned),
            sharing,
            since_secs: (wish.owner * 7 % 4) as u64,
            ..Request::new(Owner { uid: format!("{id}-{}", self.births[wish.owner]), id })
        }
    }

    fn end_rests(&mut self) {
        let before: BTreeSet<IpAddr> = self.model.rests.keys().copied().collect();
        self.model.expire(self.now_secs);
        self.over.extend(before.into_iter().filter(|address| !self.model.rests.contains_key(address)));
    }

    fn request(&mut self, request: &Request) -> Result<(), TestCaseError> {
        let id = &request.owner.id;
        self.end_rests();
        let expected = self.model.expected(request);
        let answer = self.allocator.request(request, self.now_secs);
        let given = match &answer {
            Ok(assignment) => {
                Ok(assignment.addresses.iter().map(|a| (a.address, a.change != Change::New)).collect())
            }
            Err(reason) => Err(reason.forfeits()),
        };
        prop_assert_eq!(&given, &expected, "{:?} {:?}", request, answer);
        self.wishes.insert(id.clone(), request.clone());
        let assignment = match answer {
            Ok(assignment) => assignment,
            Err(reason) => {
                self.surplus.entry(id.clone()).or_default().extend(reason.forfeits());
                return Ok(());
            }
        };
        let known = self.uids.insert(id.clone(), request.owner.uid.clone());
        for assigned in assignment.addresses.iter().filter(|assigned| assigned.change != Change::New) {
            let same = known.as_ref() == Some(&request.owner.uid);
            prop_assert_eq!(assigned.change, if same { Change::Kept } else { Change::TakenOver });
            let claim = self.model.claims[&assigned.address].iter().find(|claim| claim.owner == *id).unwrap();
            prop_assert_eq!(&*assigned.pool, claim.pool.as_str(), "a claim's pool stays");
            let covered =
                self.model.pool(&claim.pool).is_some_and(|pool| pool.list.contains(&assigned.address));
            prop_assert_eq!(assigned.outside_pool, !covered);
            prop_assert_eq!(assigned.reserved.is_some(), self.model.reserved.contains(&assigned.address));
        }
        self.model.assign(request, &assignment);
        self.over.retain(|address| !self.model.claims.contains_key(address));
        let mut surplus = self.model.held(id);
        surplus.retain(|address| assignment.addresses.iter().all(|assigned| assigned.address != *address));
        prop_assert_eq!(&assignment.surplus.iter().map(|claim| claim.address).collect::<Vec<_>>(), &surplus);
        self.surplus.insert(id.clone(), surplus);
        // The same request again changes nothing.
        let again = self.allocator.clone().request(request, self.now_secs).unwrap();
        prop_assert!(again.addresses.iter().all(|assigned| assigned.change == Change::Kept));
        prop_assert_eq!(again.surplus, assignment.surplus);
        prop_assert_eq!(again.partial, assignment.partial);
        Ok(())
    }

    fn release(&mut self, id: &OwnerId) -> Result<(), TestCaseError> {
        let held = self.model.held(id);
        let freed = self.allocator.release(id, self.now_secs);
        prop_assert_eq!(freed.iter().map(|freed| freed.address).collect::<Vec<_>>(), held);
        for freed in freed {
            prop_assert_eq!(freed.then, self.model.end(freed.address, id, self.now_secs));
        }
        self.uids.remove(id);
        self.surplus.remove(id);
        self.wishes.remove(id);
        Ok(())
    }

    /// A new controller that reads the ledger, in any order, knows what the old one knew, but for how owners share.
    fn restart(&mut self, rotate: usize, pools_first: bool) -> Result<(), TestCaseError> {
        let mut claims: Vec<Claim> = self.allocator.claims().collect();
        let mut rests: Vec<Rest> = self.allocator.rests().collect();
        let build = |claims: &[Claim], rests: &[Rest], pools_first: bool| {
            let mut next = Allocator::default();
            if pools_first {
                next.set_pools(self.pools.iter().rev().cloned().collect());
            }
            for claim in claims {
                let alone = claims.iter().filter(|other| other.address == claim.address).count() == 1;
                if alone { next.observe(claim.clone()).unwrap() } else { next.observe_shared(claim.clone()) }
            }
            rests.iter().for_each(|rest| next.observe_released(rest.clone()));
            next.set_reserved(self.reserved.clone());
            next.set_pools(self.pools.clone());
            next
        };
        let straight = build(&claims, &rests, false);
        let middle = rotate.min(claims.len());
        claims.rotate_left(middle);
        rests.reverse();
        let next = build(&claims, &rests, pools_first);
        prop_assert!(next.claims().eq(self.allocator.claims()));
        prop_assert!(next.rests().eq(self.allocator.rests()));
        for pool in self.allocator.pools() {
            prop_assert_eq!(next.usage(&pool.name), self.allocator.usage(&pool.name));
        }
        for request in self.wishes.values() {
            let answer = next.clone().request(request, self.now_secs);
            prop_assert_eq!(
                answer,
                straight.clone().request(request, self.now_secs),
                "the order of reading is nothing"
            );
        }
        self.allocator = next;
        self.model.facts.clear();
        self.model.claims.values_mut().flatten().for_each(|claim| claim.bound = false);
        self.over.clear();
        self.surplus.clear();
        self.wishes.clear();
        Ok(())
    }

    fn play(&mut self, op: Op) -> Result<(), TestCaseError> {
        match op {
            Op::Request(wish) => self.request(&self.build(&wish))?,
            Op::Recreate(index) => self.births[index] += 1,
            Op::Release(index) => self.release(&Self::id(index))?,
            Op::ForgetSurplus(index) => {
                let id = Self::id(index);
                for address in self.surplus.remove(&id).unwrap_or_default() {
                    let freed = self.allocator.forget(address, &id, self.now_secs);
                    if self.model.held(&id).contains(&address) {
                        let then = self.model.end(address, &id, self.now_secs);
                        prop_assert_eq!(freed.map(|freed| freed.then), Some(then));
                    } else {
                        prop_assert_eq!(freed, None);
                    }
                }
                if self.model.held(&id).is_empty() {
                    self.uids.remove(&id);
                }
            }
            Op::SetPools(layout) => {
                self.pools = layout.pools();
                self.allocator.set_pools(self.pools.clone());
                self.model.pools = layout.model();
            }
            Op::SetReserved(pieces) => {
                self.model.reserved = pieces.iter().flat_map(piece_addresses).collect();
                let nets =
                    self.model.reserved.iter().map(|address| (IpNet::from(*address), ReservedWhy::PodCidr));
                self.reserved = nets.collect();
                self.allocator.set_reserved(self.reserved.clone());
            }
            Op::Clock { secs, back: false } => self.now_secs += secs,
            Op::Clock { secs, back: true } => self.now_secs = self.now_secs.saturating_sub(secs),
            Op::Expire => {
                self.end_rests();
                let mut over = std::mem::take(&mut self.over);
                over.retain(|address| !self.model.rests.contains_key(address));
                prop_assert_eq!(self.allocator.expire(self.now_secs), over.into_iter().collect::<Vec<_>>());
            }
            Op::Restart { rotate, pools_first } => self.restart(rotate, pools_first)?,
        }
        self.over.retain(|address| {
            !self.model.claims.contains_key(address) && !self.model.rests.contains_key(address)
        });
        Ok(())
    }

    /// Asks those again who are ready, until nobody is.
    fn serve(&mut self) -> Result<(), TestCaseError> {
        for round in 0.. {
            prop_assert!(round < ROUNDS_MAX, "the same owners are asked for ever");
            let ready = self.allocator.take_ready();
            if ready.is_empty() {
                return Ok(());
            }
            let age = |id: &OwnerId| (self.wishes[id].since_secs, id.clone());
            prop_assert!(ready.is_sorted_by_key(age), "oldest first: {:?}", ready);
            for id in ready {
                let request = self.wishes[&id].clone();
                self.request(&request)?;
            }
        }
        Ok(())
    }

    /// What must hold after every step.
    fn check(&self) -> Result<(), TestCaseError> {
        let held = self
            .allocator
            .claims()
            .map(|claim| (claim.address, claim.owner.id.clone(), claim.pool.to_string()));
        let mut expected: Vec<_> = Vec::new();
        for (address, claims) in &self.model.claims {
            expected.extend(claims.iter().map(|claim| (*address, claim.owner.clone(), claim.pool.clone())));
            prop_assert!(self.model.is_lawful(claims), "{} {:?}", address, claims);
        }
        expected.sort();
        prop_assert_eq!(held.collect::<Vec<_>>(), expected, "held is what requests gave and nobody gave up");
        prop_assert_eq!(
            self.allocator.rests().collect::<Vec<_>>(),
            self.model.rests.values().cloned().collect::<Vec<_>>()
        );
        let next_expiry = self.model.rests.values().map(|rest| self.model.until(rest)).min();
        prop_assert_eq!(self.allocator.next_expiry(), next_expiry);
        for name in KEYS.into_iter().chain(OBJECTS) {
            self.check_usage(name)?;
        }
        // Nobody waits who would get more by asking.
        for id in self.allocator.waiting() {
            let request = &self.wishes[id];
            let answer = self.allocator.clone().request(request, self.now_secs);
            let new =
                answer.iter().flat_map(|assignment| &assignment.addresses).any(|a| a.change == Change::New);
            prop_assert!(!new, "{:?} waits, and would get {:?}", request, answer);
        }
        Ok(())
    }

    fn check_usage(&self, name: &str) -> Result<(), TestCaseError> {
        let pool = self.model.pool(name);
        for family in Family::ALL {
            let is_of = |address: &&IpAddr| Family::of(**address) == family;
            let list: Vec<IpAddr> =
                pool.into_iter().flat_map(|pool| &pool.list).filter(is_of).copied().collect();
            let names = |claims: &[Claimed]| claims.iter().any(|claim| claim.pool == name);
            let assigned: Vec<IpAddr> = self
                .model
                .claims
                .iter()
                .filter(|(_, claims)| names(claims))
                .map(|(address, _)| *address)
                .collect();
            let count = |is: &dyn Fn(&IpAddr) -> bool, list: &[IpAddr]| {
                list.iter().filter(|address| is(address)).count() as u128
            };
            let usage = self.allocator.usage(name).unwrap_or_default().of(family);
            let expected = crate::Counts {
                capacity: list.len() as u128,
                assigned: count(&|address| is_of(&address), &assigned),
                available: count(&|address| self.model.is_free(*address), &list),
                resting: count(
                    &|address| {
                        self.model.rests.contains_key(address) && !self.model.reserved.contains(address)
                    },
                    &list,
                ),
                outside: count(&|address| is_of(&address) && !list.contains(address), &assigned),
            };
            prop_assert_eq!(usage, expected, "{} {}", name, family);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn any_history_follows_the_written_rules(first in layout(), ops in prop::collection::vec(op(), 1..60)) {
        let mut game = Game { now_secs: NOW, ..Game::default() };
        game.play(Op::SetPools(Box::new(first)))?;
        for op in ops {
            game.play(op)?;
            game.serve()?;
            game.check()?;
        }
    }
}
