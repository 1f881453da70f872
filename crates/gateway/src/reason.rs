//! Condition types and reasons, and the typed causes behind every "no". The names are those of Gateway API
//! (`apis/v1/*_types.go`), but for [`ROUTE_PROGRAMMED`], [`OLDER_ROUTE`] and [`SERVICE_REFUSED`], which are ours.

use thiserror::Error;

use crate::ObjectKey;

/// Condition type and positive reason: the object is valid and will be served.
pub const ACCEPTED: &str = "Accepted";
/// Condition type and positive reason: claim and objects are written.
pub const PROGRAMMED: &str = "Programmed";
/// Condition type and positive reason: every reference is valid.
pub const RESOLVED_REFS: &str = "ResolvedRefs";
/// Condition type on listeners, present only while True: another listener has the port.
pub const CONFLICTED: &str = "Conflicted";
/// Condition type and positive reason on GatewayClasses.
pub const SUPPORTED_VERSION: &str = "SupportedVersion";
/// Condition type on routes, present only while False: the Service that would serve the route was refused.
pub const ROUTE_PROGRAMMED: &str = "keryx.dev/Programmed";

/// Gateway: an address is not assigned.
pub const ADDRESS_NOT_ASSIGNED: &str = "AddressNotAssigned";
/// Gateway: an address asked for by value cannot be given.
pub const ADDRESS_NOT_USABLE: &str = "AddressNotUsable";
/// Route: a backend does not exist.
pub const BACKEND_NOT_FOUND: &str = "BackendNotFound";
/// Gateway and listener: the object as it stands cannot be programmed.
pub const INVALID: &str = "Invalid";
/// Route: a backend is of a kind that is not served.
pub const INVALID_KIND: &str = "InvalidKind";
/// Class and Gateway: parameters that are not known.
pub const INVALID_PARAMETERS: &str = "InvalidParameters";
/// Listener: `allowedRoutes.kinds` names kinds that it cannot take.
pub const INVALID_ROUTE_KINDS: &str = "InvalidRouteKinds";
/// Gateway: at least one listener is not valid.
pub const LISTENERS_NOT_VALID: &str = "ListenersNotValid";
/// Gateway: the cluster refused a Service that the Gateway needs.
pub const NO_RESOURCES: &str = "NoResources";
/// Route: a parentRef selects no listener.
pub const NO_MATCHING_PARENT: &str = "NoMatchingParent";
/// Route: the selected listeners do not allow the route.
pub const NOT_ALLOWED_BY_LISTENERS: &str = "NotAllowedByListeners";
/// Route, own condition: an older route has the port.
pub const OLDER_ROUTE: &str = "OlderRoute";
/// Gateway and listener: not yet.
pub const PENDING: &str = "Pending";
/// Listener: the port cannot be served.
pub const PORT_UNAVAILABLE: &str = "PortUnavailable";
/// Listener: several listeners claim one port.
pub const PROTOCOL_CONFLICT: &str = "ProtocolConflict";
/// Route: no ReferenceGrant permits the backend.
pub const REF_NOT_PERMITTED: &str = "RefNotPermitted";
/// Route, own condition: the cluster refused the Service that would serve the route.
pub const SERVICE_REFUSED: &str = "ServiceRefused";
/// Gateway: an address type that is not supported.
pub const UNSUPPORTED_ADDRESS: &str = "UnsupportedAddress";
/// Listener: the protocol is not served; route: the backend's port speaks another protocol.
pub const UNSUPPORTED_PROTOCOL: &str = "UnsupportedProtocol";
/// Route: a valid value that is not served yet.
pub const UNSUPPORTED_VALUE: &str = "UnsupportedValue";
/// Class: the installed Gateway API is not one of the supported releases.
pub const UNSUPPORTED_VERSION: &str = "UnsupportedVersion";

/// Why a listener is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum ListenerProblem {
    #[error(
        "Protocol {protocol} is not served yet: Keryx serves layer 4 only; use protocol TCP or UDP, or a Gateway of \
         a layer 7 class"
    )]
    LayerSeven { protocol: String },
    #[error("Protocol {protocol} is not known; use protocol TCP or UDP")]
    UnknownProtocol { protocol: String },
    #[error("Port {port} is outside 1-65535; choose a port in that range")]
    PortOutOfRange { port: i32 },
    #[error(
        "Port {port} is claimed by the listeners {listeners}, and none of them is served; leave one of them, or give \
         each a port of its own"
    )]
    Conflict { port: i32, listeners: String },
}

impl ListenerProblem {
    /// The condition reason.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::LayerSeven { .. } | Self::UnknownProtocol { .. } => UNSUPPORTED_PROTOCOL,
            Self::PortOutOfRange { .. } => PORT_UNAVAILABLE,
            Self::Conflict { .. } => PROTOCOL_CONFLICT,
        }
    }
}

/// Why a route does not attach by one parentRef.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum AttachProblem {
    #[error("The Gateway has no listener {selection}; it has {listeners}")]
    NoSuchListener { selection: String, listeners: String },
    #[error("No {kind} may attach to {listeners}; choose a listener that takes this kind")]
    KindNotAllowed { kind: &'static str, listeners: String },
    #[error(
        "Routes of namespace {namespace} may not attach to {listeners}; allow that namespace in the listener's \
         allowedRoutes.namespaces"
    )]
    NamespaceNotAllowed { namespace: String, listeners: String },
}

impl AttachProblem {
    /// The condition reason.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::NoSuchListener { .. } => NO_MATCHING_PARENT,
            Self::KindNotAllowed { .. } | Self::NamespaceNotAllowed { .. } => NOT_ALLOWED_BY_LISTENERS,
        }
    }
}

/// Why a route with valid parts is not served in this version; the reason is always [`UNSUPPORTED_VALUE`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum NotServed {
    #[error(
        "The route has {count} backends with a weight above 0, and splitting traffic between backends is not served \
         yet, so its ports refuse; leave one backend with a weight above 0"
    )]
    SeveralBackends { count: usize },
    #[error(
        "Service {backend} has no selector, and backends without one are not served yet, so the ports of this route \
         refuse; name a Service with a selector"
    )]
    WithoutSelector { backend: ObjectKey },
}

/// What is wrong with one backendRef.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum BackendProblem {
    #[error("Backends of kind {kind:?} in group {group:?} are not served; name a Service")]
    NotAService { group: String, kind: String },
    #[error(
        "No ReferenceGrant in namespace {} lets {route_kind}s of namespace {route_namespace} use Service {}; create \
         one there", .backend.namespace, .backend.name
    )]
    NotPermitted { backend: ObjectKey, route_kind: &'static str, route_namespace: String },
    #[error("Service {backend} does not exist; create it, or name another backend")]
    NoSuchService { backend: ObjectKey },
    #[error("Service {backend} is of type ExternalName, which is not served; name a Service with a selector")]
    ExternalName { backend: ObjectKey },
    #[error(
        "Service {backend} was made by Keryx for a Gateway; name the Service that the route is meant for"
    )]
    OwnService { backend: ObjectKey },
    #[error("The backendRef of Service {backend} has no port (the Service's: {ports}); name one that it has")]
    PortMissing { backend: ObjectKey, ports: String },
    #[error("Service {backend} has no port {port} (its ports: {ports}); name one that it has")]
    NoSuchPort { backend: ObjectKey, port: i32, ports: String },
    #[error("Port {port} of Service {backend} is not {wanted} (its ports: {ports}); name a {wanted} port")]
    OtherProtocol { backend: ObjectKey, port: i32, wanted: &'static str, ports: String },
}

impl BackendProblem {
    /// The reason of `ResolvedRefs=False`.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::NotAService { .. } | Self::ExternalName { .. } | Self::OwnService { .. } => INVALID_KIND,
            Self::NotPermitted { .. } => REF_NOT_PERMITTED,
            Self::NoSuchService { .. } | Self::PortMissing { .. } | Self::NoSuchPort { .. } => {
                BACKEND_NOT_FOUND
            }
            Self::OtherProtocol { .. } => UNSUPPORTED_PROTOCOL,
        }
    }
}

/// Why a Service that should serve a port cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum ServiceRefusal {
    #[error(
        "Keryx needs the name of Service {service}, which exists and is not its own; delete or rename that Service"
    )]
    NameTaken { service: ObjectKey },
    #[error(
        "The cluster refuses Service {service}, so its ports are not served until it is let through: {message}"
    )]
    Rejected { service: ObjectKey, message: String },
}
