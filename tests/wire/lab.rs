//! Labs without a cluster, one for each test.

use anyhow::Result;
use keryx_lab::{Builder, Lab, Tier};

/// Starts a lab of namespaces and segments, of the size that `size` gives it.
///
/// # Errors
/// The lab cannot be started.
pub(crate) fn lab(size: impl FnOnce(Builder) -> Builder) -> Result<Lab> {
    size(Lab::builder().tier(Tier::Wire)).start()
}
