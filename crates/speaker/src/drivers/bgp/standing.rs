//! How sessions stand, for people.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use keryx_bgp::peer::{Delivery, Session};
use keryx_bgp::{Asn, Family, RouterId};
use keryx_plan::bgp::Remote;

use crate::clock;
use crate::drivers::bfd::SessionState;

/// One session.
///
/// A machine that tries in vain goes from state to state every few seconds. What is told here is only what lasts, so that a
/// router which is switched off costs no writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The peer, once it is known where it is.
    pub address: Option<IpAddr>,
    /// The interface on which it is found, if its address is learned.
    pub interface: Option<Arc<str>>,
    /// See there.
    pub state: State,
    /// Since when it is as `state` says.
    pub since: Time,
    /// Why there is no session, or why the last one ended.
    pub last_error: Option<String>,
    /// Prefixes that the peer is to know.
    pub prefixes: usize,
    /// How BFD sees the path; `None` if it does not watch it.
    pub bfd: Option<SessionState>,
}

impl Standing {
    /// What was agreed, while the session stands.
    #[must_use]
    pub fn agreed(&self) -> Option<&Agreed> {
        match &self.state {
            State::Established(agreed) => Some(agreed),
            State::Idle | State::Active => None,
        }
    }

    /// No session with a peer that is, as far as is known, there; and why.
    pub(super) fn idle(remote: Option<&Remote>, why: Option<String>) -> Self {
        Self {
            address: remote.and_then(Remote::address),
            interface: remote.and_then(Remote::interface).cloned(),
            state: State::Idle,
            since: clock::wall(),
            last_error: why,
            prefixes: 0,
            bfd: None,
        }
    }
}

/// The state of RFC 4271 §8.2.2 that a session is in, or that it tries to leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is stopped, or cannot be made.
    Idle,
    /// It is tried, by dialling or by waiting for the peer to dial.
    Active,
    /// It stands.
    Established(Agreed),
}

impl State {
    /// Its name in RFC 4271.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Idle => "Idle",
            Self::Active => "Active",
            Self::Established(_) => "Established",
        }
    }
}

/// What was agreed with the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Its AS.
    pub remote_as: Asn,
    /// Its BGP identifier.
    pub router_id: RouterId,
    /// The hold time in use; 0 = none.
    pub hold_time_secs: u16,
    /// Families of which routes are sent.
    pub families: Vec<Family>,
    /// What else both know, by the names of the capabilities.
    pub capabilities: Vec<&'static str>,
}

impl From<&Session> for Agreed {
    fn from(session: &Session) -> Self {
        let is_sent = |family: &Family| session.delivery[*family] == Delivery::Sent;
        let capabilities = [
            ("FourOctetAS", session.four_octet_as),
            ("RouteRefresh", session.route_refresh),
            ("GracefulRestart", session.graceful_restart.is_some()),
        ];
        Self {
            remote_as: session.remote_as,
            router_id: session.remote_id,
            hold_time_secs: session.hold_time.as_secs(),
            families: Family::ALL.into_iter().filter(is_sent).collect(),
            capabilities: capabilities
                .into_iter()
                .filter_map(|(name, known)| known.then_some(name))
                .collect(),
        }
    }
}

/// All sessions of this node, by the name of the BGPPeer.
pub type Standings = BTreeMap<Arc<str>, Standing>;
