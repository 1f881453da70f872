//! The speaker's one clock.

use std::time::Instant;

/// Monotonic time, for the announcement schedule. Nothing in the speaker reads the wall clock.
#[expect(clippy::disallowed_methods, reason = "this module is the speaker's one clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
