//! Every watch of the controller. Those of kinds that a CRD brings come and go with it.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::networking::v1::ServiceCIDR;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use keryx_api::gateway_api::{Gateway, GatewayClass, ReferenceGrant, Route, RouteKind};
use keryx_api::ip_address_pool::IPAddressPool;
use keryx_api::l2_advertisement::L2Advertisement;
use keryx_api::names;
use keryx_api::speaker_status::SpeakerStatus;
use keryx_daemon::connect::brief;
use keryx_daemon::watch::{self, Change};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::warn;

use crate::args::Args;
use crate::core::Input;
use crate::discovery::{self, Served};

/// Seconds that a watch may be silent before it is opened anew.
const WATCH_TIMEOUT_SECS: u32 = 60;
/// Objects in one page of a list. As they come they are four times as large as what is kept of them.
pub(crate) const PAGE: u32 = 100;
/// Pause before discovery is asked again: a CRD is told by its watch before its kind is served.
const DISCOVERY_RETRY: Duration = Duration::from_millis(500);
/// How often discovery is asked again after a CRD changed.
const DISCOVERY_TRIES: u32 = 60;
/// Longest wait for discovery.
const DISCOVERY_LIMIT: Duration = Duration::from_secs(10);
/// CRD changes that may wait.
const CRD_CHANGES_MAX: usize = 256;

/// Starts all watches; they run until the receiver of `sender` is gone.
pub(crate) fn start(client: &Client, args: &Args, sender: &mpsc::Sender<Input>) {
    let all = client;
    tokio::spawn(watch::run(Api::all(all.clone()), config(), Input::Services, sender.clone()));
    tokio::spawn(watch::run(Api::all(all.clone()), config(), Input::Namespaces, sender.clone()));
    tokio::spawn(watch::run(Api::all(all.clone()), config(), Input::Nodes, sender.clone()));
    let (namespace, name) = args.ipam_configmap();
    let ranges = Api::namespaced(client.clone(), &namespace);
    let only = config().fields(&format!("metadata.name={name}"));
    tokio::spawn(watch::run(ranges, only, Input::Ranges, sender.clone()));
    let exposures = Api::namespaced(client.clone(), &args.namespace);
    tokio::spawn(watch::run(exposures, made(names::COMPONENT_EXPOSURE), Input::Exposures, sender.clone()));
    let ledger = Api::namespaced(client.clone(), &args.namespace);
    tokio::spawn(watch::run(ledger, made(names::COMPONENT_LEDGER), Input::Ledger, sender.clone()));
    let kinds = Kinds {
        client: client.clone(),
        namespace: args.namespace.clone(),
        sender: sender.clone(),
        served: None,
        running: BTreeMap::new(),
    };
    tokio::spawn(follow_crds(client.clone(), kinds));
}

/// Objects that Keryx made for this purpose.
fn made(component: &str) -> watcher::Config {
    config().labels(&format!("{}={component}", names::LABEL_COMPONENT))
}

pub(crate) fn config() -> watcher::Config {
    watcher::Config::default().timeout(WATCH_TIMEOUT_SECS).page_size(PAGE)
}

/// Watches the CRDs of Gateway API and of Keryx, and starts and ends the watches of their kinds accordingly.
async fn follow_crds(client: Client, mut kinds: Kinds) {
    let (crds_sender, mut crds) = mpsc::channel(CRD_CHANGES_MAX);
    let api: Api<PartialObjectMeta<CustomResourceDefinition>> = Api::all(client.clone());
    tokio::spawn(watch::run(api, config(), |change| change, crds_sender));
    let mut bundle_versions: BTreeMap<String, Option<String>> = BTreeMap::new();
    // Nothing is known before the first list of CRDs.
    let mut listed = false;
    let mut tries_left = 0;
    loop {
        tokio::select! {
            change = crds.recv() => {
                let Some(change) = change else { return };
                listed |= matches!(change, Change::Reset(_));
                if !note(&mut bundle_versions, change) {
                    continue;
                }
                tries_left = DISCOVERY_TRIES;
            }
            () = tokio::time::sleep(DISCOVERY_RETRY), if tries_left > 0 => tries_left -= 1,
        }
        if !listed {
            continue;
        }
        match timeout(DISCOVERY_LIMIT, Served::discover(&client)).await {
            Ok(Ok(discovered)) => {
                let crds = bundle_versions.keys().cloned().collect();
                let (served, settled) = discovered.with_crds(&crds, &kinds.served());
                if settled {
                    tries_left = 0;
                }
                // At the start there is nothing to go on with, so what is not settled yet is waited for. A CRD may
                // also serve no version that Keryx knows, for ever.
                if settled || kinds.served.is_some() || tries_left == 0 {
                    let bundle_version = bundle_versions.values().flatten().max().cloned();
                    kinds.follow(served, bundle_version).await;
                }
            }
            Ok(Err(error)) => {
                warn!("failed to ask which kinds are served, trying again: {}", brief(&error));
                tries_left = DISCOVERY_TRIES;
            }
            Err(_) => {
                warn!("failed to ask which kinds are served, trying again: no answer");
                tries_left = DISCOVERY_TRIES;
            }
        }
    }
}

/// Takes in CRD changes; says whether one concerns a kind that is watched.
fn note(
    bundle_versions: &mut BTreeMap<String, Option<String>>,
    change: Change<PartialObjectMeta<CustomResourceDefinition>>,
) -> bool {
    let (apply, delete) = match change {
        Change::Apply(crd) => (vec![crd], Vec::new()),
        Change::Delete(crd) => (Vec::new(), vec![crd]),
        Change::Reset(all) => {
            bundle_versions.clear();
            let ours = all.into_iter().filter(|crd| discovery::concerns(crd));
            bundle_versions.extend(ours.map(|crd| (crd.name_any(), discovery::bundle_version(&crd))));
            return true;
        }
    };
    let mut concerned = false;
    for crd in delete.iter().filter(|crd| discovery::concerns(crd)) {
        bundle_versions.remove(&crd.name_any());
        concerned = true;
    }
    for crd in apply.iter().filter(|crd| discovery::concerns(crd)) {
        bundle_versions.insert(crd.name_any(), discovery::bundle_version(crd));
        concerned = true;
    }
    concerned
}

/// The watches of kinds that may not be served, by kind.
struct Kinds {
    client: Client,
    /// Keryx' own.
    namespace: String,
    sender: mpsc::Sender<Input>,
    served: Option<(Served, Option<String>)>,
    running: BTreeMap<&'static str, JoinHandle<()>>,
}

impl Kinds {
    /// What is served as far as is known.
    fn served(&self) -> Served {
        self.served.as_ref().map(|(served, _)| served.clone()).unwrap_or_default()
    }

    async fn follow(&mut self, served: Served, bundle_version: Option<String>) {
        let before = self.served.replace((served.clone(), bundle_version.clone()));
        if before.as_ref() == self.served.as_ref() {
            return;
        }
        let before = before.map(|(served, _)| served).unwrap_or_default();
        // The core must know what to wait for before the first list can come.
        self.tell(Input::Served(served.clone(), bundle_version)).await;
        if served.classes != before.classes {
            self.set("GatewayClass", served.classes, Input::Classes, Api::<GatewayClass>::all).await;
        }
        if served.gateways != before.gateways {
            self.set("Gateway", served.gateways, Input::Gateways, Api::<Gateway>::all).await;
        }
        if served.reference_grants != before.reference_grants {
            let api = Api::<ReferenceGrant>::all;
            self.set("ReferenceGrant", served.reference_grants, Input::Grants, api).await;
        }
        if served.address_pools != before.address_pools {
            let namespace = self.namespace.clone();
            let api = move |client| Api::<IPAddressPool>::namespaced(client, &namespace);
            self.set("IPAddressPool", served.address_pools, Input::AddressPools, api).await;
        }
        if served.l2_advertisements != before.l2_advertisements {
            let namespace = self.namespace.clone();
            let api = move |client| Api::<L2Advertisement>::namespaced(client, &namespace);
            self.set("L2Advertisement", served.l2_advertisements, Input::L2Advertisements, api).await;
        }
        if served.speaker_statuses != before.speaker_statuses {
            let namespace = self.namespace.clone();
            let api = move |client| Api::<SpeakerStatus>::namespaced(client, &namespace);
            self.set("SpeakerStatus", served.speaker_statuses, Input::SpeakerStatuses, api).await;
        }
        if served.service_cidrs != before.service_cidrs {
            let api = Api::<ServiceCIDR>::all;
            self.set("ServiceCIDR", served.service_cidrs, Input::ServiceCidrs, api).await;
        }
        for kind in RouteKind::ALL {
            let version = served.route_version(kind);
            if version != before.route_version(kind) {
                let api = |client| Api::<Route>::all_with(client, &kind.resource(version.unwrap_or("v1")));
                let wrap = move |change| Input::Routes(kind, change);
                self.set(kind.as_str(), version.is_some(), wrap, api).await;
            }
        }
    }

    /// Starts the watch of a kind anew, or ends it and says that nothing of the kind is left.
    async fn set<K>(
        &mut self,
        kind: &'static str,
        served: bool,
        wrap: impl Fn(Change<K>) -> Input + Send + 'static,
        api: impl FnOnce(Client) -> Api<K>,
    ) where
        K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + Sync + 'static,
    {
        if let Some(running) = self.running.remove(kind) {
            running.abort();
            // What it was about to send must not come after what is told here. That it was aborted is no news.
            let _aborted = running.await;
        }
        if served {
            let watch = watch::run(api(self.client.clone()), config(), wrap, self.sender.clone());
            self.running.insert(kind, tokio::spawn(watch));
        } else {
            self.tell(wrap(Change::Reset(Vec::new()))).await;
        }
    }

    async fn tell(&self, input: Input) {
        // The core ends only with the process.
        let _ended = self.sender.send(input).await;
    }
}
