//! Writes that are decided and not carried out yet. Only a few are under way at once, and only some more wait: what waits
//! takes memory, and the longer it waits the likelier it is out of date.

use std::collections::VecDeque;

use crate::index::Subject;
use crate::writer::Step;

/// Subjects whose writes may be under way at once.
const UNDER_WAY_MAX: usize = 32;
/// Subjects whose writes may wait. As many are decided in one turn, so this is also how many claims one write of the
/// ledger carries.
pub(super) const WAITING_MAX: usize = 512;
/// With fewer than this waiting, more is decided.
const WAITING_LOW: usize = 128;

/// The writes of some subjects, in their order.
#[derive(Default)]
pub(super) struct Outbox {
    waiting: VecDeque<(Subject, Vec<Step>)>,
    under_way: usize,
}

impl Outbox {
    /// Whether more is to be decided now.
    pub(super) fn is_low(&self) -> bool {
        self.waiting.len() < WAITING_LOW
    }

    /// Adds the writes of a subject.
    pub(super) fn push(&mut self, subject: Subject, steps: Vec<Step>) {
        self.waiting.push_back((subject, steps));
    }

    /// Takes out the next writes that may begin, which are then under way; `None` if there are none.
    pub(super) fn next(&mut self) -> Option<(Subject, Vec<Step>)> {
        if self.under_way == UNDER_WAY_MAX {
            return None;
        }
        let next = self.waiting.pop_front()?;
        self.under_way += 1;
        Some(next)
    }

    /// Notes that the writes of a subject ended.
    pub(super) fn ended(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_writes_are_under_way_and_the_next_begins_when_one_ends() {
        let mut outbox = Outbox::default();
        let name = |number: usize| Subject::Class(format!("c{number}"));
        (0..WAITING_MAX).for_each(|number| outbox.push(name(number), Vec::new()));
        assert!(!outbox.is_low());
        for number in 0..UNDER_WAY_MAX {
            assert_eq!(outbox.next().map(|(subject, _)| subject), Some(name(number)), "in their order");
        }
        assert!(outbox.next().is_none());
        outbox.ended();
        assert_eq!(outbox.next().map(|(subject, _)| subject), Some(name(UNDER_WAY_MAX)));
        let mut begun = UNDER_WAY_MAX + 1;
        while !outbox.is_low() {
            outbox.ended();
            begun += usize::from(outbox.next().is_some());
        }
        assert_eq!(WAITING_MAX - begun, WAITING_LOW - 1);
    }
}
