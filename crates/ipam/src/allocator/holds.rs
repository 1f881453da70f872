//! Which owners hold an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::chunks::Chunks;
use super::names::{Hash, NameId};
use super::owners::Handle;
use crate::family::{Family, number};
use crate::interval::Span;

mod several;

use several::Several;

/// One owner's hold on an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) owner: Handle,
    /// Number of the pool, and in the highest bit whether the hold is bound.
    pool_and_bound: u32,
}

const BOUND: u32 = 1 << 31;

impl Holder {
    pub(super) fn new(owner: Handle, pool: NameId, bound: bool) -> Self {
        debug_assert!(pool < BOUND, "fewer than 2^31 pools");
        Self { owner, pool_and_bound: pool | if bound { BOUND } else { 0 } }
    }

    /// The pool that the address was taken from.
    pub(super) fn pool(self) -> NameId {
        self.pool_and_bound & !BOUND
    }

    /// Whether what is known of how the owner shares holds for this address. It does not for what was only observed, nor for
    /// what its owner is about to give up.
    pub(super) fn is_bound(self) -> bool {
        self.pool_and_bound & BOUND != 0
    }
}

/// In 8 bytes, since there is one for each address.
#[derive(Clone, Copy, Debug)]
enum Hold {
    Sole(Holder),
    /// Place in [`Holds::several`].
    Several(u32),
}

/// An address as a key. Neighbours get neighbouring hashes, because they are often looked up together.
trait Key: Copy + Eq {
    fn hash(self) -> u64;
}

/// How many addresses are neighbours.
const NEIGHBOURS: u128 = 16;

fn hash(number: u128) -> u64 {
    let place = number / NEIGHBOURS;
    let spread = Hash::new().number((place >> 64) as u64).number(place as u64).finish();
    spread.wrapping_mul(NEIGHBOURS as u64) + (number % NEIGHBOURS) as u64
}

impl Key for Ipv4Addr {
    fn hash(self) -> u64 {
        hash(u128::from(self.to_bits()))
    }
}

impl Key for Ipv6Addr {
    fn hash(self) -> u64 {
        hash(self.to_bits())
    }
}

/// The holds of one family, by address.
type Table<A> = HashTable<(A, Hold)>;

/// A look-up costs the same however many addresses are held. What is listed is put in order first, since the tables have none.
#[derive(Clone, Debug, Default)]
pub(super) struct Holds {
    v4: Table<Ipv4Addr>,
    v6: Table<Ipv6Addr>,
    several: Chunks<Several>,
    vacant: Vec<u32>,
}

impl Holds {
    /// Who holds `address`; several in the order in which [`add`](Self::add) put them.
    pub(super) fn at(&self, address: IpAddr) -> &[Holder] {
        let hold = match address {
            IpAddr::V4(v4) => self.v4.find(v4.hash(), |(other, _)| *other == v4).map(|(_, hold)| hold),
            IpAddr::V6(v6) => self.v6.find(v6.hash(), |(other, _)| *other == v6).map(|(_, hold)| hold),
        };
        hold.map_or(&[], |hold| self.holders(hold))
    }

    /// Puts `holder` down, before the first of the other holders that `before` names. True if there are no others.
    pub(super) fn add(&mut self, address: IpAddr, holder: Holder, before: impl Fn(Handle) -> bool) -> bool {
        let hold = match address {
            IpAddr::V4(v4) => sole(&mut self.v4, v4, holder),
            IpAddr::V6(v6) => sole(&mut self.v6, v6, holder),
        };
        let Some(hold) = hold else { return true };
        let place = match *hold {
            Hold::Several(place) => place,
            Hold::Sole(first) => {
                let place = match self.vacant.pop() {
                    Some(place) => {
                        self.several[place as usize] = Several::new(first);
                        place
                    }
                    None => {
                        let place = self.several.push(Several::new(first));
                        u32::try_from(place).expect("fewer than 2^32 shared addresses")
                    }
                };
                *hold = Hold::Several(place);
                place
            }
        };
        let holders = &mut self.several[place as usize];
        let others = holders.as_slice();
        let index = others.iter().position(|other| before(other.owner)).unwrap_or(others.len());
        holders.insert(index, holder);
        false
    }

    /// Ends the hold of `owner`, if there is one, and says whether others are left.
    pub(super) fn remove(&mut self, address: IpAddr, owner: Handle) -> Option<(Holder, bool)> {
        let place = match address {
            IpAddr::V4(v4) => end_sole(&mut self.v4, v4, owner)?,
            IpAddr::V6(v6) => end_sole(&mut self.v6, v6, owner)?,
        };
        let place = match place {
            Hold::Sole(holder) => return Some((holder, false)),
            Hold::Several(place) => place,
        };
        let holders = &mut self.several[place as usize];
        let index = holders.as_slice().iter().position(|holder| holder.owner == owner)?;
        let removed = holders.remove(index);
        if let [last] = *holders.as_slice() {
            *holders = Several::new(last);
            self.vacant.push(place);
            if let Some(hold) = self.hold_mut(address) {
                *hold = Hold::Sole(last);
            }
        }
        Some((removed, true))
    }

    /// Binds the hold of `owner` to what is known of how it shares, or unbinds it; true if that changed anything.
    pub(super) fn bind(&mut self, address: IpAddr, owner: Handle, bound: bool) -> bool {
        let place = match self.hold_mut(address) {
            None => return false,
            Some(Hold::Sole(holder)) => return bind(std::slice::from_mut(holder), owner, bound),
            Some(Hold::Several(place)) => *place as usize,
        };
        bind(self.several[place].as_mut_slice(), owner, bound)
    }

    /// Every address and its holders, IPv4 first, ascending. Costs O(n · log n) beforehand.
    pub(super) fn iter(&self) -> impl Iterator<Item = (IpAddr, &[Holder])> {
        let mut v4: Vec<(Ipv4Addr, &Hold)> = self.v4.iter().map(|(address, hold)| (*address, hold)).collect();
        let mut v6: Vec<(Ipv6Addr, &Hold)> = self.v6.iter().map(|(address, hold)| (*address, hold)).collect();
        v4.sort_unstable_by_key(|(address, _)| *address);
        v6.sort_unstable_by_key(|(address, _)| *address);
        let v4 = v4.into_iter().map(|(address, hold)| (IpAddr::V4(address), self.holders(hold)));
        v4.chain(v6.into_iter().map(|(address, hold)| (IpAddr::V6(address), self.holders(hold))))
    }

    /// The held addresses of one family within `span`, as numbers, in no order.
    pub(super) fn within(&self, family: Family, span: Span) -> Box<dyn Iterator<Item = u128> + '_> {
        let held = match family {
            Family::V4 => self.v4.len(),
            Family::V6 => self.v6.len(),
        };
        if span.last - span.first < held as u128 {
            let is_held = move |number: &u128| !self.at(family.address(*number)).is_empty();
            return Box::new((span.first..=span.last).filter(is_held));
        }
        let is_within = move |number: &u128| (span.first..=span.last).contains(number);
        match family {
            Family::V4 => Box::new(self.v4.iter().map(|(v4, _)| number(IpAddr::V4(*v4))).filter(is_within)),
            Family::V6 => Box::new(self.v6.iter().map(|(v6, _)| number(IpAddr::V6(*v6))).filter(is_within)),
        }
    }

    fn holders<'a>(&'a self, hold: &'a Hold) -> &'a [Holder] {
        match hold {
            Hold::Sole(holder) => std::slice::from_ref(holder),
            Hold::Several(place) => self.several[*place as usize].as_slice(),
        }
    }

    fn hold_mut(&mut self, address: IpAddr) -> Option<&mut Hold> {
        match address {
            IpAddr::V4(v4) => self.v4.find_mut(v4.hash(), |(other, _)| *other == v4).map(|(_, hold)| hold),
            IpAddr::V6(v6) => self.v6.find_mut(v6.hash(), |(other, _)| *other == v6).map(|(_, hold)| hold),
        }
    }
}

/// Puts `holder` down alone if nobody holds the address, else returns what is there.
fn sole<A: Key>(table: &mut Table<A>, address: A, holder: Holder) -> Option<&mut Hold> {
    match table.entry(address.hash(), |(other, _)| *other == address, |(other, _)| other.hash()) {
        Entry::Occupied(occupied) => Some(&mut occupied.into_mut().1),
        Entry::Vacant(vacant) => {
            vacant.insert((address, Hold::Sole(holder)));
            None
        }
    }
}

/// Takes the hold out if `owner` is its only holder. Returns what was there; `None` if that is not the owner's.
fn end_sole<A: Key>(table: &mut Table<A>, address: A, owner: Handle) -> Option<Hold> {
    let entry = table.find_entry(address.hash(), |(other, _)| *other == address).ok()?;
    let hold = entry.get().1;
    match hold {
        Hold::Sole(holder) if holder.owner != owner => None,
        Hold::Sole(_) => {
            entry.remove();
            Some(hold)
        }
        Hold::Several(_) => Some(hold),
    }
}

fn bind(holders: &mut [Holder], owner: Handle, bound: bool) -> bool {
    let Some(holder) = holders.iter_mut().find(|holder| holder.owner == owner) else { return false };
    let changes = holder.is_bound() != bound;
    *holder = Holder::new(owner, holder.pool(), bound);
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_address_takes_few_bytes() {
        assert_eq!(size_of::<(Ipv4Addr, Hold)>(), 12);
        assert_eq!(size_of::<(Ipv6Addr, Hold)>(), 24);
    }
}
