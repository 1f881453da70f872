//! When each VIP is announced unasked.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::IfIndex;
use crate::frames::Form;

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
    /// When the next one, or the second frame of this one, is due; `None` after the burst if there is no refresh.
    due: Option<Instant>,
    /// When the first frame of an announcement left whose second one has not.
    first_at: Option<Instant>,
}

/// One timer for each VIP that is to be announced again; those that are due are a queue in order of their time.
///
/// A VIP that has to wait for its turn does not come twice, and one that was announced goes to the end, with the second frame
/// of an announcement too: many VIPs are all told of once before any is told of twice, and more than the pace allows are
/// announced less often, all of them alike.
#[derive(Debug)]
pub(super) struct Schedule {
    refresh_interval: Option<Duration>,
    /// Mirrors [`Timing`]: of what is due at one time, first frames come before second ones.
    timers: BTreeSet<(Instant, bool, IfIndex, IpAddr)>,
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
        self.set(timing, at, Some(now), None);
    }

    /// Plans one announcement more, due now, in place of what is left of one that is on its way.
    pub(super) fn repeat(&mut self, timing: &mut Timing, at: (IfIndex, IpAddr), now: Instant) {
        if timing.first_at.is_none() && timing.burst_left > 0 {
            timing.burst_left = timing.burst_left.saturating_add(1);
        }
        // What waits for its turn keeps it.
        let due = timing.due.map_or(now, |due| due.min(now));
        self.set(timing, at, Some(due), None);
    }

    pub(super) fn cancel(&mut self, timing: &mut Timing, at: (IfIndex, IpAddr)) {
        self.set(timing, at, None, None);
    }

    /// The VIP whose announcement is due first.
    pub(super) fn first(&self) -> Option<(Instant, IfIndex, IpAddr)> {
        self.timers.first().map(|(due, _, index, vip)| (*due, *index, *vip))
    }

    /// Notes that the next frame of a VIP leaves now, and says which one that is. IPv6 has one form only. A late one makes up
    /// for nothing, so a node that was frozen does not flood its segment.
    pub(super) fn announced(&mut self, timing: &mut Timing, at: (IfIndex, IpAddr), now: Instant) -> Form {
        let form = match (timing.first_at, at.1) {
            (None, IpAddr::V4(_)) => {
                self.set(timing, at, Some(now), Some(now));
                return Form::Request;
            }
            (None, IpAddr::V6(_)) => Form::Request,
            (Some(_), _) => Form::Reply,
        };
        let began = timing.first_at.unwrap_or(now);
        timing.burst_left = timing.burst_left.saturating_sub(1);
        let interval = if timing.burst_left > 0 { Some(BURST_INTERVAL) } else { self.refresh_interval };
        self.set(timing, at, interval.map(|interval| (began + interval).max(now)), None);
        form
    }

    fn set(
        &mut self,
        timing: &mut Timing,
        (index, vip): (IfIndex, IpAddr),
        due: Option<Instant>,
        first_at: Option<Instant>,
    ) {
        if let Some(due) = timing.due {
            self.timers.remove(&(due, timing.first_at.is_some(), index, vip));
        }
        (timing.due, timing.first_at) = (due, first_at);
        self.timers.extend(due.map(|due| (due, first_at.is_some(), index, vip)));
    }
}
