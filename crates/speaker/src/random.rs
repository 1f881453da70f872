//! The speaker's one source of chance.

use anyhow::Context as _;

/// 64 bits from the system's random source.
///
/// # Errors
/// The system gives none.
pub(crate) fn seed() -> anyhow::Result<u64> {
    let mut octets = [0; 8];
    getrandom::fill(&mut octets)
        .map_err(std::io::Error::other)
        .context("the system gives no random numbers")?;
    Ok(u64::from_ne_bytes(octets))
}
