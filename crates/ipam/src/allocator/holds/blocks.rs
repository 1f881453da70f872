//! The holds of one family, by address.

use std::net::{Ipv4Addr, Ipv6Addr};

use hashbrown::HashTable;

use super::super::chunks::Chunks;
use super::super::names::Hash;
use super::Hold;

/// Addresses of a block.
const BLOCK: usize = 8;

/// The holds on neighbours, which are often looked up together: one cache line.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Block([Hold; BLOCK]);

/// An address as a key.
pub(super) trait Key: Copy + Eq {
    /// The first address of its block, and its place there.
    fn split(self) -> (Self, usize);

    /// The address at a place of the block of which this one is the first.
    fn at(self, place: usize) -> Self;

    fn hash(self) -> u64;
}

impl Key for Ipv4Addr {
    fn split(self) -> (Self, usize) {
        let place = self.to_bits() % BLOCK as u32;
        (Self::from_bits(self.to_bits() - place), place as usize)
    }

    fn at(self, place: usize) -> Self {
        Self::from_bits(self.to_bits() + place as u32)
    }

    fn hash(self) -> u64 {
        Hash::new().number(u64::from(self.to_bits())).finish()
    }
}

impl Key for Ipv6Addr {
    fn split(self) -> (Self, usize) {
        let place = self.to_bits() % BLOCK as u128;
        (Self::from_bits(self.to_bits() - place), place as usize)
    }

    fn at(self, place: usize) -> Self {
        Self::from_bits(self.to_bits() + place as u128)
    }

    fn hash(self) -> u64 {
        let bits = self.to_bits();
        Hash::new().number((bits >> 64) as u64).number(bits as u64).finish()
    }
}

/// A look-up costs the same however many addresses are held. There is a block for each in which somebody holds something.
#[derive(Clone, Debug)]
pub(super) struct Blocks<A> {
    /// First address of a block, and its place in `blocks`.
    table: HashTable<(A, u32)>,
    blocks: Chunks<Block>,
    vacant: Vec<u32>,
}

impl<A> Default for Blocks<A> {
    fn default() -> Self {
        Self { table: HashTable::new(), blocks: Chunks::default(), vacant: Vec::new() }
    }
}

impl<A: Key> Blocks<A> {
    /// What is held of `address`.
    pub(super) fn get(&self, address: A) -> &Hold {
        let (first, place) = address.split();
        self.find(first).map_or(&Hold::Nobody, |block| &self.blocks[block].0[place])
    }

    /// The same, to change, if somebody holds it; not to nobody, see [`end`](Self::end).
    pub(super) fn get_mut(&mut self, address: A) -> Option<&mut Hold> {
        let (first, place) = address.split();
        let block = self.find(first)?;
        Some(&mut self.blocks[block].0[place]).filter(|hold| !hold.is_nobody())
    }

    /// The same, whether or not somebody holds it. The caller must see to it that somebody does then.
    pub(super) fn place_mut(&mut self, address: A) -> &mut Hold {
        let (first, place) = address.split();
        let block = self.find(first).unwrap_or_else(|| self.make(first));
        &mut self.blocks[block].0[place]
    }

    /// Ends a hold for which `is_it` holds. Returns what was there before.
    pub(super) fn end(&mut self, address: A, is_it: impl Fn(&Hold) -> bool) -> Hold {
        let (first, place) = address.split();
        let Some(number) = self.find(first) else { return Hold::Nobody };
        let block = &mut self.blocks[number].0;
        let hold = block[place];
        if is_it(&hold) {
            block[place] = Hold::Nobody;
            if block.iter().all(Hold::is_nobody) {
                self.remove(first);
            }
        }
        hold
    }

    /// Every address that somebody holds, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (A, &Hold)> {
        let of_block = |(first, block): &(A, u32)| {
            let first = *first;
            let holds = self.blocks[*block as usize].0.iter().enumerate();
            holds.map(move |(place, hold)| (first.at(place), hold))
        };
        self.table.iter().flat_map(of_block).filter(|(_, hold)| !hold.is_nobody())
    }

    /// No fewer than the addresses that somebody holds.
    pub(super) fn len_max(&self) -> usize {
        self.table.len() * BLOCK
    }

    fn find(&self, first: A) -> Option<usize> {
        self.table.find(first.hash(), |(other, _)| *other == first).map(|(_, block)| *block as usize)
    }

    fn make(&mut self, first: A) -> usize {
        let number = self.vacant.pop().unwrap_or_else(|| {
            let number = self.blocks.push(Block([Hold::Nobody; BLOCK]));
            u32::try_from(number).expect("fewer than 2^32 blocks")
        });
        self.table.insert_unique(first.hash(), (first, number), |(first, _)| first.hash());
        number as usize
    }

    fn remove(&mut self, first: A) {
        if let Ok(found) = self.table.find_entry(first.hash(), |(other, _)| *other == first) {
            let ((_, number), _) = found.remove();
            self.vacant.push(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_holds_of_a_block_take_a_cache_line() {
        assert_eq!(size_of::<Block>(), 64);
    }

    fn places(blocks: &Blocks<Ipv4Addr>) -> BTreeMap<Ipv4Addr, u32> {
        let place = |(address, hold): (Ipv4Addr, &Hold)| match *hold {
            Hold::Several(place) => Some((address, place)),
            Hold::Sole(_) | Hold::Nobody => None,
        };
        blocks.iter().filter_map(place).collect()
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_map(steps in prop::collection::vec((0..40_u32, any::<bool>()), 1..200)) {
            let mut blocks = Blocks::default();
            let mut plain = BTreeMap::new();
            for (number, (low, hold)) in (0..).zip(steps) {
                let address = Ipv4Addr::from_bits(0xffff_ffd7 + low);
                if hold {
                    *blocks.place_mut(address) = Hold::Several(number);
                    plain.insert(address, number);
                } else {
                    let is_held = !blocks.end(address, |hold| !hold.is_nobody()).is_nobody();
                    prop_assert_eq!(is_held, plain.remove(&address).is_some());
                }
                prop_assert!(blocks.get(address).is_nobody() != hold);
                prop_assert_eq!(blocks.get_mut(address).is_some(), hold);
                prop_assert_eq!(&places(&blocks), &plain);
                let full: BTreeSet<Ipv4Addr> = plain.keys().map(|key| key.split().0).collect();
                prop_assert_eq!(blocks.len_max(), full.len() * BLOCK);
            }
        }
    }
}
