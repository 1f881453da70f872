//! The statuses of the kinds by which BGP is set up: whether each object is in force, and whether what it names exists. What the objects
//! do is the speakers' part; how sessions stand, each speaker says in its SpeakerStatus.
//!
//! There are few such objects, none of them holds an address, and nothing else is decided by them. So they are kept apart from the core:
//! after each change all are looked at, and those whose status differs are written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use keryx_api::bfd_profile::{self, BFDProfile};
use keryx_api::bgp_advertisement::{self, BGPAdvertisement};
use keryx_api::bgp_peer::{self, BGPPeer};
use keryx_api::community::{self, Aliases, Community};
use keryx_api::status::ConditionsStatus;
use keryx_daemon::watch::{self, Change};
use keryx_gateway::conditions::{self, Wanted};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::{mpsc, watch as state};
use tracing::{debug, warn};

use crate::clock;
use crate::lease::Term;
use crate::watches;

mod judgement;

/// Changes that wait.
const CHANGES_MAX: usize = 64;
/// How often it is looked again, after a write that failed, or for a replica that has come to lead.
const INTERVAL: Duration = Duration::from_secs(5);

/// Everything that can happen.
enum Input {
    Peers(Change<BGPPeer>),
    Advertisements(Change<BGPAdvertisement>),
    Profiles(Change<BFDProfile>),
    Communities(Change<Community>),
}

/// What objects may name.
#[derive(Debug, Default)]
struct Known {
    pools: Arc<BTreeSet<String>>,
    peers: BTreeSet<String>,
    profiles: BTreeSet<String>,
    aliases: Aliases,
}

/// An object whose status says whether it is in force.
trait Judged:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned
{
    /// Its status as stored.
    fn stored(&self) -> Option<&ConditionsStatus>;
    /// The conditions that it should have.
    fn judge(&self, known: &Known) -> Vec<Wanted>;
}

/// Keeps the statuses of all objects in `namespace`, while this process leads. `pools` are the names of all pools.
pub(crate) async fn keep(
    client: Client,
    namespace: String,
    term: Term,
    mut pools: state::Receiver<Arc<BTreeSet<String>>>,
) {
    let mut inputs = watch_all(&client, &namespace);
    let mut objects = Objects::new(&client, &namespace);
    let mut again = tokio::time::interval(INTERVAL);
    loop {
        tokio::select! {
            input = inputs.recv() => match input {
                Some(input) => objects.apply(input),
                None => return,
            },
            Ok(()) = pools.changed() => {}
            _ = again.tick() => {}
        }
        if term.covers(clock::now()) {
            let pools = Arc::clone(&pools.borrow_and_update());
            objects.bring_up_to_date(pools, &clock::wall()).await;
        }
    }
}

fn watch_all(client: &Client, namespace: &str) -> mpsc::Receiver<Input> {
    let (sender, inputs) = mpsc::channel(CHANGES_MAX);
    start(client, namespace, bgp_peer::DEFINITION, Input::Peers, sender.clone());
    start(client, namespace, bgp_advertisement::DEFINITION, Input::Advertisements, sender.clone());
    start(client, namespace, bfd_profile::DEFINITION, Input::Profiles, sender.clone());
    start(client, namespace, community::DEFINITION, Input::Communities, sender);
    inputs
}

fn start<K>(
    client: &Client,
    namespace: &str,
    definition: &'static str,
    wrap: fn(Change<K>) -> Input,
    sender: mpsc::Sender<Input>,
) where
    K: Judged + Send + Sync + 'static,
{
    let objects = Api::namespaced(client.clone(), namespace);
    tokio::spawn(watch::run_if_defined(client.clone(), definition, objects, watches::config(), wrap, sender));
}

/// The objects of one kind, by name.
struct Kind<K> {
    api: Api<K>,
    objects: BTreeMap<String, Arc<K>>,
}

struct Objects {
    peers: Kind<BGPPeer>,
    advertisements: Kind<BGPAdvertisement>,
    profiles: Kind<BFDProfile>,
    communities: Kind<Community>,
}

impl Objects {
    fn new(client: &Client, namespace: &str) -> Self {
        Self {
            peers: Kind::new(client, namespace),
            advertisements: Kind::new(client, namespace),
            profiles: Kind::new(client, namespace),
            communities: Kind::new(client, namespace),
        }
    }

    fn apply(&mut self, input: Input) {
        match input {
            Input::Peers(change) => self.peers.apply(change),
            Input::Advertisements(change) => self.advertisements.apply(change),
            Input::Profiles(change) => self.profiles.apply(change),
            Input::Communities(change) => self.communities.apply(change),
        }
    }

    async fn bring_up_to_date(&mut self, pools: Arc<BTreeSet<String>>, now: &Time) {
        let known = Known {
            pools,
            peers: self.peers.objects.keys().cloned().collect(),
            profiles: self.profiles.objects.keys().cloned().collect(),
            aliases: Aliases::of(self.communities.objects.values().map(|object| &object.spec)),
        };
        self.peers.bring_up_to_date(&known, now).await;
        self.advertisements.bring_up_to_date(&known, now).await;
        self.profiles.bring_up_to_date(&known, now).await;
        self.communities.bring_up_to_date(&known, now).await;
    }
}

impl<K: Judged> Kind<K> {
    fn new(client: &Client, namespace: &str) -> Self {
        Self { api: Api::namespaced(client.clone(), namespace), objects: BTreeMap::new() }
    }

    fn apply(&mut self, change: Change<K>) {
        match change {
            Change::Apply(object) => drop(self.objects.insert(object.name_any(), object)),
            Change::Delete(object) => drop(self.objects.remove(&object.name_any())),
            Change::Reset(all) => {
                self.objects = all.into_iter().map(|object| (object.name_any(), object)).collect();
            }
        }
    }

    /// Writes the statuses that differ from what they should be. What is stored then comes back by the watch too; until then the
    /// answer counts.
    async fn bring_up_to_date(&mut self, known: &Known, now: &Time) {
        for (name, object) in &mut self.objects {
            let Some(status) = differing(&**object, known, now) else { continue };
            let version = object.resource_version().unwrap_or_default();
            let patch = json!({ "metadata": { "resourceVersion": version }, "status": status });
            match self.api.patch_status(name, &PatchParams::default(), &Patch::Merge(&patch)).await {
                Ok(stored) => *object = Arc::new(stored),
                // The watch tells what has become of it.
                Err(kube::Error::Api(answer)) if matches!(answer.code, 404 | 409) => {
                    debug!(name, kind = %K::kind(&()), "changed meanwhile");
                }
                Err(error) => {
                    warn!(name, kind = %K::kind(&()), %error, "failed to write a status, trying again");
                }
            }
        }
    }
}

/// The status that an object should have; `None` if it has it.
fn differing<K: Judged>(object: &K, known: &Known, now: &Time) -> Option<ConditionsStatus> {
    let stored: &[Condition] = object.stored().map(|status| &*status.conditions).unwrap_or_default();
    let generation = object.meta().generation;
    let wanted = ConditionsStatus {
        observed_generation: generation,
        conditions: conditions::merge(stored, &object.judge(known), &[], generation.unwrap_or_default(), now),
    };
    (object.stored() != Some(&wanted)).then_some(wanted)
}
