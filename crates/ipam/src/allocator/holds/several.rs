//! The holders of one shared address.

use super::Holder;

/// Most holders that are stored in place.
const FEW_MAX: usize = 4;

/// Holders in an order that the caller gives. Few of them take no memory of their own.
#[derive(Clone, Debug)]
pub(super) enum Several {
    /// That many; what stands after them means nothing.
    Few(u8, [Holder; FEW_MAX]),
    Many(Vec<Holder>),
}

impl Several {
    pub(super) fn new(first: Holder) -> Self {
        Self::Few(1, [first; FEW_MAX])
    }

    pub(super) fn as_slice(&self) -> &[Holder] {
        match self {
            Self::Few(count, holders) => &holders[..usize::from(*count)],
            Self::Many(holders) => holders,
        }
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [Holder] {
        match self {
            Self::Few(count, holders) => &mut holders[..usize::from(*count)],
            Self::Many(holders) => holders,
        }
    }

    /// Puts a holder in front of the one at `index`.
    pub(super) fn insert(&mut self, index: usize, holder: Holder) {
        match self {
            Self::Few(count, holders) if usize::from(*count) < FEW_MAX => {
                holders.copy_within(index..usize::from(*count), index + 1);
                holders[index] = holder;
                *count += 1;
            }
            Self::Few(_, holders) => {
                let mut many = holders.to_vec();
                many.insert(index, holder);
                *self = Self::Many(many);
            }
            Self::Many(holders) => holders.insert(index, holder),
        }
    }

    /// Takes out the holder at `index`.
    pub(super) fn remove(&mut self, index: usize) -> Holder {
        match self {
            Self::Few(count, holders) => {
                let removed = holders[index];
                holders.copy_within(index + 1..usize::from(*count), index);
                *count -= 1;
                removed
            }
            Self::Many(holders) => holders.remove(index),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Handle;
    use super::*;

    proptest! {
        #[test]
        fn agrees_with_a_plain_list(steps in prop::collection::vec((any::<bool>(), 0..9_usize), 1..40)) {
            let holder = |number| Holder::new(Handle::new(number), 0, true);
            let mut several = Several::new(holder(0));
            let mut plain = vec![holder(0)];
            for (number, (insert, index)) in steps.into_iter().enumerate() {
                if insert {
                    let index = index.min(plain.len());
                    several.insert(index, holder(number));
                    plain.insert(index, holder(number));
                } else if index < plain.len() {
                    prop_assert_eq!(several.remove(index), plain.remove(index));
                }
                prop_assert_eq!(several.as_slice(), &*plain);
                prop_assert_eq!(several.as_mut_slice(), &*plain);
            }
        }
    }
}
