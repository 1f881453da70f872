//! Files that a restart of the speaker outlives and one of the node does not.

use std::path::Path;
use std::{fs, io};

/// Replaces a file, so that a reader finds either the earlier or the later state.
///
/// # Errors
/// The folder is missing or cannot be written.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let next = path.with_extension("next");
    fs::write(&next, content)?;
    fs::rename(&next, path)
}
