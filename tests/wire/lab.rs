//! Labs without a cluster, one for each test.

use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use keryx_lab::{Builder, Lab, Tier};

/// Starts a lab of namespaces and segments, of the size that `size` gives it.
///
/// # Errors
/// The lab cannot be started.
pub(crate) fn lab(size: impl FnOnce(Builder) -> Builder) -> Result<Lab> {
    /// A starting lab writes to a folder that it names after its process, so a process starts one at a time.
    static STARTING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    size(Lab::builder().tier(Tier::Wire)).start()
}
