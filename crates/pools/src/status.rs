//! The status of each `IPAddressPool`.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use keryx_api::ip_address_pool::{
    CONDITION_OVERLAPPING, CONDITION_READY, IPAddressPool, IPAddressPoolStatus, PoolUsage,
};
use keryx_ipam::{Allocator, Counts, Overlap, Pool, PoolProblem, PoolSource, Usage};

#[cfg(test)]
mod tests;

/// Why a condition of a pool is as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolReason {
    /// Ready: its addresses can be given.
    InForce,
    /// Not ready: a field is wrong.
    Invalid,
    /// Not ready: a key of the address ConfigMap has its name.
    NameTaken,
    /// Overlapping: an earlier pool has some of its addresses.
    SharesAddresses,
    /// Not overlapping.
    Separate,
}

impl PoolReason {
    /// The word in the condition, and on metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InForce => "InForce",
            Self::Invalid => "Invalid",
            Self::NameTaken => "NameTaken",
            Self::SharesAddresses => "SharesAddresses",
            Self::Separate => "Separate",
        }
    }
}

/// What a condition should say.
struct Wanted {
    type_: &'static str,
    status: bool,
    reason: PoolReason,
    message: String,
}

/// The status of every one of `objects`, by name, as `allocator` has their pools. Write those that differ from what is
/// stored; a condition's time changes, to `now`, only with its status.
pub fn statuses<P: Borrow<IPAddressPool>>(
    objects: &[P],
    allocator: &Allocator,
    now: &Time,
) -> BTreeMap<String, IPAddressPoolStatus> {
    let age: BTreeMap<&str, (Option<&Time>, &str)> =
        objects.iter().map(P::borrow).map(|object| (name(object), seniority(object))).collect();
    let overlaps = allocator.overlaps();
    let pools: BTreeMap<&str, &Pool> = allocator
        .pools()
        .filter(|pool| matches!(pool.source, PoolSource::Object(_)))
        .map(|pool| (&*pool.name, pool))
        .collect();
    let status_of = |object: &IPAddressPool| {
        let name = name(object);
        let problem = pools.get(name).and_then(|pool| pool.problem.as_ref());
        let name_taken = matches!(problem, Some(PoolProblem::NameTaken { .. }));
        // What goes by a name that is taken is the ConfigMap's.
        let usage = if name_taken { None } else { allocator.usage(name) }.unwrap_or_default();
        let earlier = overlaps.iter().filter_map(|overlap| earlier_of(name, overlap, &age)).next();
        let wanted = [ready(problem), overlapping(earlier)];
        status(object, usage, wanted, now)
    };
    let objects = objects.iter().map(P::borrow);
    objects.map(|object| (name(object).to_owned(), status_of(object))).collect()
}

fn name(object: &IPAddressPool) -> &str {
    object.metadata.name.as_deref().unwrap_or_default()
}

/// Sorts as the pools were made: by time, then by name.
fn seniority(object: &IPAddressPool) -> (Option<&Time>, &str) {
    (object.metadata.creation_timestamp.as_ref(), name(object))
}

/// The other pool of `overlap`, if `name` is one of its two and the later. A key of the ConfigMap comes before any object.
fn earlier_of<'a>(
    name: &str,
    overlap: &'a Overlap,
    age: &BTreeMap<&str, (Option<&Time>, &str)>,
) -> Option<(&'a str, &'a Overlap)> {
    let [a, b] = &overlap.pools;
    let other: &str = if **a == *name {
        b
    } else if **b == *name {
        a
    } else {
        return None;
    };
    let is_later = age.get(other).is_none_or(|other| age.get(name).is_some_and(|own| other < own));
    is_later.then_some((other, overlap))
}

fn ready(problem: Option<&PoolProblem>) -> Wanted {
    let (status, reason, message) = match problem {
        None => (true, PoolReason::InForce, "its addresses can be given".to_owned()),
        Some(problem) => {
            let reason = match problem {
                PoolProblem::NameTaken { .. } => PoolReason::NameTaken,
                PoolProblem::Value(_) | PoolProblem::Field { .. } => PoolReason::Invalid,
            };
            (false, reason, format!("nothing can be given from this pool, because {problem}"))
        }
    };
    Wanted { type_: CONDITION_READY, status, reason, message }
}

fn overlapping(earlier: Option<(&str, &Overlap)>) -> Wanted {
    let (status, reason, message) = match earlier {
        None => (false, PoolReason::Separate, "no earlier pool has any of its addresses".to_owned()),
        Some((earlier, Overlap { first, last, .. })) => (
            true,
            PoolReason::SharesAddresses,
            format!(
                "{first} to {last} belong to pool {earlier} too: each address is still given only once, but take them out \
                 of one of the two pools to know which one gives it"
            ),
        ),
    };
    Wanted { type_: CONDITION_OVERLAPPING, status, reason, message }
}

fn status(object: &IPAddressPool, usage: Usage, wanted: [Wanted; 2], now: &Time) -> IPAddressPoolStatus {
    let stored = object.status.as_ref();
    let generation = object.metadata.generation;
    let outside = usage.v4.outside.saturating_add(usage.v6.outside);
    IPAddressPoolStatus {
        observed_generation: generation,
        ipv4: counts(usage.v4),
        ipv6: counts(usage.v6),
        outside: i64::try_from(outside).unwrap_or(i64::MAX),
        conditions: wanted.map(|wanted| condition(stored, wanted, generation, now)).into(),
    }
}

fn condition(
    stored: Option<&IPAddressPoolStatus>,
    wanted: Wanted,
    observed_generation: Option<i64>,
    now: &Time,
) -> Condition {
    let Wanted { type_, status, reason, message } = wanted;
    let status = if status { "True" } else { "False" };
    let same = stored
        .and_then(|stored| stored.conditions.iter().find(|old| old.type_ == type_ && old.status == status));
    Condition {
        last_transition_time: same.map_or(now, |old| &old.last_transition_time).clone(),
        message,
        observed_generation,
        reason: reason.as_str().to_owned(),
        status: status.to_owned(),
        type_: type_.to_owned(),
    }
}

/// The counts of one family; `None` if the pool neither has such addresses nor gave any.
fn counts(counts: Counts) -> Option<PoolUsage> {
    (counts.capacity > 0 || counts.assigned > 0).then(|| PoolUsage {
        capacity: count_text(counts.capacity),
        assigned: count_text(counts.assigned),
        available: count_text(counts.available),
        resting: count_text(counts.resting),
    })
}

/// Below this, numbers are written out.
const LARGE: u128 = 1_000_000_000_000_000;

/// `count` as text: exact below 10^15, else as the nearest power of two, with `~` before it if it is not that power.
pub fn count_text(count: u128) -> String {
    if count < LARGE {
        return count.to_string();
    }
    let exponent = u128::BITS - 1 - count.leading_zeros();
    if count.is_power_of_two() {
        return format!("2^{exponent}");
    }
    // Between two powers the nearer one, on the scale of the powers, is told by the square root of 2, here times 2^16.
    let rounded_up = (count >> (exponent - 16)) >= 92_682;
    format!("~2^{}", exponent + u32::from(rounded_up))
}
