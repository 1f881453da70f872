//! How fast frames leave that nobody waits for.

use std::time::{Duration, Instant};

/// The period of the bucket: a driver's timer is not finer.
const PERIOD: Duration = Duration::from_millis(1);
/// Frames per period. 20,000 a second: both forms for 10,000 VIPs leave in one second.
const FRAMES_PER_PERIOD: u32 = 20;
/// Frames that may leave at once after a quiet time, and the most that a late wake-up makes up for: 10 ms.
const FRAMES_MAX: u32 = 200;

/// A token bucket in the time it is told.
#[derive(Debug)]
pub(super) struct Pace {
    frames: u32,
    /// Begin of the period that `frames` was last filled for.
    filled_at: Option<Instant>,
}

impl Pace {
    /// A full bucket.
    pub(super) fn new() -> Self {
        Self { frames: FRAMES_MAX, filled_at: None }
    }

    /// Fills it for the time since the last call.
    pub(super) fn fill(&mut self, now: Instant) {
        let filled_at = *self.filled_at.get_or_insert(now);
        let elapsed = now.saturating_duration_since(filled_at);
        let periods = u32::try_from(elapsed.as_micros() / PERIOD.as_micros()).unwrap_or(u32::MAX);
        self.frames = periods.saturating_mul(FRAMES_PER_PERIOD).saturating_add(self.frames).min(FRAMES_MAX);
        // A full bucket counts from now; else the rest of the period is not lost.
        self.filled_at = Some(if self.frames == FRAMES_MAX { now } else { filled_at + PERIOD * periods });
    }

    /// True if a frame may leave now.
    pub(super) fn permits(&self) -> bool {
        self.frames > 0
    }

    /// Takes one frame out.
    pub(super) fn take(&mut self) {
        self.frames = self.frames.saturating_sub(1);
    }

    /// When something that is due at `due` may leave.
    pub(super) fn permits_at(&self, due: Instant) -> Instant {
        match self.filled_at {
            Some(filled_at) if self.frames == 0 => due.max(filled_at + PERIOD),
            _ => due,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken_at(pace: &mut Pace, now: Instant) -> usize {
        pace.fill(now);
        std::iter::from_fn(|| pace.permits().then(|| pace.take())).count()
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a virtual clock needs some instant to count from")]
    fn frames_leave_at_the_pace_and_a_late_wake_up_is_capped() {
        let start = Instant::now();
        let after = |micros| start + Duration::from_micros(micros);
        let mut pace = Pace::new();
        assert_eq!(taken_at(&mut pace, start), 200);
        assert_eq!(pace.permits_at(start), after(1000));
        assert_eq!(taken_at(&mut pace, after(999)), 0);
        assert_eq!(taken_at(&mut pace, after(1000)), 20);
        // What is left of a period is not lost.
        assert_eq!(taken_at(&mut pace, after(2500)), 20);
        assert_eq!(taken_at(&mut pace, after(3000)), 20);
        assert_eq!(taken_at(&mut pace, after(60_000_000)), 200);
        assert_eq!(taken_at(&mut pace, after(60_000_000)), 0);
        // Time that goes back is no time.
        assert_eq!(taken_at(&mut pace, start), 0);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a virtual clock needs some instant to count from")]
    fn an_unused_bucket_delays_nothing() {
        let start = Instant::now();
        let pace = Pace::new();
        assert!(pace.permits());
        assert_eq!(pace.permits_at(start), start);
    }
}
