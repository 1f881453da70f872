//! Which nodes are eligible to announce, from Nodes and speaker Pods.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Node, NodeCondition, Pod};
use keryx_api::names::LABEL_EXCLUDE_NODE;

use crate::matching::Labels;
use crate::{NodeName, ObjectName, Reason, rendezvous};

/// Node annotation, with any value, that asks for all VIPs to be moved away.
pub const ANNOTATION_DRAIN: &str = "keryx.dev/drain";

/// Taints by which others say that a Node is about to go: the cluster autoscaler, Karpenter, and whoever has taken it out
/// of service (Kubernetes' non-graceful node shutdown).
const DRAIN_TAINTS: [&str; 3] =
    ["ToBeDeletedByClusterAutoscaler", "karpenter.sh/disrupted", "node.kubernetes.io/out-of-service"];

/// Part of the message of the condition Ready of a Node whose kubelet shuts it down (kubelet, graceful node shutdown).
const SHUTTING_DOWN: &str = "node is shutting down";

/// Whether the node is to hand over what it holds.
pub fn is_draining(node: &Node) -> bool {
    why_draining(node).is_some()
}

fn why_draining(node: &Node) -> Option<Reason> {
    let has = |map: &Option<BTreeMap<String, String>>, key: &str| {
        map.as_ref().is_some_and(|map| map.contains_key(key))
    };
    if has(&node.metadata.labels, LABEL_EXCLUDE_NODE) {
        return Some(Reason::NodeExcluded);
    }
    if has(&node.metadata.annotations, ANNOTATION_DRAIN) {
        return Some(Reason::NodeDraining);
    }
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    if let Some(taint) = taints.map(|taint| &*taint.key).find(|key| DRAIN_TAINTS.contains(key)) {
        return Some(Reason::NodeTainted { taint: taint.to_owned() });
    }
    let ready = condition(node, "Ready")?;
    let told = ready.message.as_deref().unwrap_or_default();
    (ready.status == "False" && told.contains(SHUTTING_DOWN)).then_some(Reason::NodeShuttingDown)
}

fn condition<'a>(node: &'a Node, type_: &str) -> Option<&'a NodeCondition> {
    let conditions = node.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// A Node, reduced to what decides.
#[derive(Debug, PartialEq, Eq)]
struct NodeFacts {
    obstacle: Option<Reason>,
    addresses: BTreeSet<IpAddr>,
    labels: BTreeMap<String, String>,
    /// The short ones. BGPPeers may name one that holds an AS number or an address.
    annotations: BTreeMap<String, String>,
}

/// Longest annotation that is kept, in octets.
const ANNOTATION_MAX: usize = 64;

impl NodeFacts {
    fn of(node: &Node) -> Self {
        let status = node.status.as_ref();
        // That it is not Ready is no obstacle: its kubelet may hang while all else works. Whether its speaker lives, the
        // other speakers know sooner than the API server.
        let without_network = condition(node, "NetworkUnavailable").is_some_and(|it| it.status == "True");
        let obstacle =
            why_draining(node).or_else(|| without_network.then_some(Reason::NodeNetworkUnavailable));
        let addresses = status.and_then(|s| s.addresses.as_deref()).unwrap_or_default();
        let addresses = addresses.iter().filter_map(|entry| entry.address.parse().ok()).collect();
        let annotations = node.metadata.annotations.iter().flatten();
        let short = annotations.filter(|(_, value)| value.len() <= ANNOTATION_MAX);
        Self {
            obstacle,
            addresses,
            labels: node.metadata.labels.clone().unwrap_or_default(),
            annotations: short.map(|(key, value)| (key.clone(), value.clone())).collect(),
        }
    }
}

/// A speaker Pod, reduced to what decides.
#[derive(Debug, PartialEq, Eq)]
struct SpeakerFacts {
    node: NodeName,
    /// Ready and not terminating.
    alive: bool,
}

impl SpeakerFacts {
    /// `None` for a Pod that no node was found for yet.
    fn of(pod: &Pod) -> Option<Self> {
        let node = pod.spec.as_ref()?.node_name.as_deref()?.into();
        let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref());
        let ready = conditions
            .unwrap_or_default()
            .iter()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True");
        Some(Self { node, alive: ready && pod.metadata.deletion_timestamp.is_none() })
    }
}

/// One node as a group sees it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NodeStanding {
    pub(crate) name: NodeName,
    /// Why the node may announce nothing at all; `None` if it is eligible.
    pub(crate) obstacle: Option<Reason>,
    /// [`rendezvous::node_id`].
    pub(crate) id: u64,
}

/// All Nodes and speaker Pods, and what follows from them.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    facts: BTreeMap<NodeName, NodeFacts>,
    speakers: BTreeMap<ObjectName, SpeakerFacts>,
    stale: bool,
    /// By name.
    standings: Vec<NodeStanding>,
    addresses: BTreeMap<IpAddr, NodeName>,
}

impl Nodes {
    pub(crate) fn apply_node(&mut self, node: &Node) {
        let name = node.metadata.name.as_deref().unwrap_or_default().into();
        let facts = NodeFacts::of(node);
        if self.facts.get(&name) != Some(&facts) {
            self.facts.insert(name, facts);
            self.stale = true;
        }
    }

    pub(crate) fn delete_node(&mut self, name: &NodeName) {
        self.stale |= self.facts.remove(name).is_some();
    }

    pub(crate) fn node_names(&self) -> BTreeSet<NodeName> {
        self.facts.keys().cloned().collect()
    }

    pub(crate) fn apply_speaker(&mut self, pod: &Pod) {
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        let name = ObjectName::new(&part(&pod.metadata.namespace), &part(&pod.metadata.name));
        let Some(facts) = SpeakerFacts::of(pod) else { return self.delete_speaker(&name) };
        if self.speakers.get(&name) != Some(&facts) {
            self.speakers.insert(name, facts);
            self.stale = true;
        }
    }

    pub(crate) fn delete_speaker(&mut self, name: &ObjectName) {
        self.stale |= self.speakers.remove(name).is_some();
    }

    pub(crate) fn speaker_names(&self) -> BTreeSet<ObjectName> {
        self.speakers.keys().cloned().collect()
    }

    /// Whether Nodes or speakers have changed since the last [`Nodes::refresh`].
    pub(crate) fn is_stale(&self) -> bool {
        self.stale
    }

    /// Brings standings and addresses up to date; true if any changed.
    pub(crate) fn refresh(&mut self) -> bool {
        if !std::mem::take(&mut self.stale) {
            return false;
        }
        let alive: BTreeSet<&NodeName> =
            self.speakers.values().filter(|speaker| speaker.alive).map(|speaker| &speaker.node).collect();
        let mut standings = Vec::with_capacity(self.facts.len());
        let mut addresses = BTreeMap::new();
        for (name, facts) in &self.facts {
            let speaker_missing = (!alive.contains(name)).then_some(Reason::SpeakerNotReady);
            let obstacle = facts.obstacle.clone().or(speaker_missing);
            standings.push(NodeStanding { name: name.clone(), obstacle, id: rendezvous::node_id(name) });
            addresses.extend(facts.addresses.iter().map(|address| (*address, name.clone())));
        }
        let changed = standings != self.standings || addresses != self.addresses;
        self.standings = standings;
        self.addresses = addresses;
        changed
    }

    /// Every Node by name, as of the last [`Nodes::refresh`].
    pub(crate) fn standings(&self) -> &[NodeStanding] {
        &self.standings
    }

    /// The labels of every Node, in the order of [`Nodes::standings`].
    pub(crate) fn labels(&self) -> impl Iterator<Item = &BTreeMap<String, String>> {
        self.facts.values().map(|facts| &facts.labels)
    }

    /// Labels and short annotations of a Node.
    pub(crate) fn values(&self, name: &NodeName) -> Option<(&Labels, &Labels)> {
        self.facts.get(name).map(|facts| (&facts.labels, &facts.annotations))
    }

    /// Place of a Node in [`Nodes::standings`].
    pub(crate) fn place(&self, name: &NodeName) -> Option<usize> {
        self.standings.binary_search_by(|standing| standing.name.cmp(name)).ok()
    }

    /// The Node that has this address itself, as of the last [`Nodes::refresh`].
    pub(crate) fn with_address(&self, address: IpAddr) -> Option<&NodeName> {
        self.addresses.get(&address)
    }
}
