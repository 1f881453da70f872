//! The owners that hold something, each stored once and known to claims by a number.

use std::net::IpAddr;
use std::num::NonZeroU32;

use hashbrown::HashTable;

use super::facts::Facts;
use super::names::{NameId, Names, hash_of};
use crate::owner::{Owner, OwnerId, OwnerKind};

/// Number of an owner, as long as it holds something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handle(NonZeroU32);

impl Handle {
    fn new(index: usize) -> Self {
        let number = u32::try_from(index + 1).ok().and_then(NonZeroU32::new);
        Self(number.expect("fewer than 2^32 owners hold something"))
    }

    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// A uid, which is nearly always a UUID in its usual form.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Uid {
    Uuid([u8; 16]),
    Text(Box<str>),
}

impl Uid {
    fn new(text: &str) -> Self {
        uuid(text).map_or_else(|| Self::Text(text.into()), Self::Uuid)
    }

    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.to_string(),
            Self::Uuid(bytes) => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                let mut text = String::with_capacity(36);
                for (index, byte) in bytes.iter().enumerate() {
                    if matches!(index, 4 | 6 | 8 | 10) {
                        text.push('-');
                    }
                    text.push(char::from(DIGITS[usize::from(byte >> 4)]));
                    text.push(char::from(DIGITS[usize::from(byte & 15)]));
                }
                text
            }
        }
    }
}

/// The bytes of a UUID that is written as Kubernetes does, in lower case; `None` for any other text, which could not be given
/// back as it was.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let text: &[u8; 36] = text.as_bytes().try_into().ok()?;
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 16];
    let mut place = 0;
    for byte in &mut bytes {
        if matches!(place, 8 | 13 | 18 | 23) {
            if text[place] != b'-' {
                return None;
            }
            place += 1;
        }
        *byte = digit(text[place])? << 4 | digit(text[place + 1])?;
        place += 2;
    }
    Some(bytes)
}

/// The addresses of one owner, ascending.
#[derive(Clone, Debug, Default)]
enum Held {
    #[default]
    None,
    One(IpAddr),
    Several(Box<[IpAddr]>),
}

impl Held {
    fn as_slice(&self) -> &[IpAddr] {
        match self {
            Self::None => &[],
            Self::One(address) => std::slice::from_ref(address),
            Self::Several(addresses) => addresses,
        }
    }

    fn set(&mut self, addresses: &[IpAddr]) {
        *self = match addresses {
            [] => Self::None,
            [address] => Self::One(*address),
            several => Self::Several(several.into()),
        };
    }
}

#[derive(Clone, Debug)]
struct Entry {
    kind: OwnerKind,
    namespace: NameId,
    name: Box<str>,
    uid: Uid,
    held: Held,
    /// How it shares, as of its last request that was met.
    facts: Option<Box<Facts>>,
}

impl Entry {
    fn hash(&self) -> u64 {
        hash_of((self.kind, self.namespace, &*self.name))
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Owners {
    namespaces: Names,
    table: HashTable<Handle>,
    entries: Vec<Option<Entry>>,
    vacant: Vec<Handle>,
}

impl Owners {
    /// The owner with that identity, if it holds something.
    pub(super) fn find(&self, id: &OwnerId) -> Option<Handle> {
        let namespace = self.namespaces.find(&id.namespace)?;
        let same = |handle: &Handle| {
            let entry = self.entry(*handle);
            *entry.name == *id.name && entry.namespace == namespace && entry.kind == id.kind
        };
        self.table.find(hash_of((id.kind, namespace, &*id.name)), same).copied()
    }

    /// Takes in an owner that holds nothing yet. It must get an address at once.
    pub(super) fn insert(&mut self, owner: &Owner) -> Handle {
        let entry = Entry {
            kind: owner.id.kind,
            namespace: self.namespaces.take(&owner.id.namespace),
            name: owner.id.name.as_str().into(),
            uid: Uid::new(&owner.uid),
            held: Held::None,
            facts: None,
        };
        let hash = entry.hash();
        let handle = match self.vacant.pop() {
            Some(handle) => {
                self.entries[handle.index()] = Some(entry);
                handle
            }
            None => {
                self.entries.push(Some(entry));
                Handle::new(self.entries.len() - 1)
            }
        };
        let entries = &self.entries;
        let rehash = |handle: &Handle| entries[handle.index()].as_ref().map_or(0, Entry::hash);
        self.table.insert_unique(hash, handle, rehash);
        handle
    }

    /// Takes out an owner that holds nothing any more, and returns what was known of how it shares.
    pub(super) fn remove(&mut self, handle: Handle) -> Option<Box<Facts>> {
        let entry = self.entries[handle.index()].take()?;
        if let Ok(found) = self.table.find_entry(entry.hash(), |other| *other == handle) {
            found.remove();
        }
        self.namespaces.drop(entry.namespace);
        self.vacant.push(handle);
        entry.facts
    }

    /// The owner in full.
    pub(super) fn owner(&self, handle: Handle) -> Owner {
        Owner { id: self.id(handle), uid: self.entry(handle).uid.text() }
    }

    /// Its identity in full.
    pub(super) fn id(&self, handle: Handle) -> OwnerId {
        let (kind, namespace, name) = self.identity(handle);
        OwnerId { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// Kind, namespace and name, ordered as [`OwnerId`] is.
    pub(super) fn identity(&self, handle: Handle) -> (OwnerKind, &str, &str) {
        let entry = self.entry(handle);
        (entry.kind, self.namespaces.get(entry.namespace), &entry.name)
    }

    /// Its namespace.
    pub(super) fn namespace(&self, handle: Handle) -> &str {
        self.namespaces.get(self.entry(handle).namespace)
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
        let held = &mut self.entry_mut(handle).held;
        let mut addresses = held.as_slice().to_vec();
        addresses.push(address);
        addresses.sort_unstable();
        held.set(&addresses);
    }

    /// Takes an address from what it holds; true if it holds others.
    pub(super) fn take(&mut self, handle: Handle, address: IpAddr) -> bool {
        let held = &mut self.entry_mut(handle).held;
        let rest: Vec<IpAddr> = held.as_slice().iter().copied().filter(|other| *other != address).collect();
        held.set(&rest);
        !rest.is_empty()
    }

    /// How it shares.
    pub(super) fn facts(&self, handle: Handle) -> Option<&Facts> {
        self.entry(handle).facts.as_deref()
    }

    /// Sets how it shares, and returns what was known before.
    pub(super) fn set_facts(&mut self, handle: Handle, facts: Option<Facts>) -> Option<Box<Facts>> {
        std::mem::replace(&mut self.entry_mut(handle).facts, facts.map(Box::new))
    }

    fn entry(&self, handle: Handle) -> &Entry {
        self.entries[handle.index()].as_ref().expect("a handle is of an owner that holds something")
    }

    fn entry_mut(&mut self, handle: Handle) -> &mut Entry {
        self.entries[handle.index()].as_mut().expect("a handle is of an owner that holds something")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_comes_back_as_it_was() {
        let uids = [
            "0f8fad5b-d9cb-469f-a165-70867728950e",
            "0F8FAD5B-d9cb-469f-a165-70867728950e",
            "0f8fad5bd9cb469fa16570867728950e",
            "0f8fad5b-d9cb-469f-a165-70867728950",
            "0f8fad5b-d9cb-469f-a165-70867728950g",
            "0f8fad5b0d9cb-469f-a165-70867728950e",
            "",
            "uid-x",
        ];
        for uid in uids {
            assert_eq!(Uid::new(uid).text(), uid);
        }
        assert!(matches!(Uid::new(uids[0]), Uid::Uuid(_)) && matches!(Uid::new(uids[1]), Uid::Text(_)));
        assert_eq!(size_of::<Option<Entry>>(), 80, "what every owner costs");
    }
}
