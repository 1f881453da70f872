//! Decides everything about one Gateway at layer 4: from the Gateway, the routes that name it, Services, Namespace
//! labels and ReferenceGrants to the conditions of all of them, the Services to write (clones and anchor) and the
//! exposure for the speakers. Pure functions from a snapshot to a result: no client, no clock.
//!
//! The order of use: [`class::decide`] for each GatewayClass of ours; for each Gateway of an accepted class
//! [`addresses::demand`] says what to ask of IPAM, [`decide`] takes IPAM's answer and gives an [`Outcome`], and
//! [`status`] merges that into stored statuses so that an unchanged result is equal to what is stored.
//!
//! Rules: Gateway API v1.7.0 (`apis/v1`), GEP-1762 (generated objects), GEP-2644 and GEP-2645 (TCPRoute, UDPRoute).

pub mod addresses;
mod anchor;
pub mod attach;
mod backends;
pub mod class;
mod clone;
mod cluster;
pub mod conditions;
mod decide;
pub mod exposure;
mod listeners;
mod naming;
mod object;
pub mod reason;
mod routes;
mod serve;
pub mod status;

pub use cluster::{Cluster, ObjectKey};
pub use decide::{Inputs, ListenerOutcome, Outcome, ParentOutcome, RouteOutcome, decide};
