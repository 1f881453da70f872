//! One reading of everything that decides, as the controller and the speakers see it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use keryx_api::bfd_profile::BFDProfile;
use keryx_api::bgp_advertisement::BGPAdvertisement;
use keryx_api::bgp_peer::BGPPeer;
use keryx_api::community::Community;
use keryx_api::exposure::Exposure;
use keryx_api::gateway_api::Gateway;
use keryx_api::ip_address_pool::IPAddressPool;
use keryx_api::l2_advertisement::L2Advertisement;
use keryx_api::ledger::OwnerKind;
use keryx_api::names;
use keryx_plan::{Index, NodeName};
use keryx_pools::ledger::read_blocks;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};
use serde::de::DeserializeOwned;

use crate::args::Args;
use crate::speakers::Speakers;

/// Who holds an address, as the ledger says.
pub(crate) struct Holder {
    /// The pool it was taken from.
    pub(crate) pool: String,
    /// Kind of the owner.
    pub(crate) kind: OwnerKind,
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
}

/// The cluster at one moment.
pub(crate) struct Cluster {
    /// The plan's view, up to date.
    pub(crate) index: Index,
    /// Who holds which address, the first where several share it.
    pub(crate) ledger: BTreeMap<IpAddr, Holder>,
    /// Exposures by the name of their ConfigMap.
    pub(crate) exposures: BTreeMap<String, Exposure>,
    /// Services of type LoadBalancer.
    pub(crate) services: Vec<Service>,
    /// Gateways; none where Gateway API is not installed.
    pub(crate) gateways: Vec<Gateway>,
    /// To be asked for their live state.
    pub(crate) speakers: Speakers,
}

impl Cluster {
    /// Reads the cluster that the kubeconfig names.
    pub(crate) async fn read(args: &Args) -> anyhow::Result<Self> {
        let client = keryx_daemon::connect::client(args.kubeconfig.as_deref()).await?;
        let own = &args.keryx_namespace;
        let balancers = ListParams::default().fields("spec.type=LoadBalancer");
        let component =
            |name: &str| ListParams::default().labels(&format!("{}={name}", names::LABEL_COMPONENT));
        let services: Vec<Service> = list(&Api::all(client.clone()), &balancers).await?;
        let slices: Vec<EndpointSlice> = list(&Api::all(client.clone()), &ListParams::default()).await?;
        let nodes: Vec<Node> = list(&Api::all(client.clone()), &ListParams::default()).await?;
        let pod_api = Api::namespaced(client.clone(), own);
        let pods: Vec<Pod> = list(&pod_api, &component(names::COMPONENT_SPEAKER)).await?;
        let speakers = Speakers::new(pod_api, &pods);
        let configmaps = Api::namespaced(client.clone(), own);
        let exposures = exposures(&list(&configmaps, &component(names::COMPONENT_EXPOSURE)).await?);
        let ledger = ledger(&list(&configmaps, &component(names::COMPONENT_LEDGER)).await?);
        let gateways = gateways(&client).await?;
        let pools: Vec<IPAddressPool> = list_if_served(&Api::namespaced(client.clone(), own)).await?;
        let advertisements: Vec<L2Advertisement> =
            list_if_served(&Api::namespaced(client.clone(), own)).await?;
        let bgp = Bgp::read(&client, own).await?;

        let mut index = Index::new();
        index.reset_address_pools(&pools);
        index.reset_l2_advertisements(&advertisements);
        index.reset_bgp_peers(&bgp.peers);
        index.reset_bgp_advertisements(&bgp.advertisements);
        index.reset_bfd_profiles(&bgp.profiles);
        index.reset_communities(&bgp.communities);
        index.reset_services(&services);
        index.reset_endpoint_slices(&slices);
        index.reset_nodes(&nodes);
        index.reset_speaker_pods(&pods);
        index.reset_exposures(exposures.iter().map(|(name, exposure)| (name.as_str(), exposure)));
        // The plan is asked who announces, not what this machine would do; no Node has an empty name.
        index.update(&NodeName::from(""));
        Ok(Self { index, ledger, exposures, services, gateways, speakers })
    }
}

/// The objects that BGP is set up by.
struct Bgp {
    peers: Vec<BGPPeer>,
    advertisements: Vec<BGPAdvertisement>,
    profiles: Vec<BFDProfile>,
    communities: Vec<Community>,
}

impl Bgp {
    async fn read(client: &Client, own: &str) -> anyhow::Result<Self> {
        Ok(Self {
            peers: list_if_served(&Api::namespaced(client.clone(), own)).await?,
            advertisements: list_if_served(&Api::namespaced(client.clone(), own)).await?,
            profiles: list_if_served(&Api::namespaced(client.clone(), own)).await?,
            communities: list_if_served(&Api::namespaced(client.clone(), own)).await?,
        })
    }
}

/// Every object of `api` that the parameters choose.
pub(crate) async fn list<K>(api: &Api<K>, parameters: &ListParams) -> anyhow::Result<Vec<K>>
where
    K: kube::Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let list = api.list(parameters).await;
    Ok(list.with_context(|| format!("failed to list {}", K::plural(&())))?.items)
}

/// Every object of `api`; none where its kind is not installed.
pub(crate) async fn list_if_served<K>(api: &Api<K>) -> anyhow::Result<Vec<K>>
where
    K: kube::Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    match api.list(&ListParams::default()).await {
        Ok(list) => Ok(list.items),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("failed to list {}", K::plural(&()))),
    }
}

/// Every Gateway; none where Gateway API is not installed.
pub(crate) async fn gateways(client: &Client) -> anyhow::Result<Vec<Gateway>> {
    list_if_served(&Api::all(client.clone())).await
}

fn exposures(objects: &[ConfigMap]) -> BTreeMap<String, Exposure> {
    let each = objects.iter();
    each.filter_map(|object| Some((object.name_any(), Exposure::read(object.data.as_ref()).ok()?))).collect()
}

fn ledger(blocks: &[ConfigMap]) -> BTreeMap<IpAddr, Holder> {
    let held = read_blocks(blocks).entries.into_iter().filter(|(_, entry)| entry.released_at.is_none());
    held.filter_map(|(address, entry)| {
        let first = entry.owners.into_iter().next()?;
        let (kind, namespace, name) = (first.kind, first.namespace, first.name);
        Some((address, Holder { pool: entry.pool, kind, namespace, name }))
    })
    .collect()
}
