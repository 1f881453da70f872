//! The cluster as the plan sees it, and which owners each change touches.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use keryx_api::exposure::{Exposure, ServedBy};
use keryx_api::ip_address_pool::IPAddressPool;
use keryx_api::l2_advertisement::L2Advertisement;

use crate::advertisements::Advertisements;
use crate::bgp::objects::Objects;
use crate::claims::{Claimant, Claims};
use crate::endpoints::SliceFacts;
use crate::nodes::Nodes;
use crate::relation::Relation;
use crate::service::ServiceFacts;
use crate::texts::Texts;
use crate::update::Planned;
use crate::{NodeName, ObjectName, Owner, OwnerKey};

/// Everything that decides, fed by watches: `apply_*` for an object that is there, `delete_*` for one that went,
/// `reset_*` with the full list after a watch was down, since what vanished meanwhile yields no delete. Any order of
/// kinds is right. [`Index::update`] then brings [`Index::plan`] up to date.
#[derive(Debug, Default)]
pub struct Index {
    pub(crate) services: BTreeMap<ObjectName, ServiceFacts>,
    slices: BTreeMap<ObjectName, SliceFacts>,
    slices_of: Relation<ObjectName, ObjectName>,
    pub(crate) exposures: BTreeMap<Arc<str>, Exposure>,
    /// Clone to the exposures with a port that it serves.
    exposures_of: Relation<ObjectName, Arc<str>>,
    texts: Texts,
    pub(crate) nodes: Nodes,
    pub(crate) advertisements: Advertisements,
    pub(crate) bgp: Objects,
    pub(crate) claims: Claims,
    /// Owners whose groups are to be computed anew.
    pub(crate) dirty: BTreeSet<OwnerKey>,
    pub(crate) planned: Planned,
}

impl Index {
    /// An empty index with an empty plan.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a Service of any type: plain ones of type LoadBalancer with addresses of ours, clones and anchors count.
    pub fn apply_service(&mut self, service: &Service) {
        let name = ObjectName::of(&mut self.texts, &service.metadata);
        let facts = ServiceFacts::of(&mut self.texts, service);
        self.replace_service(name, facts);
    }

    /// Forgets a Service.
    pub fn delete_service(&mut self, namespace: &str, name: &str) {
        self.replace_service(ObjectName::new(namespace, name), None);
    }

    /// Replaces all Services.
    pub fn reset_services<'a>(&mut self, all: impl IntoIterator<Item = &'a Service>) {
        let mut gone: BTreeSet<ObjectName> = self.services.keys().cloned().collect();
        for service in all {
            gone.remove(&ObjectName::of(&mut self.texts, &service.metadata));
            self.apply_service(service);
        }
        gone.into_iter().for_each(|name| self.replace_service(name, None));
    }

    /// Takes in an EndpointSlice; the label `kubernetes.io/service-name` says whose it is.
    pub fn apply_endpoint_slice(&mut self, slice: &EndpointSlice) {
        let name = ObjectName::of(&mut self.texts, &slice.metadata);
        let facts = SliceFacts::of(&mut self.texts, slice);
        self.replace_slice(name, facts);
    }

    /// Forgets an EndpointSlice.
    pub fn delete_endpoint_slice(&mut self, namespace: &str, name: &str) {
        self.replace_slice(ObjectName::new(namespace, name), None);
    }

    /// Replaces all EndpointSlices.
    pub fn reset_endpoint_slices<'a>(&mut self, all: impl IntoIterator<Item = &'a EndpointSlice>) {
        let mut gone: BTreeSet<ObjectName> = self.slices.keys().cloned().collect();
        for slice in all {
            gone.remove(&ObjectName::of(&mut self.texts, &slice.metadata));
            self.apply_endpoint_slice(slice);
        }
        gone.into_iter().for_each(|name| self.replace_slice(name, None));
    }

    /// Takes in a Node.
    pub fn apply_node(&mut self, node: &Node) {
        self.nodes.apply_node(node);
    }

    /// Forgets a Node.
    pub fn delete_node(&mut self, name: &str) {
        self.nodes.delete_node(&name.into());
    }

    /// Replaces all Nodes.
    pub fn reset_nodes<'a>(&mut self, all: impl IntoIterator<Item = &'a Node>) {
        let mut gone = self.nodes.node_names();
        for node in all {
            gone.remove(&NodeName::from(node.metadata.name.as_deref().unwrap_or_default()));
            self.nodes.apply_node(node);
        }
        gone.iter().for_each(|name| self.nodes.delete_node(name));
    }

    /// Takes in a Pod of the speaker; which Pods these are, the caller's watch decides (namespace and label).
    pub fn apply_speaker_pod(&mut self, pod: &Pod) {
        self.nodes.apply_speaker(pod);
    }

    /// Forgets a Pod of the speaker.
    pub fn delete_speaker_pod(&mut self, namespace: &str, name: &str) {
        self.nodes.delete_speaker(&ObjectName::new(namespace, name));
    }

    /// Replaces all Pods of the speaker.
    pub fn reset_speaker_pods<'a>(&mut self, all: impl IntoIterator<Item = &'a Pod>) {
        let mut gone = self.nodes.speaker_names();
        for pod in all {
            gone.remove(&ObjectName::of(&mut self.texts, &pod.metadata));
            self.nodes.apply_speaker(pod);
        }
        gone.iter().for_each(|name| self.nodes.delete_speaker(name));
    }

    /// Takes in an exposure under the name of its ConfigMap. The caller has read it from Keryx' own namespace and
    /// checked its version.
    pub fn apply_exposure(&mut self, name: &str, exposure: &Exposure) {
        self.replace_exposure(name.into(), Some(exposure));
    }

    /// Forgets an exposure.
    pub fn delete_exposure(&mut self, name: &str) {
        self.replace_exposure(name.into(), None);
    }

    /// Replaces all exposures, each with the name of its ConfigMap.
    pub fn reset_exposures<'a>(&mut self, all: impl IntoIterator<Item = (&'a str, &'a Exposure)>) {
        let mut gone: BTreeSet<Arc<str>> = self.exposures.keys().cloned().collect();
        for (name, exposure) in all {
            gone.remove(name);
            self.apply_exposure(name, exposure);
        }
        gone.into_iter().for_each(|name| self.replace_exposure(name, None));
    }

    /// Takes in an L2Advertisement of Keryx' own namespace.
    pub fn apply_l2_advertisement(&mut self, object: &L2Advertisement) {
        self.advertisements.apply(object);
    }

    /// Forgets an L2Advertisement.
    pub fn delete_l2_advertisement(&mut self, name: &str) {
        self.advertisements.delete(name);
    }

    /// Replaces all L2Advertisements.
    pub fn reset_l2_advertisements<'a>(&mut self, all: impl IntoIterator<Item = &'a L2Advertisement>) {
        let mut gone = self.advertisements.names();
        for object in all {
            gone.remove(object.metadata.name.as_deref().unwrap_or_default());
            self.advertisements.apply(object);
        }
        gone.iter().for_each(|name| self.advertisements.delete(name));
    }

    /// Takes in an IPAddressPool of Keryx' own namespace, for its labels, by which advertisements select it.
    pub fn apply_address_pool(&mut self, object: &IPAddressPool) {
        self.advertisements.apply_pool(object);
    }

    /// Forgets an IPAddressPool.
    pub fn delete_address_pool(&mut self, name: &str) {
        self.advertisements.delete_pool(name);
    }

    /// Replaces all IPAddressPools.
    pub fn reset_address_pools<'a>(&mut self, all: impl IntoIterator<Item = &'a IPAddressPool>) {
        let mut gone = self.advertisements.pool_names();
        for object in all {
            gone.remove(object.metadata.name.as_deref().unwrap_or_default());
            self.advertisements.apply_pool(object);
        }
        gone.iter().for_each(|name| self.advertisements.delete_pool(name));
    }

    /// The owners of an address, best right first, each with its UID: those whom news of the address concerns.
    pub fn owners_of(&self, address: &IpAddr) -> impl Iterator<Item = (Owner, &str)> {
        self.claims.of(address).filter_map(|claimant| {
            let uid = match &claimant.owner {
                OwnerKey::Exposure(name) => &*self.exposures.get(name)?.gateway.uid,
                OwnerKey::Service(name) => &*self.services.get(name)?.uid,
            };
            Some((self.owner(&claimant.owner)?, uid))
        })
    }

    /// The slices of a Service.
    pub(crate) fn slices_of(&self, service: &ObjectName) -> impl Iterator<Item = &SliceFacts> {
        self.slices_of.of(service).filter_map(|name| self.slices.get(name))
    }

    fn replace_service(&mut self, name: ObjectName, new: Option<ServiceFacts>) {
        if self.services.get(&name) == new.as_ref() {
            return;
        }
        let owner = OwnerKey::Service(name.clone());
        if let Some(old) = self.services.remove(&name) {
            self.release(old.assigned, &Claimant::service(old.created_secs, owner.clone()));
        }
        if let Some(new) = new {
            let claimant = Claimant::service(new.created_secs, owner.clone());
            self.claim(new.assigned.iter().copied(), &claimant);
            self.services.insert(name.clone(), new);
        }
        self.dirty.insert(owner);
        self.mark_gateways_of(&name);
    }

    fn replace_slice(&mut self, name: ObjectName, new: Option<SliceFacts>) {
        if self.slices.get(&name) == new.as_ref() {
            return;
        }
        if let Some(old) = self.slices.remove(&name) {
            self.slices_of.remove(old.service.clone(), name.clone());
            self.mark_owners_of(&old.service);
        }
        if let Some(new) = new {
            self.mark_owners_of(&new.service);
            self.slices_of.add(new.service.clone(), name.clone());
            self.slices.insert(name, new);
        }
    }

    fn replace_exposure(&mut self, name: Arc<str>, new: Option<&Exposure>) {
        if self.exposures.get(&name) == new {
            return;
        }
        let owner = OwnerKey::Exposure(name.clone());
        let claimant = Claimant::exposure(owner.clone());
        if let Some(old) = self.exposures.remove(&name) {
            for clone in clones(&old) {
                self.exposures_of.remove(clone, name.clone());
            }
            self.release(old.addresses, &claimant);
        }
        if let Some(new) = new {
            for clone in clones(new) {
                self.exposures_of.add(clone, name.clone());
            }
            self.claim(new.addresses.iter().copied(), &claimant);
            self.exposures.insert(name, new.clone());
        }
        self.dirty.insert(owner);
    }

    fn claim(&mut self, addresses: impl IntoIterator<Item = IpAddr>, claimant: &Claimant) {
        for address in addresses {
            self.claims.add(address, claimant.clone());
            self.mark_claimants_of(address);
        }
    }

    fn release(&mut self, addresses: impl IntoIterator<Item = IpAddr>, claimant: &Claimant) {
        for address in addresses {
            self.mark_claimants_of(address);
            self.claims.remove(address, claimant.clone());
        }
    }

    /// Marks the owners that rest on the endpoints of a Service. Most Services of a cluster serve no owner.
    fn mark_owners_of(&mut self, service: &ObjectName) {
        if self.services.contains_key(service) {
            self.dirty.insert(OwnerKey::Service(service.clone()));
        }
        self.mark_gateways_of(service);
    }

    fn mark_gateways_of(&mut self, clone: &ObjectName) {
        self.dirty.extend(self.exposures_of.of(clone).cloned().map(OwnerKey::Exposure));
    }

    /// Marks all whose hold on the address may change, and so both ends of every tie between owners that comes or goes.
    fn mark_claimants_of(&mut self, address: IpAddr) {
        self.dirty.extend(self.claims.of(&address).map(|claimant| claimant.owner.clone()));
    }
}

/// The clones that serve ports of a Gateway.
fn clones(exposure: &Exposure) -> BTreeSet<ObjectName> {
    let clone = |served_by: &ServedBy| match served_by {
        ServedBy::Clone { namespace, name } => Some(ObjectName::new(namespace, name)),
        ServedBy::Anchor => None,
    };
    exposure.ports.iter().filter_map(|port| clone(&port.served_by)).collect()
}
