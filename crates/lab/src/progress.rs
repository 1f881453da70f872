//! Progress lines on standard error: `lab 3.2s: n1 Ready`.

use std::time::Instant;

use crate::clock;

/// Counts from when it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    began: Instant,
}

impl Progress {
    pub(crate) fn start() -> Progress {
        Progress { began: clock::now() }
    }

    /// Prints what has been reached.
    pub(crate) fn say(&self, reached: &str) {
        eprintln!("lab {:.1}s: {reached}", (clock::now() - self.began).as_secs_f64());
    }
}
