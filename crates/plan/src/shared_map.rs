//! An ordered map that is cheap to copy.

use std::fmt;
use std::ops::Index;
use std::sync::Arc;

use serde::de::Deserializer;
use serde::{Deserialize, Serialize, Serializer};

/// Most entries of a chunk.
const CHUNK_MAX: usize = 64;
/// A chunk with fewer entries is joined with a neighbour, if there is room.
const CHUNK_MIN: usize = CHUNK_MAX / 4;
/// By how much a chunk grows, so that it keeps little room that it does not need.
const CHUNK_STEP: usize = CHUNK_MAX / 4;

/// Entries in the order of their keys, in chunks that copies of the map have in common until one of them changes one. To copy a
/// map of n entries costs O(n / 64), to change one O(log n) and a copy of its chunk, and however many copies of a large map
/// there are, each a little different from the next, they take little more memory than one.
#[derive(Clone)]
pub struct SharedMap<K, V> {
    /// None is empty.
    chunks: Vec<Arc<Vec<(K, V)>>>,
    len: usize,
}

/// Where a key is, or belongs.
enum Place {
    At { chunk: usize, entry: usize },
    Before { chunk: usize, entry: usize },
}

impl<K, V> SharedMap<K, V> {
    /// An empty map.
    pub const fn new() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All entries, by key.
    pub fn iter(&self) -> Iter<'_, K, V> {
        Iter { chunks: self.chunks.iter(), entries: [].iter() }
    }

    /// All keys, ascending.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// All values, by their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }
}

impl<K: Ord, V> SharedMap<K, V> {
    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        match self.place(key) {
            Place::At { chunk, entry } => Some(&self.chunks[chunk][entry].1),
            Place::Before { .. } => None,
        }
    }

    /// Whether a key has a value.
    pub fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// The place of a key; one that is higher than all belongs behind the last entry.
    fn place(&self, key: &K) -> Place {
        let is_below = |chunk: &Arc<Vec<(K, V)>>| chunk.last().is_some_and(|(last, _)| last < key);
        let chunk = self.chunks.partition_point(is_below);
        let Some(entries) = self.chunks.get(chunk) else {
            let chunk = chunk.saturating_sub(1);
            return Place::Before { chunk, entry: self.chunks.get(chunk).map_or(0, |last| last.len()) };
        };
        match entries.binary_search_by(|(other, _)| other.cmp(key)) {
            Ok(entry) => Place::At { chunk, entry },
            Err(entry) => Place::Before { chunk, entry },
        }
    }
}

impl<K: Ord + Clone, V: Clone> SharedMap<K, V> {
    /// The value of a key, to change it.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        match self.place(key) {
            Place::At { chunk, entry } => Some(&mut Arc::make_mut(&mut self.chunks[chunk])[entry].1),
            Place::Before { .. } => None,
        }
    }

    /// Gives a key a value, and returns the one that it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let (chunk, entry) = match self.place(&key) {
            Place::At { chunk, entry } => {
                let known = &mut Arc::make_mut(&mut self.chunks[chunk])[entry].1;
                return Some(std::mem::replace(known, value));
            }
            Place::Before { chunk, entry } => (chunk, entry),
        };
        self.len += 1;
        match self.chunks.get(chunk).map(|entries| entries.len()) {
            None => self.chunks.push(Arc::new(vec![(key, value)])),
            Some(length) if length < CHUNK_MAX => self.put(chunk, entry, (key, value)),
            // Entries that come in order leave full chunks behind.
            Some(_) if entry == CHUNK_MAX => self.chunks.insert(chunk + 1, Arc::new(vec![(key, value)])),
            Some(_) => {
                let upper = Arc::make_mut(&mut self.chunks[chunk]).split_off(CHUNK_MAX / 2);
                self.chunks.insert(chunk + 1, Arc::new(upper));
                let is_upper = entry > CHUNK_MAX / 2;
                let entry = if is_upper { entry - CHUNK_MAX / 2 } else { entry };
                self.put(chunk + usize::from(is_upper), entry, (key, value));
            }
        }
        None
    }

    fn put(&mut self, chunk: usize, entry: usize, new: (K, V)) {
        let entries = Arc::make_mut(&mut self.chunks[chunk]);
        if entries.len() == entries.capacity() {
            entries.reserve_exact(CHUNK_STEP);
        }
        entries.insert(entry, new);
    }

    /// Takes a key and its value out.
    pub fn remove_entry(&mut self, key: &K) -> Option<(K, V)> {
        let Place::At { chunk, entry } = self.place(key) else { return None };
        self.len -= 1;
        let entries = Arc::make_mut(&mut self.chunks[chunk]);
        let removed = entries.remove(entry);
        if entries.len() < CHUNK_MIN {
            self.join(chunk);
        }
        Some(removed)
    }

    /// Takes a key out, and returns its value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.remove_entry(key).map(|(_, value)| value)
    }

    /// Joins a small chunk with the one behind or before it, if that does not fill it at once, and takes an empty one out.
    fn join(&mut self, chunk: usize) {
        if self.chunks[chunk].is_empty() {
            self.chunks.remove(chunk);
            return;
        }
        let fit = |first: usize| {
            let [first, second] = self.chunks.get(first..first + 2)? else { return None };
            (first.len() + second.len() <= CHUNK_MAX - CHUNK_MIN).then_some(())
        };
        let before = chunk.checked_sub(1).filter(|before| fit(*before).is_some());
        let Some(first) = before.or_else(|| fit(chunk).map(|()| chunk)) else { return };
        let second = self.chunks.remove(first + 1);
        Arc::make_mut(&mut self.chunks[first]).extend(Arc::unwrap_or_clone(second));
    }

    /// Keeps the entries for which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        for chunk in &mut self.chunks {
            let kept: Vec<bool> = chunk.iter().map(|(key, value)| keep(key, value)).collect();
            if kept.contains(&false) {
                let mut kept = kept.into_iter();
                Arc::make_mut(chunk).retain(|_| kept.next().unwrap_or_default());
            }
        }
        self.chunks.retain(|chunk| !chunk.is_empty());
        self.len = self.chunks.iter().map(|chunk| chunk.len()).sum();
    }
}

/// Entries by key.
#[derive(Debug)]
pub struct Iter<'a, K, V> {
    chunks: std::slice::Iter<'a, Arc<Vec<(K, V)>>>,
    entries: std::slice::Iter<'a, (K, V)>,
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, value)) = self.entries.next() {
                return Some((key, value));
            }
            self.entries = self.chunks.next()?.iter();
        }
    }
}

impl<'a, K, V> IntoIterator for &'a SharedMap<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Iter<'a, K, V> {
        self.iter()
    }
}

impl<K: Clone, V: Clone> IntoIterator for SharedMap<K, V> {
    type Item = (K, V);
    type IntoIter = std::iter::FlatMap<
        std::vec::IntoIter<Arc<Vec<(K, V)>>>,
        Vec<(K, V)>,
        fn(Arc<Vec<(K, V)>>) -> Vec<(K, V)>,
    >;

    fn into_iter(self) -> Self::IntoIter {
        self.chunks.into_iter().flat_map(Arc::unwrap_or_clone)
    }
}

impl<K: Ord + Clone, V: Clone> Extend<(K, V)> for SharedMap<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for SharedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        map.extend(entries);
        map
    }
}

impl<K: Ord + Clone, V: Clone, const N: usize> From<[(K, V); N]> for SharedMap<K, V> {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl<K: Ord, V> Index<&K> for SharedMap<K, V> {
    type Output = V;

    /// # Panics
    /// The key has no value.
    fn index(&self, key: &K) -> &V {
        self.get(key).expect("the key has a value")
    }
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for SharedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for SharedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: Eq, V: Eq> Eq for SharedMap<K, V> {}

impl<K: Serialize, V: Serialize> Serialize for SharedMap<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

impl<'de, K, V> Deserialize<'de> for SharedMap<K, V>
where
    K: Deserialize<'de> + Ord + Clone,
    V: Deserialize<'de> + Clone,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::collections::BTreeMap::deserialize(deserializer).map(|map| map.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// How well the chunks are kept: none empty, none too large, all in order.
    fn is_sound(map: &SharedMap<u16, u32>) -> bool {
        let fits = |chunk: &Arc<Vec<_>>| (1..=CHUNK_MAX).contains(&chunk.len());
        map.chunks.iter().all(fits) && map.keys().is_sorted() && map.iter().count() == map.len
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_map_and_a_copy_does_not_change(
            steps in prop::collection::vec((0..400_u16, 0..8_u8), 1..1500),
        ) {
            let (mut map, mut plain) = (SharedMap::new(), BTreeMap::new());
            let mut copy = (map.clone(), plain.clone());
            for (number, (key, step)) in (0..).zip(steps) {
                match step {
                    0..=3 => prop_assert_eq!(map.insert(key, number), plain.insert(key, number)),
                    4 | 5 => prop_assert_eq!(map.remove_entry(&key), plain.remove_entry(&key)),
                    6 => {
                        if let (Some(one), Some(other)) = (map.get_mut(&key), plain.get_mut(&key)) {
                            (*one, *other) = (number, number);
                        }
                    }
                    _ if key < 20 => {
                        map.retain(|other, _| other % 20 != key);
                        plain.retain(|other, _| other % 20 != key);
                    }
                    _ => copy = (map.clone(), plain.clone()),
                }
                prop_assert_eq!(map.get(&key), plain.get(&key));
                prop_assert!(is_sound(&map));
            }
            for (map, plain) in [(map, plain), copy] {
                prop_assert!(map.iter().eq(plain.iter()));
                prop_assert_eq!(map.len(), plain.len());
                prop_assert_eq!(&map, &plain.into_iter().collect());
            }
        }
    }

    #[test]
    fn entries_that_come_in_order_fill_their_chunks() {
        let map: SharedMap<u16, u32> = (0..1000).map(|key| (key, 0)).collect();
        assert_eq!(map.chunks.len(), 1000_usize.div_ceil(CHUNK_MAX));
    }

    #[test]
    fn a_map_that_loses_most_of_its_entries_joins_what_is_left() {
        let mut map: SharedMap<u16, u32> = (0..6400).map(|key| (key, 0)).collect();
        for key in (0..6400).filter(|key| key % 16 != 0) {
            assert_eq!(map.remove(&key), Some(0));
        }
        assert_eq!(map.len(), 400);
        assert!(map.chunks.len() <= 400 / CHUNK_MIN, "{} chunks", map.chunks.len());
    }

    #[test]
    fn a_copy_shares_all_chunks_but_those_that_differ() {
        let map: SharedMap<u16, u32> = (0..1000).map(|key| (key, 0)).collect();
        let mut copy = map.clone();
        copy.insert(500, 1);
        let shared =
            map.chunks.iter().zip(&copy.chunks).filter(|(one, other)| Arc::ptr_eq(one, other)).count();
        assert_eq!(shared, map.chunks.len() - 1);
    }

    #[test]
    fn what_is_written_is_read() {
        let map: SharedMap<u16, u32> = (0..100).map(|key| (key, 7)).collect();
        let text = serde_json::to_string(&map).unwrap();
        assert!(text.starts_with("{\"0\":7,\"1\":7,"), "{text}");
        assert_eq!(serde_json::from_str::<SharedMap<u16, u32>>(&text).unwrap(), map);
    }
}
