//! Listeners of one Gateway: protocol, supported kinds, and conflicts over a port.

use keryx_api::Protocol;
use keryx_api::gateway_api::{GROUP, Gateway, GatewayListeners, RouteKind};

use crate::conditions::Wanted;
use crate::reason::{
    ACCEPTED, CONFLICTED, INVALID, INVALID_ROUTE_KINDS, ListenerProblem, PENDING, PROGRAMMED, RESOLVED_REFS,
    ServiceRefusal,
};

/// A listener, judged by the Gateway alone.
#[derive(Debug)]
pub(crate) struct Listener<'a> {
    pub(crate) spec: &'a GatewayListeners,
    /// What the listener takes; empty for a protocol that is not served.
    pub(crate) supported_kinds: Vec<RouteKind>,
    /// Entries of `allowedRoutes.kinds` that it cannot take, as text.
    invalid_kinds: Vec<String>,
    /// The port to serve, or why the listener is not accepted.
    pub(crate) accepted: Result<(u16, Protocol), ListenerProblem>,
}

/// `web (80/TCP)` for each of `listeners`, as messages name them.
pub(crate) fn listing<'a>(listeners: impl IntoIterator<Item = &'a GatewayListeners>) -> String {
    let each = listeners.into_iter().map(|l| format!("{} ({}/{})", l.name, l.port, l.protocol));
    each.collect::<Vec<_>>().join(", ")
}

/// Every listener of `gateway`, in the order of its spec.
pub(crate) fn judge(gateway: &Gateway) -> Vec<Listener<'_>> {
    let all = &gateway.spec.listeners;
    all.iter()
        .map(|spec| {
            let (supported_kinds, invalid_kinds) = kinds(spec);
            Listener { spec, supported_kinds, invalid_kinds, accepted: accepted(spec, all) }
        })
        .collect()
}

/// The protocol if Keryx serves it. Unlike a Service port a listener always names one.
fn served_protocol(spec: &GatewayListeners) -> Option<Protocol> {
    Protocol::from_field(Some(&spec.protocol))
}

fn is_layer_seven(spec: &GatewayListeners) -> bool {
    matches!(spec.protocol.as_str(), "HTTP" | "HTTPS" | "TLS")
}

fn accepted(spec: &GatewayListeners, all: &[GatewayListeners]) -> Result<(u16, Protocol), ListenerProblem> {
    let rivals: Vec<&GatewayListeners> = all.iter().filter(|other| conflict(spec, other)).collect();
    if !rivals.is_empty() {
        let claimants = all.iter().filter(|other| other.name == spec.name || conflict(spec, other));
        return Err(ListenerProblem::Conflict { port: spec.port, listeners: listing(claimants) });
    }
    let protocol = spec.protocol.clone();
    let Some(served) = served_protocol(spec) else {
        return Err(if is_layer_seven(spec) {
            ListenerProblem::LayerSeven { protocol }
        } else {
            ListenerProblem::UnknownProtocol { protocol }
        });
    };
    match u16::try_from(spec.port) {
        Ok(port) if port > 0 => Ok((port, served)),
        Ok(_) | Err(_) => Err(ListenerProblem::PortOutOfRange { port: spec.port }),
    }
}

/// Gateway API, "Distinct Listeners": TCP and UDP are told apart by port only, and a TCP listener shares its port with
/// no listener of HTTP, HTTPS or TLS, which run over TCP. There is no winner.
fn conflict(one: &GatewayListeners, other: &GatewayListeners) -> bool {
    if one.name == other.name || one.port != other.port {
        return false;
    }
    let clash = |a: &GatewayListeners, b: &GatewayListeners| match served_protocol(a) {
        Some(Protocol::Tcp) => b.protocol == "TCP" || is_layer_seven(b),
        Some(Protocol::Udp) => b.protocol == "UDP",
        None => false,
    };
    clash(one, other) || clash(other, one)
}

/// (Kinds of the protocol) ∩ `allowedRoutes.kinds`, and the entries of the latter that are not among the former.
fn kinds(spec: &GatewayListeners) -> (Vec<RouteKind>, Vec<String>) {
    let of_protocol: Vec<RouteKind> =
        RouteKind::ALL.into_iter().filter(|kind| Some(kind.protocol()) == served_protocol(spec)).collect();
    let allowed = spec.allowed_routes.as_ref().and_then(|routes| routes.kinds.as_deref()).unwrap_or_default();
    if allowed.is_empty() {
        return (of_protocol, Vec::new());
    }
    let (mut supported, mut invalid) = (Vec::new(), Vec::new());
    for entry in allowed {
        let group = entry.group.as_deref().unwrap_or(GROUP);
        match of_protocol.iter().find(|kind| group == GROUP && entry.kind == kind.as_str()) {
            Some(kind) if !supported.contains(kind) => supported.push(*kind),
            Some(_) => {}
            None if group == GROUP => invalid.push(entry.kind.clone()),
            None => invalid.push(format!("{}.{group}", entry.kind)),
        }
    }
    (supported, invalid)
}

/// Why an accepted listener is not programmed.
#[derive(Clone, Debug)]
pub(crate) enum Unprogrammed {
    /// The Gateway is not accepted.
    GatewayNotAccepted,
    /// The Gateway has no address.
    NoAddress,
    /// The Service that would serve the port was refused.
    ServiceRefused(ServiceRefusal),
}

impl Listener<'_> {
    /// The listener's conditions.
    pub(crate) fn conditions(&self, unprogrammed: Option<Unprogrammed>) -> Vec<Wanted> {
        let mut conditions = Vec::with_capacity(4);
        match &self.accepted {
            Ok(_) => {
                conditions.push(Wanted::yes(ACCEPTED, ACCEPTED, "The listener is valid"));
                conditions.push(programmed(unprogrammed));
            }
            Err(problem @ ListenerProblem::Conflict { .. }) => {
                conditions.push(Wanted::no(ACCEPTED, problem.reason(), problem.to_string()));
                conditions.push(Wanted::no(PROGRAMMED, problem.reason(), problem.to_string()));
                conditions.push(Wanted::yes(CONFLICTED, problem.reason(), problem.to_string()));
            }
            Err(
                problem @ (ListenerProblem::LayerSeven { .. }
                | ListenerProblem::UnknownProtocol { .. }
                | ListenerProblem::PortOutOfRange { .. }),
            ) => {
                conditions.push(Wanted::no(ACCEPTED, problem.reason(), problem.to_string()));
                conditions.push(Wanted::no(PROGRAMMED, INVALID, "The listener is not accepted"));
            }
        }
        conditions.push(self.resolved_refs());
        conditions
    }

    fn resolved_refs(&self) -> Wanted {
        if self.invalid_kinds.is_empty() {
            return Wanted::yes(RESOLVED_REFS, RESOLVED_REFS, "Every route kind is valid");
        }
        let kinds = self.invalid_kinds.join(", ");
        let protocol = &self.spec.protocol;
        let of_protocol =
            RouteKind::ALL.into_iter().find(|kind| Some(kind.protocol()) == served_protocol(self.spec));
        let message = match of_protocol {
            Some(kind) => format!(
                "allowedRoutes.kinds names {kinds}, but a listener of protocol {protocol} takes {} only; remove the \
                 others",
                kind.as_str()
            ),
            None => format!(
                "allowedRoutes.kinds names {kinds}, but protocol {protocol} is not served; use protocol TCP or UDP"
            ),
        };
        Wanted::no(RESOLVED_REFS, INVALID_ROUTE_KINDS, message)
    }
}

fn programmed(unprogrammed: Option<Unprogrammed>) -> Wanted {
    match unprogrammed {
        None => Wanted::yes(PROGRAMMED, PROGRAMMED, "The port stands on every address of the Gateway"),
        Some(Unprogrammed::GatewayNotAccepted) => {
            Wanted::no(PROGRAMMED, INVALID, "The Gateway is not accepted; see its condition Accepted")
        }
        Some(Unprogrammed::NoAddress) => {
            Wanted::no(PROGRAMMED, PENDING, "The Gateway has no address; see its condition Programmed")
        }
        Some(Unprogrammed::ServiceRefused(refusal)) => Wanted::no(PROGRAMMED, PENDING, refusal.to_string()),
    }
}
