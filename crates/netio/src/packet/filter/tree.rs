//! Is this address in one of these ranges? As a binary search, word by word.

use super::assembly::{Assembly, Label};
use crate::packet::ranges::Ranges;

/// Where a search goes on.
#[derive(Clone, Copy)]
struct Exits {
    inside: Label,
    outside: Label,
}

impl Exits {
    fn of(self, is_member: bool) -> Label {
        if is_member { self.inside } else { self.outside }
    }
}

/// A boundary, as the words of its number that are still to be compared, and whether what follows it is inside.
#[derive(Clone, Copy)]
struct Boundary<'a> {
    words: &'a [u32],
    is_begin: bool,
}

/// Goes to `inside` if the number whose 32-bit words are at `offsets` of the frame, highest first, is in `ranges`, else to
/// `outside`.
pub(super) fn search(
    code: &mut Assembly,
    ranges: &Ranges,
    offsets: &[u32],
    inside: Label,
    outside: Label,
) -> Label {
    let boundaries: Vec<([u32; 4], bool)> = ranges
        .boundaries()
        .enumerate()
        .map(|(position, number)| (words(number), position % 2 == 0))
        // One that is beyond the last number of this length ends nothing.
        .filter(|(words, _)| words[..4 - offsets.len()].iter().all(|word| *word == 0))
        .collect();
    let boundaries: Vec<Boundary<'_>> = boundaries
        .iter()
        .map(|(words, is_begin)| Boundary { words: &words[4 - offsets.len()..], is_begin: *is_begin })
        .collect();
    word(code, &boundaries, offsets, false, Exits { inside, outside })
}

fn words(number: u128) -> [u32; 4] {
    [96, 64, 32, 0].map(|shift| (number >> shift) as u32)
}

/// Loads the word at the first of `offsets` and searches on; numbers below all of `boundaries` are inside if `below` is.
fn word(
    code: &mut Assembly,
    boundaries: &[Boundary<'_>],
    offsets: &[u32],
    below: bool,
    exits: Exits,
) -> Label {
    let Some((offset, rest)) = offsets.split_first() else { return exits.of(below) };
    let groups: Vec<&[Boundary<'_>]> = boundaries.chunk_by(|a, b| a.words[0] == b.words[0]).collect();
    let search = among(code, &groups, rest, below, exits);
    code.load_word(*offset, search)
}

/// Compares the word that was loaded with the first words of `groups`, the middle one first.
fn among(
    code: &mut Assembly,
    groups: &[&[Boundary<'_>]],
    offsets: &[u32],
    below: bool,
    exits: Exits,
) -> Label {
    let (lower, rest) = groups.split_at(groups.len() / 2);
    let Some((middle, higher)) = rest.split_first() else { return exits.of(below) };
    let (Some(first), Some(last)) = (middle.first(), middle.last()) else { return exits.of(below) };
    let value = first.words[0];
    let below_middle = lower.iter().rev().find_map(|group| group.last()).map_or(below, |it| it.is_begin);
    let higher = among(code, higher, offsets, last.is_begin, exits);
    let lower = among(code, lower, offsets, below, exits);
    if offsets.is_empty() {
        // The last word: from the boundary on, all is as it says, up to the next one.
        return code.require_at_least(value, higher, lower);
    }
    let tail: Vec<_> =
        middle.iter().map(|it| Boundary { words: &it.words[1..], is_begin: it.is_begin }).collect();
    let equal = word(code, &tail, offsets, below_middle, exits);
    let is_equal = code.require_equal(value, equal, lower);
    if higher == lower { is_equal } else { code.require_at_most(value, is_equal, higher) }
}
