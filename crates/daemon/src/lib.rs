//! What both daemons are made of, and nothing that decides: watches as changes of state, probe and metrics endpoints,
//! events, logging, the connection to the API server, stop signals.

pub mod connect;
pub mod endpoints;
pub mod events;
pub mod logging;
pub mod stop;
pub mod watch;
