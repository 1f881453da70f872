//! Names that many claims have in common, each stored once and counted, so that a claim carries a number.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use hashbrown::HashTable;

/// A name's number. It stays while the name is in use.
pub(super) type NameId = u32;

/// Hashes alike in every run; the order of the tables is never looked at.
pub(super) fn hash_of(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    table: HashTable<NameId>,
    /// By number. Those not in use are not in `table`.
    entries: Vec<Entry>,
    vacant: Vec<NameId>,
}

#[derive(Clone, Debug)]
struct Entry {
    name: Arc<str>,
    uses: u64,
}

impl Names {
    /// The number of `name`, if it is in use.
    pub(super) fn find(&self, name: &str) -> Option<NameId> {
        self.table.find(hash_of(name), |id| *self.entries[*id as usize].name == *name).copied()
    }

    /// The name with that number.
    pub(super) fn get(&self, id: NameId) -> &Arc<str> {
        &self.entries[id as usize].name
    }

    /// One more use of `name`.
    pub(super) fn take(&mut self, name: &str) -> NameId {
        if let Some(id) = self.find(name) {
            self.entries[id as usize].uses += 1;
            return id;
        }
        let entry = Entry { name: name.into(), uses: 1 };
        let id = match self.vacant.pop() {
            Some(id) => {
                self.entries[id as usize] = entry;
                id
            }
            None => {
                self.entries.push(entry);
                NameId::try_from(self.entries.len() - 1).expect("fewer than 2^32 names")
            }
        };
        let entries = &self.entries;
        self.table.insert_unique(hash_of(name), id, |id| hash_of(&*entries[*id as usize].name));
        id
    }

    /// One more use of a name that is in use already.
    pub(super) fn take_again(&mut self, id: NameId) {
        self.entries[id as usize].uses += 1;
    }

    /// One use less; true if it was the last, and the number may from now on be another name's.
    pub(super) fn drop(&mut self, id: NameId) -> bool {
        let entry = &mut self.entries[id as usize];
        entry.uses -= 1;
        if entry.uses > 0 {
            return false;
        }
        let name = std::mem::replace(&mut entry.name, "".into());
        if let Ok(found) = self.table.find_entry(hash_of(&*name), |other| *other == id) {
            found.remove();
        }
        self.vacant.push(id);
        true
    }
}
