//! What every system test, the demo and the benchmarks share: Keryx in a lab, as shipped, and apps that it exposes.

pub mod app;
pub mod client;
pub mod keryx;
pub mod space;
pub mod wait;

pub use keryx::Keryx;
pub use space::Space;
