//! Conditions: what is wanted, and how it is merged into what is stored (Gateway API, "status hygiene"; Kubernetes API
//! conventions, "typical status properties").

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Most characters of a message (CRD schema of conditions).
const MAX_MESSAGE_LEN: usize = 32768;

/// A condition that an object should carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Condition type, such as `Accepted`.
    pub type_: &'static str,
    /// `true` is written as `True`, `false` as `False`; `Unknown` is never written.
    pub status: bool,
    /// Machine-readable cause in CamelCase; also the metric label.
    pub reason: &'static str,
    /// The cause for people; for a "no" also what would mend it. Written up to 32768 characters.
    pub message: String,
}

impl Wanted {
    /// A condition with status `True`.
    pub fn yes(type_: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { type_, status: true, reason, message: message.into() }
    }

    /// A condition with status `False`.
    pub fn no(type_: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { type_, status: false, reason, message: message.into() }
    }

    fn status_text(&self) -> &'static str {
        if self.status { "True" } else { "False" }
    }
}

/// `Accepted=True/Accepted: message`, for logs and tests.
impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}/{}: {}", self.type_, self.status_text(), self.reason, self.message)
    }
}

/// Merges `wanted` into `stored` and returns the list to write; it is equal to `stored` if there is nothing to write.
///
/// - A wanted type that is stored is replaced in place, with its `lastTransitionTime` kept while the status is the same.
/// - One whose stored `observedGeneration` is newer than `generation` is kept: the decision was made on an older object.
/// - A stored type that is in `ours` and no longer wanted is removed.
/// - Every other stored condition is foreign and stays as and where it is.
/// - Wanted types that are not stored are appended in their order, with `now`.
/// - A `generation` of 0 stands for an object whose generations are not counted: no `observedGeneration` is written, since
///   API servers drop a zero and what is stored would never be as wanted.
pub fn merge(
    stored: &[Condition],
    wanted: &[Wanted],
    ours: &[&str],
    generation: i64,
    now: &Time,
) -> Vec<Condition> {
    let mut merged = Vec::with_capacity(stored.len() + wanted.len());
    for old in stored {
        if old.observed_generation.is_some_and(|observed| observed > generation) {
            merged.push(old.clone());
            continue;
        }
        match wanted.iter().find(|new| new.type_ == old.type_) {
            Some(new) if new.status_text() == old.status => {
                merged.push(condition(new, generation, &old.last_transition_time));
            }
            Some(new) => merged.push(condition(new, generation, now)),
            None if ours.contains(&old.type_.as_str()) => {}
            None => merged.push(old.clone()),
        }
    }
    for new in wanted {
        if !stored.iter().any(|old| old.type_ == new.type_) {
            merged.push(condition(new, generation, now));
        }
    }
    merged
}

fn condition(wanted: &Wanted, generation: i64, since: &Time) -> Condition {
    Condition {
        type_: wanted.type_.to_owned(),
        status: wanted.status_text().to_owned(),
        reason: wanted.reason.to_owned(),
        message: wanted.message.chars().take(MAX_MESSAGE_LEN).collect(),
        observed_generation: (generation > 0).then_some(generation),
        last_transition_time: since.clone(),
    }
}

#[cfg(test)]
mod tests;
