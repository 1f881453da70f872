//! What the benchmarks share.

pub mod conclusion;
pub mod figures;
pub mod followed;
pub mod machine;
pub mod metallb;
pub mod rounds;
pub mod side;
pub mod watcher;
