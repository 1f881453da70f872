use std::time::{Duration, Instant};

/// The shortest interval of a repeated probe: the lab shares its processors with what it measures.
const MIN_INTERVAL: Duration = Duration::from_millis(1);
/// The longest time that a repeated probe runs.
const MAX_DURATION: Duration = Duration::from_secs(3600);
/// The most probes of one run, which bounds its memory.
const MAX_COUNT: u32 = 1_000_000;

/// How often and how long a probe repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    interval: Duration,
    count: u32,
}

impl Pace {
    /// One probe each `interval`, at least 1 ms, for `duration`, at most an hour and a million probes.
    pub fn new(interval: Duration, duration: Duration) -> Pace {
        let interval = interval.max(MIN_INTERVAL);
        let count = duration.min(MAX_DURATION).as_nanos() / interval.as_nanos();
        Pace { interval, count: u32::try_from(count).unwrap_or(MAX_COUNT).min(MAX_COUNT) }
    }

    /// The most probes that it lets through.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// When the probes are due that start at `started`.
    pub(super) fn ticks(self, started: Instant) -> Ticks {
        let end = started + self.interval * self.count;
        Ticks { interval: self.interval, due: Some(started), end }
    }
}

/// The times at which the probes of a [`Pace`] are due. What was missed because a probe took long is left out, so that
/// there is neither a burst afterwards nor a longer run.
#[derive(Debug)]
pub(super) struct Ticks {
    interval: Duration,
    due: Option<Instant>,
    end: Instant,
}

impl Ticks {
    /// When the next probe is due; `None` when the pace is done.
    pub(super) fn next(&mut self, now: Instant) -> Option<Instant> {
        let due = self.due?;
        let late = now.saturating_duration_since(due);
        let due = if late < self.interval { due } else { now };
        self.due = (due < self.end).then(|| due + self.interval);
        self.due.map(|_| due)
    }
}

/// A time in which no answer came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gap {
    /// The last answer before it, or the start: nanoseconds since 1970, as the timestamps of a capture.
    pub from_nanos: u64,
    /// Until the next answer, or the end.
    pub length: Duration,
}

/// When answers came.
#[derive(Debug)]
pub(super) struct Answers {
    started_nanos: u64,
    latest: Duration,
    count: u32,
    longest: Gap,
}

impl Answers {
    /// None so far, at the wall clock's `started_nanos`.
    pub(super) fn new(started_nanos: u64) -> Answers {
        let longest = Gap { from_nanos: started_nanos, length: Duration::ZERO };
        Answers { started_nanos, latest: Duration::ZERO, count: 0, longest }
    }

    /// An answer came, `at` after the start; times never go back.
    pub(super) fn push(&mut self, at: Duration) {
        self.longest = self.longest_gap(at);
        self.latest = at;
        self.count += 1;
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// The longest gap, if it all ended `end` after the start.
    pub(super) fn longest_gap(&self, end: Duration) -> Gap {
        let length = end.saturating_sub(self.latest);
        if length <= self.longest.length {
            return self.longest;
        }
        let latest_nanos = u64::try_from(self.latest.as_nanos()).unwrap_or(u64::MAX);
        Gap { from_nanos: self.started_nanos.saturating_add(latest_nanos), length }
    }
}

/// An answer that comes later than this after its probe does not end an outage: it waited for somebody who could give it.
pub(super) const TIMELY: Duration = Duration::from_millis(20);

/// When probes were sent, each with how long its answer took.
#[derive(Debug, Default)]
pub(super) struct Probes(Vec<(Duration, Option<Duration>)>);

impl Probes {
    /// One more is sent, `at` after the start; times never go back.
    pub(super) fn push(&mut self, at: Duration) {
        self.0.push((at, None));
    }

    /// The answer to the probe with this number, counted from 0, came `at` after the start. True if it is the first.
    pub(super) fn answer(&mut self, number: usize, at: Duration) -> bool {
        let Some((sent, answer @ None)) = self.0.get_mut(number) else { return false };
        *answer = Some(at.saturating_sub(*sent));
        true
    }

    /// From the first probe that has no answer to the last one, zero if there is at most one.
    pub(super) fn lost_span(&self) -> Duration {
        let mut lost = self.0.iter().filter(|(_, answer)| answer.is_none()).map(|(sent, _)| *sent);
        let first = lost.next();
        let last = lost.next_back();
        first.zip(last).map_or(Duration::ZERO, |(first, last)| last - first)
    }

    /// The longest time in which no probe was sent that was answered within [`TIMELY`]: from the first such probe to the next one
    /// that was. Unlike a time without answers, it does not grow with what delays the one who asks.
    pub(super) fn longest_outage(&self) -> Duration {
        let is_timely = |answer: &Option<Duration>| answer.is_some_and(|took| took <= TIMELY);
        let (mut longest, mut since) = (Duration::ZERO, None);
        for (sent, answer) in &self.0 {
            let began = *since.get_or_insert(*sent);
            longest = longest.max(*sent - began);
            if is_timely(answer) {
                since = None;
            }
        }
        longest
    }
}
