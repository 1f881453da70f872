//! Which kinds of Gateway API and of Keryx itself the cluster serves, in which version and from which release. CRDs come
//! and go while Keryx runs: a watch on their metadata says when to ask again.

use std::collections::BTreeSet;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIGroup;
use keryx_api::gateway_api::{BUNDLE_VERSION_ANNOTATION, GROUP, RouteKind};
use keryx_api::{ip_address_pool, l2_advertisement, names, speaker_status};
use kube::Client;
use kube::ResourceExt as _;
use kube::core::PartialObjectMeta;

/// What of Gateway API and of Keryx' own kinds can be watched now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Served {
    /// GatewayClass at `v1`.
    pub(crate) classes: bool,
    /// Gateway at `v1`. It may outlive GatewayClass: while its CRD is being deleted it waits for finalizers.
    pub(crate) gateways: bool,
    /// ReferenceGrant at `v1`.
    pub(crate) reference_grants: bool,
    /// Version of TCPRoute to use.
    pub(crate) tcp_routes: Option<&'static str>,
    /// Version of UDPRoute to use.
    pub(crate) udp_routes: Option<&'static str>,
    /// IPAddressPool at `v1alpha1`.
    pub(crate) address_pools: bool,
    /// L2Advertisement at `v1alpha1`.
    pub(crate) l2_advertisements: bool,
    /// SpeakerStatus at `v1alpha1`.
    pub(crate) speaker_statuses: bool,
    /// ServiceCIDR at `v1` of `networking.k8s.io`, which Kubernetes has since 1.33.
    pub(crate) service_cidrs: bool,
}

/// The definitions of Keryx' own kinds.
const OWN_DEFINITIONS: [&str; 3] =
    [ip_address_pool::DEFINITION, l2_advertisement::DEFINITION, speaker_status::DEFINITION];
/// Version of Keryx' own kinds.
const OWN_VERSION: &str = "v1alpha1";

impl Served {
    /// Asks the API server.
    pub(crate) async fn discover(client: &Client) -> kube::Result<Self> {
        let groups = client.list_api_groups().await?.groups;
        let v1 = kinds(client, &groups, GROUP, "v1").await?;
        let v1alpha2 = kinds(client, &groups, GROUP, "v1alpha2").await?;
        let own = kinds(client, &groups, names::GROUP, OWN_VERSION).await?;
        let networking = kinds(client, &groups, "networking.k8s.io", "v1").await?;
        let has = |kinds: &[String], kind: &str| kinds.iter().any(|served| served == kind);
        let route = |kind: RouteKind| {
            [("v1", &v1), ("v1alpha2", &v1alpha2)]
                .into_iter()
                .find_map(|(version, kinds)| has(kinds, kind.as_str()).then_some(version))
        };
        Ok(Self {
            classes: has(&v1, "GatewayClass"),
            gateways: has(&v1, "Gateway"),
            reference_grants: has(&v1, "ReferenceGrant"),
            tcp_routes: route(RouteKind::Tcp),
            udp_routes: route(RouteKind::Udp),
            address_pools: has(&own, "IPAddressPool"),
            l2_advertisements: has(&own, "L2Advertisement"),
            speaker_statuses: has(&own, "SpeakerStatus"),
            service_cidrs: has(&networking, "ServiceCIDR"),
        })
    }

    /// What to believe of `self`, as discovered, given the CRDs that stand, and whether it is settled. Discovery lags:
    /// for a moment after a CRD came, and after the API server started, it lacks kinds that exist. To take that for
    /// their end would give up every address of their objects. So a kind goes with its CRD only, and a kind whose CRD
    /// stands keeps what was known of it (`before`) until discovery has it.
    pub(crate) fn with_crds(mut self, crds: &BTreeSet<String>, before: &Self) -> (Self, bool) {
        let stands = |plural: &str| crds.contains(&format!("{plural}.{GROUP}"));
        let mut settled = true;
        let flags = [
            (&mut self.classes, stands("gatewayclasses"), before.classes),
            (&mut self.gateways, stands("gateways"), before.gateways),
            (&mut self.reference_grants, stands("referencegrants"), before.reference_grants),
            (&mut self.address_pools, crds.contains(ip_address_pool::DEFINITION), before.address_pools),
            (
                &mut self.l2_advertisements,
                crds.contains(l2_advertisement::DEFINITION),
                before.l2_advertisements,
            ),
            (&mut self.speaker_statuses, crds.contains(speaker_status::DEFINITION), before.speaker_statuses),
        ];
        for (served, stands, before) in flags {
            settled &= *served == stands;
            *served = stands && (*served || before);
        }
        let versions = [
            (&mut self.tcp_routes, stands("tcproutes"), before.tcp_routes),
            (&mut self.udp_routes, stands("udproutes"), before.udp_routes),
        ];
        for (served, stands, before) in versions {
            settled &= served.is_some() == stands;
            *served = served.or(before).filter(|_| stands);
        }
        (self, settled)
    }

    /// The version of `kind` to use.
    pub(crate) fn route_version(&self, kind: RouteKind) -> Option<&'static str> {
        match kind {
            RouteKind::Tcp => self.tcp_routes,
            RouteKind::Udp => self.udp_routes,
        }
    }
}

/// Kinds that `group` serves at `version`, subresources left out; none if the API server has no such version.
async fn kinds(
    client: &Client,
    groups: &[APIGroup],
    group: &str,
    version: &str,
) -> kube::Result<Vec<String>> {
    let versions = groups.iter().filter(|served| served.name == group).flat_map(|served| &served.versions);
    if !versions.into_iter().any(|served| served.version == version) {
        return Ok(Vec::new());
    }
    let list = client.list_api_group_resources(&format!("{group}/{version}")).await?;
    Ok(list.resources.into_iter().filter(|r| !r.name.contains('/')).map(|r| r.kind).collect())
}

/// Whether a CRD is one that Keryx watches the kind of.
pub(crate) fn concerns(crd: &PartialObjectMeta<CustomResourceDefinition>) -> bool {
    let name = crd.name_any();
    OWN_DEFINITIONS.contains(&&*name) || name.split_once('.').is_some_and(|(_, group)| group == GROUP)
}

/// The release of Gateway API that a CRD came from.
pub(crate) fn bundle_version(crd: &PartialObjectMeta<CustomResourceDefinition>) -> Option<String> {
    crd.annotations().get(BUNDLE_VERSION_ANNOTATION).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crds(plurals: &[&str]) -> BTreeSet<String> {
        let gateway_api = plurals.iter().map(|plural| format!("{plural}.{GROUP}"));
        gateway_api.chain(OWN_DEFINITIONS.map(str::to_owned)).collect()
    }

    fn everything() -> Served {
        Served {
            classes: true,
            gateways: true,
            reference_grants: true,
            tcp_routes: Some("v1"),
            udp_routes: Some("v1alpha2"),
            address_pools: true,
            l2_advertisements: true,
            speaker_statuses: true,
            service_cidrs: false,
        }
    }

    const ALL: [&str; 5] = ["gateways", "gatewayclasses", "referencegrants", "tcproutes", "udproutes"];

    #[test]
    fn a_kind_that_discovery_lacks_for_a_moment_stays_while_its_crd_stands() {
        assert_eq!(Served::default().with_crds(&crds(&ALL), &everything()), (everything(), false));
    }

    #[test]
    fn a_kind_goes_with_its_crd_even_if_discovery_still_has_it() {
        let none = BTreeSet::new();
        assert_eq!(everything().with_crds(&none, &everything()), (Served::default(), false));
        assert_eq!(Served::default().with_crds(&none, &everything()), (Served::default(), true));
    }

    #[test]
    fn gateways_stay_known_when_their_class_crd_goes_first() {
        let rest = ["gateways", "referencegrants", "tcproutes", "udproutes"];
        let without_classes = Served { classes: false, ..everything() };
        let believed = without_classes.clone().with_crds(&crds(&rest), &everything());
        assert_eq!(believed, (without_classes, true));
    }

    #[test]
    fn a_crd_that_is_not_served_yet_is_waited_for() {
        let without_routes = Served { tcp_routes: None, ..everything() };
        assert_eq!(without_routes.clone().with_crds(&crds(&ALL), &without_routes), (without_routes, false));
        assert_eq!(everything().with_crds(&crds(&ALL), &Served::default()), (everything(), true));
    }
}
