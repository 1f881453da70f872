//! Sets of addresses as few ranges, for a kernel filter.

use std::net::IpAddr;

/// Addresses of one family, as ascending ranges of 128-bit numbers that do not touch.
///
/// May hold more than was asked for: a filter only spares work, so it may let too much through, never too little.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges(Vec<(u128, u128)>);

impl Ranges {
    /// The addresses of one family, in at most `limit` ranges (at least 1). If there are more, the closest are merged
    /// with the gap between them. O(n log n).
    pub(super) fn cover<'a>(
        addresses: impl IntoIterator<Item = &'a IpAddr>,
        is_ipv6: bool,
        limit: usize,
    ) -> Self {
        let mut numbers: Vec<u128> = addresses
            .into_iter()
            .filter(|address| address.is_ipv6() == is_ipv6)
            .map(|address| number(*address))
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        // Neighbours in the list whose gap is one of the widest part two ranges; addresses in a row have none.
        let mut gaps: Vec<(u128, usize)> = numbers
            .windows(2)
            .enumerate()
            .map(|(at, pair)| (pair[1] - pair[0] - 1, at + 1))
            .filter(|(gap, _)| *gap > 0)
            .collect();
        gaps.sort_unstable_by(|a, b| b.cmp(a));
        gaps.truncate(limit.saturating_sub(1));
        let mut begins: Vec<usize> = gaps.into_iter().map(|(_, at)| at).collect();
        begins.push(0);
        begins.sort_unstable();
        let ends = begins.iter().skip(1).copied().chain([numbers.len()]);
        Self(
            begins
                .iter()
                .zip(ends)
                .filter_map(|(&begin, end)| Some((*numbers.get(begin)?, *numbers.get(end.checked_sub(1)?)?)))
                .collect(),
        )
    }

    /// The numbers at which membership changes, beginning with the first member; after the last possible number there
    /// is none.
    pub(super) fn boundaries(&self) -> impl Iterator<Item = u128> {
        self.0.iter().flat_map(|&(first, last)| [Some(first), last.checked_add(1)]).flatten()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// An address as the number that its octets spell.
pub(super) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

#[cfg(test)]
mod tests;
