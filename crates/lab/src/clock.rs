//! The only place where the lab reads a clock.

use std::time::{Instant, SystemTime};

/// The monotonic clock: deadlines, latencies, gaps.
#[expect(clippy::disallowed_methods, reason = "the lab measures what real time does to real programs")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Nanoseconds since 1970 by `CLOCK_REALTIME`, the clock of the kernel's packet timestamps: what a probe or a test did
/// and what a capture saw can be put side by side.
#[expect(clippy::disallowed_methods, reason = "packet timestamps of the kernel are wall clock")]
pub fn wall_nanos() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
