//! Blocks of the ledger as ipam's claims and rests, and back. The schema is [`keryx_api::ledger`].

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use keryx_api::ledger::{self, LedgerEntry, LedgerOwner, address_of, block_name};
use keryx_ipam::{Claim, Owner, OwnerId, OwnerKind, Rest};

#[cfg(test)]
mod tests;

/// What one block holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block {
    /// What can be read, by address.
    pub entries: BTreeMap<IpAddr, LedgerEntry>,
    /// What cannot, by key.
    pub damaged: Vec<Damaged>,
}

/// An entry that cannot be read. Its address must stay blocked, because somebody may hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Name of the block.
    pub block: String,
    /// Key in its `data`.
    pub key: String,
    /// The address, where at least the key is one.
    pub address: Option<IpAddr>,
    /// What is wrong.
    pub why: DamagedWhy,
}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}: {}", self.block, self.key, self.why)
    }
}

/// Why an entry cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DamagedWhy {
    /// The key is no address.
    #[error("the key is no address")]
    NotAnAddress,
    /// The address belongs into another block, so a write of the two would not see each other.
    #[error("the address belongs into block {0}")]
    OtherBlock(String),
    /// The value is not the JSON of an entry.
    #[error("the value is no entry: {0}")]
    NotAnEntry(String),
    /// An entry without owners says nothing.
    #[error("the entry names no owner")]
    NoOwner,
}

impl Damaged {
    /// The addresses that its block is about; `None` if its name is not that of a block.
    pub fn network(&self) -> Option<IpNet> {
        network(&self.block)
    }
}

/// The addresses that the block of this name is about; `None` for the name of anything else.
fn network(block: &str) -> Option<IpNet> {
    let first: IpAddr = if let Some(octets) = block.strip_prefix("keryx-ledger-v4-") {
        format!("{}.0", octets.replace('-', ".")).parse().ok()?
    } else {
        let number = u128::from_str_radix(block.strip_prefix("keryx-ledger-v6-")?, 16).ok()?;
        IpAddr::V6(Ipv6Addr::from_bits(number.checked_mul(256)?))
    };
    let length = if first.is_ipv4() { 24 } else { 120 };
    IpNet::new(first, length).ok().filter(|_| block_name(first) == block)
}

/// Reads one block. Never fails: what cannot be read is listed.
pub fn read_block(block: &ConfigMap) -> Block {
    let name = block.metadata.name.clone().unwrap_or_default();
    let mut read = Block::default();
    for (key, text) in block.data.iter().flatten() {
        let address = address_of(key);
        match entry_of(&name, address, text) {
            Ok((address, entry)) => {
                read.entries.insert(address, entry);
            }
            Err(why) => read.damaged.push(Damaged { block: name.clone(), key: key.clone(), address, why }),
        }
    }
    read
}

/// Reads all blocks as one; of an address that stands in two, the entry in the right block counts.
pub fn read_blocks<'a>(blocks: impl IntoIterator<Item = &'a ConfigMap>) -> Block {
    let mut all = Block::default();
    for block in blocks {
        let Block { entries, damaged } = read_block(block);
        all.entries.extend(entries);
        all.damaged.extend(damaged);
    }
    all
}

fn entry_of(block: &str, address: Option<IpAddr>, text: &str) -> Result<(IpAddr, LedgerEntry), DamagedWhy> {
    let address = address.ok_or(DamagedWhy::NotAnAddress)?;
    if block_name(address) != block {
        return Err(DamagedWhy::OtherBlock(block_name(address)));
    }
    let entry: LedgerEntry =
        serde_json::from_str(text).map_err(|error| DamagedWhy::NotAnEntry(error.to_string()))?;
    if entry.owners.is_empty() { Err(DamagedWhy::NoOwner) } else { Ok((address, entry)) }
}

/// What an entry tells the allocator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remembered {
    /// The address is held, by several if they share it. One claim is for [`keryx_ipam::Allocator::observe`], several for
    /// [`keryx_ipam::Allocator::observe_shared`].
    Held(Vec<Claim>),
    /// Nobody holds the address, and it rests: for [`keryx_ipam::Allocator::observe_released`].
    Resting(Rest),
}

/// What `entry` says about `address`. Of an address that rests only the last of its owners is remembered.
pub fn remembered(address: IpAddr, entry: &LedgerEntry) -> Remembered {
    let pool: Arc<str> = entry.pool.as_str().into();
    match (&entry.released_at, entry.owners.last()) {
        (Some(released_at), Some(last)) => Remembered::Resting(Rest {
            address,
            owner: owner(last).id,
            pool,
            released_at_secs: u64::try_from(released_at.0.as_second()).unwrap_or(0),
        }),
        _ => {
            let claim =
                |held: &LedgerOwner| Claim { address, owner: Arc::new(owner(held)), pool: Arc::clone(&pool) };
            Remembered::Held(entry.owners.iter().map(claim).collect())
        }
    }
}

/// The entry of an address of `pool` that `owners` hold, ordered as the ledger orders them.
pub fn held_entry<'a>(pool: &str, owners: impl IntoIterator<Item = &'a Owner>) -> LedgerEntry {
    let mut owners: Vec<LedgerOwner> = owners.into_iter().map(ledger_owner).collect();
    owners.sort();
    LedgerEntry { pool: pool.to_owned(), owners, released_at: None }
}

/// The entry of an address that rests since `released_at_secs` after 1970; times past the year 9999 count as that.
pub fn resting_entry(pool: &str, last: &Owner, released_at_secs: u64) -> LedgerEntry {
    let second = i64::try_from(released_at_secs).unwrap_or(i64::MAX);
    let released_at = Time(Timestamp::from_second(second).unwrap_or(Timestamp::MAX));
    LedgerEntry { pool: pool.to_owned(), owners: vec![ledger_owner(last)], released_at: Some(released_at) }
}

/// The owner that the ledger names.
pub fn owner(owner: &LedgerOwner) -> Owner {
    let kind = match owner.kind {
        ledger::OwnerKind::Gateway => OwnerKind::Gateway,
        ledger::OwnerKind::Service => OwnerKind::Service,
    };
    let id = OwnerId { kind, namespace: owner.namespace.clone(), name: owner.name.clone() };
    Owner { id, uid: owner.uid.clone() }
}

/// `owner` as the ledger names it.
pub fn ledger_owner(owner: &Owner) -> LedgerOwner {
    let kind = match owner.id.kind {
        OwnerKind::Gateway => ledger::OwnerKind::Gateway,
        OwnerKind::Service => ledger::OwnerKind::Service,
    };
    let OwnerId { namespace, name, .. } = owner.id.clone();
    LedgerOwner { kind, namespace, name, uid: owner.uid.clone() }
}
