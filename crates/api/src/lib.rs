//! What Keryx' parts and its users exchange: label and annotation names, Gateway API types, Keryx' own kinds, and the
//! schemas of the objects that the controller writes and the speakers read. Data and its text forms only; decisions live in `ipam`,
//! `gateway` and `plan`.

pub mod annotations;
pub mod assigned;
pub mod bfd_profile;
pub mod bgp_advertisement;
pub mod bgp_peer;
pub mod community;
mod definition;
pub mod exposure;
pub mod gateway_api;
pub mod ip_address_pool;
pub mod l2_advertisement;
pub mod layer2;
pub mod ledger;
pub mod names;
pub mod protocol;
#[cfg(test)]
mod schema;
pub mod selectors;
pub mod speaker_status;
pub mod status;

pub use protocol::Protocol;
