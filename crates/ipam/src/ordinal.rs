//! Assignable addresses counted without gaps. A pool that leaves out every IPv4 address ending in .0 or .255 keeps its
//! free addresses as ordinals, so that "the lowest free one" never has to step over what may not be given.

use crate::interval::Span;

/// Addresses of a /24 that end neither in .0 nor in .255.
const PER_24: u128 = 254;

/// How addresses are numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbering {
    /// Every address counts.
    Every,
    /// IPv4 addresses that end in .0 or .255 do not count.
    WithoutEnds,
}

impl Numbering {
    /// The ordinal of the address `number`; `None` if that address does not count.
    pub(crate) fn ordinal(self, number: u128) -> Option<u128> {
        match (self, number & 255) {
            (Self::Every, _) => Some(number),
            (Self::WithoutEnds, 0 | 255) => None,
            (Self::WithoutEnds, octet) => Some((number >> 8) * PER_24 + octet - 1),
        }
    }

    /// The address with that ordinal, as a number.
    pub(crate) fn number(self, ordinal: u128) -> u128 {
        match self {
            Self::Every => ordinal,
            Self::WithoutEnds => ((ordinal / PER_24) << 8) + ordinal % PER_24 + 1,
        }
    }

    /// The ordinals of all addresses in `span` that count; `None` if there are none.
    pub(crate) fn ordinals(self, span: Span) -> Option<Span> {
        let Self::WithoutEnds = self else { return Some(span) };
        // At most two neighbours in a row do not count: .255 and the .0 after it.
        let first = (span.first..=span.last).take(3).find_map(|number| self.ordinal(number))?;
        let last = (span.first..=span.last).rev().take(3).find_map(|number| self.ordinal(number))?;
        Some(Span { first, last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals_have_no_gaps_and_lead_back() {
        let counted: Vec<u128> = (0..2000).filter(|number| !matches!(number % 256, 0 | 255)).collect();
        for (ordinal, &number) in counted.iter().enumerate() {
            assert_eq!(Numbering::WithoutEnds.ordinal(number), Some(ordinal as u128));
            assert_eq!(Numbering::WithoutEnds.number(ordinal as u128), number);
        }
    }

    #[test]
    fn spans_lose_only_what_does_not_count() {
        for first in 240..520_u128 {
            for last in first..first + 30 {
                let counted: Vec<u128> =
                    (first..=last).filter_map(|number| Numbering::WithoutEnds.ordinal(number)).collect();
                let expected =
                    counted.first().zip(counted.last()).map(|(&first, &last)| Span { first, last });
                assert_eq!(Numbering::WithoutEnds.ordinals(Span { first, last }), expected, "{first}-{last}");
            }
        }
        let any = Span { first: 0, last: 255 };
        assert_eq!(Numbering::Every.ordinals(any), Some(any));
    }
}
