//! What in the ledger cannot be read or contradicts the statuses, and what would mend the former.
//!
//! Contradictions mend themselves: the controller frees what nobody wants and writes down what a status shows. An entry that
//! cannot be read stays as it is, because the controller cannot know whether somebody relies on it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::ConfigMap;
use keryx_api::assigned::pool_of;
use keryx_api::ledger::{LedgerEntry, LedgerOwner, data_key};
use keryx_ipam::Pool;

use crate::ledger::{Block, Damaged, DamagedWhy, held_entry, owner, read_blocks};
use crate::shown::Shown;

#[cfg(test)]
mod tests;

/// Pool of an address of which nobody knows it.
pub const POOL_UNKNOWN: &str = "unknown";

/// The Services and Gateways of the cluster.
#[derive(Clone, Debug, Default)]
pub struct Owners {
    /// Every one that exists, Keryx' or not.
    pub present: BTreeSet<LedgerOwner>,
    /// The addresses that Keryx gave, as the statuses show them.
    pub shown: Vec<Shown>,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// An entry cannot be read.
    Damaged(Damaged),
    /// An entry names an owner that does not exist.
    OwnerGone {
        /// The address.
        address: IpAddr,
        /// The owner.
        owner: LedgerOwner,
    },
    /// A status shows an address that the ledger does not have, or has as released.
    NotInLedger {
        /// The address.
        address: IpAddr,
        /// Whose status it is.
        owner: LedgerOwner,
    },
    /// A status shows an address that the ledger has for others.
    HeldByOthers {
        /// The address.
        address: IpAddr,
        /// Whose status it is.
        owner: LedgerOwner,
        /// Who holds it.
        holders: Vec<LedgerOwner>,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(damaged) => write!(
                f,
                "{damaged}; nothing is given from this place until it is mended: run 'keryx check ledger --repair'"
            ),
            Self::OwnerGone { address, owner } => write!(
                f,
                "{address} is held by {}, which does not exist (uid {}): a running controller frees it",
                named(owner),
                owner.uid
            ),
            Self::NotInLedger { address, owner } => write!(
                f,
                "{} shows {address}, which the ledger does not have for it: a controller that starts writes it down",
                named(owner)
            ),
            Self::HeldByOthers { address, owner, holders } => write!(
                f,
                "{} shows {address}, which the ledger has for {}: a running controller gives it another address; delete the \
                 status if none is running",
                named(owner),
                list(holders)
            ),
        }
    }
}

/// `Service apps/web`.
pub fn named(owner: &LedgerOwner) -> String {
    format!("{} {}/{}", owner.kind.as_str(), owner.namespace, owner.name)
}

/// Owners with a comma between them.
pub fn list(owners: &[LedgerOwner]) -> String {
    owners.iter().map(named).collect::<Vec<_>>().join(", ")
}

/// Everything that is not as it should be: damaged entries by block and key, then contradictions by address.
pub fn audit(blocks: &[ConfigMap], owners: &Owners) -> Vec<Finding> {
    let Block { entries, damaged } = read_blocks(blocks);
    let unreadable: BTreeSet<IpAddr> = damaged.iter().filter_map(|damaged| damaged.address).collect();
    let mut findings: Vec<Finding> = damaged.into_iter().map(Finding::Damaged).collect();
    let mut contradictions: BTreeMap<IpAddr, Vec<Finding>> = BTreeMap::new();
    for (&address, entry) in entries.iter().filter(|(_, entry)| entry.released_at.is_none()) {
        for owner in entry.owners.iter().filter(|owner| !owners.present.contains(owner)) {
            let finding = Finding::OwnerGone { address, owner: owner.clone() };
            contradictions.entry(address).or_default().push(finding);
        }
    }
    for Shown { owner, addresses, .. } in &owners.shown {
        for &address in addresses {
            let owner = owner.clone();
            let finding = match entries.get(&address) {
                Some(LedgerEntry { owners, released_at: None, .. }) if owners.contains(&owner) => continue,
                Some(LedgerEntry { owners, released_at: None, .. }) => {
                    Finding::HeldByOthers { address, owner, holders: owners.clone() }
                }
                // Its owner is found when the entry is mended.
                None if unreadable.contains(&address) => continue,
                Some(_) | None => Finding::NotInLedger { address, owner },
            };
            contradictions.entry(address).or_default().push(finding);
        }
    }
    findings.extend(contradictions.into_values().flatten());
    findings
}

/// What one write must change in one block.
#[derive(Clone, Debug, PartialEq)]
pub struct Repair {
    /// Name of the block.
    pub block: String,
    /// The version that was read, which the write must name; `None` if the block has to be made.
    pub resource_version: Option<String>,
    /// By key, what to put there; `None` removes the key.
    pub changes: BTreeMap<String, Option<LedgerEntry>>,
}

/// One line for each change.
impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, entry) in &self.changes {
            match entry {
                Some(entry) => writeln!(
                    f,
                    "{}/{key}: rewritten for {}, pool {}, as their status shows it",
                    self.block,
                    list(&entry.owners),
                    entry.pool
                )?,
                None => writeln!(f, "{}/{key}: removed", self.block)?,
            }
        }
        Ok(())
    }
}

/// What mends every damaged entry: it is rewritten from the statuses that show its address, with the pool that they name, or
/// else the first of `pools` that has it; it is removed where none does.
pub fn repairs(blocks: &[ConfigMap], owners: &Owners, pools: &[Pool]) -> Vec<Repair> {
    let version = |name: &str| {
        let block = blocks.iter().find(|block| block.metadata.name.as_deref() == Some(name))?;
        block.metadata.resource_version.clone()
    };
    let Block { entries, damaged } = read_blocks(blocks);
    let mut repairs: BTreeMap<String, Repair> = BTreeMap::new();
    let mut change = |block: String, key: String, entry: Option<LedgerEntry>| {
        let repair = repairs.entry(block.clone()).or_insert_with(|| Repair {
            resource_version: version(&block),
            block,
            changes: BTreeMap::new(),
        });
        // What is to be removed as misplaced must not undo what was rewritten.
        if entry.is_some() || !repair.changes.contains_key(&key) {
            repair.changes.insert(key, entry);
        }
    };
    for Damaged { block, key, address, why } in damaged {
        let shown = address
            .filter(|address| !entries.contains_key(address))
            .and_then(|address| Some((address, entry_from_statuses(address, owners, pools)?)));
        match (shown, why) {
            (Some((address, entry)), DamagedWhy::OtherBlock(right)) => {
                change(block, key, None);
                change(right, data_key(address), Some(entry));
            }
            (Some((_, entry)), _) => change(block, key, Some(entry)),
            (None, _) => change(block, key, None),
        }
    }
    repairs.into_values().collect()
}

/// The entry of all whose status shows `address`; `None` if nobody's does.
fn entry_from_statuses(address: IpAddr, owners: &Owners, pools: &[Pool]) -> Option<LedgerEntry> {
    let mut pool = None;
    let mut holders = Vec::new();
    for shown in &owners.shown {
        if let Some(place) = shown.addresses.iter().position(|shown| *shown == address) {
            pool = pool.or_else(|| pool_of(&shown.pools, place));
            holders.push(owner(&shown.owner));
        }
    }
    if holders.is_empty() {
        return None;
    }
    let covering = || pools.iter().find(|pool| pool.contains(address)).map(|pool| &*pool.name);
    Some(held_entry(pool.or_else(covering).unwrap_or(POOL_UNKNOWN), &holders))
}
