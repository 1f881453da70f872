//! What the benchmarks share.

pub mod figures;
pub mod machine;
