//! What an owner asks for, and what it gets.

use std::net::IpAddr;
use std::sync::Arc;

use crate::family::Family;
use crate::owner::{Claim, Owner};
use crate::reason::{Reason, ReservedWhy};

/// Which address families an owner wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Families {
    /// One address. Without a family: what the owner holds, else IPv4 if the pool has any, else IPv6. Also right for a
    /// PreferDualStack Service whose `spec.ipFamilies` has one entry: the cluster is single-stack.
    Single(Option<Family>),
    /// This family and then the other; one of the two is enough (PreferDualStack).
    Prefer(Family),
    /// This family and then the other; both or nothing (RequireDualStack).
    Require(Family),
    /// One of each family that the pool has; one of the two is enough (Gateways).
    EachAvailable,
}

/// What one owner wants now. The same request may be made any number of times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who asks.
    pub owner: Owner,
    /// Which families.
    pub families: Families,
    /// Addresses asked for by value (`spec.loadBalancerIP`, `spec.addresses`). With [`Families::EachAvailable`] these and
    /// no others; with the rest at most one of each wanted family, and the family not named is filled from the pool. All
    /// of them or none.
    pub addresses: Vec<IpAddr>,
    /// Name of the pool to take from; `None` for the first key that is present.
    pub pool: Option<String>,
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
