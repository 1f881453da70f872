//! Peers as a driver sees them: octets, time, actions.

mod errors;
mod hostile;
pub(crate) mod peers;
mod receiver;
mod routes;
mod sim;
mod states;
mod two_peers;
