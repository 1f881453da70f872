//! The pools and owners that are measured.

use std::collections::BTreeSet;
use std::ops::Range;

use keryx_ipam::{
    Allocation, Allocator, Backend, Families, Owner, OwnerId, OwnerKind, Pool, PoolSpec, Protocol, Request,
    Sharing,
};

/// Owners of one namespace.
const OWNERS_PER_NAMESPACE: usize = 1000;

/// Pools, and the owners that fill them.
pub(crate) struct Scene {
    /// Its name in the table.
    pub(crate) name: &'static str,
    /// One pool with each of these ranges.
    pools: fn() -> Vec<String>,
    /// Owners that fill the pools, or that are there at most.
    pub(crate) owners: usize,
    /// Owners on one address.
    pub(crate) sharers: usize,
    /// Each pool serves the namespace of its number alone.
    is_pinned: bool,
    /// Whether the owners are all for which there is room.
    pub(crate) is_full: bool,
}

const PLAIN: Scene =
    Scene { name: "", pools: Vec::new, owners: 0, sharers: 1, is_pinned: false, is_full: true };

pub(crate) const SCENES: [Scene; 7] = [
    Scene { name: "256 IPv4", pools: || vec!["10.0.0.0/24".to_owned()], owners: 256, ..PLAIN },
    Scene { name: "65,536 IPv4", pools: || vec!["10.0.0.0/16".to_owned()], owners: 1 << 16, ..PLAIN },
    Scene { name: "1,048,576 IPv4", pools: || vec!["10.0.0.0/12".to_owned()], owners: 1 << 20, ..PLAIN },
    Scene {
        name: "1,048,576 of an IPv6 /64",
        pools: || vec!["2001:db8::/64".to_owned()],
        owners: 1 << 20,
        is_full: false,
        ..PLAIN
    },
    Scene { name: "100 open pools", pools: hundred, owners: 100 << 10, ..PLAIN },
    Scene { name: "100 pinned pools", pools: hundred, owners: 100 << 10, is_pinned: true, ..PLAIN },
    Scene {
        name: "262,144 IPv4, 4 owners on each",
        pools: || vec!["10.0.0.0/14".to_owned()],
        owners: 1 << 20,
        sharers: 4,
        ..PLAIN
    },
];

fn hundred() -> Vec<String> {
    (0..100).map(|index| format!("10.{index}.0.0/22")).collect()
}

impl Scene {
    /// Whether an owner is refused by more than one pool.
    pub(crate) fn tries_many(&self) -> bool {
        !self.is_pinned && (self.pools)().len() > 1
    }

    /// Addresses that are held when all owners have theirs.
    pub(crate) fn addresses(&self) -> usize {
        self.owners / self.sharers
    }

    /// The pools.
    pub(crate) fn pools(&self) -> Vec<Pool> {
        let pool = |(index, range)| {
            let pinned = Allocation { namespaces: vec![namespace(index)], ..Allocation::default() };
            Pool::from_spec(PoolSpec {
                name: format!("pool-{index:02}"),
                addresses: vec![range],
                auto_assign: true,
                services: self.is_pinned.then_some(pinned),
                ..PoolSpec::default()
            })
        };
        (self.pools)().into_iter().enumerate().map(pool).collect()
    }

    /// An allocator with the pools, and no claim.
    pub(crate) fn allocator(&self) -> Allocator {
        let mut allocator = Allocator::default();
        allocator.set_pools(self.pools());
        allocator
    }
}

/// The owners of a scene.
pub(crate) struct Holders {
    per_namespace: usize,
    sharers: usize,
}

impl Holders {
    /// Those of `scene`.
    pub(crate) fn new(scene: &Scene) -> Self {
        Self {
            per_namespace: if scene.is_pinned { 1024 } else { OWNERS_PER_NAMESPACE },
            sharers: scene.sharers,
        }
    }

    /// The owner with that number: names of 12 and 16 characters, and a UUID.
    pub(crate) fn owner(&self, number: usize) -> Owner {
        let id = OwnerId {
            kind: OwnerKind::Service,
            namespace: namespace(number / self.per_namespace),
            name: format!("frontend-{number:07}"),
        };
        let uid = format!("{number:08x}-d9cb-469f-a165-70867728950e");
        Owner { id, uid }
    }

    /// Requests of the owners with these numbers.
    pub(crate) fn requests(&self, numbers: Range<usize>) -> impl Iterator<Item = Request> {
        numbers.map(|number| self.request(number))
    }

    /// The request of one owner.
    pub(crate) fn request(&self, number: usize) -> Request {
        let sharing = (self.sharers > 1).then(|| Sharing {
            key: format!("key-{:07}", number / self.sharers),
            across_namespaces: true,
            ports: BTreeSet::from([(Protocol::Tcp, 8000 + (number % self.sharers) as u16)]),
            backend: Backend::Any,
        });
        Request {
            families: Families::Single(None),
            sharing,
            since_secs: number as u64,
            ..Request::new(self.owner(number))
        }
    }
}

fn namespace(number: usize) -> String {
    format!("team-{number:07}")
}

/// Numbers below `count`, each once, in an order without pattern.
pub(crate) fn shuffled(count: usize) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..count).collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for index in (1..count).rev() {
        // xorshift64 (Marsaglia 2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        numbers.swap(index, (state % (index as u64 + 1)) as usize);
    }
    numbers
}
