//! What the benchmarks share.

pub mod machine;
