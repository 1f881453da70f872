//! The controller's one clock.

use std::time::Instant;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Monotonic time, for timeouts and the Lease.
#[expect(clippy::disallowed_methods, reason = "this module is the controller's one clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Wall time, for `lastTransitionTime`, event times and the Lease's informative fields, which nothing compares.
#[expect(clippy::disallowed_methods, reason = "this module is the controller's one clock")]
pub(crate) fn wall() -> Time {
    Time(k8s_openapi::jiff::Timestamp::now())
}

/// Wall time in seconds since 1970. It decides one thing alone: how long a released address rests, also across restarts.
pub(crate) fn wall_secs() -> u64 {
    u64::try_from(wall().0.as_second()).unwrap_or_default()
}
