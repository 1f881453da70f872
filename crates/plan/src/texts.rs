//! Names that stand in many objects, each kept once: ten thousand Services of a cluster have few namespaces, port names, nodes
//! and pools, and each has its own name in several objects.

use std::collections::BTreeSet;
use std::sync::Arc;

/// Fewer than so many are not worth a look.
const TRIM_MIN: usize = 1024;

/// The texts in use.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    known: BTreeSet<Arc<str>>,
    /// How many were left when those that nobody uses were last dropped.
    left: usize,
}

impl Texts {
    /// The one copy of a text.
    pub(crate) fn keep(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.known.get(text) {
            return Arc::clone(known);
        }
        self.trim();
        let new: Arc<str> = text.into();
        self.known.insert(Arc::clone(&new));
        new
    }

    /// Drops what nobody else has, once there are twice as many as were left the last time.
    fn trim(&mut self) {
        if self.known.len() >= TRIM_MIN.max(2 * self.left) {
            self.known.retain(|text| Arc::strong_count(text) > 1);
            self.left = self.known.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one_and_those_that_nobody_uses_go() {
        let mut texts = Texts::default();
        let kept = texts.keep("a");
        assert!(Arc::ptr_eq(&kept, &texts.keep("a")));
        for number in 0..10 * TRIM_MIN {
            texts.keep(&number.to_string());
        }
        assert!(texts.known.len() <= TRIM_MIN, "{}", texts.known.len());
        assert!(Arc::ptr_eq(&kept, &texts.keep("a")), "what is used stays");
    }
}
