//! Which owners hold an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::chunks::Chunks;
use super::names::NameId;
use super::owners::Handle;
use crate::family::{Family, number};
use crate::interval::Span;

mod blocks;
mod several;

use blocks::Blocks;
use several::Several;

/// One owner's hold on an address, in 8 bytes of which one leaves room for [`Hold`] to tell its cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) owner: Handle,
    /// Number of the pool, the lowest byte first.
    pool: [u8; 3],
    is_bound: bool,
}

impl Holder {
    pub(super) fn new(owner: Handle, pool: NameId, is_bound: bool) -> Self {
        let [low, middle, high, rest] = pool.to_le_bytes();
        assert!(rest == 0, "fewer than 2^24 pools");
        Self { owner, pool: [low, middle, high], is_bound }
    }

    /// The pool that the address was taken from.
    pub(super) fn pool(self) -> NameId {
        let [low, middle, high] = self.pool;
        NameId::from_le_bytes([low, middle, high, 0])
    }

    /// Whether what is known of how the owner shares holds for this address. It does not for what was only observed, nor for
    /// what its owner is about to give up.
    pub(super) fn is_bound(self) -> bool {
        self.is_bound
    }
}

/// In 8 bytes, since there is one for each address.
#[derive(Clone, Copy, Debug)]
enum Hold {
    Nobody,
    Sole(Holder),
    /// Place in [`Holds::several`].
    Several(u32),
}

impl Hold {
    fn is_nobody(&self) -> bool {
        matches!(self, Self::Nobody)
    }
}

/// What is listed is put in order first, since the blocks have none.
#[derive(Clone, Debug, Default)]
pub(super) struct Holds {
    v4: Blocks<Ipv4Addr>,
    v6: Blocks<Ipv6Addr>,
    several: Chunks<Several>,
    vacant: Vec<u32>,
}

impl Holds {
    /// Who holds `address`; several in the order in which [`add`](Self::add) put them.
    pub(super) fn at(&self, address: IpAddr) -> &[Holder] {
        self.holders(match address {
            IpAddr::V4(v4) => self.v4.get(v4),
            IpAddr::V6(v6) => self.v6.get(v6),
        })
    }

    /// Puts `holder` down, before the first of the other holders that `before` names. True if there are no others.
    pub(super) fn add(&mut self, address: IpAddr, holder: Holder, before: impl Fn(Handle) -> bool) -> bool {
        let hold = match address {
            IpAddr::V4(v4) => self.v4.place_mut(v4),
            IpAddr::V6(v6) => self.v6.place_mut(v6),
        };
        let place = match *hold {
            Hold::Nobody => {
                *hold = Hold::Sole(holder);
                return true;
            }
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
        let is_sole = |hold: &Hold| matches!(hold, Hold::Sole(holder) if holder.owner == owner);
        let hold = match address {
            IpAddr::V4(v4) => self.v4.end(v4, is_sole),
            IpAddr::V6(v6) => self.v6.end(v6, is_sole),
        };
        let place = match hold {
            Hold::Nobody => return None,
            Hold::Sole(holder) => return is_sole(&hold).then_some((holder, false)),
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
            None | Some(Hold::Nobody) => return false,
            Some(Hold::Sole(holder)) => return bind(std::slice::from_mut(holder), owner, bound),
            Some(Hold::Several(place)) => *place as usize,
        };
        bind(self.several[place].as_mut_slice(), owner, bound)
    }

    /// Every address and its holders, IPv4 first, ascending. Costs O(n · log n) beforehand.
    pub(super) fn iter(&self) -> impl Iterator<Item = (IpAddr, &[Holder])> {
        let mut v4: Vec<(Ipv4Addr, &Hold)> = self.v4.iter().collect();
        let mut v6: Vec<(Ipv6Addr, &Hold)> = self.v6.iter().collect();
        v4.sort_unstable_by_key(|(address, _)| *address);
        v6.sort_unstable_by_key(|(address, _)| *address);
        let v4 = v4.into_iter().map(|(address, hold)| (IpAddr::V4(address), self.holders(hold)));
        v4.chain(v6.into_iter().map(|(address, hold)| (IpAddr::V6(address), self.holders(hold))))
    }

    /// The held addresses of one family within `span`, as numbers, in no order.
    pub(super) fn within(&self, family: Family, span: Span) -> Box<dyn Iterator<Item = u128> + '_> {
        let held_max = match family {
            Family::V4 => self.v4.len_max(),
            Family::V6 => self.v6.len_max(),
        };
        if span.last - span.first < held_max as u128 {
            let is_held = move |number: &u128| !self.at(family.address(*number)).is_empty();
            return Box::new((span.first..=span.last).filter(is_held));
        }
        let is_within = move |number: &u128| (span.first..=span.last).contains(number);
        match family {
            Family::V4 => Box::new(self.v4.iter().map(|(v4, _)| number(IpAddr::V4(v4))).filter(is_within)),
            Family::V6 => Box::new(self.v6.iter().map(|(v6, _)| number(IpAddr::V6(v6))).filter(is_within)),
        }
    }

    fn holders<'a>(&'a self, hold: &'a Hold) -> &'a [Holder] {
        match hold {
            Hold::Nobody => &[],
            Hold::Sole(holder) => std::slice::from_ref(holder),
            Hold::Several(place) => self.several[*place as usize].as_slice(),
        }
    }

    fn hold_mut(&mut self, address: IpAddr) -> Option<&mut Hold> {
        match address {
            IpAddr::V4(v4) => self.v4.get_mut(v4),
            IpAddr::V6(v6) => self.v6.get_mut(v6),
        }
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
    fn a_hold_takes_8_bytes() {
        assert_eq!((size_of::<Holder>(), size_of::<Hold>()), (8, 8));
    }
}
