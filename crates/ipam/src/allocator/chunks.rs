//! A list that grows without moving what is in it.

use std::ops::{Index, IndexMut};

/// Elements of a chunk.
const CHUNK: usize = 4096;

/// Elements by number, in chunks that are made as they are needed. So a list of a million takes no more memory than its elements,
/// and no element that is added pays for a copy of those before.
#[derive(Clone, Debug)]
pub(super) struct Chunks<T>(Vec<Vec<T>>);

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Chunks<T> {
    /// Adds an element, and returns its number.
    pub(super) fn push(&mut self, element: T) -> usize {
        if self.0.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            // The first is often the only one.
            self.0.push(if self.0.is_empty() { Vec::new() } else { Vec::with_capacity(CHUNK) });
        }
        let last = self.0.len() - 1;
        self.0[last].push(element);
        last * CHUNK + self.0[last].len() - 1
    }
}

impl<T> Index<usize> for Chunks<T> {
    type Output = T;

    fn index(&self, number: usize) -> &T {
        &self.0[number / CHUNK][number % CHUNK]
    }
}

impl<T> IndexMut<usize> for Chunks<T> {
    fn index_mut(&mut self, number: usize) -> &mut T {
        &mut self.0[number / CHUNK][number % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_keeps_its_number() {
        let mut chunks = Chunks::default();
        for element in 0..CHUNK * 3 {
            assert_eq!(chunks.push(element), element);
        }
        chunks[CHUNK] = 0;
        let expected = |number| if number == CHUNK { 0 } else { number };
        assert!((0..CHUNK * 3).all(|number| chunks[number] == expected(number)));
    }
}
