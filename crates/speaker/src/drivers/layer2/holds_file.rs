//! Which groups this node held last, in a file that a restart of the speaker outlives and one of the node does not.
//!
//! A line for each group: its id in hexadecimal and the term. It is a hint: the takeover machine asks the members and the
//! segment before it goes on with a hold.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::{fs, io};

use keryx_membership::{GroupId, Term};

use crate::files;

/// What the file says. Lines that cannot be read are passed over, and without a file nothing was held.
pub(super) fn read(path: &Path) -> BTreeMap<GroupId, Term> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(parse).collect()
}

fn parse(line: &str) -> Option<(GroupId, Term)> {
    let (group, term) = line.split_once(' ')?;
    Some((GroupId(u64::from_str_radix(group, 16).ok()?), Term(term.parse().ok()?)))
}

/// Replaces the file, so that a reader finds either the earlier or the later state.
///
/// # Errors
/// The folder is missing or cannot be written.
pub(super) fn write(path: &Path, held: &BTreeMap<GroupId, Term>) -> io::Result<()> {
    let mut text = String::with_capacity(held.len() * 20);
    for (group, term) in held {
        // Writing to a string does not fail.
        let _infallible = writeln!(text, "{group} {}", term.0);
    }
    files::replace(path, |file| file.write_all(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_broken_lines_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("holds");
        assert!(read(&path).is_empty());
        let held = BTreeMap::from([(GroupId(7), Term(2)), (GroupId(u64::MAX), Term(9))]);
        write(&path, &held).unwrap();
        assert_eq!(read(&path), held);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("x y\n{text}1 -1\n")).unwrap();
        assert_eq!(read(&path), held);
    }
}
