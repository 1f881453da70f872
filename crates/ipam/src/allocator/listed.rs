//! The addresses that are shared under one key, and whom each may be of use to.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::names::NameId;

/// The holders under one key that stand to an address alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Alike {
    across_namespaces: bool,
    namespace: NameId,
    address: IpAddr,
}

/// Counts the holders of each address, so that one that goes need not look at the others. Most keys have one address whose
/// holders are all alike, which takes no memory of its own.
#[derive(Clone, Debug, Default)]
pub(super) enum Listed {
    #[default]
    Nothing,
    /// That many holders.
    Alike(Alike, u32),
    /// (scope, address) to the number of its holders.
    Mixed(BTreeMap<(NameId, IpAddr), u32>),
}

/// Scope of holders that share across namespaces. They are in the scope of their namespace as well.
const ACROSS: NameId = NameId::MAX;

fn scopes(across_namespaces: bool, namespace: Option<NameId>) -> impl Iterator<Item = NameId> {
    namespace.into_iter().chain(across_namespaces.then_some(ACROSS))
}

impl Alike {
    fn places(self) -> impl Iterator<Item = (NameId, IpAddr)> {
        scopes(self.across_namespaces, Some(self.namespace)).map(move |scope| (scope, self.address))
    }
}

impl Listed {
    /// Adds a holder.
    pub(super) fn add(&mut self, across_namespaces: bool, namespace: NameId, address: IpAddr) {
        let holder = Alike { across_namespaces, namespace, address };
        match self {
            Self::Nothing => *self = Self::Alike(holder, 1),
            Self::Alike(alike, count) if *alike == holder => *count += 1,
            Self::Alike(alike, count) => {
                let mut counts: BTreeMap<_, _> = alike.places().map(|place| (place, *count)).collect();
                holder.places().for_each(|place| *counts.entry(place).or_default() += 1);
                *self = Self::Mixed(counts);
            }
            Self::Mixed(counts) => {
                holder.places().for_each(|place| *counts.entry(place).or_default() += 1);
            }
        }
    }

    /// Takes a holder out that was added in the same words.
    pub(super) fn remove(&mut self, across_namespaces: bool, namespace: NameId, address: IpAddr) {
        let is_last = match self {
            Self::Nothing => false,
            Self::Alike(_, count) => {
                *count -= 1;
                *count == 0
            }
            Self::Mixed(counts) => {
                for place in (Alike { across_namespaces, namespace, address }).places() {
                    let Some(count) = counts.get_mut(&place) else { continue };
                    *count -= 1;
                    if *count == 0 {
                        counts.remove(&place);
                    }
                }
                counts.is_empty()
            }
        };
        if is_last {
            *self = Self::Nothing;
        }
    }

    /// Addresses that an owner in a namespace might join, each once or twice.
    pub(super) fn of(
        &self,
        across_namespaces: bool,
        namespace: Option<NameId>,
    ) -> impl Iterator<Item = IpAddr> {
        let (alike, mixed) = match self {
            Self::Nothing => (None, None),
            Self::Alike(alike, _) => (Some(alike), None),
            Self::Mixed(counts) => (None, Some(counts)),
        };
        let may_join = move |alike: &&Alike| {
            Some(alike.namespace) == namespace || alike.across_namespaces && across_namespaces
        };
        let scopes = scopes(across_namespaces, namespace);
        let of_scope = scopes.flat_map(move |scope| {
            let first = (scope, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            let last = (scope, IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)));
            mixed
                .into_iter()
                .flat_map(move |counts| counts.range(first..=last).map(|((_, address), _)| *address))
        });
        alike.filter(may_join).map(|alike| alike.address).into_iter().chain(of_scope)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lists_what_its_holders_list(
            steps in prop::collection::vec((any::<bool>(), 0..2_u32, 0..3_u8, any::<bool>()), 1..40),
        ) {
            let mut listed = Listed::default();
            let mut holders: Vec<(bool, NameId, IpAddr)> = Vec::new();
            for (across, namespace, octet, add) in steps {
                let holder = (across, namespace, IpAddr::from([192, 0, 2, octet]));
                if add {
                    listed.add(holder.0, holder.1, holder.2);
                    holders.push(holder);
                } else if let Some(place) = holders.iter().position(|other| *other == holder) {
                    listed.remove(holder.0, holder.1, holder.2);
                    holders.swap_remove(place);
                }
                for (across, namespace) in [(false, None), (false, Some(0)), (true, None), (true, Some(1))] {
                    let may_join = |other: &&(bool, NameId, IpAddr)| {
                        Some(other.1) == namespace || other.0 && across
                    };
                    let expected: BTreeSet<IpAddr> =
                        holders.iter().filter(may_join).map(|holder| holder.2).collect();
                    prop_assert_eq!(listed.of(across, namespace).collect::<BTreeSet<_>>(), expected);
                }
            }
            for (across, namespace, address) in holders {
                listed.remove(across, namespace, address);
            }
            prop_assert!(matches!(listed, Listed::Nothing));
        }
    }
}
