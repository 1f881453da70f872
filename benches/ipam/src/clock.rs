//! The clock of the benchmark.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of processor time that `work` takes, and what it returns. What other programs do on the machine counts only as
/// far as they slow the processor down.
pub(crate) fn nanos<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = now();
    let result = work();
    (now() - start, result)
}

fn now() -> f64 {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("Linux has this clock");
    time.tv_sec() as f64 * 1e9 + time.tv_nsec() as f64
}
