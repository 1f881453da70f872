//! What an owner asks for, and what it gets.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::family::Family;
use crate::owner::{Claim, Owner};
use crate::reason::{Reason, ReservedWhy};
use crate::sharing::Sharing;

/// Which address families an owner wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Families {
    /// One address. Without a family: what the owner holds, else of the first pool that can give, IPv4 if that has any, else
    /// IPv6. Also right for a PreferDualStack Service whose `spec.ipFamilies` has one entry: the cluster is single-stack.
    Single(Option<Family>),
    /// This family and then the other; one of the two is enough (PreferDualStack).
    Prefer(Family),
    /// This family and then the other; both or nothing (RequireDualStack).
    Require(Family),
    /// One of each family that the pools have; one of the two is enough (Gateways).
    EachAvailable,
}

/// What one owner wants now. The same request may be made any number of times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who asks.
    pub owner: Owner,
    /// The owner's labels, for pools that select owners by them.
    pub labels: BTreeMap<String, String>,
    /// The labels of its namespace.
    pub namespace_labels: BTreeMap<String, String>,
    /// Which families.
    pub families: Families,
    /// Addresses asked for by value (`spec.loadBalancerIP`, `spec.addresses`). With [`Families::EachAvailable`] these and
    /// no others; with the rest at most one of each wanted family, and the family not named is chosen. All of them or none.
    pub addresses: Vec<IpAddr>,
    /// Name of the pool to take from; `None` to choose by the order of pools.
    pub pool: Option<String>,
    /// With whom the owner would share its addresses; `None` for nobody.
    pub sharing: Option<Sharing>,
    /// When the owner was created, in seconds since 1970. Owners that wait are served in this order.
    pub since_secs: u64,
}

impl Request {
    /// A request of `owner` for one address of any family and pool.
    pub fn new(owner: Owner) -> Self {
        Self {
            owner,
            labels: BTreeMap::new(),
            namespace_labels: BTreeMap::new(),
            families: Families::Single(None),
            addresses: Vec::new(),
            pool: None,
            sharing: None,
            since_secs: 0,
        }
    }
}

/// How a claim stands to what was there before the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The owner held it already.
    Kept,
    /// An owner of the same kind, namespace and name but another uid held it: the ledger's uid must change.
    TakenOver,
    /// Claimed by this request: the ledger does not have it yet.
    New,
}

/// One address that an owner has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// The address.
    pub address: IpAddr,
    /// Name of the pool it was taken from.
    pub pool: Arc<str>,
    /// What the request changed.
    pub change: Change,
    /// The pool it was taken from is gone, broken, or no longer covers it. It stays until its owner goes or asks for
    /// another.
    pub outside_pool: bool,
    /// The cluster uses this address itself. It stays all the same.
    pub reserved: Option<ReservedWhy>,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// At least one address; in the order of the families asked for, or of [`Request::addresses`].
    pub addresses: Vec<Assigned>,
    /// What the owner still holds but no longer wants. Take it out of the owner's status, then
    /// [`crate::Allocator::forget`] it; until then nobody else can get it.
    pub surplus: Vec<Claim>,
    /// Why a family that would be welcome is missing.
    pub partial: Option<Reason>,
}

/// An address that its owner no longer holds, and what becomes of it. Who that was, the caller has just said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freed {
    /// The address.
    pub address: IpAddr,
    /// What becomes of the address.
    pub then: Then,
}

/// What becomes of an address that an owner gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Anybody may get it. The ledger's entry goes.
    Free,
    /// It rests. The ledger keeps the entry, as [`crate::Allocator::rests`] has it, until [`crate::Allocator::expire`]
    /// names the address or a claim takes it.
    Rests {
        /// When it was released, in seconds since 1970: what the ledger says, and
        /// [`crate::Allocator::observe_released`] is told.
        released_at_secs: u64,
    },
    /// Others still hold it.
    Shared,
}

/// A released address that is held back for the owner it had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rest {
    /// The address.
    pub address: IpAddr,
    /// Who held it last.
    pub owner: crate::owner::OwnerId,
    /// Name of the pool it was taken from.
    pub pool: Arc<str>,
    /// When it was released, in seconds since 1970.
    pub released_at_secs: u64,
}
