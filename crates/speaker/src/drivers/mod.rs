//! What carries out the plan. Each driver compares the newest orders with what it does now.

pub(crate) mod guard;
pub(crate) mod layer2;
mod ruleset;
