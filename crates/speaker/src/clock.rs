//! The speaker's one clock.

use std::time::Instant;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Monotonic time, for every timer.
#[expect(clippy::disallowed_methods, reason = "this module is the speaker's one clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Wall time, for what people read. It decides nothing.
#[expect(clippy::disallowed_methods, reason = "this module is the speaker's one clock")]
pub(crate) fn wall() -> Time {
    Time(k8s_openapi::jiff::Timestamp::now())
}
