//! Which known key a mistyped one resembles most.

use super::{ALLOW_SHARE, AVOID_BUGGY_IPS, CIDR, GLOBAL, INTERFACE, RANGE, SEARCH_ORDER, SKIP_END_IPS};

/// More slips of the finger than this, and it is another word.
const MAX_DISTANCE: usize = 2;

/// Longest ConfigMap key (Kubernetes API).
const MAX_KEY_LEN: usize = 253;

/// The known key nearest to `key`, with the namespace that `key` seems to name; `None` if nothing is near.
pub(super) fn nearest_key(key: &str) -> Option<String> {
    if key.len() > MAX_KEY_LEN {
        return None;
    }
    let written = key.to_ascii_lowercase().replace(['_', '.'], "-");
    let whole = [SEARCH_ORDER, SKIP_END_IPS, AVOID_BUGGY_IPS].map(|known| {
        let cut_short = written.len() >= 4 && known.starts_with(&written);
        (if cut_short { 1 } else { distance(&written, known) }, known.to_owned())
    });
    let scoped = [CIDR, RANGE, ALLOW_SHARE, INTERFACE].into_iter().flat_map(|known| {
        let first_word = known.trim_end_matches('-');
        let split = |(dash, _): (usize, &str)| (&written[..dash], &written[dash + 1..]);
        let with_scope = written.match_indices('-').map(split).filter(|(_, scope)| !scope.is_empty());
        // A key without a scope was most likely meant for everyone.
        with_scope
            .chain([(written.trim_end_matches('-'), GLOBAL)])
            .map(move |(word, scope)| (distance(word, first_word), format!("{known}{scope}")))
    });
    let (_, nearest) =
        whole.into_iter().chain(scoped).filter(|(distance, _)| *distance <= MAX_DISTANCE).min()?;
    Some(nearest)
}

/// How many letters must be added, removed, replaced or swapped with their neighbour to turn `a` into `b` (optimal string
/// alignment distance).
pub fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}
