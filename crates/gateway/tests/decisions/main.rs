//! Decisions on one Gateway in a small cluster in memory, through the crate's public face.

#[cfg(test)]
mod gateway;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod services;
#[cfg(test)]
mod world;
