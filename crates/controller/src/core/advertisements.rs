//! The status of each L2Advertisement: whether it is in force, and whether the pools that it names exist. What it does is the
//! speakers' part.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use keryx_api::l2_advertisement::L2Advertisement;
use keryx_api::status::{CONDITION_READY, CONDITION_RESOLVED_REFS, ConditionsStatus};
use keryx_gateway::conditions::{self, Wanted};
use serde_json::json;

use super::Core;
use crate::clock;
use crate::index::Key;
use crate::writer::{StatusPatch, Step};

impl Core {
    /// The write that brings the status of an advertisement up to date.
    pub(super) fn l2_advertisement_steps(&self, key: &Key) -> Vec<Step> {
        let Some(object) = self.index.l2_advertisements.find(key) else { return Vec::new() };
        let pools = self.claims.allocator().pools().map(|pool| &*pool.name).collect();
        let wanted = status(object, &pools, &clock::wall());
        if object.status.as_ref() == Some(&wanted) {
            return Vec::new();
        }
        let resource_version = object.metadata.resource_version.clone().unwrap_or_default();
        vec![Step::L2AdvertisementStatus(StatusPatch {
            key: key.clone(),
            resource_version,
            status: json!(wanted),
        })]
    }
}

/// What the status of an advertisement should say; `pools` are the names of all pools.
fn status(object: &L2Advertisement, pools: &BTreeSet<&str>, now: &Time) -> ConditionsStatus {
    let stored = object.status.as_ref().map(|status| &*status.conditions).unwrap_or_default();
    let generation = object.metadata.generation.unwrap_or_default();
    let wanted = [ready(object), resolved_refs(object, pools)];
    ConditionsStatus {
        observed_generation: object.metadata.generation,
        conditions: conditions::merge(stored, &wanted, &[], generation, now),
    }
}

fn ready(object: &L2Advertisement) -> Wanted {
    match object.spec.selectors() {
        Ok(_) => Wanted::yes(CONDITION_READY, "InForce", "the speakers follow it"),
        Err(error) => {
            let message = format!("nothing is announced because of it: {error}");
            Wanted::no(CONDITION_READY, "Invalid", message)
        }
    }
}

fn resolved_refs(object: &L2Advertisement, pools: &BTreeSet<&str>) -> Wanted {
    let named = object.spec.ip_address_pools.iter().map(String::as_str);
    let missing: Vec<&str> = named.filter(|name| !pools.contains(name)).collect();
    if missing.is_empty() {
        return Wanted::yes(CONDITION_RESOLVED_REFS, "ResolvedRefs", "every pool that it names exists");
    }
    let message = format!(
        "there is no pool {}: neither an IPAddressPool of this namespace nor a key of the address ConfigMap has that name",
        missing.join(", ")
    );
    Wanted::no(CONDITION_RESOLVED_REFS, "PoolNotFound", message)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    fn said(spec: serde_json::Value) -> Vec<String> {
        let mut object = L2Advertisement::new("x", serde_json::from_value(spec).unwrap());
        object.metadata.generation = Some(3);
        let now = Time(Timestamp::from_second(1_000).unwrap());
        let status = status(&object, &BTreeSet::from(["edge", "range-global"]), &now);
        assert_eq!(status.observed_generation, Some(3));
        let each = status.conditions.iter();
        each.map(|it| format!("{}={}/{}: {}", it.type_, it.status, it.reason, it.message)).collect()
    }

    #[test]
    fn one_that_names_existing_pools_is_in_force() {
        for spec in [json!({}), json!({"ipAddressPools": ["edge", "range-global"]})] {
            let said = said(spec);
            assert!(said[0].starts_with("Ready=True/InForce"), "{said:?}");
            assert!(said[1].starts_with("ResolvedRefs=True/ResolvedRefs"), "{said:?}");
        }
    }

    #[test]
    fn pools_that_do_not_exist_are_named_and_do_not_end_it() {
        let said = said(json!({"ipAddressPools": ["edge", "egde", "gone"]}));
        assert!(said[0].starts_with("Ready=True"), "{said:?}");
        assert!(
            said[1].starts_with("ResolvedRefs=False/PoolNotFound: there is no pool egde, gone:"),
            "{said:?}"
        );
    }

    #[test]
    fn a_selector_that_cannot_be_read_ends_it_and_is_named() {
        let bad = json!({"nodeSelectors": [{"matchExpressions": [{"key": "a", "operator": "Is"}]}]});
        let said = said(bad);
        assert!(said[0].starts_with("Ready=False/Invalid: nothing is announced"), "{said:?}");
        assert!(said[0].contains("spec.nodeSelectors[0]"), "{said:?}");
    }
}
