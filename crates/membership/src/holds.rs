//! The set of groups that one node says it holds, in a form whose copies are cheap to compare and to bring up to date.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::random::mix;
use crate::wire::HOLDS_PER_CHUNK;
use crate::{GroupId, Term};

/// Groups that one node can hold. Bounds what a node that lies can make others store.
pub(crate) const GROUPS_MAX: usize = 65_536;

/// What a node says of a group when that changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// It holds it, with this term.
    Held(Term),
    /// It does not hold it any more, and the highest term that it knows of is this one; 0 if that is not known.
    Released(Term),
}

impl Word {
    fn term_of_hold(self) -> Option<Term> {
        match self {
            Self::Held(term) => Some(term),
            Self::Released(_) => None,
        }
    }
}

/// A hold that began, changed its term, or ended.
pub(crate) type Change = (GroupId, Word);

/// What one node holds. Two copies with the same version and digest are the same set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holds {
    groups: BTreeMap<GroupId, Term>,
    version: u32,
    digest: u64,
}

/// A run of changes does not fit what is here: one before it is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap;

impl Holds {
    /// A copy as its owner told it, complete.
    pub(crate) fn complete(groups: BTreeMap<GroupId, Term>, version: u32) -> Self {
        let digest = groups.iter().fold(0, |digest, (group, term)| digest ^ hash(*group, *term));
        Self { groups, version, digest }
    }

    /// Changes made so far by the owner.
    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    /// XOR over a hash of each hold: the order does not matter, and a change costs the same whatever the size.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn groups(&self) -> &BTreeMap<GroupId, Term> {
        &self.groups
    }

    /// The owner's side. False if that is so already, or if there are [`GROUPS_MAX`].
    pub(crate) fn change(&mut self, (group, word): Change) -> bool {
        let term = word.term_of_hold();
        let full = self.groups.len() >= GROUPS_MAX && !self.groups.contains_key(&group);
        if self.groups.get(&group).copied() == term || (full && term.is_some()) {
            return false;
        }
        self.set((group, word));
        // At the end of its range the digest alone tells copies apart, which costs a pull per change.
        self.version = self.version.saturating_add(1);
        true
    }

    /// The other side: takes a run of changes that follows on version `from`. A run that this copy already has, or has
    /// in part, changes nothing.
    pub(crate) fn follow(&mut self, from: u32, changes: &[Change]) -> Result<bool, Gap> {
        if from > self.version {
            return Err(Gap);
        }
        if from < self.version || self.groups.len() + changes.len() > GROUPS_MAX {
            return Ok(false);
        }
        changes.iter().for_each(|change| self.set(*change));
        self.version = self.version.saturating_add(u32::try_from(changes.len()).unwrap_or(u32::MAX));
        Ok(true)
    }

    /// The first holds after `after`, in the order of groups, and whether these are the last.
    pub(crate) fn chunk(&self, after: Option<GroupId>) -> (Vec<(GroupId, Term)>, bool) {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self.groups.range((start, Bound::Unbounded)).map(|(group, term)| (*group, *term));
        let chunk = rest.by_ref().take(HOLDS_PER_CHUNK).collect();
        (chunk, rest.next().is_none())
    }

    fn set(&mut self, (group, word): Change) {
        let old = match word {
            Word::Held(term) => self.groups.insert(group, term),
            Word::Released(_) => self.groups.remove(&group),
        };
        for term in [old, word.term_of_hold()].into_iter().flatten() {
            self.digest ^= hash(group, term);
        }
    }
}

/// What has to change to come from `old` to `new`, in the order of groups.
pub(crate) fn difference(old: &BTreeMap<GroupId, Term>, new: &BTreeMap<GroupId, Term>) -> Vec<Change> {
    let ended = old.keys().filter(|group| !new.contains_key(group));
    let ended = ended.map(|group| (*group, Word::Released(Term(0))));
    let begun = new.iter().filter(|(group, term)| old.get(group) != Some(term));
    ended.chain(begun.map(|(group, term)| (*group, Word::Held(*term)))).collect()
}

fn hash(group: GroupId, term: Term) -> u64 {
    mix(mix(group.0).wrapping_add(u64::from(term.0)).wrapping_add(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        let change = (0_u64..40, any::<bool>(), 0_u32..4).prop_map(|(group, held, term)| {
            let word = if held { Word::Held(Term(term)) } else { Word::Released(Term(term)) };
            (GroupId(group), word)
        });
        prop::collection::vec(change, 0..120)
    }

    #[test]
    fn a_run_out_of_order_changes_nothing() {
        let mut copy = Holds::default();
        let change = [(GroupId(1), Word::Held(Term(1)))];
        assert_eq!(copy.follow(1, &change), Err(Gap));
        assert_eq!(copy.follow(0, &change), Ok(true));
        assert_eq!(copy.follow(0, &change), Ok(false), "again");
        assert_eq!((copy.version(), copy.groups().len()), (1, 1));
    }

    #[test]
    fn what_is_so_already_is_no_change() {
        let mut holds = Holds::default();
        assert!(holds.change((GroupId(1), Word::Held(Term(1)))));
        assert!(!holds.change((GroupId(1), Word::Held(Term(1)))));
        assert!(!holds.change((GroupId(2), Word::Released(Term(1)))));
        assert!(holds.change((GroupId(1), Word::Held(Term(2)))));
        assert_eq!(holds.version(), 2);
    }

    proptest! {
        /// The owner, a copy that follows its changes, one fetched in chunks and one computed anew agree.
        #[test]
        fn all_ways_lead_to_the_same_set(changes in changes()) {
            let mut owner = Holds::default();
            let made: Vec<_> = changes.into_iter().filter(|change| owner.change(*change)).collect();

            let mut follower = Holds::default();
            for (from, change) in made.iter().enumerate() {
                prop_assert_eq!(follower.follow(from as u32, &[*change]), Ok(true));
            }
            prop_assert_eq!(&follower, &owner);
            prop_assert_eq!(&Holds::complete(owner.groups().clone(), owner.version()), &owner);
        }

        #[test]
        fn a_difference_leads_from_one_set_to_the_other(from in changes(), to in changes()) {
            let (mut old, mut new) = (Holds::default(), Holds::default());
            from.into_iter().for_each(|change| { old.change(change); });
            to.into_iter().for_each(|change| { new.change(change); });
            for change in difference(old.groups(), new.groups()) {
                prop_assert!(old.change(change), "no needless change");
            }
            prop_assert_eq!(old.digest(), new.digest());
            prop_assert_eq!(old.groups(), new.groups());
        }

        #[test]
        fn chunks_cover_all_once(count in 0_usize..500) {
            let groups = (0..count as u64).map(|group| (GroupId(mix(group)), Term(1))).collect();
            let holds = Holds::complete(groups, 7);
            let mut fetched = BTreeMap::new();
            loop {
                let (chunk, last) = holds.chunk(fetched.keys().next_back().copied());
                fetched.extend(chunk);
                if last {
                    break;
                }
                prop_assert!(fetched.len() < count);
            }
            prop_assert_eq!(&fetched, holds.groups());
        }
    }
}
