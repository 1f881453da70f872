//! Gateway API types behind one module, so that a move to other crates or versions is one change.
//!
//! GatewayClass, Gateway and ReferenceGrant come from the `gateway-api` crate. That crate knows TCPRoute and UDPRoute
//! as `v1alpha2` only, which Gateway API v1.6+ no longer serves on the standard channel; both kinds and both versions
//! have one shape, so here they are one type, and [`RouteKind::resource`] names kind and version at run time.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::{ApiResource, GroupVersionKind, Object};
use serde::{Deserialize, Serialize};

pub use gateway_api::apis::standard::gatewayclasses::{
    GatewayClass, GatewayClassParametersRef, GatewayClassSpec, GatewayClassStatus,
};
pub use gateway_api::apis::standard::gateways::*;
pub use gateway_api::apis::standard::referencegrants::{
    ReferenceGrant, ReferenceGrantFrom, ReferenceGrantSpec, ReferenceGrantTo,
};

use crate::Protocol;

/// API group of all Gateway API kinds.
pub const GROUP: &str = "gateway.networking.k8s.io";
/// CRD annotation with the release that a CRD came from, such as `v1.7.0`.
pub const BUNDLE_VERSION_ANNOTATION: &str = "gateway.networking.k8s.io/bundle-version";

/// The two route kinds of layer 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouteKind {
    /// `TCPRoute`.
    Tcp,
    /// `UDPRoute`.
    Udp,
}

impl RouteKind {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Tcp, Self::Udp];

    /// The Kubernetes kind.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCPRoute",
            Self::Udp => "UDPRoute",
        }
    }

    /// The protocol of the listeners that take this kind.
    pub fn protocol(self) -> Protocol {
        match self {
            Self::Tcp => Protocol::Tcp,
            Self::Udp => Protocol::Udp,
        }
    }

    /// The resource to watch and patch, for a served `version` (`v1` or `v1alpha2`).
    pub fn resource(self, version: &str) -> ApiResource {
        let plural = match self {
            Self::Tcp => "tcproutes",
            Self::Udp => "udproutes",
        };
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GROUP, version, self.as_str()), plural)
    }
}

/// A TCPRoute or UDPRoute of either version.
pub type Route = Object<RouteSpec, RouteStatus>;

/// `spec` of a route. `v1` allows one rule, `v1alpha2` up to 16.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteSpec {
    /// Gateways or listeners to attach to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parent_refs: Vec<ParentReference>,
    /// Where the traffic goes.
    #[serde(default)]
    pub rules: Vec<RouteRule>,
}

/// One rule of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteRule {
    /// Name, unique in the route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Backends, 1 to 16.
    #[serde(default)]
    pub backend_refs: Vec<BackendReference>,
}

/// What a route wants to attach to. Absent fields mean a Gateway of the route's own namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParentReference {
    /// API group; `gateway.networking.k8s.io` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Kind; `Gateway` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Namespace; the route's own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// Only the listener of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
    /// Only listeners of this port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
}

/// Where a rule sends traffic. Absent group and kind mean a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendReference {
    /// API group; the core group if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Kind; `Service` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Namespace; the route's own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// Service port (not target port).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
    /// Share of the traffic; 1 if absent, 0 takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<i32>,
}

/// `status` of a route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RouteStatus {
    /// One entry per parent and controller; an atomic list that several controllers share.
    #[serde(default)]
    pub parents: Vec<RouteParentStatus>,
}

/// What one controller says of one parentRef.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteParentStatus {
    /// The parentRef as the route has it.
    pub parent_ref: ParentReference,
    /// Who wrote this entry.
    pub controller_name: String,
    /// Conditions.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// Fields that this build does not know; kept, because entries of others must survive a write.
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}
