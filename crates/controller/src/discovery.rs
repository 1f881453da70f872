//! Which Gateway API kinds the cluster serves, in which version and from which release. CRDs come and go while Keryx
//! runs: a watch on their metadata says when to ask again.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use keryx_api::gateway_api::{BUNDLE_VERSION_ANNOTATION, GROUP, RouteKind};
use kube::Client;
use kube::ResourceExt as _;
use kube::core::PartialObjectMeta;

/// What of Gateway API can be watched now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Served {
    /// GatewayClass and Gateway at `v1`.
    pub(crate) gateways: bool,
    /// ReferenceGrant at `v1`.
    pub(crate) reference_grants: bool,
    /// Version of TCPRoute to use.
    pub(crate) tcp_routes: Option<&'static str>,
    /// Version of UDPRoute to use.
    pub(crate) udp_routes: Option<&'static str>,
}

impl Served {
    /// Asks the API server.
    pub(crate) async fn discover(client: &Client) -> kube::Result<Self> {
        let groups = client.list_api_groups().await?.groups;
        let versions = groups.into_iter().find(|group| group.name == GROUP).map(|group| group.versions);
        let versions: Vec<String> = versions.into_iter().flatten().map(|version| version.version).collect();
        let v1 = kinds(client, "v1", &versions).await?;
        let v1alpha2 = kinds(client, "v1alpha2", &versions).await?;
        let has = |kinds: &[String], kind: &str| kinds.iter().any(|served| served == kind);
        let route = |kind: RouteKind| {
            [("v1", &v1), ("v1alpha2", &v1alpha2)]
                .into_iter()
                .find_map(|(version, kinds)| has(kinds, kind.as_str()).then_some(version))
        };
        Ok(Self {
            gateways: has(&v1, "GatewayClass") && has(&v1, "Gateway"),
            reference_grants: has(&v1, "ReferenceGrant"),
            tcp_routes: route(RouteKind::Tcp),
            udp_routes: route(RouteKind::Udp),
        })
    }

    /// The version of `kind` to use.
    pub(crate) fn route_version(&self, kind: RouteKind) -> Option<&'static str> {
        match kind {
            RouteKind::Tcp => self.tcp_routes,
            RouteKind::Udp => self.udp_routes,
        }
    }
}

/// Kinds that the group serves at `version`, subresources left out; none if it is not among those `served`.
async fn kinds(client: &Client, version: &str, served: &[String]) -> kube::Result<Vec<String>> {
    if !served.iter().any(|known| known == version) {
        return Ok(Vec::new());
    }
    let list = client.list_api_group_resources(&format!("{GROUP}/{version}")).await?;
    Ok(list.resources.into_iter().filter(|r| !r.name.contains('/')).map(|r| r.kind).collect())
}

/// Whether a CRD is one of Gateway API's.
pub(crate) fn is_gateway_api(crd: &PartialObjectMeta<CustomResourceDefinition>) -> bool {
    crd.name_any().split_once('.').is_some_and(|(_, group)| group == GROUP)
}

/// The release that a CRD came from.
pub(crate) fn bundle_version(crd: &PartialObjectMeta<CustomResourceDefinition>) -> Option<String> {
    crd.annotations().get(BUNDLE_VERSION_ANNOTATION).cloned()
}
