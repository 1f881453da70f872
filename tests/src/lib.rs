//! What every system test, the demo and the benchmarks share: Keryx in a lab, as shipped, and apps that it exposes.

pub mod advertisement;
pub mod app;
pub mod client;
pub mod controller;
pub mod crowd;
pub mod keryx;
pub mod object;
pub mod outage;
pub mod pool;
pub mod space;
pub mod speaker;
pub mod wait;

pub use controller::Controller;
pub use keryx::Keryx;
pub use space::Space;
