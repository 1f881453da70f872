//! What the benchmarks share.

pub mod conclusion;
pub mod figures;
pub mod machine;
pub mod metallb;
pub mod side;
