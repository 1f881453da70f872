//! The controller's one loop: changes in, decisions, ledger, then writes.
//!
//! ```text
//! watches ─┐                      ┌─ decide (gateway, ipam: pure) ─┐
//! lease ───┼─▶ Input ─▶ index ─▶ turn                              ├─▶ ledger (awaited) ─▶ writer (one task a subject)
//! reports ─┘                      └────────────────────────────────┘                              │
//!    ▲────────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! While the ledger is being written, changes queue up; the next turn takes them all, so a burst costs few writes.
//! A subject with writes under way is not decided again until their report is in.

mod advertisements;
mod claims;
mod conflicts;
mod gateway_addresses;
mod gateway_turn;
mod notes;
mod outbox;
mod pace;
mod pools;
mod service_turn;
mod take_over;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, ObjectReference, Service};
use k8s_openapi::api::networking::v1::ServiceCIDR;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use keryx_api::gateway_api::{Gateway, GatewayClass, ReferenceGrant, Route, RouteKind};
use keryx_api::ip_address_pool::IPAddressPool;
use keryx_api::l2_advertisement::L2Advertisement;
use keryx_api::speaker_status::SpeakerStatus;
use keryx_daemon::endpoints::Ready;
use keryx_daemon::watch::Change;
use keryx_gateway::{class, status};
use keryx_ipam::OwnerKind;
use kube::core::PartialObjectMeta;
use kube::runtime::events::{Event, EventType};
use kube::{Client, Resource};
use serde_json::json;
use tokio::sync::{mpsc, watch as state};
use tracing::{info, warn};

use crate::clock;
use crate::discovery::Served;
use crate::index::{Index, Key, Subject};
use crate::lease::Term;
use crate::ledger::Ledger;
use crate::metrics::{Metrics, WriteLabels, WriteOutcome};
use crate::services::ServicePolicy;
use crate::writer::{Report, StatusPatch, Step, Writer};
use claims::{Claims, owner_id};
use conflicts::Conflicts;
use outbox::{Outbox, WAITING_MAX};
use pace::Pace;
use pools::Pools;

/// Changes taken in before a turn, so that a burst costs one ledger write.
const BATCH_MAX: usize = 1024;
/// Pause before the ledger is read again after a failure.
const RETRY: Duration = Duration::from_millis(500);
/// Longest sleep until a rest ends; the wall clock may be set meanwhile.
const EXPIRY_MAX_SECS: u64 = 3600;
/// Pause before a refused object is tried again: quota that is freed sends no event.
const RETRY_REFUSED: Duration = Duration::from_secs(10);

/// Everything that can happen.
pub(crate) enum Input {
    /// Services of every type.
    Services(Change<Service>),
    /// Namespaces.
    Namespaces(Change<Namespace>),
    /// Nodes.
    Nodes(Change<Node>),
    /// Ranges from which the cluster gives ClusterIPs.
    ServiceCidrs(Change<ServiceCIDR>),
    /// The ConfigMap with the address ranges.
    Ranges(Change<ConfigMap>),
    /// IPAddressPools of Keryx' namespace.
    AddressPools(Change<IPAddressPool>),
    /// What speakers say of themselves.
    SpeakerStatuses(Change<SpeakerStatus>),
    /// L2Advertisements of Keryx' namespace.
    L2Advertisements(Change<L2Advertisement>),
    /// The ledger's ConfigMaps, by which version they have.
    Ledger(Change<PartialObjectMeta<ConfigMap>>),
    /// Exposures.
    Exposures(Change<ConfigMap>),
    /// GatewayClasses.
    Classes(Change<GatewayClass>),
    /// Gateways.
    Gateways(Change<Gateway>),
    /// TCPRoutes or UDPRoutes.
    Routes(RouteKind, Change<Route>),
    /// ReferenceGrants.
    Grants(Change<ReferenceGrant>),
    /// What of Gateway API the cluster serves now, and its release.
    Served(Served, Option<String>),
    /// Whether this process holds the Lease.
    Leading(bool),
    /// A subject's writes ended.
    Written(Report),
}

/// Where the core tells what it knows.
pub(crate) struct Told {
    /// How writes ended, for itself.
    pub(crate) reports: mpsc::Sender<Input>,
    /// The names of all pools, for those who look after what names them.
    pub(crate) pool_names: state::Sender<Arc<BTreeSet<String>>>,
}

/// What the controller was told at start.
pub(crate) struct Settings {
    /// Namespace of ledger and exposures.
    pub(crate) namespace: String,
    /// controllerName of ours.
    pub(crate) controller_name: String,
    /// Which Services are ours.
    pub(crate) services: ServicePolicy,
    /// Whether the annotations of other programs are read.
    pub(crate) foreign_annotations: bool,
}

/// The controller's state.
pub(crate) struct Core {
    settings: Settings,
    client: Client,
    writer: Writer,
    /// For how long this process leads.
    term: Term,
    reports: mpsc::Sender<Input>,
    metrics: Arc<Metrics>,
    ready: Ready,
    /// The names of all pools, for others.
    pool_names: state::Sender<Arc<BTreeSet<String>>>,
    index: Index,
    pools: Pools,
    conflicts: Conflicts,
    served: Served,
    bundle_version: Option<String>,
    /// Kinds that have not sent their first full list yet.
    unsynced: BTreeSet<&'static str>,
    leading: bool,
    /// Present while this process leads and has read the ledger.
    ledger: Option<Ledger>,
    claims: Claims,
    /// When to read the ledger again after a failure.
    take_over_at: Option<Instant>,
    /// Subjects with writes that are decided and not reported yet.
    in_flight: BTreeSet<Subject>,
    outbox: Outbox,
    pace: Pace,
    /// Generated Services that could not be written, by Gateway.
    refused: BTreeMap<Key, BTreeMap<Key, String>>,
}

impl Core {
    pub(crate) fn new(
        settings: Settings,
        client: Client,
        writer: Writer,
        term: Term,
        told: Told,
        metrics: Arc<Metrics>,
        ready: Ready,
    ) -> Self {
        let Told { reports, pool_names } = told;
        Self {
            pool_names,
            settings,
            client,
            writer,
            term,
            reports,
            metrics,
            ready,
            index: Index::default(),
            pools: Pools::default(),
            conflicts: Conflicts::default(),
            served: Served::default(),
            bundle_version: None,
            unsynced: ["Service", "Namespace", "Node", "ranges", "exposures", "kinds"].into(),
            leading: false,
            ledger: None,
            claims: Claims::default(),
            take_over_at: None,
            in_flight: BTreeSet::new(),
            outbox: Outbox::default(),
            pace: Pace::default(),
            refused: BTreeMap::new(),
        }
    }

    /// Runs until the senders of `inputs` are gone.
    pub(crate) async fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        let mut batch = Vec::new();
        loop {
            // Who does not lead has nothing to take over, however long that has been due.
            let take_over = self.take_over_at.filter(|_| self.leading && self.unsynced.is_empty());
            let expiry = self.next_expiry().filter(|_| self.ledger.is_some());
            let pools = self.pools.due(clock::now()).filter(|_| self.ledger.is_some());
            let wake = self.pace.next().into_iter().chain(take_over).chain(expiry).chain(pools).min();
            tokio::select! {
                received = inputs.recv_many(&mut batch, BATCH_MAX) => if received == 0 { return },
                () = sleep_until(wake) => {}
            }
            for input in batch.drain(..) {
                self.apply(input);
            }
            self.retry_due(clock::now());
            if self.unsynced.is_empty() {
                self.ready.set();
                if self.leading {
                    self.turn().await;
                }
            }
        }
    }

    fn apply(&mut self, input: Input) {
        match input {
            Input::Services(change) => {
                self.synced("Service", &change);
                self.index.services_changed(change);
            }
            Input::Namespaces(change) => {
                self.synced("Namespace", &change);
                for namespace in self.index.namespaces_changed(change) {
                    // A pool may select its owners now.
                    self.index.dirty.extend(self.claims.waiting_in(&namespace));
                }
            }
            Input::Nodes(change) => {
                self.synced("Node", &change);
                if self.index.nodes_changed(change) {
                    self.reserve();
                }
            }
            Input::ServiceCidrs(change) => {
                self.synced("ServiceCIDR", &change);
                self.index.service_cidrs_changed(change);
                self.reserve();
            }
            Input::Ranges(change) => self.apply_ranges(change),
            Input::AddressPools(change) => {
                self.synced("IPAddressPool", &change);
                if self.index.address_pools_changed(change) {
                    self.use_pools();
                }
                self.pools.touch();
            }
            Input::L2Advertisements(change) => {
                self.synced("L2Advertisement", &change);
                self.index.l2_advertisements_changed(change);
            }
            Input::SpeakerStatuses(change) => self.apply_speaker_statuses(&change),
            Input::Ledger(change) => self.apply_ledger(&change),
            Input::Exposures(change) => {
                self.synced("exposures", &change);
                self.index.exposures_changed(change);
            }
            Input::Classes(change) => {
                self.synced("GatewayClass", &change);
                self.index.classes_changed(change);
            }
            Input::Gateways(change) => {
                self.synced("Gateway", &change);
                self.index.gateways_changed(change);
            }
            Input::Routes(kind, change) => {
                self.synced(kind.as_str(), &change);
                self.index.routes_changed(kind, change);
            }
            Input::Grants(change) => {
                self.synced("ReferenceGrant", &change);
                self.index.grants_changed(change);
            }
            Input::Served(served, bundle_version) => self.apply_served(served, bundle_version),
            Input::Leading(leading) => self.apply_leading(leading),
            Input::Written(report) => self.apply_report(report),
        }
    }

    fn synced<K>(&mut self, kind: &'static str, change: &Change<K>) {
        if matches!(change, Change::Reset(_)) {
            self.unsynced.remove(kind);
        }
    }

    fn apply_served(&mut self, served: Served, bundle_version: Option<String>) {
        info!(?served, ?bundle_version, "kinds served");
        self.unsynced.remove("kinds");
        let mut needed = Vec::new();
        if served.address_pools && !self.served.address_pools {
            needed.push("IPAddressPool");
        }
        if served.l2_advertisements && !self.served.l2_advertisements {
            needed.push("L2Advertisement");
        }
        if served.speaker_statuses && !self.served.speaker_statuses {
            needed.push("SpeakerStatus");
        }
        if served.service_cidrs && !self.served.service_cidrs {
            needed.push("ServiceCIDR");
        }
        if served.classes && !self.served.classes {
            needed.push("GatewayClass");
        }
        if served.gateways && !self.served.gateways {
            needed.push("Gateway");
        }
        if served.reference_grants && !self.served.reference_grants {
            needed.push("ReferenceGrant");
        }
        let routes = RouteKind::ALL.into_iter();
        let new = routes.filter(|kind| served.route_version(*kind) != self.served.route_version(*kind));
        needed.extend(new.filter(|kind| served.route_version(*kind).is_some()).map(RouteKind::as_str));
        self.unsynced.extend(needed);
        self.served = served;
        self.bundle_version = bundle_version;
        self.index.mark_all();
    }

    fn apply_leading(&mut self, leading: bool) {
        self.leading = leading;
        self.metrics.leading.set(i64::from(leading));
        if !leading {
            self.ledger = None;
            self.take_over_at = None;
        }
    }

    /// A block of the ledger that somebody else wrote or deleted: what is known of the claims may be wrong.
    fn apply_ledger(&mut self, change: &Change<PartialObjectMeta<ConfigMap>>) {
        let Some(ledger) = &self.ledger else { return };
        let is_news = match change {
            Change::Apply(block) | Change::Delete(block) => ledger.is_news(&block.metadata),
            Change::Reset(blocks) => ledger.lists_news(blocks.iter().map(|block| &block.metadata)),
        };
        if is_news {
            warn!("the ledger was changed by somebody else; reading it again");
            self.ledger = None;
        }
    }

    /// Hands what the cluster uses itself to the allocator.
    fn reserve(&mut self) {
        let nodes = self.index.nodes.iter().map(|(_, node)| node);
        let moved = self.claims.reserve(nodes, self.index.service_ranges());
        self.index.dirty.extend(moved);
    }

    /// Publishes events that belong to no subject.
    fn tell(&self, steps: Vec<Step>) {
        if self.leading && !steps.is_empty() {
            let writer = self.writer.clone();
            let nobody = Subject::Service(Key::new(&self.settings.namespace, "events"));
            tokio::spawn(async move { writer.run(nobody, steps).await });
        }
    }

    /// When the rest of a released address ends.
    fn next_expiry(&self) -> Option<Instant> {
        let left = self.claims.next_expiry()?.saturating_sub(clock::wall_secs());
        // A second later, since times of release are whole seconds.
        Some(clock::now() + Duration::from_secs(left.saturating_add(1).min(EXPIRY_MAX_SECS)))
    }

    fn apply_report(&mut self, report: Report) {
        self.in_flight.remove(&report.subject);
        self.outbox.ended();
        self.send_off();
        // What was stored is known before the watch tells it, so that nothing is written twice.
        for stored in report.stored {
            self.index.stored(stored);
        }
        let outcome = if report.failed {
            WriteOutcome::Failed
        } else if report.refused.is_some() {
            WriteOutcome::Refused
        } else {
            WriteOutcome::Stored
        };
        self.metrics.writes.get_or_create(&WriteLabels { outcome }).inc();
        match report.refused {
            Some((service, message)) if matches!(report.subject, Subject::Gateway(_)) => {
                if let Subject::Gateway(gateway) = &report.subject {
                    self.refused.entry(gateway.clone()).or_default().insert(service, message);
                }
                self.index.dirty.insert(report.subject);
            }
            _ => {
                if self.pace.wrote(&report.subject, report.failed, clock::now()) {
                    self.index.dirty.insert(report.subject);
                } else if let Some(rounds) = self.pace.restless(&report.subject) {
                    warn!(subject = %report.subject, rounds, "its writes do not come to an end; slowing down");
                }
            }
        }
    }

    fn retry_due(&mut self, now: Instant) {
        for subject in self.pace.take_due(now) {
            if let Subject::Gateway(gateway) = &subject {
                self.refused.remove(gateway);
            }
            self.index.dirty.insert(subject);
        }
    }

    /// Decides about every subject that a change concerned, writes the ledger, then lets the writes go.
    async fn turn(&mut self) {
        let now = clock::now();
        if !self.term.covers(now) {
            // Nobody has told yet that another leads, or that this process goes on leading after it stood still.
            self.ledger = None;
            self.take_over_at = Some(now + RETRY);
            return;
        }
        let is_early = self.take_over_at.is_some_and(|at| now < at);
        if self.ledger.is_none() && (is_early || !self.take_over().await) {
            return;
        }
        if !self.outbox.is_low() {
            return;
        }
        self.claims.expire();
        let mut jobs = self.decide_dirty();
        let changes = self.claims.take_unwritten();
        if !changes.is_empty() {
            self.pools.touch();
        }
        self.metrics.owners_waiting.set(i64::try_from(self.claims.waiting()).unwrap_or(i64::MAX));
        for (key, steps) in self.pool_steps() {
            self.take_on(Subject::Pool(key), steps, &mut jobs);
        }
        if let Some(ledger) = &mut self.ledger
            && !changes.is_empty()
            && let Err(error) = ledger.write(&changes).await
        {
            warn!("{error}; reading the ledger again");
            self.ledger = None;
            // Nothing of this turn is carried out; all of it is decided again from what the ledger then says.
            for (subject, _) in jobs {
                self.in_flight.remove(&subject);
                self.index.dirty.insert(subject);
            }
            self.take_over_at = Some(clock::now() + RETRY);
            return;
        }
        jobs.into_iter().for_each(|(subject, steps)| self.outbox.push(subject, steps));
        self.send_off();
    }

    /// Decides about what changed, as far as the writes that come of it may wait. A decision can free an address that
    /// another waits for, so it goes on until nothing more comes of it.
    fn decide_dirty(&mut self) -> Vec<(Subject, Vec<Step>)> {
        let mut jobs = Vec::new();
        while jobs.len() < WAITING_MAX {
            self.index.dirty.extend(self.claims.take_ready());
            let (in_flight, pace) = (&self.in_flight, &self.pace);
            let may_go = |subject: &Subject| !in_flight.contains(subject) && !pace.is_held(subject);
            let batch: Vec<Subject> = self.index.dirty.extract_if(.., |subject| may_go(subject)).collect();
            if batch.is_empty() {
                break;
            }
            for subject in self.in_order(batch) {
                if jobs.len() < WAITING_MAX {
                    let steps = self.decide(&subject);
                    self.take_on(subject, steps, &mut jobs);
                } else {
                    self.index.dirty.insert(subject);
                }
            }
        }
        jobs
    }

    /// Notes the writes of a subject that was decided, or that it needs none.
    fn take_on(&mut self, subject: Subject, steps: Vec<Step>, jobs: &mut Vec<(Subject, Vec<Step>)>) {
        if steps.is_empty() {
            self.pace.settled(&subject);
        } else {
            self.in_flight.insert(subject.clone());
            jobs.push((subject, steps));
        }
    }

    fn decide(&mut self, subject: &Subject) -> Vec<Step> {
        match subject {
            // Looked at when all claims of a turn are settled.
            Subject::Pool(_) => {
                self.pools.touch();
                Vec::new()
            }
            Subject::L2Advertisement(key) => self.l2_advertisement_steps(key),
            Subject::Class(name) => self.class_steps(name),
            Subject::Gateway(key) => self.gateway_steps(key),
            Subject::Service(key) => self.service_steps(key),
        }
    }

    /// Begins as many writes as may be under way.
    fn send_off(&mut self) {
        while let Some((subject, steps)) = self.outbox.next() {
            let (writer, reports) = (self.writer.clone(), self.reports.clone());
            tokio::spawn(async move {
                let report = writer.run(subject, steps).await;
                // The loop ends only with the process.
                let _ended = reports.send(Input::Written(report)).await;
            });
        }
    }

    /// Owners that hold an address come before those that hold none: until they have said with whom they share it, nobody
    /// can join them. Among others the oldest comes first.
    fn in_order(&self, batch: Vec<Subject>) -> Vec<Subject> {
        let rank = |subject: &Subject| match subject {
            Subject::Class(_) | Subject::Pool(_) | Subject::L2Advertisement(_) => (false, 0),
            Subject::Gateway(key) => {
                let created = self.index.gateways.find(key).map(|object| created_secs(&object.metadata));
                (!self.claims.holds(&owner_id(OwnerKind::Gateway, key)), created.unwrap_or_default())
            }
            Subject::Service(key) => {
                let created = self.index.services.find(key).map(|object| created_secs(&object.metadata));
                (!self.claims.holds(&owner_id(OwnerKind::Service, key)), created.unwrap_or_default())
            }
        };
        let mut ranked: Vec<_> = batch.into_iter().map(|subject| (rank(&subject), subject)).collect();
        ranked.sort();
        ranked.into_iter().map(|(_, subject)| subject).collect()
    }

    fn class_steps(&self, name: &str) -> Vec<Step> {
        let Some(class) = self.index.classes.get("", name) else { return Vec::new() };
        if class.spec.controller_name != self.settings.controller_name {
            return Vec::new();
        }
        let wanted = class::decide(class, self.bundle_version.as_deref());
        let stored = class.status.clone().unwrap_or_default();
        let generation = class.metadata.generation.unwrap_or_default();
        let merged = status::gateway_class(&stored, &wanted, generation, &clock::wall());
        if merged == stored {
            return Vec::new();
        }
        let resource_version = class.metadata.resource_version.clone().unwrap_or_default();
        let patch = StatusPatch { key: Key::new("", name), resource_version, status: json!(merged) };
        vec![Step::ClassStatus(patch)]
    }

    fn class_is_accepted(&self, class: &GatewayClass) -> bool {
        class::is_accepted(&class::decide(class, self.bundle_version.as_deref()))
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// When an object was created, in seconds since 1970.
fn created_secs(metadata: &ObjectMeta) -> u64 {
    let created = metadata.creation_timestamp.as_ref().map(|time| time.0.as_second());
    created.and_then(|secs| u64::try_from(secs).ok()).unwrap_or_default()
}

/// A warning on `object`.
fn notice<K: Resource<DynamicType = ()>>(object: &K, reason: &str, message: &str) -> Step {
    warning(object.object_ref(&()), reason, message)
}

/// A warning on a route.
fn route_notice(kind: RouteKind, version: &str, route: &Route, reason: &str, message: &str) -> Step {
    warning(route.object_ref(&kind.resource(version)), reason, message)
}

fn warning(about: ObjectReference, reason: &str, message: &str) -> Step {
    let event = Event {
        type_: EventType::Warning,
        reason: reason.to_owned(),
        note: Some(message.chars().take(1000).collect()),
        action: "Reconcile".to_owned(),
        secondary: None,
    };
    Step::Notify { about: Box::new(about), event: Box::new(event) }
}
