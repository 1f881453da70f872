//! Which owners hold an address.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::names::NameId;
use super::owners::Handle;
use crate::family::Family;
use crate::interval::Span;

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

#[derive(Clone, Debug, Default)]
pub(super) struct Holds {
    v4: BTreeMap<Ipv4Addr, Hold>,
    v6: BTreeMap<Ipv6Addr, Hold>,
    several: Vec<Vec<Holder>>,
    vacant: Vec<u32>,
}

impl Holds {
    /// Who holds `address`; several in the order in which [`add`](Self::add) put them.
    pub(super) fn at(&self, address: IpAddr) -> &[Holder] {
        let hold = match address {
            IpAddr::V4(v4) => self.v4.get(&v4),
            IpAddr::V6(v6) => self.v6.get(&v6),
        };
        hold.map_or(&[], |hold| self.holders(hold))
    }

    /// Puts `holder` down, before the first of the other holders that `before` names.
    pub(super) fn add(&mut self, address: IpAddr, holder: Holder, before: impl Fn(Handle) -> bool) {
        let Some(hold) = self.get(address) else {
            self.set(address, Hold::Sole(holder));
            return;
        };
        let place = match hold {
            Hold::Several(place) => place,
            Hold::Sole(first) => {
                let place = self.vacant.pop().unwrap_or_else(|| {
                    self.several.push(Vec::new());
                    u32::try_from(self.several.len() - 1).expect("fewer than 2^32 shared addresses")
                });
                self.several[place as usize] = vec![first];
                self.set(address, Hold::Several(place));
                place
            }
        };
        let holders = &mut self.several[place as usize];
        let index = holders.iter().position(|other| before(other.owner)).unwrap_or(holders.len());
        holders.insert(index, holder);
    }

    /// Ends the hold of `owner`, if there is one.
    pub(super) fn remove(&mut self, address: IpAddr, owner: Handle) -> Option<Holder> {
        match self.get(address)? {
            Hold::Sole(holder) => {
                if holder.owner != owner {
                    return None;
                }
                match address {
                    IpAddr::V4(v4) => self.v4.remove(&v4),
                    IpAddr::V6(v6) => self.v6.remove(&v6),
                };
                Some(holder)
            }
            Hold::Several(place) => {
                let holders = &mut self.several[place as usize];
                let index = holders.iter().position(|holder| holder.owner == owner)?;
                let removed = holders.remove(index);
                if let [last] = holders[..] {
                    *holders = Vec::new();
                    self.vacant.push(place);
                    self.set(address, Hold::Sole(last));
                }
                Some(removed)
            }
        }
    }

    /// Binds the hold of `owner` to what is known of how it shares, or unbinds it; true if that changed anything.
    pub(super) fn bind(&mut self, address: IpAddr, owner: Handle, bound: bool) -> bool {
        let hold = match address {
            IpAddr::V4(v4) => self.v4.get_mut(&v4),
            IpAddr::V6(v6) => self.v6.get_mut(&v6),
        };
        let holders = match hold {
            None => return false,
            Some(Hold::Sole(holder)) => std::slice::from_mut(holder),
            Some(Hold::Several(place)) => &mut self.several[*place as usize][..],
        };
        let Some(holder) = holders.iter_mut().find(|holder| holder.owner == owner) else { return false };
        let changes = holder.is_bound() != bound;
        *holder = Holder::new(owner, holder.pool(), bound);
        changes
    }

    /// Every address and its holders, IPv4 first, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (IpAddr, &[Holder])> {
        let v4 = self.v4.iter().map(|(address, hold)| (IpAddr::V4(*address), self.holders(hold)));
        v4.chain(self.v6.iter().map(|(address, hold)| (IpAddr::V6(*address), self.holders(hold))))
    }

    /// The held addresses of one family within `span`, ascending.
    pub(super) fn within(&self, family: Family, span: Span) -> impl Iterator<Item = IpAddr> {
        let (v4, v6) = match (family.address(span.first), family.address(span.last)) {
            (IpAddr::V4(first), IpAddr::V4(last)) => (Some(self.v4.range(first..=last)), None),
            (IpAddr::V6(first), IpAddr::V6(last)) => (None, Some(self.v6.range(first..=last))),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => (None, None),
        };
        let v4 = v4.into_iter().flatten().map(|(address, _)| IpAddr::V4(*address));
        v4.chain(v6.into_iter().flatten().map(|(address, _)| IpAddr::V6(*address)))
    }

    fn holders<'a>(&'a self, hold: &'a Hold) -> &'a [Holder] {
        match hold {
            Hold::Sole(holder) => std::slice::from_ref(holder),
            Hold::Several(place) => &self.several[*place as usize],
        }
    }

    fn get(&self, address: IpAddr) -> Option<Hold> {
        match address {
            IpAddr::V4(v4) => self.v4.get(&v4).copied(),
            IpAddr::V6(v6) => self.v6.get(&v6).copied(),
        }
    }

    fn set(&mut self, address: IpAddr, hold: Hold) {
        match address {
            IpAddr::V4(v4) => self.v4.insert(v4, hold),
            IpAddr::V6(v6) => self.v6.insert(v6, hold),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_takes_eight_bytes() {
        assert_eq!(size_of::<Hold>(), 8);
    }
}
