//! Conditions that say more about addresses which an owner has: that its wish is not met in full, or that an address is
//! kept although it would not be given any more.

use keryx_api::names::{CONDITION_OUTSIDE_POOL, CONDITION_REQUEST_UNMET};
use keryx_gateway::conditions::Wanted;
use keryx_ipam::{Assigned, Assignment};

/// Reason of an address that its pool no longer covers.
const POOL_CHANGED: &str = "PoolChanged";
/// Reason of an address that the cluster uses itself.
const USED_BY_CLUSTER: &str = "UsedByCluster";

/// What is to be said about what a request was given.
pub(super) fn of_assignment(assignment: &Assignment) -> Vec<Wanted> {
    let partial = assignment.partial.as_ref().map(|partial| unmet(partial.code(), &partial.to_string()));
    partial.into_iter().chain(outside(&assignment.addresses)).collect()
}

/// The owner keeps what it has, and does not get what it asks for now.
pub(super) fn unmet(reason: &'static str, message: &str) -> Wanted {
    Wanted::yes(CONDITION_REQUEST_UNMET, reason, message)
}

fn outside(addresses: &[Assigned]) -> Option<Wanted> {
    let mut reason = None;
    let mut sentences = Vec::new();
    for Assigned { address, pool, outside_pool, reserved, .. } in addresses {
        if let Some(why) = reserved {
            reason = Some(USED_BY_CLUSTER);
            sentences.push(format!("{address} is {why}, so it would not be given any more"));
        } else if *outside_pool {
            reason = reason.or(Some(POOL_CHANGED));
            sentences.push(format!("Pool {pool} no longer has {address}"));
        }
    }
    let kept = "The address is kept until its owner goes or asks for another one";
    let message = || format!("{}. {kept}", sentences.join(". "));
    reason.map(|reason| Wanted::yes(CONDITION_OUTSIDE_POOL, reason, message()))
}

#[cfg(test)]
mod tests {
    use keryx_ipam::{Change, ReservedWhy};

    use super::*;

    fn assigned(address: &str, outside_pool: bool, reserved: Option<ReservedWhy>) -> Assigned {
        let address = address.parse().unwrap();
        Assigned { address, pool: "edge".into(), change: Change::Kept, outside_pool, reserved }
    }

    #[test]
    fn an_address_in_its_pool_needs_no_words() {
        assert_eq!(outside(&[assigned("192.0.2.10", false, None)]), None);
    }

    #[test]
    fn an_address_that_left_its_pool_is_named_with_the_pool() {
        let note =
            outside(&[assigned("192.0.2.10", true, None), assigned("2001:db8::10", false, None)]).unwrap();
        assert_eq!(
            note.to_string(),
            "keryx.dev/OutsidePool=True/PoolChanged: Pool edge no longer has 192.0.2.10. The address is kept until its \
             owner goes or asks for another one"
        );
    }

    #[test]
    fn the_use_by_the_cluster_is_the_graver_reason() {
        let node = Some(ReservedWhy::Node("n1".into()));
        let note =
            outside(&[assigned("192.0.2.10", true, None), assigned("192.0.2.11", true, node)]).unwrap();
        assert_eq!(note.reason, USED_BY_CLUSTER);
        assert!(note.message.contains("192.0.2.11 is an address of Node n1"), "{}", note.message);
    }
}
