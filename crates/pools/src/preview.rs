//! What an edit of pools would do, before it is done.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use keryx_api::ip_address_pool::IPAddressPool;
use keryx_api::ledger::{LedgerEntry, LedgerOwner};
use keryx_ipam::configmap::{KeyProblem, Notice};
use keryx_ipam::{Allocator, Overlap, Pool, PoolProblem, PoolSource};

use crate::audit::list;
use crate::sources::Sources;

#[cfg(test)]
mod tests;

/// An edit: what is applied, as a whole each.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    /// New `data` of the address ConfigMap; `None` leaves it as it is.
    pub keys: Option<BTreeMap<String, String>>,
    /// New and changed `IPAddressPool`s; others stay.
    pub objects: Vec<IPAddressPool>,
    /// Names of `IPAddressPool`s that are deleted. One that is also in `objects` is made anew.
    pub deleted: BTreeSet<String>,
}

impl Edit {
    /// What declares pools after this edit of `now`.
    fn of(&self, now: &Sources) -> Sources {
        let replaced: BTreeSet<Option<&String>> =
            self.objects.iter().map(|object| object.metadata.name.as_ref()).collect();
        let deleted = |object: &&IPAddressPool| {
            object.metadata.name.as_ref().is_some_and(|name| self.deleted.contains(name))
        };
        let stays = now.objects.iter().filter(|object| !replaced.contains(&object.metadata.name.as_ref()));
        let stays = stays.filter(|object| !deleted(object));
        Sources {
            keys: self.keys.as_ref().or(now.keys.as_ref()).cloned(),
            objects: stays.chain(&self.objects).cloned().collect(),
        }
    }

    /// Whether `pool` is part of the edit.
    fn has(&self, pool: &Pool) -> bool {
        match &pool.source {
            PoolSource::Key(_) => self.keys.is_some(),
            PoolSource::Object(_) => {
                self.objects.iter().any(|object| object.metadata.name.as_deref() == Some(&*pool.name))
            }
        }
    }
}

/// How bad a [`Finding`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The edit is wrong, or takes an address that is in use out of every pool.
    Error,
    /// It may surprise.
    Notice,
}

/// Something to know before the edit is made. The text is one sentence.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// A key of the ConfigMap is wrong.
    Key(KeyProblem),
    /// An `IPAddressPool` is wrong.
    Pool {
        /// Its name.
        name: Arc<str>,
        /// What is wrong.
        problem: PoolProblem,
    },
    /// Something in the ConfigMap may surprise.
    Notice(Notice),
    /// A pool would have addresses of another.
    Overlap(Overlap),
    /// A pool that is to be deleted does not exist.
    NoSuchPool {
        /// Its name.
        name: String,
    },
    /// A pool would go.
    PoolGone {
        /// Its name.
        name: Arc<str>,
        /// How many addresses of it are in use.
        held: usize,
    },
    /// An address in use would no longer be in the pool that it was taken from.
    Outside {
        /// The address.
        address: IpAddr,
        /// Who holds it.
        owners: Vec<LedgerOwner>,
        /// The pool it was taken from.
        pool: String,
        /// Another pool that would have it.
        other: Option<Arc<str>>,
    },
}

impl Finding {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Key(_)
            | Self::Pool { .. }
            | Self::NoSuchPool { .. }
            | Self::Outside { other: None, .. } => Severity::Error,
            Self::Notice(_) | Self::Overlap(_) | Self::PoolGone { .. } | Self::Outside { .. } => {
                Severity::Notice
            }
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(problem) => problem.fmt(f),
            Self::Pool { name, problem } => {
                write!(f, "IPAddressPool {name}: nothing could be given, because {problem}")
            }
            Self::Notice(notice) => notice.fmt(f),
            Self::Overlap(Overlap { pools: [one, two], first, last }) => write!(
                f,
                "pools {one} and {two} both have {first} to {last}: each address is given only once, by the pool that is \
                 asked first"
            ),
            Self::NoSuchPool { name } => {
                write!(f, "there is no IPAddressPool {name} to delete; `kubectl get kpool -A` lists them")
            }
            Self::PoolGone { name, held: 0 } => {
                write!(f, "pool {name} goes; none of its addresses is in use")
            }
            Self::PoolGone { name, held } => write!(f, "pool {name} goes; addresses of it in use: {held}"),
            Self::Outside { address, owners, pool, other: None } => write!(
                f,
                "{address}, in use by {}, would be in no pool any more (it is from {pool}): it stays until they go, and \
                 then nobody gets it",
                list(owners)
            ),
            Self::Outside { address, owners, pool, other: Some(other) } => write!(
                f,
                "{address}, in use by {}, would leave pool {pool}: it stays with them, and pool {other} has it",
                list(owners)
            ),
        }
    }
}

/// What `edit` would do to the cluster whose pools are `now` and whose claims are in `ledger`. Errors and notices stand in
/// this order: the ConfigMap by key, pools by name, overlaps, pools that go, addresses.
///
/// What is wrong already and not part of the edit is not said again.
pub fn preview(now: &Sources, edit: &Edit, ledger: &BTreeMap<IpAddr, LedgerEntry>) -> Vec<Finding> {
    let next = edit.of(now);
    let mut findings = Vec::new();
    if edit.keys.is_some() {
        let declared = next.declared();
        findings.extend(declared.problems.into_iter().map(Finding::Key));
        findings.extend(declared.notices.into_iter().map(Finding::Notice));
    }
    let missing = edit.deleted.iter().filter(|name| !now.has_object(name));
    findings.extend(missing.map(|name| Finding::NoSuchPool { name: name.clone() }));
    let (before, after) = (now.allocator(), next.allocator());
    findings.extend(broken(&before, &after, edit));
    let overlaps = after.overlaps();
    let (before, after) = (by_name(&before), by_name(&after));
    let edited = |name: &Arc<str>| after.get(&**name).is_some_and(|pool| edit.has(pool));
    let overlaps = overlaps.into_iter().filter(|overlap| overlap.pools.iter().any(edited));
    findings.extend(overlaps.map(Finding::Overlap));
    let mut held: BTreeMap<&str, usize> = BTreeMap::new();
    let mut outside = Vec::new();
    for (&address, entry) in ledger.iter().filter(|(_, entry)| entry.released_at.is_none()) {
        *held.entry(&entry.pool).or_default() += 1;
        let covered = |pools: &BTreeMap<&str, &Pool>| {
            pools.get(entry.pool.as_str()).is_some_and(|pool| pool.contains(address))
        };
        if covered(&before) && !covered(&after) {
            let other = after.values().find(|pool| pool.contains(address));
            outside.push(Finding::Outside {
                address,
                owners: entry.owners.clone(),
                pool: entry.pool.clone(),
                other: other.map(|pool| Arc::clone(&pool.name)),
            });
        }
    }
    let gone = before.values().filter(|pool| !after.contains_key(&*pool.name));
    findings.extend(gone.map(|pool| Finding::PoolGone {
        name: Arc::clone(&pool.name),
        held: held.get(&*pool.name).copied().unwrap_or(0),
    }));
    findings.extend(outside);
    findings
}

/// The `IPAddressPool`s that the edit breaks, or has broken ones among its own.
fn broken(before: &Allocator, after: &Allocator, edit: &Edit) -> Vec<Finding> {
    let objects = |pool: &&Pool| matches!(pool.source, PoolSource::Object(_));
    let known: BTreeMap<&Arc<str>, &Pool> =
        before.pools().filter(objects).map(|pool| (&pool.name, pool)).collect();
    let mut broken = Vec::new();
    for pool in after.pools().filter(objects) {
        let Some(problem) = &pool.problem else { continue };
        if edit.has(pool) || known.get(&pool.name).is_none_or(|known| known.problem.is_none()) {
            broken.push(Finding::Pool { name: Arc::clone(&pool.name), problem: problem.clone() });
        }
    }
    broken
}

/// The pools that an address can be of, by name: of two with one name the key of the ConfigMap.
fn by_name(allocator: &Allocator) -> BTreeMap<&str, &Pool> {
    let usable =
        allocator.pools().filter(|pool| !matches!(pool.problem, Some(PoolProblem::NameTaken { .. })));
    usable.map(|pool| (&*pool.name, pool)).collect()
}
