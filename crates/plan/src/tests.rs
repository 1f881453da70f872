//! Tests of the crate through its public API: objects in, plan out.

mod advertisements;
mod bgp_explanations;
mod bgp_peers;
mod bgp_routes;
mod endpoints;
mod fixtures;
mod groups;
mod nodes;
mod properties;
mod reasons;
mod sharing;
mod updates;
