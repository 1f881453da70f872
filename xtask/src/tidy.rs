//! Rules of the house that the compiler does not check. Each rule is a pure function from what it looks at to what
//! breaks it; `tests/tidy.rs` feeds them this repository.

use std::fmt;

pub mod orphans;
pub mod text;
pub mod walls;

/// A place that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// A path, `path:line`, or a crate and what it reaches.
    pub place: String,
    /// The rule, in one sentence.
    pub rule: String,
}

impl Violation {
    /// A violation of `rule` at `place`.
    pub fn new(place: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { place: place.into(), rule: rule.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.rule)
    }
}

/// A file of the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Path from the root of the repository, with `/`.
    pub path: String,
    /// Its text; `None` if it is not UTF-8.
    pub text: Option<String>,
}

#[cfg(test)]
impl File {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: Some(text.to_owned()) }
    }
}
