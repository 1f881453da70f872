//! What is to be done about one Gateway, with its routes, clones, anchor and exposure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Service};
use keryx_api::assigned::{self, Assigned};
use keryx_api::exposure;
use keryx_api::gateway_api::{Gateway, Route, RouteKind};
use keryx_api::names;
use keryx_gateway::conditions::Wanted;
use keryx_gateway::reason::NO_RESOURCES;
use keryx_gateway::{Inputs, Outcome, RouteOutcome, attach, decide, status};
use keryx_ipam::{OwnerId, OwnerKind};
use kube::ResourceExt as _;
use serde_json::{Value, json};

use super::claims::{gateway_owner, owner_id};
use super::gateway_addresses::Addresses;
use super::{Core, RETRY_REFUSED, notice};
use crate::clock;
use crate::generated::{self, Change};
use crate::index::{Key, RouteId, Subject};
use crate::services::{self, Verdict};
use crate::writer::{StatusPatch, Step};

/// Whether a Gateway is ours, by its class.
enum Standing {
    /// Ours, and its class is accepted.
    Ours,
    /// Its class is missing or not accepted: nothing about it is decided, and nothing it has is taken away.
    Undecided,
    /// Its class belongs to another controller.
    Foreign,
}

impl Core {
    /// Steps for the Gateway of that key, and its claims brought in line.
    pub(super) fn gateway_steps(&mut self, key: &Key) -> Vec<Step> {
        let Some(gateway) = self.index.gateways.find(key).cloned() else {
            return self.leave_gateway(key, None);
        };
        if gateway.metadata.deletion_timestamp.is_some() {
            return self.leave_gateway(key, Some(&gateway));
        }
        match self.standing(&gateway) {
            Standing::Ours => self.serve_gateway(key, &gateway),
            Standing::Undecided => Vec::new(),
            Standing::Foreign => self.leave_gateway(key, Some(&gateway)),
        }
    }

    fn standing(&self, gateway: &Gateway) -> Standing {
        let Some(class) = self.index.classes.get("", &gateway.spec.gateway_class_name) else {
            return Standing::Undecided;
        };
        if class.spec.controller_name != self.settings.controller_name {
            Standing::Foreign
        } else if self.class_is_accepted(class) {
            Standing::Ours
        } else {
            Standing::Undecided
        }
    }

    fn serve_gateway(&mut self, key: &Key, gateway: &Gateway) -> Vec<Step> {
        let ids: Vec<RouteId> = self.index.references.routes_of_gateway(key).cloned().collect();
        let routes: Vec<(RouteKind, Arc<Route>)> = ids
            .iter()
            .filter_map(|(kind, route)| Some((*kind, Arc::clone(self.index.routes(*kind).find(route)?))))
            .collect();
        let attached: Vec<(RouteKind, &Route)> = routes
            .iter()
            .filter(|(_, route)| names_gateway(route, key))
            .map(|(kind, route)| (*kind, route.as_ref()))
            .collect();
        let mut addresses = self.gateway_addresses(gateway, &attached);
        addresses.notes.extend(self.conflicts.note_on(addresses.state.held()));
        let outcome = self.decide_gateway(gateway, &attached, &addresses);
        if self.refused.contains_key(key) || outcome.conditions.iter().any(|c| c.reason == NO_RESOURCES) {
            // Quota that is freed and a name that is given up concern nothing that is watched for this Gateway.
            self.pace.retry(Subject::Gateway(key.clone()), clock::now() + RETRY_REFUSED);
        }

        let mut steps = Vec::new();
        steps.extend(self.finalizer_step(key, gateway, &outcome));
        let unwritable = self.generated_steps(key, &outcome, &mut steps);
        if unwritable {
            // The refusal is known only now: decide again with it, so that the conditions tell the truth at once.
            let outcome = self.decide_gateway(gateway, &attached, &addresses);
            self.status_steps(key, gateway, &routes, &outcome, &mut steps);
            return steps;
        }
        steps.extend(self.exposure_steps(gateway, &outcome));
        self.status_steps(key, gateway, &routes, &outcome, &mut steps);
        if steps.is_empty() {
            let owner = owner_id(OwnerKind::Gateway, key);
            addresses.surplus.iter().for_each(|address| self.claims.forget(*address, &owner));
        }
        steps
    }

    pub(super) fn decide_gateway(
        &self,
        gateway: &Gateway,
        routes: &[(RouteKind, &Route)],
        addresses: &Addresses,
    ) -> Outcome {
        let none = BTreeMap::new();
        let owner = gateway_owner(gateway).id;
        let sharing_key = self.claims.sharing_key(&owner);
        let pools = self.pools_of(&owner, addresses.state.held());
        let inputs = Inputs {
            gateway,
            routes,
            addresses: &addresses.state,
            pools: &pools,
            interfaces: self.pools.interfaces_of(&owner.namespace),
            address_notes: &addresses.notes,
            sharing_key: sharing_key.as_deref(),
            write_failures: self.refused.get(&Key::of(&gateway.metadata)).unwrap_or(&none),
            load_balancer_class: &self.settings.services.load_balancer_class,
        };
        decide(&inputs, &self.index)
    }

    fn finalizer_step(&self, key: &Key, gateway: &Gateway, outcome: &Outcome) -> Option<Step> {
        let away = self
            .generated_of(key)
            .iter()
            .any(|service| service.metadata.namespace != gateway.metadata.namespace);
        self.finalizers(key, gateway, outcome.needs_finalizer || away)
    }

    /// The step that makes our finalizer present or absent.
    fn finalizers(&self, key: &Key, gateway: &Gateway, wanted: bool) -> Option<Step> {
        let mut finalizers = gateway.metadata.finalizers.clone().unwrap_or_default();
        let present = finalizers.iter().any(|name| name == names::FINALIZER_CLONES);
        if wanted == present {
            return None;
        }
        if wanted {
            finalizers.push(names::FINALIZER_CLONES.to_owned());
        } else {
            finalizers.retain(|name| name != names::FINALIZER_CLONES);
        }
        let resource_version = gateway.metadata.resource_version.clone().unwrap_or_default();
        Some(Step::Finalizers { key: key.clone(), resource_version, finalizers })
    }

    /// Steps for clones and anchor: what is not wanted goes first, so that no port is in two of them for long. Says
    /// whether one of them cannot be written, which is then noted as refused.
    fn generated_steps(&mut self, key: &Key, outcome: &Outcome, steps: &mut Vec<Step>) -> bool {
        let wanted: BTreeMap<Key, &Service> = outcome
            .clones
            .iter()
            .chain(&outcome.anchor)
            .map(|service| (Key::of(&service.metadata), service))
            .collect();
        let unwanted = |service: &&Arc<Service>| !wanted.contains_key(&Key::of(&service.metadata));
        steps.extend(self.generated_of(key).iter().filter(unwanted).filter_map(delete));
        let owner = owner_id(OwnerKind::Gateway, key);
        let mark = (!outcome.addresses.is_empty()).then(|| Verdict::Assigned {
            assigned: self.mark_of(&owner, &outcome.addresses),
            notes: Vec::new(),
        });
        let mut unwritable = false;
        for (service_key, service) in wanted {
            if self.refused.get(key).is_some_and(|refused| refused.contains_key(&service_key)) {
                continue;
            }
            let stored = self.index.services.find(&service_key).cloned();
            match generated::service(stored.as_deref(), service.clone()) {
                Ok(Change::Delete) => steps.extend(stored.iter().filter_map(delete)),
                Ok(Change::Put(target)) => {
                    let status = status_of(&target, &mark);
                    steps.push(Step::PutService(target));
                    // The version that the write gives is not known here; the object is ours alone.
                    steps.extend(status.map(|status| status_step(service_key, String::new(), status)));
                }
                Ok(Change::None) => {
                    let Some(stored) = stored else { continue };
                    let version = stored.metadata.resource_version.clone().unwrap_or_default();
                    steps.extend(
                        status_of(&stored, &mark).map(|status| status_step(service_key, version, status)),
                    );
                }
                Err(taken) => {
                    self.refused.entry(key.clone()).or_default().insert(service_key, taken.to_string());
                    unwritable = true;
                }
            }
        }
        unwritable
    }

    /// The mark that says which addresses an owner has; clones and anchor carry that of their Gateway.
    pub(super) fn mark_of(&self, owner: &OwnerId, addresses: &[IpAddr]) -> Assigned {
        let pools = self.pools_of(owner, addresses);
        let interfaces = self.pools.interfaces_of(&owner.namespace).to_vec();
        let sharing_key = self.claims.sharing_key(owner);
        Assigned { addresses: addresses.to_vec(), pools, interfaces, sharing_key }
    }

    /// The pools that these addresses of an owner are from.
    fn pools_of(&self, owner: &OwnerId, addresses: &[IpAddr]) -> Vec<String> {
        let claims = self.claims.held(owner);
        let pool = |address: &IpAddr| claims.iter().find(|claim| claim.address == *address);
        assigned::pools_of(addresses.iter().filter_map(pool).map(|claim| &*claim.pool))
    }

    fn exposure_steps(&self, gateway: &Gateway, outcome: &Outcome) -> Option<Step> {
        let key = Key::of(&gateway.metadata);
        let name = keryx_gateway::exposure::name(&key.namespace, &key.name);
        let stored = self.index.exposures.get(&self.settings.namespace, &name);
        let Some(wanted) = &outcome.exposure else {
            return stored.map(|_| Step::DeleteExposure(Key::new(&self.settings.namespace, name)));
        };
        let mut object = ConfigMap::default();
        object.metadata.namespace = Some(self.settings.namespace.clone());
        object.metadata.name = Some(name);
        let labels = [
            (names::LABEL_COMPONENT, names::COMPONENT_EXPOSURE.to_owned()),
            (names::LABEL_GATEWAY_UID, gateway.uid().unwrap_or_default()),
        ];
        object.metadata.labels = Some(labels.map(|(name, value)| (name.to_owned(), value)).into());
        object.metadata.annotations = Some([(names::ANNOTATION_GATEWAY.to_owned(), key.to_string())].into());
        object.data = Some([(exposure::DATA_KEY.to_owned(), json!(wanted).to_string())].into());
        let put = generated::exposure(stored.map(Arc::as_ref), object);
        put.map(|object| Step::PutExposure(Box::new(object)))
    }

    fn status_steps(
        &self,
        key: &Key,
        gateway: &Gateway,
        routes: &[(RouteKind, Arc<Route>)],
        outcome: &Outcome,
        steps: &mut Vec<Step>,
    ) {
        for (kind, route) in routes {
            let route_key = Key::of(&route.metadata);
            let told = outcome.routes.iter().find(|told| told.kind == *kind && told.key == route_key);
            steps.extend(self.route_steps(key, *kind, route, told));
        }
        let stored = gateway.status.clone().unwrap_or_default();
        let generation = gateway.metadata.generation.unwrap_or_default();
        let wanted = status::gateway(&stored, outcome, generation, &clock::wall());
        if wanted != stored {
            let resource_version = if steps.iter().any(|step| matches!(step, Step::Finalizers { .. })) {
                String::new()
            } else {
                gateway.metadata.resource_version.clone().unwrap_or_default()
            };
            let patch = StatusPatch { key: key.clone(), resource_version, status: json!(wanted) };
            steps.push(Step::GatewayStatus(patch));
            steps.extend(refusals(&outcome.conditions).map(|no| notice(gateway, no.reason, &no.message)));
        }
    }

    /// Steps for what one Gateway says of one route; `told` is `None` if the route no longer names the Gateway.
    fn route_steps(
        &self,
        gateway: &Key,
        kind: RouteKind,
        route: &Route,
        told: Option<&RouteOutcome>,
    ) -> Vec<Step> {
        let Some(version) = self.served.route_version(kind) else { return Vec::new() };
        let stored = route.status.as_ref().map(|status| status.parents.as_slice()).unwrap_or_default();
        let wanted = told.map(|told| told.parents.as_slice()).unwrap_or_default();
        let merged = status::route_parents(
            stored,
            &route.namespace().unwrap_or_default(),
            gateway,
            wanted,
            &self.settings.controller_name,
            route.metadata.generation.unwrap_or_default(),
            &clock::wall(),
        );
        if merged.parents == stored {
            return Vec::new();
        }
        let patch = StatusPatch {
            key: Key::of(&route.metadata),
            resource_version: route.metadata.resource_version.clone().unwrap_or_default(),
            status: json!({ "parents": merged.parents }),
        };
        let mut steps = vec![Step::RouteStatus { kind, version, patch }];
        let conditions: BTreeSet<(&str, &str)> = wanted
            .iter()
            .flat_map(|parent| refusals(&parent.conditions))
            .map(|no| (no.reason, no.message.as_str()))
            .collect();
        steps.extend(
            conditions
                .into_iter()
                .map(|(reason, message)| super::route_notice(kind, version, route, reason, message)),
        );
        steps
    }

    /// The Gateway is gone, going, or another's: everything made for it goes, then the finalizer, then the claims.
    fn leave_gateway(&mut self, key: &Key, gateway: Option<&Gateway>) -> Vec<Step> {
        let mut steps = Vec::new();
        let name = keryx_gateway::exposure::name(&key.namespace, &key.name);
        if self.index.exposures.get(&self.settings.namespace, &name).is_some() {
            steps.push(Step::DeleteExposure(Key::new(&self.settings.namespace, name)));
        }
        let generated = self.generated_of(key);
        steps.extend(generated.iter().filter_map(delete));
        // One that is going, and is held up by somebody's finalizer, is waited for: the watch tells when it is gone.
        if !steps.is_empty() || !generated.is_empty() {
            return steps;
        }
        let ids: Vec<RouteId> = self.index.references.routes_of_gateway(key).cloned().collect();
        for (kind, route) in ids {
            if let Some(route) = self.index.routes(kind).find(&route) {
                steps.extend(self.route_steps(key, kind, route, None));
            }
        }
        steps.extend(gateway.and_then(|gateway| self.finalizers(key, gateway, false)));
        if steps.is_empty() || gateway.is_some() {
            self.claims.release(&owner_id(OwnerKind::Gateway, key));
        }
        self.refused.remove(key);
        steps
    }

    /// Clones and anchors that stand for the Gateway of that name.
    fn generated_of(&self, key: &Key) -> Vec<Arc<Service>> {
        let keys = self.index.references.generated_for(key);
        keys.filter_map(|service| self.index.services.find(service).cloned()).collect()
    }
}

fn refusals(conditions: &[Wanted]) -> impl Iterator<Item = &Wanted> {
    conditions.iter().filter(|condition| !condition.status)
}

fn names_gateway(route: &Route, gateway: &Key) -> bool {
    let namespace = route.namespace().unwrap_or_default();
    let mut parents = route.spec.parent_refs.iter();
    parents.any(|parent| attach::gateway_of(parent, &namespace).as_ref() == Some(gateway))
}

/// The status of a generated Service; none as long as the Gateway has no address.
fn status_of(service: &Service, mark: &Option<Verdict>) -> Option<Value> {
    services::status(service, mark.as_ref()?, &clock::wall())
}

fn status_step(key: Key, resource_version: String, status: Value) -> Step {
    Step::ServiceStatus(StatusPatch { key, resource_version, status })
}

/// The step that deletes a Service; none if it is going already.
fn delete(service: &Arc<Service>) -> Option<Step> {
    let step =
        Step::DeleteService { key: Key::of(&service.metadata), uid: service.uid().unwrap_or_default() };
    service.metadata.deletion_timestamp.is_none().then_some(step)
}
