//! Files that a restart of the speaker outlives and one of the node does not.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

/// Replaces a file by what `write` puts into it, so that a reader finds either the earlier or the later state.
///
/// # Errors
/// The folder is missing or cannot be written.
pub(crate) fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let next = path.with_extension("next");
    let mut file = BufWriter::new(File::create(&next)?);
    write(&mut file)?;
    file.flush()?;
    fs::rename(&next, path)
}
