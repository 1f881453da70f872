//! Who is alive and who holds what, without a socket: datagrams, time and the plan's candidates go in; datagrams and
//! decisions to announce come out.

mod identity;
mod takeover;

pub use identity::{GroupId, NodeId, Term};
pub use takeover::{
    Action, CANDIDATES_MAX, Candidacy, Cause, Config, Event, HolderAnswer, Liveness, Obstacle, Outgoing,
    ProbeResult, StopCause, Takeover,
};
