//! Replays the corpora of the fuzz targets in plain tests, without a fuzzer.

use std::fs;
use std::path::{Path, PathBuf};

/// Places of an input that are tried, spread over all of it.
const PLACES_MAX: usize = 32;

/// Hands each file of `fuzz/corpus/<target>` to `check`: as it is, cut off at up to 32 places, and with an octet changed at as many. What
/// makes `check` panic is printed.
///
/// # Panics
/// If `check` does, or there is no corpus.
pub fn replay(target: &str, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(target);
    let listed = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = listed.flatten().map(|entry| entry.path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        let octets = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let try_one = |octets: &[u8]| {
            let _shown = Shown { file: &file, octets };
            check(octets);
        };
        try_one(&octets);
        for place in (0..octets.len()).step_by(octets.len().div_ceil(PLACES_MAX).max(1)) {
            try_one(&octets[..place]);
            let mut changed = octets.clone();
            for value in [0, octets[place] ^ 1, octets[place] ^ 0x80, 0xff] {
                changed[place] = value;
                try_one(&changed);
            }
        }
    }
}

/// Prints an input if a check of it panics.
struct Shown<'a> {
    file: &'a Path,
    octets: &'a [u8],
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("from {}: {:02x?}", self.file.display(), self.octets);
        }
    }
}
