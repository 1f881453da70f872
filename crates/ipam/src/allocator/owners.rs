//! The owners that hold something, each stored once and known to claims by a number.

use std::net::IpAddr;
use std::num::NonZeroU32;

use super::chunks::Chunks;
use super::facts::Facts;
use super::index::Index;
use super::name::Name;
use super::names::{Half, Hash, NameId, Names, Stored as _};
use crate::owner::{Owner, OwnerId, OwnerKind};

mod parts;

use parts::{Held, Uid};

/// Number of an owner, as long as it holds something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handle(NonZeroU32);

impl Handle {
    pub(super) fn new(index: usize) -> Self {
        let number = u32::try_from(index + 1).ok().and_then(NonZeroU32::new);
        Self(number.expect("fewer than 2^32 owners hold something"))
    }

    /// Its place among the entries.
    fn place(self) -> u32 {
        self.0.get() - 1
    }
}

/// Two cache lines that belong together, from which nearly everything about an owner is read.
#[derive(Clone, Debug)]
#[repr(align(128))]
struct Entry {
    kind: OwnerKind,
    namespace: NameId,
    name: Name,
    uid: Uid,
    held: Held,
    /// How it shares, as of its last request that was met.
    facts: Option<Facts>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Owners {
    namespaces: Names<Name>,
    /// Numbers are places in `entries`.
    index: Index,
    entries: Chunks<Option<Entry>>,
    vacant: Vec<Handle>,
}

fn half_of(kind: OwnerKind, namespace: &[u8], name: &[u8]) -> Half {
    Half::new(Hash::new().number(kind as u64).text(namespace).text(name))
}

impl Owners {
    /// The owner with that identity, if it holds something.
    pub(super) fn find(&self, id: &OwnerId) -> Option<Handle> {
        let half = half_of(id.kind, id.namespace.as_bytes(), id.name.as_bytes());
        let is_it = |place: u32| {
            let entry = self.entry(Handle::new(place as usize));
            entry.name.as_bytes() == id.name.as_bytes()
                && entry.kind == id.kind
                && self.namespaces.is(entry.namespace, &id.namespace)
        };
        self.index.find(half, is_it).map(|place| Handle::new(place as usize))
    }

    /// Takes in an owner that holds nothing yet. It must get an address at once.
    pub(super) fn insert(&mut self, owner: &Owner) -> Handle {
        let entry = Entry {
            kind: owner.id.kind,
            namespace: self.namespaces.take(&owner.id.namespace),
            name: Name::from(owner.id.name.as_str()),
            uid: Uid::new(&owner.uid),
            held: Held::None,
            facts: None,
        };
        let handle = match self.vacant.pop() {
            Some(handle) => {
                self.entries[handle.place() as usize] = Some(entry);
                handle
            }
            None => Handle::new(self.entries.push(Some(entry))),
        };
        let half = half_of(owner.id.kind, owner.id.namespace.as_bytes(), owner.id.name.as_bytes());
        self.index.insert(half, handle.place());
        handle
    }

    /// Takes out an owner that holds nothing any more, and returns what was known of how it shares.
    pub(super) fn remove(&mut self, handle: Handle) -> Option<Facts> {
        let entry = self.entries[handle.place() as usize].take()?;
        let namespace = self.namespaces.get(entry.namespace).as_bytes();
        self.index.remove(half_of(entry.kind, namespace, entry.name.as_bytes()), handle.place());
        self.namespaces.drop(entry.namespace);
        self.vacant.push(handle);
        entry.facts
    }

    /// The owner in full.
    pub(super) fn owner(&self, handle: Handle) -> Owner {
        let entry = self.entry(handle);
        let (namespace, name) = (self.namespace(handle).to_owned(), entry.name.as_str().to_owned());
        Owner { id: OwnerId { kind: entry.kind, namespace, name }, uid: entry.uid.text() }
    }

    /// Kind, namespace and name, ordered as [`OwnerId`] is: text is ordered as its bytes are.
    pub(super) fn identity(&self, handle: Handle) -> (OwnerKind, &[u8], &[u8]) {
        let entry = self.entry(handle);
        (entry.kind, self.namespaces.get(entry.namespace).as_bytes(), entry.name.as_bytes())
    }

    /// Its namespace.
    pub(super) fn namespace(&self, handle: Handle) -> &str {
        self.namespaces.get(self.entry(handle).namespace).as_str()
    }

    /// Number of its namespace, the same for all owners of one.
    pub(super) fn namespace_id(&self, handle: Handle) -> NameId {
        self.entry(handle).namespace
    }

    /// Number of a namespace in which some owner holds something.
    pub(super) fn find_namespace(&self, namespace: &str) -> Option<NameId> {
        self.namespaces.find(namespace)
    }

    /// Sets the uid; true if it was another.
    pub(super) fn set_uid(&mut self, handle: Handle, uid: &str) -> bool {
        let uid = Uid::new(uid);
        let known = &mut self.entry_mut(handle).uid;
        let differs = *known != uid;
        *known = uid;
        differs
    }

    /// Takes in a uid that was observed. Of two that differ neither is believed, so that the next request takes over.
    pub(super) fn observe_uid(&mut self, handle: Handle, uid: &str) {
        let known = &mut self.entry_mut(handle).uid;
        if *known != Uid::new(uid) {
            *known = Uid::Text("".into());
        }
    }

    /// What it holds, ascending.
    pub(super) fn held(&self, handle: Handle) -> &[IpAddr] {
        self.entry(handle).held.as_slice()
    }

    /// Adds an address to what it holds.
    pub(super) fn add(&mut self, handle: Handle, address: IpAddr) {
        self.entry_mut(handle).held.add(address);
    }

    /// Takes an address from what it holds; true if it holds others.
    pub(super) fn take(&mut self, handle: Handle, address: IpAddr) -> bool {
        let held = &mut self.entry_mut(handle).held;
        held.remove(address);
        !held.as_slice().is_empty()
    }

    /// Takes all addresses from what it holds.
    pub(super) fn take_all(&mut self, handle: Handle) -> Held {
        std::mem::take(&mut self.entry_mut(handle).held)
    }

    /// How it shares.
    pub(super) fn facts(&self, handle: Handle) -> Option<&Facts> {
        self.entry(handle).facts.as_ref()
    }

    /// Sets how it shares, and returns what was known before.
    pub(super) fn set_facts(&mut self, handle: Handle, facts: Option<Facts>) -> Option<Facts> {
        std::mem::replace(&mut self.entry_mut(handle).facts, facts)
    }

    fn entry(&self, handle: Handle) -> &Entry {
        self.entries[handle.place() as usize].as_ref().expect("a handle is of an owner that holds something")
    }

    fn entry_mut(&mut self, handle: Handle) -> &mut Entry {
        self.entries[handle.place() as usize].as_mut().expect("a handle is of an owner that holds something")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_takes_few_bytes() {
        assert!(size_of::<Option<Entry>>() <= 128, "{}", size_of::<Option<Entry>>());
    }
}
