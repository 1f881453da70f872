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

    /// Takes so many frames out, or all there are: a pair is not parted.
    pub(super) fn take(&mut self, frames: u32) {
        self.frames = self.frames.saturating_sub(frames);
    }

    /// When something that is due at `due` may leave.
    pub(super) fn permits_at(&self, due: Instant) -> Instant {
        match self.filled_at {
            Some(filled_at) if self.frames == 0 => due.max(filled_at + PERIOD),
            _ => due,
        }
    }
}
