//! Names and label values that fit Kubernetes' limits and stay the same for the same input.

use sha2::{Digest, Sha256};

/// Longest Service name (RFC 1035 label) and longest label value.
const MAX_LEN: usize = 63;
/// Hex digits of a [`hash`]: 48 bits, so that 10 000 names collide with a chance of 1 in 5 million.
const HASH_LEN: usize = 12;

/// A stable hash of `parts`; their borders count.
pub(crate) fn hash(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.as_bytes());
        // No Kubernetes name contains a zero byte, so ("a", "bc") and ("ab", "c") differ.
        digest.update([0]);
    }
    digest.finalize().iter().take(HASH_LEN / 2).map(|byte| format!("{byte:02x}")).collect()
}

/// `<stem>-<hash>`, with the stem cut so that the whole has at most 63 characters.
pub(crate) fn with_hash(stem: &str, hash: &str) -> String {
    let cut: String = stem.chars().take(MAX_LEN - 1 - hash.len()).collect();
    format!("{}-{hash}", cut.trim_end_matches(['-', '.']))
}

/// `text` as a label value: itself if it fits, else cut and told apart by a hash. For texts made of a name's characters.
pub(crate) fn label_value(text: &str) -> String {
    if text.len() <= MAX_LEN { text.to_owned() } else { with_hash(text, &hash(&[text])) }
}

/// `text` as a Service name: itself if it is an RFC 1035 label, else with every other character made a dash, a letter
/// in front, and `hash` behind.
pub(crate) fn service_name(text: &str, hash: &str) -> String {
    let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase());
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if starts_well && text.len() <= MAX_LEN && text.chars().all(is_plain) {
        return text.to_owned();
    }
    let plain: String = text.chars().map(|c| if is_plain(c) { c } else { '-' }).collect();
    with_hash(&if starts_well { plain } else { format!("gw-{plain}") }, hash)
}

#[cfg(test)]
mod tests;
