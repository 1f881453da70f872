//! What carries out the plan. Each driver compares the newest orders with what it does now.

pub mod bfd;
pub mod bgp;
pub mod gate;
pub mod guard;
pub mod layer2;
mod ruleset;
