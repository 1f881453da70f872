//! When each VIP is announced unasked.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::IfIndex;

/// Announcements in a burst, the first of them at once. A neighbour ignores a change for a second after the last
/// one (Linux `locktime`), and frames get lost while a switch learns; so one is not enough. RFC 4861 §7.2.6 lets a
/// node send MAX_NEIGHBOR_ADVERTISEMENT (3); these are more on purpose, at its pace of RetransTimer (1 s).
const BURST_ANNOUNCEMENTS: u8 = 6;
/// From one announcement of a burst to the next.
const BURST_INTERVAL: Duration = Duration::from_secs(1);

/// The announcements of one VIP on one interface.
#[derive(Debug, Default)]
pub(super) struct Timing {
    /// Announcements of the burst that are still to come.
    burst_left: u8,
    /// When the next one is due; `None` after the burst if there is no refresh.
    due: Option<Instant>,
}

/// One timer for each VIP that is to be announced again; those that are due are a queue in order of their time.
///
/// A VIP that has to wait for its turn does not come twice, and one that was announced goes to the end: more VIPs than
/// the pace allows are announced less often, all of them alike.
#[derive(Debug)]
pub(super) struct Schedule {
    refresh_interval: Option<Duration>,
    /// Mirrors [`Timing::due`].
    timers: BTreeSet<(Instant, IfIndex, IpAddr)>,
}

impl Schedule {
    pub(super) fn new(refresh_interval: Duration) -> Self {
        Self {
            refresh_interval: (!refresh_interval.is_zero()).then_some(refresh_interval),
            timers: BTreeSet::new(),
        }
    }

    /// Begins a burst whose first announcement is due now, in place of what was planned.
    pub(super) fn begin(&mut self, timing: &mut Timing, at: (IfIndex, IpAddr), now: Instant) {
        timing.burst_left = BURST_ANNOUNCEMENTS;
        self.set(timing, at, Some(now));
    }

    /// Plans one announcement more, due now.
    pub(super) fn repeat(&mut self, timing: &mut Timing, at: (IfIndex, IpAddr), now: Instant) {
        if timing.burst_left > 0 {
            timing.burst_left = timing.burst_left.saturating_add(1);
        }
        // What waits for its turn keeps it.
        let due = timing.due.map_or(now, |due| due.min(now));
        self.set(timing, at, Some(due));
    }

    pub(super) fn cancel(&mut self, timing: &mut Timing, at: (IfIndex, IpAddr)) {
        self.set(timing, at, None);
    }

    /// The VIP whose announcement is due first.
    pub(super) fn first(&self) -> Option<(Instant, IfIndex, IpAddr)> {
        self.timers.first().copied()
    }

    /// Notes that a VIP is announced now. A late one makes up for nothing, so a node that was frozen does not flood
    /// its segment.
    pub(super) fn announced(&mut self, timing: &mut Timing, at: (IfIndex, IpAddr), now: Instant) {
        timing.burst_left = timing.burst_left.saturating_sub(1);
        let interval = if timing.burst_left > 0 { Some(BURST_INTERVAL) } else { self.refresh_interval };
        self.set(timing, at, interval.map(|interval| now + interval));
    }

    fn set(&mut self, timing: &mut Timing, (index, vip): (IfIndex, IpAddr), due: Option<Instant>) {
        if let Some(due) = timing.due {
            self.timers.remove(&(due, index, vip));
        }
        timing.due = due;
        self.timers.extend(due.map(|due| (due, index, vip)));
    }
}
