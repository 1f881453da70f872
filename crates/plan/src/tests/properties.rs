//! Properties over random objects and histories.

mod model;

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::fixtures::*;
use crate::bgp::BgpDecision;
use crate::{Changes, Decision, Index, Owner, Plan, Reason, SharedMap};
use model::*;

fn difference<K: Ord + Clone, V: PartialEq>(old: &SharedMap<K, V>, new: &SharedMap<K, V>) -> BTreeSet<K> {
    let mut keys: BTreeSet<K> = old.keys().chain(new.keys()).cloned().collect();
    keys.retain(|key| old.get(key) != new.get(key));
    keys
}

proptest! {
    #[test]
    fn an_index_with_any_history_plans_as_one_fed_with_the_last_objects(ops in vec(op(), 1..60)) {
        let mut index = Index::new();
        let mut model = Model::default();
        for op in ops {
            let Op::Update(me) = op else {
                model.play(op, &mut index);
                continue;
            };
            let before = index.plan().clone();
            let changes = index.update(&me.into());
            let after = index.plan();
            prop_assert_eq!(after, &model.planned_from_nothing(me));
            let expected = Changes {
                vips: difference(&before.vips, &after.vips),
                groups: difference(&before.groups, &after.groups),
                guard: difference(&before.guard.vips, &after.guard.vips),
                refused: difference(&before.refused, &after.refused),
                bgp_routes: difference(&before.bgp.routes, &after.bgp.routes),
                bgp_sessions: before.bgp.peers != after.bgp.peers || before.bgp.unusable != after.bgp.unusable,
                groups_computed: changes.groups_computed,
            };
            prop_assert_eq!(changes, expected);
        }
    }

    #[test]
    fn all_nodes_agree_on_one_announcer_that_can_serve(model in model()) {
        let plans = NODES.map(|me| (me, model.planned_from_nothing(me)));
        for (address, vip) in &plans[0].1.vips {
            let v6 = address.is_ipv6();
            let ports = model.ports(vip);
            let is_announced = |plan: &Plan| plan.vips[address].decision == Decision::Announce;
            let announcing: Vec<&str> =
                plans.iter().filter(|(_, plan)| is_announced(plan)).map(|(me, _)| *me).collect();
            for (_, plan) in &plans {
                prop_assert_eq!(&plan.vips[address].announcer, &vip.announcer);
                prop_assert_eq!(&plan.guard, &plans[0].1.guard);
            }
            prop_assert_eq!(&announcing, &Vec::from_iter(vip.announcer.as_ref().map(|node| node.as_str())));

            let refuse = model.refuses(vip);
            let served_by = |node: &str| ports.iter().any(|(port, service)| model.serves(node, service, *port, v6));
            let served_anywhere = ports.iter().any(|(port, service)| {
                model.endpoints(service, *port, v6).iter().any(|(_, state)| is_serving(*state))
            });
            if let [node] = announcing[..] {
                prop_assert!(model.is_eligible(node));
                prop_assert!(served_by(node) || (refuse && !served_anywhere));
            }
        }
    }

    #[test]
    fn all_nodes_name_the_same_candidates_and_the_first_is_the_announcer(model in model()) {
        let plans = NODES.map(|me| model.planned_from_nothing(me));
        for plan in &plans {
            for (key, group) in &plan.groups {
                let first = &plans[0].groups[key];
                prop_assert_eq!((group.id, &group.vips, &group.candidates), (first.id, &first.vips, &first.candidates));
                prop_assert!(group.candidates.iter().all(|node| model.is_eligible(node.as_str())));
            }
            prop_assert_eq!(plan.groups.len(), plans[0].groups.len());
            for (address, vip) in &plan.vips {
                let group = plan.groups.get(&vip.group);
                let first = group.and_then(|group| group.candidates.first());
                prop_assert!(vip.announcer.is_none() || vip.announcer.as_ref() == first, "{}", address);
                prop_assert!(group.is_none_or(|group| group.vips.contains(address)));
            }
        }
    }

    #[test]
    fn a_vip_is_silent_only_if_no_node_could_announce_it(model in model()) {
        let vips = &model.planned_from_nothing("a").vips;
        for (address, vip) in vips {
            let Decision::Skip(reason) = vip.decision.clone() else { continue };
            if vip.announcer.is_some() || matches!(reason, Reason::HolderLacksEndpoint { .. }) {
                continue;
            }
            let v6 = address.is_ipv6();
            let ports = model.ports(vip);
            // A ready endpoint on an eligible node is enough, whatever the policies.
            for (port, service) in &ports {
                for (node, state) in model.endpoints(service, *port, v6) {
                    prop_assert!(!(is_ready(state) && model.is_eligible(node)), "{address}: {reason:?}");
                }
            }
            let any_eligible = NODES.iter().any(|node| model.is_eligible(node));
            // Under Cluster any endpoint is enough, if any node will do.
            if model.any_node_will_do(vip) && any_eligible {
                let reachable = ports.iter().any(|(port, service)| {
                    !model.services[service].local && model.serves("", service, *port, v6)
                });
                prop_assert!(!reachable, "{address}: {reason:?}");
            }
            if model.refuses(vip) && any_eligible {
                let of_group = vips.iter().filter(|(_, other)| other.group == vip.group);
                let mut ports = of_group.flat_map(|(address, vip)| {
                    model.ports(vip).into_iter().map(|(port, service)| (address.is_ipv6(), port, service))
                });
                let has_endpoints = ports.any(|(v6, port, service)| {
                    model.endpoints(service, port, v6).iter().any(|(_, state)| is_serving(*state))
                });
                prop_assert!(has_endpoints, "{address}: {reason:?}");
            }
            prop_assert_eq!(reason == Reason::NoEligibleNode, !any_eligible && reason != Reason::NoEndpoints);
        }
    }

    #[test]
    fn an_address_is_kept_by_its_first_claimant_and_by_those_with_its_key(model in model()) {
        let plan = model.planned_from_nothing("a");
        for address in ADDRESSES {
            let of_a_node = model.nodes.values().any(|node| node.address == Some(address));
            let mut keepers = if of_a_node { Vec::new() } else { model.claimants(address) };
            let first_key = keepers.first().and_then(|(_, key, _)| *key);
            let mut is_first = true;
            keepers.retain(|(_, key, _)| std::mem::take(&mut is_first) || (key.is_some() && *key == first_key));
            let owners: Vec<Owner> = keepers.into_iter().map(|(_, _, owner)| owner).collect();
            let planned = plan.vips.get(&ip(address)).map(|vip| vip.owners.to_vec());
            prop_assert_eq!(planned.unwrap_or_default(), owners, "{}", address);
        }
    }

    #[test]
    fn the_explanation_of_each_node_is_what_its_own_plan_says(ops in vec(op(), 1..60)) {
        let mut index = Index::new();
        let mut model = Model::default();
        for op in ops {
            model.play(op, &mut index);
        }
        for me in NODES {
            index.update(&me.into());
            for (address, vip) in &index.plan().vips {
                let Some(explained) = index.explain(&vip.group.0).unwrap().bgp else {
                    prop_assert_eq!(&vip.bgp, &BgpDecision::Skip(Reason::NoBgpAdvertisement));
                    continue;
                };
                let Some(standing) = explained.nodes.iter().find(|standing| standing.node.as_str() == me) else {
                    prop_assert!(!model.nodes.contains_key(me));
                    continue;
                };
                match (&vip.bgp, &standing.addresses[address]) {
                    (BgpDecision::Skip(reason), explained) => prop_assert_eq!(&Err(reason.clone()), explained),
                    (BgpDecision::Advertise { because, leaving }, Ok(routes)) => {
                        let asked: BTreeSet<_> = because.iter().map(|(prefix, _)| *prefix).collect();
                        prop_assert_eq!(routes.iter().map(|route| route.prefix).collect::<BTreeSet<_>>(), asked);
                        for route in routes {
                            prop_assert_eq!(route.leaving, *leaving);
                            let told = &index.plan().bgp.routes[&route.prefix].to;
                            prop_assert!(route.peers.iter().all(|peer| told.contains_key(peer)));
                        }
                    }
                    (BgpDecision::Advertise { .. }, Err(reason)) => prop_assert!(false, "{address}: {reason:?}"),
                }
            }
        }
    }

    #[test]
    fn vips_are_of_one_group_if_and_only_if_shared_addresses_tie_their_owners(model in model()) {
        let vips = &model.planned_from_nothing("a").vips;
        // Each VIP is of the component of the first VIP that it is tied to, until nothing changes.
        let mut components: Vec<usize> = (0..vips.len()).collect();
        let owners: Vec<_> = vips.values().map(|vip| &vip.owners).collect();
        for _ in 0..vips.len() {
            for (a, b) in (0..vips.len()).flat_map(|a| (0..vips.len()).map(move |b| (a, b))) {
                if owners[a].iter().any(|owner| owners[b].contains(owner)) {
                    components[a] = components[a].min(components[b]);
                }
            }
        }
        let groups: Vec<_> = vips.values().map(|vip| &vip.group).collect();
        for (a, b) in (0..vips.len()).flat_map(|a| (0..vips.len()).map(move |b| (a, b))) {
            prop_assert_eq!(groups[a] == groups[b], components[a] == components[b]);
        }
    }
}
