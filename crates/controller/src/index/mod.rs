//! The cluster as the controller knows it: stores per kind, how objects refer to each other, and who must be looked at
//! again after a change. A change marks only the owners that it can concern.

mod references;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Service};
use k8s_openapi::api::networking::v1::ServiceCIDR;
use keryx_api::gateway_api::{
    Gateway, GatewayClass, GatewayListenersAllowedRoutesNamespacesFrom as From, ReferenceGrant, Route,
    RouteKind,
};
use keryx_api::ip_address_pool::IPAddressPool;
use keryx_api::l2_advertisement::L2Advertisement;
use keryx_api::names;
use keryx_daemon::watch::Change;
pub(crate) use keryx_gateway::ObjectKey as Key;
use kube::ResourceExt as _;

pub(crate) use references::{References, RouteId};
pub(crate) use store::{Changed, Listing, Store};

use crate::writer::Stored;

/// What can be decided about, each by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// A GatewayClass's status.
    Class(String),
    /// A Gateway with its routes, clones, anchor and exposure.
    Gateway(Key),
    /// A Service of type LoadBalancer.
    Service(Key),
    /// The status of an IPAddressPool.
    Pool(Key),
    /// The status of an L2Advertisement.
    L2Advertisement(Key),
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Class(name) => write!(f, "GatewayClass {name}"),
            Self::Gateway(key) => write!(f, "Gateway {key}"),
            Self::Service(key) => write!(f, "Service {key}"),
            Self::Pool(key) => write!(f, "IPAddressPool {key}"),
            Self::L2Advertisement(key) => write!(f, "L2Advertisement {key}"),
        }
    }
}

/// Stores, references between them, and the subjects to look at.
#[derive(Default)]
pub(crate) struct Index {
    /// Services of every type and class: own ones, backends, and those of others.
    pub(crate) services: Store<Service>,
    /// Namespaces, for their labels.
    pub(crate) namespaces: Store<Namespace>,
    /// Nodes, for their addresses.
    pub(crate) nodes: Store<Node>,
    /// GatewayClasses of every controller.
    pub(crate) classes: Store<GatewayClass>,
    /// Gateways of every class.
    pub(crate) gateways: Store<Gateway>,
    /// TCPRoutes.
    pub(crate) tcp_routes: Store<Route>,
    /// UDPRoutes.
    pub(crate) udp_routes: Store<Route>,
    /// ReferenceGrants.
    pub(crate) grants: Store<ReferenceGrant>,
    /// Ranges of ClusterIPs.
    pub(crate) service_cidrs: Store<ServiceCIDR>,
    /// IPAddressPools of Keryx' namespace.
    pub(crate) address_pools: Store<IPAddressPool>,
    /// L2Advertisements of Keryx' namespace.
    pub(crate) l2_advertisements: Store<L2Advertisement>,
    /// Exposure ConfigMaps.
    pub(crate) exposures: Store<ConfigMap>,
    /// Who refers to whom.
    pub(crate) references: References,
    /// Subjects that a change concerned.
    pub(crate) dirty: BTreeSet<Subject>,
}

impl Index {
    /// The routes of `kind`.
    pub(crate) fn routes(&self, kind: RouteKind) -> &Store<Route> {
        match kind {
            RouteKind::Tcp => &self.tcp_routes,
            RouteKind::Udp => &self.udp_routes,
        }
    }

    /// Marks every subject, and every owner of something generated, even if the owner itself is gone.
    pub(crate) fn mark_all(&mut self) {
        let subjects = self.classes.iter().map(|(key, _)| Subject::Class(key.name.clone()));
        let gateways = self.gateways.iter().map(|(key, _)| Subject::Gateway(key.clone()));
        let services = self.services.iter().map(|(key, service)| subject_of(key, service));
        let exposures = self.exposures.iter().filter_map(|(_, object)| gateway_of(object));
        let marks: Vec<Subject> = subjects.chain(gateways).chain(services).chain(exposures).collect();
        self.dirty.extend(marks);
    }

    pub(crate) fn services_changed(&mut self, change: Change<Service>) {
        for changed in changes(&mut self.services, change) {
            self.mark_service(changed);
        }
    }

    /// Takes in a full list of Services that was read aside from the watch.
    pub(crate) fn services_listed(&mut self, listing: Listing<Service>) {
        for changed in self.services.replace(listing) {
            self.mark_service(changed);
        }
    }

    fn mark_service(&mut self, Changed { key, old, new }: Changed<Service>) {
        for service in old.iter().chain(&new) {
            self.dirty.insert(subject_of(&key, service));
            self.references.note_generated(&key, service, false);
        }
        if let Some(service) = &new {
            self.references.note_generated(&key, service, true);
        }
        let gateways = self.references.gateways_of_backend(&key);
        self.dirty.extend(gateways.into_iter().map(Subject::Gateway));
    }

    /// Takes in what an own write left, unless the watch has told more meanwhile.
    pub(crate) fn stored(&mut self, stored: Stored) {
        match stored {
            Stored::Service(object) => {
                self.services.note_written(object).into_iter().for_each(|changed| self.mark_service(changed));
            }
            Stored::NoService { key, uid } => {
                let changed = self.services.note_deleted(&key, Some(&uid));
                changed.into_iter().for_each(|changed| self.mark_service(changed));
            }
            Stored::Exposure(object) => {
                let changed = self.exposures.note_written(object);
                changed.into_iter().for_each(|changed| self.mark_exposure(changed));
            }
            Stored::NoExposure(key) => {
                let uid = self.exposures.find(&key).and_then(|object| object.uid());
                let changed = self.exposures.note_deleted(&key, uid.as_deref());
                changed.into_iter().for_each(|changed| self.mark_exposure(changed));
            }
            Stored::Gateway(object) => {
                self.gateways.note_written(object).into_iter().for_each(|changed| self.mark_gateway(changed));
            }
            Stored::Pool(object) => {
                self.address_pools.note_written(object);
            }
            Stored::L2Advertisement(object) => {
                self.l2_advertisements.note_written(object);
            }
            Stored::Class(object) => {
                self.classes.note_written(object).into_iter().for_each(|changed| self.mark_class(changed));
            }
            Stored::Route(kind, object) => {
                let changed = self.routes_mut(kind).note_written(object);
                changed.into_iter().for_each(|changed| self.mark_route(kind, changed));
            }
        }
    }

    /// Takes in Namespaces; returns those with other labels than before.
    pub(crate) fn namespaces_changed(&mut self, change: Change<Namespace>) -> Vec<String> {
        let labels = |namespace: &Option<Arc<Namespace>>| namespace.as_ref().map(|n| n.labels().clone());
        let relabelled: Vec<String> = changes(&mut self.namespaces, change)
            .into_iter()
            .filter(|changed| labels(&changed.old) != labels(&changed.new))
            .map(|changed| changed.key.name)
            .collect();
        if !relabelled.is_empty() {
            let selecting = self.gateways.iter().filter(|(_, gateway)| selects_namespaces(gateway));
            let marks: Vec<Subject> = selecting.map(|(key, _)| Subject::Gateway(key.clone())).collect();
            self.dirty.extend(marks);
        }
        relabelled
    }

    /// The labels of a namespace; none of one that is not known.
    pub(crate) fn labels_of_namespace(&self, name: &str) -> BTreeMap<String, String> {
        self.namespaces.get("", name).map(|namespace| namespace.labels().clone()).unwrap_or_default()
    }

    pub(crate) fn service_cidrs_changed(&mut self, change: Change<ServiceCIDR>) {
        changes(&mut self.service_cidrs, change);
    }

    /// The networks from which the cluster gives ClusterIPs.
    pub(crate) fn service_ranges(&self) -> impl Iterator<Item = IpNet> {
        let specs = self.service_cidrs.iter().filter_map(|(_, object)| object.spec.as_ref());
        specs.flat_map(|spec| spec.cidrs.iter().flatten()).filter_map(|range| range.parse().ok())
    }

    /// Takes in IPAddressPools; says whether more than a status changed.
    pub(crate) fn address_pools_changed(&mut self, change: Change<IPAddressPool>) -> bool {
        let spec = |pool: &Option<Arc<IPAddressPool>>| pool.as_ref().map(|pool| pool.spec.clone());
        let changed = changes(&mut self.address_pools, change);
        changed.iter().any(|changed| spec(&changed.old) != spec(&changed.new))
    }

    pub(crate) fn l2_advertisements_changed(&mut self, change: Change<L2Advertisement>) {
        let changed = changes(&mut self.l2_advertisements, change).into_iter();
        self.dirty.extend(changed.map(|changed| Subject::L2Advertisement(changed.key)));
    }

    /// Marks all L2Advertisements: the pools that they name may have come or gone.
    pub(crate) fn mark_l2_advertisements(&mut self) {
        let all = self.l2_advertisements.iter().map(|(key, _)| Subject::L2Advertisement(key.clone()));
        self.dirty.extend(all);
    }

    /// Takes in Nodes; says whether any address or Pod range may have changed.
    pub(crate) fn nodes_changed(&mut self, change: Change<Node>) -> bool {
        let own = |node: &Option<Arc<Node>>| {
            let addresses = node
                .as_ref()
                .and_then(|node| node.status.as_ref())
                .and_then(|status| status.addresses.clone());
            let ranges =
                node.as_ref().and_then(|node| node.spec.as_ref()).and_then(|spec| spec.pod_cidrs.clone());
            (addresses, ranges)
        };
        changes(&mut self.nodes, change).iter().any(|changed| own(&changed.old) != own(&changed.new))
    }

    pub(crate) fn classes_changed(&mut self, change: Change<GatewayClass>) {
        for changed in changes(&mut self.classes, change) {
            self.mark_class(changed);
        }
    }

    fn mark_class(&mut self, Changed { key, .. }: Changed<GatewayClass>) {
        let of_class =
            self.gateways.iter().filter(|(_, gateway)| gateway.spec.gateway_class_name == key.name);
        let marks: Vec<Subject> = of_class.map(|(key, _)| Subject::Gateway(key.clone())).collect();
        self.dirty.extend(marks);
        self.dirty.insert(Subject::Class(key.name));
    }

    pub(crate) fn gateways_changed(&mut self, change: Change<Gateway>) {
        for changed in changes(&mut self.gateways, change) {
            self.mark_gateway(changed);
        }
    }

    /// Takes in a full list of Gateways that was read aside from the watch.
    pub(crate) fn gateways_listed(&mut self, listing: Listing<Gateway>) {
        for changed in self.gateways.replace(listing) {
            self.mark_gateway(changed);
        }
    }

    fn mark_gateway(&mut self, Changed { key, .. }: Changed<Gateway>) {
        self.dirty.insert(Subject::Gateway(key));
    }

    pub(crate) fn routes_changed(&mut self, kind: RouteKind, change: Change<Route>) {
        for changed in changes(self.routes_mut(kind), change) {
            self.mark_route(kind, changed);
        }
    }

    fn routes_mut(&mut self, kind: RouteKind) -> &mut Store<Route> {
        match kind {
            RouteKind::Tcp => &mut self.tcp_routes,
            RouteKind::Udp => &mut self.udp_routes,
        }
    }

    fn mark_route(&mut self, kind: RouteKind, Changed { key, old, new }: Changed<Route>) {
        let concerned = self.references.replace_route(kind, &key, old.as_deref(), new.as_deref());
        self.dirty.extend(concerned.into_iter().map(Subject::Gateway));
    }

    pub(crate) fn grants_changed(&mut self, change: Change<ReferenceGrant>) {
        for Changed { key, .. } in changes(&mut self.grants, change) {
            let concerned = self.references.gateways_of_backends_in(&key.namespace);
            self.dirty.extend(concerned.into_iter().map(Subject::Gateway));
        }
    }

    pub(crate) fn exposures_changed(&mut self, change: Change<ConfigMap>) {
        for changed in changes(&mut self.exposures, change) {
            self.mark_exposure(changed);
        }
    }

    fn mark_exposure(&mut self, Changed { old, new, .. }: Changed<ConfigMap>) {
        self.dirty.extend(old.iter().chain(&new).filter_map(gateway_of));
    }
}

/// Applies a change to its store.
fn changes<K: kube::Resource + Clone>(store: &mut Store<K>, change: Change<K>) -> Vec<Changed<K>> {
    match change {
        Change::Apply(object) => store.apply(object).into_iter().collect(),
        Change::Delete(object) => store.delete(&object).into_iter().collect(),
        Change::Reset(list) => store.reset(list),
    }
}

/// A generated Service is looked at with its Gateway, any other by itself.
fn subject_of(key: &Key, service: &Arc<Service>) -> Subject {
    if is_generated(service)
        && let Some(gateway) = gateway_of(service)
    {
        return gateway;
    }
    Subject::Service(key.clone())
}

/// Whether `service` claims to be a clone or an anchor.
pub(crate) fn is_generated(service: &Service) -> bool {
    service
        .labels()
        .get(names::LABEL_COMPONENT)
        .is_some_and(|value| value == names::COMPONENT_CLONE || value == names::COMPONENT_ANCHOR)
}

/// The Gateway that an object was generated for.
fn made_for<K: kube::Resource>(object: &K) -> Option<Key> {
    let (namespace, name) = object.annotations().get(names::ANNOTATION_GATEWAY)?.split_once('/')?;
    Some(Key::new(namespace, name))
}

fn gateway_of<K: kube::Resource>(object: &Arc<K>) -> Option<Subject> {
    made_for(object.as_ref()).map(Subject::Gateway)
}

/// Lookups for the pure decision.
impl keryx_gateway::Cluster for Index {
    fn service(&self, namespace: &str, name: &str) -> Option<&Service> {
        self.services.get(namespace, name).map(Arc::as_ref)
    }

    fn namespace_labels(&self, namespace: &str) -> Option<&BTreeMap<String, String>> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        self.namespaces.get("", namespace).map(|found| found.metadata.labels.as_ref().unwrap_or(&NONE))
    }

    fn reference_grants(&self, namespace: &str) -> Vec<&ReferenceGrant> {
        self.grants.in_namespace(namespace)
    }
}

fn selects_namespaces(gateway: &Gateway) -> bool {
    gateway.spec.listeners.iter().any(|listener| {
        let namespaces = listener.allowed_routes.as_ref().and_then(|allowed| allowed.namespaces.as_ref());
        namespaces.is_some_and(|namespaces| namespaces.from == Some(From::Selector))
    })
}
