//! What the speaker watches.

use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use keryx_api::bfd_profile::{self, BFDProfile};
use keryx_api::bgp_advertisement::{self, BGPAdvertisement};
use keryx_api::bgp_peer::{self, BGPPeer};
use keryx_api::community::{self, Community};
use keryx_api::ip_address_pool::{self, IPAddressPool};
use keryx_api::l2_advertisement::{self, L2Advertisement};
use keryx_api::names;
use keryx_daemon::watch::{self, Change};
use kube::core::NamespaceResourceScope;
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

/// Seconds that a watch may be silent before it is opened anew: a dead connection must not blind a speaker for long.
const TIMEOUT_SECS: u32 = 30;
/// Changes that wait to be taken in.
pub(crate) const INPUTS_MAX: usize = 1024;

/// Everything that can happen to the index.
pub(crate) enum Input {
    Services(Change<Service>),
    EndpointSlices(Change<EndpointSlice>),
    Nodes(Change<Node>),
    SpeakerPods(Change<Pod>),
    Exposures(Change<ConfigMap>),
    AddressPools(Change<IPAddressPool>),
    L2Advertisements(Change<L2Advertisement>),
    BgpPeers(Change<BGPPeer>),
    BgpAdvertisements(Change<BGPAdvertisement>),
    BfdProfiles(Change<BFDProfile>),
    Communities(Change<Community>),
}

/// The kinds of [`Input`]. Until each has sent its first full list, nothing is announced: a plan from half a cluster could be
/// any plan.
pub(crate) const KINDS: [&str; 11] = [
    "Service",
    "EndpointSlice",
    "Node",
    "Pod",
    "ConfigMap",
    "IPAddressPool",
    "L2Advertisement",
    "BGPPeer",
    "BGPAdvertisement",
    "BFDProfile",
    "Community",
];

/// How every watch is.
pub(crate) fn config() -> watcher::Config {
    watcher::Config::default().timeout(TIMEOUT_SECS)
}

/// Starts all watches; they end with the receiver.
pub(crate) fn start(client: &Client, namespace: &str) -> mpsc::Receiver<Input> {
    let (sender, inputs) = mpsc::channel(INPUTS_MAX);
    let component = |name: &str| config().labels(&format!("{}={name}", names::LABEL_COMPONENT));
    let services = config().fields("spec.type=LoadBalancer");
    let slices = config().labels(names::LABEL_SERVICE_NAME);
    let all = client.clone();
    tokio::spawn(watch::run(Api::all(all.clone()), services, Input::Services, sender.clone()));
    tokio::spawn(watch::run(Api::all(all.clone()), slices, Input::EndpointSlices, sender.clone()));
    tokio::spawn(watch::run(Api::all(all), config(), Input::Nodes, sender.clone()));
    let pods = Api::namespaced(client.clone(), namespace);
    tokio::spawn(watch::run(pods, component(names::COMPONENT_SPEAKER), Input::SpeakerPods, sender.clone()));
    let exposures = Api::namespaced(client.clone(), namespace);
    let exposed = component(names::COMPONENT_EXPOSURE);
    tokio::spawn(watch::run(exposures, exposed, Input::Exposures, sender.clone()));
    let of_keryx = OfKeryx { client, namespace, sender };
    of_keryx.watch(ip_address_pool::DEFINITION, Input::AddressPools);
    of_keryx.watch(l2_advertisement::DEFINITION, Input::L2Advertisements);
    of_keryx.watch(bgp_peer::DEFINITION, Input::BgpPeers);
    of_keryx.watch(bgp_advertisement::DEFINITION, Input::BgpAdvertisements);
    of_keryx.watch(bfd_profile::DEFINITION, Input::BfdProfiles);
    of_keryx.watch(community::DEFINITION, Input::Communities);
    inputs
}

/// Kinds that Keryx brings, and that may not be installed.
struct OfKeryx<'a> {
    client: &'a Client,
    namespace: &'a str,
    sender: mpsc::Sender<Input>,
}

impl OfKeryx<'_> {
    fn watch<K>(&self, definition: &'static str, wrap: fn(Change<K>) -> Input)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned
            + Send
            + Sync
            + 'static,
    {
        let objects = Api::namespaced(self.client.clone(), self.namespace);
        let (client, sender) = (self.client.clone(), self.sender.clone());
        tokio::spawn(watch::run_if_defined(client, definition, objects, config(), wrap, sender));
    }
}
