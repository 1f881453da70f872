//! Waiting for a condition of the cluster.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Longest wait for anything that the cluster does by itself.
pub const LIMIT: Duration = Duration::from_secs(30);
/// Pause between two looks. What is timed is taken from captures, not from here.
const PAUSE: Duration = Duration::from_millis(20);

/// Monotonic time of the test process.
#[expect(clippy::disallowed_methods, reason = "this module is the system tests' one clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// Looks until `look` gives a value.
///
/// # Errors
/// Nothing was given within [`LIMIT`]; the text says what was waited for and the last error seen.
pub fn until<T>(what: &str, look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    until_within(LIMIT, what, look)
}

/// As [`until`], with a limit of its own.
///
/// # Errors
/// Nothing was given within `limit`.
pub fn until_within<T>(
    limit: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let began = now();
    loop {
        let last = match look() {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => String::new(),
            Err(error) => format!(" (last error: {error:#})"),
        };
        if now().duration_since(began) > limit {
            bail!("waited {} s in vain for {what}{last}", limit.as_secs());
        }
        std::thread::sleep(PAUSE);
    }
}
