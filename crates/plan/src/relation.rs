//! Many-to-many relations between what the index holds.

use std::collections::BTreeSet;

/// Pairs, kept in one dense set, since most objects of a cluster have just one partner. The default of `B` must be its
/// least value: the partners of one `A` are the range that begins there.
#[derive(Debug)]
pub(crate) struct Relation<A, B>(BTreeSet<(A, B)>);

impl<A, B> Default for Relation<A, B> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<A: Ord + Clone, B: Ord + Default> Relation<A, B> {
    pub(crate) fn add(&mut self, a: A, b: B) {
        self.0.insert((a, b));
    }

    pub(crate) fn remove(&mut self, a: A, b: B) {
        self.0.remove(&(a, b));
    }

    /// The partners of `a`, in their order.
    pub(crate) fn of(&self, a: &A) -> impl Iterator<Item = &B> {
        self.0.range((a.clone(), B::default())..).take_while(move |(other, _)| other == a).map(|(_, b)| b)
    }
}
