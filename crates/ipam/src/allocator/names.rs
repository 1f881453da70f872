//! Names that many claims have in common, each stored once and counted, so that a claim carries a number.

use std::sync::Arc;

use super::chunks::Chunks;
use super::index::Index;

/// A name's number. It stays while the name is in use.
pub(super) type NameId = u32;

/// A hash that is the same in every run, so that nothing depends on chance. Somebody who makes many objects with names of one
/// hash makes look-ups among these names, and those that stand beside them, slower, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hash(u64);

impl Hash {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

    pub(super) fn new() -> Self {
        Self(Self::MULTIPLIER)
    }

    pub(super) fn number(self, number: u64) -> Self {
        // Multiply and fold: every bit of the number reaches every bit of the hash.
        let product = u128::from(self.0 ^ number) * u128::from(Self::MULTIPLIER);
        Self((product as u64 ^ (product >> 64) as u64).wrapping_add(Self::MULTIPLIER))
    }

    /// Also counts the length, so that a text and a second one after it are told from both in one.
    pub(super) fn text(self, text: &[u8]) -> Self {
        let mut hash = self.number(text.len() as u64);
        let (words, rest) = text.as_chunks::<8>();
        for word in words {
            hash = hash.number(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        hash.number(u64::from_le_bytes(last))
    }

    pub(super) fn finish(self) -> u64 {
        self.0
    }
}

/// The half of a hash that is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Half(u32);

impl Half {
    pub(super) fn new(hash: Hash) -> Self {
        Self((hash.finish() >> 32) as u32)
    }

    pub(super) fn bits(self) -> u32 {
        self.0
    }
}

/// How a name is stored.
pub(super) trait Stored: for<'a> From<&'a str> {
    /// The name.
    fn as_str(&self) -> &str;

    /// Its bytes: to compare them does without a check that they are text.
    fn as_bytes(&self) -> &[u8];
}

impl Stored for Arc<str> {
    fn as_str(&self) -> &str {
        self
    }

    fn as_bytes(&self) -> &[u8] {
        (**self).as_bytes()
    }
}

fn half_of(name: &[u8]) -> Half {
    Half::new(Hash::new().text(name))
}

/// Names, stored as `N`, each with what is known of it as long as it is in use.
#[derive(Clone, Debug)]
pub(super) struct Names<N, T = ()> {
    index: Index,
    /// By number. Those not in use are not in `index`.
    entries: Chunks<Entry<N, T>>,
    vacant: Vec<NameId>,
}

#[derive(Clone, Debug)]
struct Entry<N, T> {
    name: N,
    uses: u64,
    about: T,
}

impl<N, T> Default for Names<N, T> {
    fn default() -> Self {
        Self { index: Index::default(), entries: Chunks::default(), vacant: Vec::new() }
    }
}

impl<N: Stored, T: Default> Names<N, T> {
    /// The number of `name`, if it is in use.
    pub(super) fn find(&self, name: &str) -> Option<NameId> {
        self.index.find(half_of(name.as_bytes()), |id| self.is(id, name))
    }

    /// The name with that number.
    pub(super) fn get(&self, id: NameId) -> &N {
        &self.entries[id as usize].name
    }

    /// Whether that is `name`.
    pub(super) fn is(&self, id: NameId, name: &str) -> bool {
        self.get(id).as_bytes() == name.as_bytes()
    }

    /// What is known of the name with that number.
    pub(super) fn about(&self, id: NameId) -> &T {
        &self.entries[id as usize].about
    }

    /// The same, to change.
    pub(super) fn about_mut(&mut self, id: NameId) -> &mut T {
        &mut self.entries[id as usize].about
    }

    /// One more use of `name`.
    pub(super) fn take(&mut self, name: &str) -> NameId {
        if let Some(id) = self.find(name) {
            self.entries[id as usize].uses += 1;
            return id;
        }
        let entry = Entry { name: name.into(), uses: 1, about: T::default() };
        let id = match self.vacant.pop() {
            Some(id) => {
                self.entries[id as usize] = entry;
                id
            }
            None => NameId::try_from(self.entries.push(entry)).expect("fewer than 2^32 names"),
        };
        self.index.insert(half_of(name.as_bytes()), id);
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
        entry.about = T::default();
        self.index.remove(half_of(name.as_bytes()), id);
        self.vacant.push(id);
        true
    }
}
