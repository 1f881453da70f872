//! Pools: named sets of address ranges.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::access::Access;
use crate::family::{Family, PerFamily, number};
use crate::interval::{IntervalSet, Span};
use crate::ordinal::Numbering;

mod spec;
#[cfg(test)]
mod tests;

pub use spec::{FieldError, PoolProblem, PoolSpec};

/// Whose Services and Gateways a pool serves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Those of one namespace.
    Namespace(String),
    /// Those of every namespace.
    Global,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace(namespace) => f.write_str(namespace),
            Self::Global => f.write_str("global"),
        }
    }
}

/// The first word of a pool's key. It decides only which pool comes first; both take prefixes and ranges alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyPrefix {
    /// `cidr-`, looked at first.
    Cidr,
    /// `range-`.
    Range,
}

/// The ConfigMap key of a pool, such as `cidr-global` or `range-team-a`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PoolKey {
    /// Its first word.
    pub prefix: KeyPrefix,
    /// Whom it serves.
    pub scope: Scope,
}

impl fmt::Display for PoolKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = match self.prefix {
            KeyPrefix::Cidr => "cidr",
            KeyPrefix::Range => "range",
        };
        write!(f, "{prefix}-{}", self.scope)
    }
}

/// Which free address of a pool is given next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The lowest.
    #[default]
    Lowest,
    /// The highest.
    Highest,
}

/// A set of addresses of both families, kept as merged ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(PerFamily<IntervalSet>);

impl Ranges {
    /// Adds the addresses of `family` from `span.first` to `span.last`.
    pub(crate) fn insert(&mut self, family: Family, span: Span) {
        self.0.get_mut(family).insert(span);
    }

    /// The ranges of `family`.
    pub(crate) fn of(&self, family: Family) -> &IntervalSet {
        self.0.get(family)
    }

    /// The ranges as (first, last), both included; IPv4 before IPv6, ascending, neither overlapping nor touching.
    pub fn iter(&self) -> impl Iterator<Item = (IpAddr, IpAddr)> {
        Family::ALL.into_iter().flat_map(|family| {
            self.of(family).spans().map(move |span| (family.address(span.first), family.address(span.last)))
        })
    }
}

/// Where a pool is declared, and whom it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoolSource {
    /// A key of the address ConfigMap; it serves its scope.
    Key(PoolKey),
    /// An `IPAddressPool`.
    Object(Access),
}

/// A named set of addresses to give to Services and Gateways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its name: the ConfigMap key, or the name of the `IPAddressPool`.
    pub name: Arc<str>,
    /// Where it is declared, and whom it serves.
    pub source: PoolSource,
    /// Its addresses.
    pub ranges: Ranges,
    /// Addresses that are never given, wherever they lie.
    pub reserved: Ranges,
    /// Which free address is given next.
    pub order: Order,
    /// Leave out IPv4 addresses that end in .0 or .255 (the rule, and the field name, that MetalLB users know).
    pub avoid_buggy_ips: bool,
    /// Give addresses to owners that ask for none in particular. Else only to those who name the pool or an address.
    pub auto_assign: bool,
    /// How long a released address rests; `None` or 0: it is free at once.
    pub reuse_after_secs: Option<u64>,
    /// Why nothing can be given from this pool. It is kept, with no addresses, rather than dropped: a broken key still comes
    /// first in the order of pools, and an owner must not silently get an address from another one.
    pub problem: Option<PoolProblem>,
}

impl Pool {
    /// How many addresses of `family` can be given, used ones included.
    pub fn capacity(&self, family: Family) -> u128 {
        self.assignable(family).map(Span::count).sum()
    }

    /// Whether `address` is one that this pool can give.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (family, number) = (Family::of(address), number(address));
        self.ranges.of(family).contains(number) && self.ordinal(family, number).is_some()
    }

    /// The ordinal of an address of the pool's ranges; `None` if it is one that is never given.
    pub(crate) fn ordinal(&self, family: Family, number: u128) -> Option<u128> {
        let is_reserved = self.reserved.of(family).contains(number);
        if is_reserved { None } else { self.numbering(family).ordinal(number) }
    }

    /// Ordinals of the addresses of `family` that can be given, ascending.
    pub(crate) fn assignable(&self, family: Family) -> impl Iterator<Item = Span> {
        let numbering = self.numbering(family);
        let reserved = self.reserved.of(family);
        let spans = self.ranges.of(family).spans().flat_map(|span| reserved.gaps(span));
        spans.filter_map(move |span| numbering.ordinals(span))
    }

    /// How the free addresses of `family` are numbered.
    pub(crate) fn numbering(&self, family: Family) -> Numbering {
        if self.avoid_buggy_ips && family == Family::V4 { Numbering::WithoutEnds } else { Numbering::Every }
    }
}
