//! BGP: with whom a node has sessions, and which prefixes it advertises to them.

mod plan;

pub use plan::{
    BfdPlan, BgpPlan, GracefulRestart, Password, PeerPlan, Remote, RemoteAs, RouteAttributes, RoutePlan,
};
