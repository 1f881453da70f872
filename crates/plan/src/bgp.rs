//! BGP: with whom a node has sessions, and which prefixes it advertises to them.
//!
//! A node advertises an address if
//!
//! 1. a BGPAdvertisement is about it (module `matching` says which are) and selects the node;
//! 2. the node has no obstacle. One that is about to hand over (drain, exclude label) still advertises, and says that it leaves;
//! 3. every port of the address that has endpoints anywhere is served from this node: under policy `Local` by an endpoint of its own.
//!    An address without endpoints is not advertised, unless `withoutEndpoints: Refuse` says so;
//! 4. `announceFrom: LocalEndpoints`, the default for Gateways, asks for an endpoint of its own for at least one port, unless no
//!    endpoint has a node name;
//! 5. it is to have a session with a peer that one of these advertisements is for and that is offered the address family.
//!
//! Each such advertisement gives one prefix, by its aggregation length. A prefix is advertised while one address within is. What
//! several advertisements, or several addresses, say of one prefix to one peer is merged:
//!
//! - all communities, until they fill a message; those of advertisements with the lesser name first;
//! - the highest `localPref`, of which a missing one is 100; the lowest `med` that is given; the least `asPathPrepend`.
//!
//! An object that cannot be read is about nothing, but counts as one; its conditions say why. What `announceFrom` and `withoutEndpoints` say in
//! one advertisement goes before what holds for the owner without them; if several differ, who restricts wins.

mod advertisements;
pub(crate) mod decision;
mod explain;
mod inputs;
pub(crate) mod objects;
pub(crate) mod peers;
mod plan;
pub(crate) mod routes;

use advertisements::Advertisement;
pub use explain::{BgpAdvertised, BgpExplanation, BgpStanding};
pub use plan::{
    Because, BfdPlan, BgpDecision, BgpPlan, GracefulRestart, Password, PeerPlan, Remote, RemoteAs,
    RouteAttributes, RoutePlan,
};
