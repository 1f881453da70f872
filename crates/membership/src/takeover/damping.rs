//! How often a group has moved of late.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Moves in a window after which the group stays where it is.
const MOVES_MAX: usize = 4;
/// Length of the window.
const WINDOW: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Damping {
    /// The latest moves, at most [`MOVES_MAX`].
    moves: VecDeque<Instant>,
    /// The rest has been told.
    told: bool,
}

impl Damping {
    pub(super) fn note_move(&mut self, now: Instant) {
        if self.moves.len() == MOVES_MAX {
            self.moves.pop_front();
        }
        self.moves.push_back(now);
    }

    /// When the group may move again, if it has to rest now.
    pub(super) fn rests_until(&mut self, now: Instant) -> Option<Instant> {
        while self.moves.front().is_some_and(|first| *first + WINDOW <= now) {
            self.moves.pop_front();
        }
        let until = (self.moves.len() == MOVES_MAX).then(|| self.moves[0] + WINDOW);
        self.told &= until.is_some();
        until
    }

    /// True the first time in a rest.
    pub(super) fn tell(&mut self) -> bool {
        !std::mem::replace(&mut self.told, true)
    }
}
