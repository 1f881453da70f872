//! When subjects are looked at again although nothing changed, and how often one may be written.
//!
//! A subject whose write failed is tried again after a pause that grows. One whose writes never come to an end, because
//! somebody else changes the object back each time, is slowed down likewise: no fight is fought at full speed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::index::Subject;

/// The first pause after a failure.
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// The longest pause after a failure: as long as a subject may lag after the API server is back.
const PAUSE_FAILED_MAX: Duration = Duration::from_secs(5);
/// The longest pause of a subject that never settles.
const PAUSE_UNSETTLED_MAX: Duration = Duration::from_secs(60);
/// Rounds of writes in a row that nothing slows down; a Gateway needs three or four.
const FREE_ROUNDS: u32 = 8;

/// Retries and pauses, at most one of each for a subject.
#[derive(Default)]
pub(super) struct Pace {
    retries: BTreeSet<(Instant, Subject)>,
    retry_of: BTreeMap<Subject, Instant>,
    /// Rounds of writes since a decision last found nothing to write.
    rounds: BTreeMap<Subject, u32>,
    /// Subjects that may not be written before a time, even if they change.
    held: BTreeMap<Subject, Instant>,
}

impl Pace {
    /// Looks at `subject` again at `at`, or earlier if that is planned already.
    pub(super) fn retry(&mut self, subject: Subject, at: Instant) {
        match self.retry_of.get(&subject) {
            Some(planned) if *planned <= at => return,
            Some(planned) => {
                self.retries.remove(&(*planned, subject.clone()));
            }
            None => {}
        }
        self.retry_of.insert(subject.clone(), at);
        self.retries.insert((at, subject));
    }

    /// When the next retry is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.retries.first().map(|(at, _)| *at)
    }

    /// Takes out the subjects whose retry is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Subject> {
        let mut due = Vec::new();
        while self.retries.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, subject)) = self.retries.pop_first() else { break };
            self.retry_of.remove(&subject);
            self.held.remove(&subject);
            due.push(subject);
        }
        due
    }

    /// Notes that a round of writes for `subject` ended. True if it may be decided again at once; else a retry is
    /// planned.
    pub(super) fn wrote(&mut self, subject: &Subject, failed: bool, now: Instant) -> bool {
        let rounds = self.rounds.entry(subject.clone()).or_default();
        *rounds = rounds.saturating_add(1);
        let over = rounds.saturating_sub(FREE_ROUNDS);
        if over == 0 && !failed {
            return true;
        }
        let max = if failed { PAUSE_FAILED_MAX } else { PAUSE_UNSETTLED_MAX };
        let pause = PAUSE_MIN.saturating_mul(1_u32.checked_shl(over.min(16)).unwrap_or(u32::MAX)).min(max);
        if over > 0 {
            self.held.insert(subject.clone(), now + pause);
        }
        self.retry(subject.clone(), now + pause);
        false
    }

    /// Notes that a decision found nothing to write for `subject`.
    pub(super) fn settled(&mut self, subject: &Subject) {
        self.rounds.remove(subject);
    }

    /// Whether `subject` has to wait.
    pub(super) fn is_held(&self, subject: &Subject) -> bool {
        // An entry goes when its retry is due.
        self.held.contains_key(subject)
    }

    /// How many rounds of writes `subject` has had without an end, if that is more than usual.
    pub(super) fn restless(&self, subject: &Subject) -> Option<u32> {
        self.rounds.get(subject).copied().filter(|rounds| *rounds > FREE_ROUNDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn subject(name: &str) -> Subject {
        Subject::Class(name.into())
    }

    #[test]
    fn a_subject_has_one_retry_the_earliest() {
        let (mut pace, now) = (Pace::default(), clock::now());
        pace.retry(subject("a"), now + Duration::from_secs(10));
        pace.retry(subject("a"), now + Duration::from_secs(5));
        pace.retry(subject("a"), now + Duration::from_secs(7));
        assert_eq!(pace.next(), Some(now + Duration::from_secs(5)));
        assert_eq!(pace.take_due(now + Duration::from_secs(20)), [subject("a")]);
        assert_eq!(pace.next(), None);
    }

    #[test]
    fn writes_that_never_settle_are_slowed_down_and_bounded() {
        let (mut pace, mut now) = (Pace::default(), clock::now());
        let mut longest = Duration::ZERO;
        for _ in 0..40 {
            if !pace.wrote(&subject("a"), false, now) {
                assert!(pace.is_held(&subject("a")));
                let due = pace.next().unwrap();
                longest = longest.max(due - now);
                now = due;
                assert_eq!(pace.take_due(now), [subject("a")]);
                assert!(!pace.is_held(&subject("a")));
            }
        }
        assert_eq!(longest, PAUSE_UNSETTLED_MAX);
        pace.settled(&subject("a"));
        assert!(pace.wrote(&subject("a"), false, now));
    }

    #[test]
    fn a_failure_is_tried_again_after_a_pause_and_a_change_need_not_wait_for_it() {
        let (mut pace, now) = (Pace::default(), clock::now());
        assert!(!pace.wrote(&subject("a"), true, now));
        assert!(!pace.is_held(&subject("a")));
        assert_eq!(pace.next(), Some(now + PAUSE_MIN));
    }

    #[test]
    fn an_outage_never_makes_a_pause_longer_than_the_lag_that_is_allowed() {
        let (mut pace, mut now) = (Pace::default(), clock::now());
        for _ in 0..40 {
            assert!(!pace.wrote(&subject("a"), true, now));
            let due = pace.next().unwrap();
            assert!(due - now <= PAUSE_FAILED_MAX);
            now = due;
            pace.take_due(now);
        }
    }
}
