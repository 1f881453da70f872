//! What is to be done about one Service.

use k8s_openapi::api::core::v1::Service;
use keryx_ipam::{Assignment, OwnerKind, Reason, Request};
use kube::ResourceExt as _;

use super::claims::{owner_id, service_owner};
use super::{Core, notes, notice};
use crate::clock;
use crate::index::Key;
use crate::services::{self, Verdict};
use crate::writer::{StatusPatch, Step};

impl Core {
    /// Steps for the Service of that key, and its claims brought in line.
    pub(super) fn service_steps(&mut self, key: &Key) -> Vec<Step> {
        let Some(service) = self.index.services.find(key).cloned() else {
            self.claims.release(&owner_id(OwnerKind::Service, key));
            return Vec::new();
        };
        if !self.settings.services.serves(&service) {
            return self.leave_service(key, &service);
        }
        let sharing_scope = self.pools.sharing_scope(&key.namespace);
        let foreign = self.settings.foreign_annotations;
        let demand = match services::demand(&service, foreign, sharing_scope.as_ref()) {
            Ok(demand) => demand,
            Err(error) => {
                return self.refuse_service(key, &service, error.code(), &error.to_string(), None);
            }
        };
        let request = Request {
            labels: service.labels().clone(),
            namespace_labels: self.index.labels_of_namespace(&key.namespace),
            families: demand.families,
            addresses: demand.addresses,
            pool: demand.pool,
            sharing: demand.sharing,
            since_secs: super::created_secs(&service.metadata),
            ..Request::new(service_owner(&service))
        };
        match self.claims.request(&request) {
            Ok(assignment) => self.assign_service(key, &service, &assignment),
            Err(reason) => {
                self.refuse_service(key, &service, reason.code(), &reason.to_string(), Some(&reason))
            }
        }
    }

    /// Not ours, or no longer: our mark and ingress go first, then the claims.
    fn leave_service(&mut self, key: &Key, service: &Service) -> Vec<Step> {
        let steps = status_step(key, service, &Verdict::NotOurs);
        if steps.is_empty() {
            self.claims.release(&owner_id(OwnerKind::Service, key));
        }
        steps
    }

    fn assign_service(&mut self, key: &Key, service: &Service, assignment: &Assignment) -> Vec<Step> {
        let owner = owner_id(OwnerKind::Service, key);
        let addresses: Vec<_> = assignment.addresses.iter().map(|assigned| assigned.address).collect();
        let mut notes = notes::of_assignment(assignment);
        notes.extend(self.conflicts.note_on(&addresses));
        let verdict = Verdict::Assigned { assigned: self.mark_of(&owner, &addresses), notes };
        let mut steps = status_step(key, service, &verdict);
        if steps.is_empty() {
            // The status shows it no longer, so it can be another's.
            assignment.surplus.iter().for_each(|claim| self.claims.forget(claim.address, &owner));
        }
        if let Some(partial) = &assignment.partial
            && !steps.is_empty()
        {
            steps.push(notice(service, "PartlyAssigned", &partial.to_string()));
        }
        steps
    }

    /// The wish cannot be met. What the Service holds from before it keeps, since an address never goes by itself, but for
    /// one that its own change made unfit for those who share it.
    fn refuse_service(
        &mut self,
        key: &Key,
        service: &Service,
        code: &'static str,
        message: &str,
        reason: Option<&Reason>,
    ) -> Vec<Step> {
        let owner = owner_id(OwnerKind::Service, key);
        let forfeited = reason.and_then(Reason::forfeits);
        let held = self.claims.held(&owner).into_iter().map(|claim| claim.address);
        let kept: Vec<_> = held.filter(|address| Some(*address) != forfeited).collect();
        let verdict = if kept.is_empty() {
            Verdict::Refused { reason: code, message: message.to_owned() }
        } else {
            Verdict::Assigned {
                assigned: self.mark_of(&owner, &kept),
                notes: [notes::unmet(code, message)]
                    .into_iter()
                    .chain(self.conflicts.note_on(&kept))
                    .collect(),
            }
        };
        let mut steps = status_step(key, service, &verdict);
        if steps.is_empty() {
            forfeited.into_iter().for_each(|address| self.claims.forget(address, &owner));
        } else {
            steps.push(notice(service, code, message));
        }
        steps
    }
}

fn status_step(key: &Key, service: &Service, verdict: &Verdict) -> Vec<Step> {
    let status = services::status(service, verdict, &clock::wall());
    let resource_version = service.metadata.resource_version.clone().unwrap_or_default();
    let patch = status.map(|status| StatusPatch { key: key.clone(), resource_version, status });
    patch.map(Step::ServiceStatus).into_iter().collect()
}
