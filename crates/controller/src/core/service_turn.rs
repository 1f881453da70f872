//! What is to be done about one Service.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Service;
use keryx_api::assigned::Assigned;
use keryx_ipam::{Assignment, OwnerKind, Request};

use super::claims::{owner_id, service_owner};
use super::{Core, notice};
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
        let owner = service_owner(&service);
        let demand = match services::demand(&service) {
            Ok(demand) => demand,
            Err(error) => {
                return self.refuse_service(key, &service, "AddressNotUsable", &error.to_string());
            }
        };
        let request = Request { owner, families: demand.families, addresses: demand.addresses, pool: None };
        match self.claims.request(&request) {
            Ok(assignment) => self.assign_service(key, &service, &assignment),
            Err(reason) => self.refuse_service(key, &service, reason.code(), &reason.to_string()),
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
        let mut seen = BTreeSet::new();
        let pools = assignment.addresses.iter().map(|assigned| assigned.pool.to_string());
        let assigned = Assigned {
            addresses: assignment.addresses.iter().map(|assigned| assigned.address).collect(),
            pools: pools.filter(|pool| seen.insert(pool.clone())).collect(),
            sharing_key: None,
        };
        let mut steps = status_step(key, service, &Verdict::Assigned { assigned, unmet: None });
        if steps.is_empty() {
            // The status shows it no longer, so it can be another's.
            assignment.surplus.iter().for_each(|claim| self.claims.forget(claim.address));
        }
        if let Some(partial) = &assignment.partial
            && !steps.is_empty()
        {
            steps.push(notice(service, "PartlyAssigned", &partial.to_string()));
        }
        steps
    }

    /// The wish cannot be met. What the Service holds from before it keeps, since an address never goes by itself.
    fn refuse_service(
        &mut self,
        key: &Key,
        service: &Service,
        reason: &'static str,
        message: &str,
    ) -> Vec<Step> {
        let held = self.claims.held(&owner_id(OwnerKind::Service, key));
        let verdict = if held.is_empty() {
            Verdict::Refused { reason, message: message.to_owned() }
        } else {
            let pools: BTreeSet<String> = held.iter().map(|claim| claim.pool.to_string()).collect();
            let addresses = held.iter().map(|claim| claim.address).collect();
            let assigned = Assigned { addresses, pools: pools.into_iter().collect(), sharing_key: None };
            Verdict::Assigned { assigned, unmet: Some(reason) }
        };
        let mut steps = status_step(key, service, &verdict);
        if !steps.is_empty() {
            steps.push(notice(service, reason, message));
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
