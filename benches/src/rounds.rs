//! How often something is done.

use anyhow::{Context as _, Result};

/// No more, so that a run ends.
const ROUNDS_MAX: u32 = 200;

/// The number in a variable of the environment, or `default`.
///
/// # Errors
/// It is no number from 1 to 200.
pub fn wanted(variable: &str, default: u32) -> Result<u32> {
    let Some(text) = std::env::var_os(variable).filter(|text| !text.is_empty()) else { return Ok(default) };
    let rounds =
        text.to_str().and_then(|text| text.parse().ok()).filter(|rounds| (1..=ROUNDS_MAX).contains(rounds));
    rounds.with_context(|| format!("{variable} must be a number from 1 to {ROUNDS_MAX}"))
}
