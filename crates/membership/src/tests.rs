//! What whole clusters do.

pub(crate) mod sim;
