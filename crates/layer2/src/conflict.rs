//! Other stations that claim a VIP which is announced here (RFC 5227 §2.4, RFC 4862 §5.4).
//!
//! It is defended, by one announcement in 10 s at most, and it is told; whether to give it up is decided elsewhere.
//! RFC 4862 §5.4.4 leaves open what a claim for an address in use means; it is taken like that of RFC 5227.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::event::QuestionId;
use crate::{IfIndex, MacAddr};

/// RFC 5227 §1.1: the least time between two defences, so that two stations that both defend do not flood the segment.
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);
/// The least time between two events about one VIP, should many stations claim it.
const CONFLICT_PAUSE: Duration = Duration::from_secs(10);
/// A station that claimed nothing for so long is asked whether it still has the address.
const QUIET: Duration = Duration::from_secs(30);
/// Pause before another try, if too many questions are open.
const RETRY: Duration = Duration::from_secs(1);
/// The least time between two events about members' claims for one VIP.
const MEMBER_PAUSE: Duration = Duration::from_millis(200);

type Place = (IfIndex, IpAddr);

/// All conflicts. There is at most one for each announced VIP, however many stations claim it, so what is kept is
/// bounded by what is announced; each claim costs O(log n).
#[derive(Debug, Default)]
pub(crate) struct ConflictWatch {
    conflicts: BTreeMap<Place, Conflict>,
    /// When to look whether a conflict is over; mirrors [`Conflict::look_at`].
    timers: BTreeSet<(Instant, Place)>,
    /// Questions that were asked to end conflicts.
    checks: BTreeMap<QuestionId, Place>,
    /// When an event about a member's claim was last made.
    members_told: BTreeMap<Place, Instant>,
}

#[derive(Debug)]
struct Conflict {
    /// The station that was told.
    mac: MacAddr,
    told_at: Instant,
    defended_at: Instant,
    /// The last sign of any station.
    seen_at: Instant,
    /// `None` while a question is open.
    look_at: Option<Instant>,
}

/// What a claim of a foreign station calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    /// Announce the VIP once.
    pub(crate) defend: bool,
    /// Make an event of it.
    pub(crate) tell: bool,
}

impl ConflictWatch {
    /// A foreign station claims a VIP that is announced.
    pub(crate) fn claimed(&mut self, place: Place, mac: MacAddr, now: Instant) -> Response {
        let Some(conflict) = self.conflicts.get_mut(&place) else {
            let look_at = now + QUIET;
            self.timers.insert((look_at, place));
            let conflict =
                Conflict { mac, told_at: now, defended_at: now, seen_at: now, look_at: Some(look_at) };
            self.conflicts.insert(place, conflict);
            return Response { defend: true, tell: true };
        };
        let has_passed = |since: Instant, least| now.saturating_duration_since(since) >= least;
        conflict.seen_at = now;
        let defend = has_passed(conflict.defended_at, DEFEND_INTERVAL);
        if defend {
            conflict.defended_at = now;
        }
        let tell = conflict.mac != mac && has_passed(conflict.told_at, CONFLICT_PAUSE);
        if tell {
            conflict.mac = mac;
            conflict.told_at = now;
        }
        Response { defend, tell }
    }

    /// A member claims a VIP that is announced. True if that is to be told.
    pub(crate) fn claimed_by_member(&mut self, place: Place, now: Instant) -> bool {
        let told = self.members_told.get(&place);
        let tell = told.is_none_or(|told| now.saturating_duration_since(*told) >= MEMBER_PAUSE);
        if tell {
            self.members_told.insert(place, now);
        }
        tell
    }

    /// The next conflict whose station was silent for long, and that station: it is to be asked, and the outcome
    /// told to [`asked`](Self::asked).
    pub(crate) fn next_quiet(&mut self, now: Instant) -> Option<(Place, MacAddr)> {
        while let Some(&(due, place)) = self.timers.first()
            && due <= now
        {
            self.timers.pop_first();
            let Some(conflict) = self.conflicts.get_mut(&place) else { continue };
            conflict.look_at = None;
            let quiet_at = conflict.seen_at + QUIET;
            if quiet_at <= now {
                return Some((place, conflict.mac));
            }
            self.look(place, quiet_at);
        }
        None
    }

    /// Notes the question that was asked about a conflict; `None` if that was not possible.
    pub(crate) fn asked(&mut self, place: Place, question: Option<QuestionId>, now: Instant) {
        match question {
            Some(question) => {
                self.checks.insert(question, place);
            }
            None => self.look(place, now + RETRY),
        }
    }

    /// Takes the outcome of a question, if it was asked about a conflict: then tells where, and the station of the
    /// conflict if that is over.
    pub(crate) fn decided(
        &mut self,
        question: QuestionId,
        is_silent: bool,
        now: Instant,
    ) -> Option<(Place, Option<MacAddr>)> {
        let place = self.checks.remove(&question)?;
        let Some(conflict) = self.conflicts.get_mut(&place) else { return Some((place, None)) };
        if !is_silent {
            conflict.seen_at = now;
        }
        let quiet_at = conflict.seen_at + QUIET;
        if quiet_at <= now {
            return Some((place, self.conflicts.remove(&place).map(|conflict| conflict.mac)));
        }
        self.look(place, quiet_at);
        Some((place, None))
    }

    /// Ends the conflicts with stations that are members now, and tells them.
    pub(crate) fn end_with(&mut self, members: &BTreeSet<MacAddr>) -> Vec<(Place, MacAddr)> {
        let ended = self.conflicts.iter().filter(|(_, conflict)| members.contains(&conflict.mac));
        let ended: Vec<_> = ended.map(|(place, conflict)| (*place, conflict.mac)).collect();
        for (place, _) in &ended {
            self.forget(*place);
        }
        ended
    }

    /// Forgets what was known about a VIP that is not announced any more.
    pub(crate) fn forget(&mut self, place: Place) {
        self.members_told.remove(&place);
        let conflict = self.conflicts.remove(&place);
        if let Some(look_at) = conflict.and_then(|conflict| conflict.look_at) {
            self.timers.remove(&(look_at, place));
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.conflicts.len().max(self.timers.len())
    }

    /// When to call [`next_quiet`](Self::next_quiet).
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(due, _)| *due)
    }

    fn look(&mut self, place: Place, at: Instant) {
        if let Some(conflict) = self.conflicts.get_mut(&place) {
            conflict.look_at = Some(at);
            self.timers.insert((at, place));
        }
    }
}
