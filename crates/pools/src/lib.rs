//! Between the cluster's objects and `ipam`, which knows none of them. Pure: no client, no clock.
//!
//! - [`object::pool`] and [`sources::Sources`]: `IPAddressPool`s and the address ConfigMap in, ipam's pools out.
//! - [`status::statuses`]: ipam's counts in, the status of each `IPAddressPool` out.
//! - [`wishes::wishes`]: what the annotations of a Service or Gateway ask for.
//! - [`ledger`]: blocks of the ledger in, ipam's claims and rests out, and back.
//! - [`preview::preview`]: what an edit of pools would do to those who hold addresses.
//! - [`audit::audit`]: what in the ledger is damaged or contradicts the statuses, and what would mend it.

pub mod audit;
pub mod document;
pub mod ledger;
pub mod object;
pub mod preview;
mod schema;
pub mod shown;
pub mod sources;
pub mod status;
pub mod wishes;
