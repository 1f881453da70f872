//! Wires watches, index and drivers together.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use keryx_api::exposure::Exposure;
use keryx_api::ip_address_pool::{self, IPAddressPool};
use keryx_api::l2_advertisement::{self, L2Advertisement};
use keryx_api::names;
use keryx_daemon::endpoints::{self, Bind, Ready};
use keryx_daemon::events::Publisher;
use keryx_daemon::watch::{self, Change};
use keryx_daemon::{connect, stop};
use keryx_plan::{Decision, Index, NodeName};
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt as _};
use tokio::sync::{mpsc, watch as state};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::args::Args;
use crate::clock;
use crate::drivers::layer2::{Report, Summary};
use crate::drivers::{self, gate::Guarded};
use crate::events::Events;
use crate::live;
use crate::metrics::{Metrics, ReasonLabels};
use crate::orders::Orders;
use crate::snapshot;
use crate::status;

/// Seconds that a watch may be silent before it is opened anew: a dead connection must not blind a speaker for long.
const WATCH_TIMEOUT_SECS: u32 = 30;
/// Changes taken in before the plan is computed again, so that a burst costs one computation.
const BATCH_MAX: usize = 1024;
/// How long a start waits for the API server before it goes on from the last plan on this node.
const SNAPSHOT_AFTER: Duration = Duration::from_secs(3);
/// Reports of layer 2 that wait to be told; further ones are lost.
const REPORTS_MAX: usize = 1024;
/// Questions to layer 2 that wait.
const REQUESTS_MAX: usize = 16;
/// Reporter of events.
const SPEAKER_NAME: &str = "keryx.dev/speaker";

/// Everything that can happen to the index.
enum Input {
    Services(Change<Service>),
    EndpointSlices(Change<EndpointSlice>),
    Nodes(Change<Node>),
    SpeakerPods(Change<Pod>),
    Exposures(Change<ConfigMap>),
    AddressPools(Change<IPAddressPool>),
    L2Advertisements(Change<L2Advertisement>),
}

/// Runs the speaker until a stop signal.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let stop = stop::on_signal()?;
    let client = connect::client(args.kubeconfig.as_deref()).await?;
    let (metrics, registry) = Metrics::new();
    let ready = Ready::default();
    let (orders, orders_seen) = state::channel(Orders::default());
    let (guarded, guarded_seen) = state::channel(None);
    let (announce, announce_seen) = state::channel(Orders::default());

    let (requests, requests_seen) = mpsc::channel(REQUESTS_MAX);
    let (reports, reports_seen) = mpsc::channel(REPORTS_MAX);
    let (summary, summary_seen) = state::channel(Summary::default());
    let channels =
        drivers::layer2::Channels { orders: announce_seen, requests: requests_seen, reports, summary };
    let layer2 = drivers::layer2::start(channels, layer2_settings(&args), metrics.clone(), stop.clone())?;
    let plan_file = args.state.join("plan.json");
    tokio::spawn(snapshot::keep(orders_seen.clone(), plan_file.clone()));
    tokio::spawn(drivers::gate::run(orders_seen.clone(), guarded_seen, announce, ready.clone()));
    let guard_stop = CancellationToken::new();
    let guard = tokio::spawn(guard(orders_seen, guarded, metrics.clone(), guard_stop.clone()));

    let app =
        endpoints::probes(ready).merge(endpoints::metrics(Arc::new(registry))).merge(live::layer2(requests));
    let bind = Bind { address: args.metrics_bind_address, flag: "--metrics-bind-address" };
    let served = endpoints::serve(bind, app);

    let inputs = watch_all(&client, &args.namespace);
    let me = NodeName::from(args.node_name.as_str());
    let statuses = Api::namespaced(client.clone(), &args.namespace);
    tokio::spawn(status::keep(summary_seen, statuses, status::Identity::of(&args)));
    let publisher = Publisher::new(client, SPEAKER_NAME, &args.node_name);
    let core = Core::new(me.clone(), orders, metrics, Events::new(me, publisher, clock::now()));
    info!(node = args.node_name, "speaker started");
    tokio::select! {
        outcome = served => outcome?,
        () = core.run(inputs, reports_seen, plan_file) => {}
        () = stop.cancelled() => info!("stopping"),
    }
    stop.cancel();
    // The guard stands for as long as anything is announced.
    let withdrawn = tokio::task::spawn_blocking(move || layer2.join()).await?;
    guard_stop.cancel();
    guard.await.context("the guard driver panicked")?;
    withdrawn.map_err(|_| anyhow::anyhow!("the layer 2 driver panicked"))
}

fn layer2_settings(args: &Args) -> drivers::layer2::Settings {
    drivers::layer2::Settings {
        node: NodeName::from(args.node_name.as_str()),
        interfaces: args.interfaces.iter().cloned().collect(),
        keys: drivers::layer2::KeySource(args.membership_keys.clone()),
        cluster: args.namespace.clone(),
        holds_file: args.state.join("holds"),
    }
}

/// Runs the guard from the first plan on: until then the table of the speaker before this one is the best there is.
async fn guard(
    mut orders: state::Receiver<Orders>,
    guarded: state::Sender<Guarded>,
    metrics: Metrics,
    stop: CancellationToken,
) {
    tokio::select! {
        _ = orders.changed() => {}
        () = stop.cancelled() => {}
    }
    drivers::guard::run(orders, guarded, metrics, stop).await;
}

fn watch_all(client: &Client, namespace: &str) -> mpsc::Receiver<Input> {
    let (sender, inputs) = mpsc::channel(BATCH_MAX);
    let config = || watcher::Config::default().timeout(WATCH_TIMEOUT_SECS);
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
    let pools = Api::namespaced(client.clone(), namespace);
    tokio::spawn(watch::run_if_defined(
        client.clone(),
        ip_address_pool::DEFINITION,
        pools,
        config(),
        Input::AddressPools,
        sender.clone(),
    ));
    let advertisements = Api::namespaced(client.clone(), namespace);
    tokio::spawn(watch::run_if_defined(
        client.clone(),
        l2_advertisement::DEFINITION,
        advertisements,
        config(),
        Input::L2Advertisements,
        sender,
    ));
    inputs
}

/// The index and where its plan goes.
struct Core {
    me: NodeName,
    index: Index,
    /// Every Node with its InternalIPs.
    nodes: BTreeMap<NodeName, Vec<IpAddr>>,
    /// Whether this node hands over what it holds.
    draining: bool,
    /// Nodes or `draining` have changed since the last orders.
    nodes_changed: bool,
    /// Kinds that have not sent their first full list yet. Until then nothing is announced: a plan from half a
    /// cluster could be any plan.
    unsynced: BTreeSet<&'static str>,
    /// Whether there has been a plan.
    planned: bool,
    orders: state::Sender<Orders>,
    metrics: Metrics,
    events: Events,
}

impl Core {
    fn new(me: NodeName, orders: state::Sender<Orders>, metrics: Metrics, events: Events) -> Self {
        let unsynced = BTreeSet::from([
            "Service",
            "EndpointSlice",
            "Node",
            "Pod",
            "ConfigMap",
            "IPAddressPool",
            "L2Advertisement",
        ]);
        Self {
            me,
            index: Index::default(),
            nodes: BTreeMap::new(),
            draining: false,
            nodes_changed: false,
            unsynced,
            planned: false,
            orders,
            metrics,
            events,
        }
    }

    async fn run(
        mut self,
        mut inputs: mpsc::Receiver<Input>,
        mut reports: mpsc::Receiver<Report>,
        plan_file: PathBuf,
    ) {
        let mut batch = Vec::new();
        let mut patience = std::pin::pin!(tokio::time::sleep(SNAPSHOT_AFTER));
        let mut waits = true;
        loop {
            tokio::select! {
                () = &mut patience, if waits => {
                    waits = false;
                    self.go_on_from(&plan_file);
                }
                Some(report) = reports.recv() => self.events.tell(&report, &self.index, clock::now()),
                count = inputs.recv_many(&mut batch, BATCH_MAX) => {
                    if count == 0 {
                        return;
                    }
                    batch.drain(..).for_each(|input| self.apply(input));
                    if self.unsynced.is_empty() {
                        self.publish();
                    }
                }
            }
        }
    }

    /// Goes on from the plan that the speaker before this one left, if there is none yet.
    fn go_on_from(&self, plan_file: &Path) {
        if self.planned {
            return;
        }
        let waiting_for: Vec<&str> = self.unsynced.iter().copied().collect();
        let waiting_for = waiting_for.join(", ");
        match snapshot::read(plan_file) {
            Some(orders) => {
                let vips = orders.plan.vips.len();
                warn!(
                    waiting_for,
                    vips, "the API server cannot be reached; going on from the last plan on this node"
                );
                self.metrics.plan_is_stale.set(1);
                self.orders.send_replace(orders);
            }
            None => warn!(waiting_for, "the API server cannot be reached; announcing nothing until it can"),
        }
    }

    fn apply(&mut self, input: Input) {
        match input {
            Input::Services(change) => {
                self.synced("Service", &change);
                match change {
                    Change::Apply(service) => self.index.apply_service(&service),
                    Change::Delete(service) => {
                        self.index.delete_service(&namespace_of(&*service), &service.name_any())
                    }
                    Change::Reset(all) => self.index.reset_services(all.iter().map(|object| &**object)),
                }
            }
            Input::EndpointSlices(change) => {
                self.synced("EndpointSlice", &change);
                match change {
                    Change::Apply(slice) => self.index.apply_endpoint_slice(&slice),
                    Change::Delete(slice) => {
                        self.index.delete_endpoint_slice(&namespace_of(&*slice), &slice.name_any());
                    }
                    Change::Reset(all) => {
                        self.index.reset_endpoint_slices(all.iter().map(|object| &**object))
                    }
                }
            }
            Input::Nodes(change) => self.apply_nodes(change),
            Input::SpeakerPods(change) => {
                self.synced("Pod", &change);
                match change {
                    Change::Apply(pod) => self.index.apply_speaker_pod(&pod),
                    Change::Delete(pod) => {
                        self.index.delete_speaker_pod(&namespace_of(&*pod), &pod.name_any())
                    }
                    Change::Reset(all) => self.index.reset_speaker_pods(all.iter().map(|object| &**object)),
                }
            }
            Input::Exposures(change) => self.apply_exposures(change),
            Input::AddressPools(change) => {
                self.synced("IPAddressPool", &change);
                match change {
                    Change::Apply(pool) => self.index.apply_address_pool(&pool),
                    Change::Delete(pool) => self.index.delete_address_pool(&pool.name_any()),
                    Change::Reset(all) => self.index.reset_address_pools(all.iter().map(|object| &**object)),
                }
            }
            Input::L2Advertisements(change) => {
                self.synced("L2Advertisement", &change);
                match change {
                    Change::Apply(object) => self.index.apply_l2_advertisement(&object),
                    Change::Delete(object) => self.index.delete_l2_advertisement(&object.name_any()),
                    Change::Reset(all) => {
                        self.index.reset_l2_advertisements(all.iter().map(|object| &**object));
                    }
                }
            }
        }
    }

    fn apply_nodes(&mut self, change: Change<Node>) {
        self.synced("Node", &change);
        match change {
            Change::Apply(node) => {
                self.note_node(&node);
                self.index.apply_node(&node);
            }
            Change::Delete(node) => {
                self.nodes_changed |= self.nodes.remove(&NodeName::from(&*node.name_any())).is_some();
                self.index.delete_node(&node.name_any());
            }
            Change::Reset(all) => {
                let known = std::mem::take(&mut self.nodes);
                all.iter().for_each(|node| self.note_node(node));
                self.nodes_changed = self.nodes != known;
                self.index.reset_nodes(all.iter().map(|object| &**object));
            }
        }
    }

    fn note_node(&mut self, node: &Node) {
        let name = NodeName::from(&*node.name_any());
        if name == self.me {
            let draining = keryx_plan::is_draining(node);
            self.nodes_changed |= draining != self.draining;
            self.draining = draining;
        }
        let addresses = node.status.iter().flat_map(|status| status.addresses.iter().flatten());
        let internal = addresses.filter(|address| address.type_ == "InternalIP");
        let internal: Vec<IpAddr> = internal.filter_map(|address| address.address.parse().ok()).collect();
        if self.nodes.get(&name) != Some(&internal) {
            self.nodes.insert(name, internal);
            self.nodes_changed = true;
        }
    }

    fn apply_exposures(&mut self, change: Change<ConfigMap>) {
        self.synced("ConfigMap", &change);
        match change {
            Change::Apply(object) => match read_exposure(&object) {
                Some(exposure) => self.index.apply_exposure(&object.name_any(), &exposure),
                None => self.index.delete_exposure(&object.name_any()),
            },
            Change::Delete(object) => self.index.delete_exposure(&object.name_any()),
            Change::Reset(all) => {
                let readable =
                    all.iter().filter_map(|object| Some((object.name_any(), read_exposure(object)?)));
                let readable: Vec<_> = readable.collect();
                self.index.reset_exposures(readable.iter().map(|(name, exposure)| (name.as_str(), exposure)));
            }
        }
    }

    fn synced<K>(&mut self, kind: &'static str, change: &Change<K>) {
        if matches!(change, Change::Reset(_)) {
            self.unsynced.remove(kind);
        }
    }

    /// Computes what changed, and tells the drivers if that is anything. The first plan is told even if it is empty.
    fn publish(&mut self) {
        let changes = self.index.update(&self.me);
        let first = !std::mem::replace(&mut self.planned, true);
        self.metrics.plan_is_stale.set(0);
        let nodes_changed = std::mem::take(&mut self.nodes_changed);
        if !first && changes.is_empty() && !nodes_changed {
            return;
        }
        debug!(groups = changes.groups_computed, "plan changed");
        let plan = self.index.plan();
        self.report();
        let nodes = if first || nodes_changed {
            Arc::new(self.nodes.clone())
        } else {
            Arc::clone(&self.orders.borrow().nodes)
        };
        self.orders.send_replace(Orders {
            plan: Arc::new(plan.clone()),
            internal_ips: self.nodes.get(&self.me).cloned().unwrap_or_default(),
            draining: self.draining,
            nodes,
        });
    }

    fn report(&self) {
        let mut skipped = std::collections::BTreeMap::new();
        for vip in self.index.plan().vips.values() {
            if let Decision::Skip(reason) = &vip.decision {
                *skipped.entry(reason.code()).or_insert(0) += 1;
            }
        }
        self.metrics.vips_skipped.clear();
        for (reason, count) in skipped {
            self.metrics.vips_skipped.get_or_create(&ReasonLabels { reason }).set(count);
        }
    }
}

/// An exposure that this build can read; one that it cannot announces nothing.
fn read_exposure(object: &ConfigMap) -> Option<Exposure> {
    let exposure = Exposure::read(object.data.as_ref());
    exposure.inspect_err(|error| warn!(name = object.name_any(), "exposure cannot be read: {error}")).ok()
}

fn namespace_of<K: kube::Resource>(object: &K) -> String {
    object.namespace().unwrap_or_default()
}
