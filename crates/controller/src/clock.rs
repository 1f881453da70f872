//! The controller's one clock.

use std::time::Instant;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Monotonic time, for timeouts and the Lease.
#[expect(clippy::disallowed_methods, reason = "this module is the controller's one clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Wall time, only for `lastTransitionTime`, event times and the Lease's informative fields; nothing compares it.
#[expect(clippy::disallowed_methods, reason = "this module is the controller's one clock")]
pub(crate) fn wall() -> Time {
    Time(k8s_openapi::jiff::Timestamp::now())
}
