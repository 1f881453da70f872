//! From the hash of a text to the number of what has that text.

use super::names::Half;

/// Slots of the smallest index.
const SLOTS_MIN: usize = 16;

/// Open addressing with linear probing in one array, so that a look-up mostly reads one cache line. Which text a number has is
/// the caller's to know; texts of one hash may stand in it side by side.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// None, or a power of two of them, of which at most three quarters are in use.
    slots: Vec<Option<Slot>>,
    used: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    half: Half,
    number: Number,
}

/// A number below 2^32 - 1, stored so that a slot takes 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Number(std::num::NonZeroU32);

impl Number {
    fn new(number: u32) -> Self {
        let stored = number.checked_add(1).and_then(std::num::NonZeroU32::new);
        Self(stored.expect("fewer than 2^32 - 1 things have numbers"))
    }

    fn get(self) -> u32 {
        self.0.get() - 1
    }
}

impl Index {
    /// The number that was put in with `half` and for which `is_it` holds.
    pub(super) fn find(&self, half: Half, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let place = self.place(half, is_it)?;
        self.slots[place].map(|slot| slot.number.get())
    }

    /// Puts in a number that is not in.
    pub(super) fn insert(&mut self, half: Half, number: u32) {
        if (self.used + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        self.used += 1;
        self.put(Slot { half, number: Number::new(number) });
    }

    /// Takes out a number that was put in with `half`.
    pub(super) fn remove(&mut self, half: Half, number: u32) {
        let Some(mut hole) = self.place(half, |other| other == number) else { return };
        self.used -= 1;
        // Those behind it move up, unless they stand where they belong: so a search may end at the first empty slot.
        let mut next = self.after(hole);
        while let Some(slot) = self.slots[next] {
            let (home, mask) = (self.home(slot.half), self.slots.len() - 1);
            if next.wrapping_sub(home) & mask >= next.wrapping_sub(hole) & mask {
                self.slots[hole] = Some(slot);
                hole = next;
            }
            next = self.after(next);
        }
        self.slots[hole] = None;
    }

    fn place(&self, half: Half, is_it: impl Fn(u32) -> bool) -> Option<usize> {
        if self.slots.is_empty() {
            return None;
        }
        let mut place = self.home(half);
        while let Some(slot) = self.slots[place] {
            if slot.half == half && is_it(slot.number.get()) {
                return Some(place);
            }
            place = self.after(place);
        }
        None
    }

    fn put(&mut self, slot: Slot) {
        let mut place = self.home(slot.half);
        while self.slots[place].is_some() {
            place = self.after(place);
        }
        self.slots[place] = Some(slot);
    }

    fn grow(&mut self) {
        let slots = vec![None; (self.slots.len() * 2).max(SLOTS_MIN)];
        for slot in std::mem::replace(&mut self.slots, slots).into_iter().flatten() {
            self.put(slot);
        }
    }

    /// The first slot that is tried for a hash: the higher the hash, the later, so that growing goes through both arrays from
    /// front to end.
    fn home(&self, half: Half) -> usize {
        ((u64::from(half.bits()) * self.slots.len() as u64) >> 32) as usize
    }

    fn after(&self, place: usize) -> usize {
        (place + 1) & (self.slots.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::names::Hash;
    use super::*;

    #[test]
    fn a_slot_takes_8_bytes() {
        assert_eq!(size_of::<Option<Slot>>(), 8);
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_list(
            steps in prop::collection::vec((0..60_u32, any::<bool>()), 1..300),
            hashes in 1..40_u32,
        ) {
            // Few hashes, so that many are alike and what is alike stands far from its first slot.
            let half = |number: u32| Half::new(Hash::new().number(u64::from(number % hashes)));
            let mut index = Index::default();
            let mut plain = [false; 60];
            for (number, add) in steps {
                let is_in = &mut plain[number as usize];
                if add && !*is_in {
                    index.insert(half(number), number);
                } else if !add {
                    index.remove(half(number), number);
                }
                *is_in = add;
                for (number, &is_in) in (0..).zip(&plain) {
                    let found = index.find(half(number), |other| other == number);
                    prop_assert_eq!(found, is_in.then_some(number));
                }
                prop_assert_eq!(index.slots.iter().flatten().count(), index.used);
            }
        }
    }
}
