//! Addresses that several owners share.

use k8s_openapi::api::core::v1::Service;
use keryx_api::Protocol;
use keryx_api::exposure::{AnnounceFrom, WithoutEndpoints};
use keryx_api::ledger::OwnerKind;

use super::fixtures::*;
use crate::{Decision, GroupKey, Index, Owner, OwnerKey, Reason};

const VIP: &str = "192.0.2.10";
const OTHER: &str = "192.0.2.11";

/// A Service with one TCP port that shares its addresses by the key `k`.
fn sharing(name: &str, port: u16, addresses: &[&str]) -> Service {
    keyed(name, port, addresses, "k")
}

fn keyed(name: &str, port: u16, addresses: &[&str], key: &str) -> Service {
    let service = set_ports(mk_service(name, addresses), vec![mk_port("", "TCP", port.into())]);
    set_sharing_key(service, key)
}

fn add_endpoints(index: &mut Index, service: &str, nodes: &[&str]) {
    let endpoints: Vec<_> = nodes.iter().map(|node| (*node, State::Ready)).collect();
    index.apply_endpoint_slice(&mk_slice(&format!("default/{service}-1"), service, &endpoints));
}

fn owners(index: &mut Index, address: &str) -> Vec<Owner> {
    seen_from(index, "a", address).owners.to_vec()
}

fn service(name: &str) -> Owner {
    owner(OwnerKind::Service, name)
}

fn exposure_key(name: &str) -> OwnerKey {
    OwnerKey::Exposure(name.into())
}

/// Owners web, mail and dns, where web and mail share [`VIP`], and mail and dns share [`OTHER`].
fn chain() -> Index {
    let mut index = three_nodes();
    index.apply_service(&set_created(sharing("default/web", 80, &[VIP]), 1));
    index.apply_service(&set_created(sharing("default/mail", 25, &[VIP, OTHER]), 2));
    index.apply_service(&set_created(sharing("default/dns", 53, &[OTHER]), 3));
    index
}

#[test]
fn a_shared_address_is_announced_by_one_node_for_all_its_owners() {
    let mut index = three_nodes();
    let mut exposure = mk_exposure("default/gw", &[VIP]);
    exposure.sharing_key = Some("k".into());
    add_clone_port(&mut exposure, 443, "default/shop-1");
    index.apply_exposure("gw", &exposure);
    index.apply_service(&set_ports(mk_clone("default/shop-1", &[VIP]), vec![mk_port("", "TCP", 443)]));
    index.apply_service(&sharing("default/web", 80, &[VIP]));
    for name in ["shop-1", "web"] {
        add_endpoints(&mut index, name, &["a", "b", "c"]);
    }
    assert_eq!(announcers(&mut index, VIP).len(), 1);
    let expected = [owner(OwnerKind::Gateway, "default/gw"), service("default/web")];
    assert_eq!(owners(&mut index, VIP), expected, "best right first");
    assert_eq!(index.plan().vips[&ip(VIP)].group, GroupKey(exposure_key("gw")));
    assert!(index.plan().refused.is_empty());
    let guarded = [(ip(VIP), [(Protocol::Tcp, 80), (Protocol::Tcp, 443)].into())];
    assert_eq!(index.plan().guard.vips, guarded.into());
}

#[test]
fn the_node_that_covers_the_most_ports_of_all_sharers_announces() {
    let mut index = three_nodes();
    index.apply_service(&set_local(sharing("default/web", 80, &[VIP])));
    index.apply_service(&set_local(sharing("default/dns", 53, &[VIP])));
    add_endpoints(&mut index, "web", &["a", "b"]);
    add_endpoints(&mut index, "dns", &["b", "c"]);
    assert_eq!(announcers(&mut index, VIP), ["b"]);
    assert_eq!(reason(&mut index, "a", VIP), Reason::CoversFewerPorts { covered: 1, best: 2 });
}

#[test]
fn a_sharer_without_endpoints_does_not_silence_the_other() {
    let mut index = three_nodes();
    index.apply_service(&set_local(sharing("default/older", 80, &[VIP])));
    index.apply_service(&set_local(sharing("default/younger", 53, &[VIP])));
    assert_eq!(reason(&mut index, "a", VIP), Reason::NoEndpoints);
    add_endpoints(&mut index, "younger", &["c"]);
    assert_eq!(announcers(&mut index, VIP), ["c"]);
}

#[test]
fn a_claimant_with_a_foreign_key_or_none_is_refused() {
    let first = set_created(sharing("default/first", 80, &[VIP]), 1);
    let foreign = keyed("default/other", 53, &[VIP], "another");
    let without = set_ports(mk_service("default/other", &[VIP]), vec![mk_port("", "TCP", 53)]);
    let keyless_first = set_created(mk_service("default/first", &[VIP]), 1);
    let rows =
        [(&first, &foreign), (&first, &without), (&keyless_first, &foreign), (&keyless_first, &without)];
    for (first, other) in rows {
        let mut index = three_nodes();
        index.apply_service(first);
        index.apply_service(other);
        // A third with the first's key shares, whoever is in between.
        index.apply_service(&set_created(sharing("default/third", 25, &[VIP]), 2_000));
        let expected = Some(Reason::DuplicateClaim { other: Box::new(service("default/first")) });
        assert_eq!(refusal(&mut index, &service_key("default/other"), VIP), expected);
        let third = refusal(&mut index, &service_key("default/third"), VIP);
        assert_eq!(third.is_none(), std::ptr::eq(first, rows[0].0));
        assert!(!index.plan().guard.vips[&ip(VIP)].contains(&(Protocol::Tcp, 53)));
    }
}

#[test]
fn a_sharer_that_leaves_takes_only_its_ports_along() {
    let mut index = three_nodes();
    index.apply_service(&set_created(sharing("default/web", 80, &[VIP]), 1));
    index.apply_service(&sharing("default/dns", 53, &[VIP]));
    add_endpoints(&mut index, "web", &["a"]);
    add_endpoints(&mut index, "dns", &["b"]);
    index.update(&"a".into());
    index.delete_service("default", "web");
    let changes = index.update(&"a".into());
    assert_eq!((changes.vips, changes.guard), ([ip(VIP)].into(), [ip(VIP)].into()));
    assert_eq!(owners(&mut index, VIP), [service("default/dns")]);
    assert_eq!(index.plan().vips[&ip(VIP)].group, GroupKey(service_key("default/dns")));
    assert_eq!(*index.plan().guard.vips[&ip(VIP)], [(Protocol::Tcp, 53)]);
    assert_eq!(announcers(&mut index, VIP), ["b"]);
    index.delete_service("default", "dns");
    index.update(&"a".into());
    assert_eq!(**index.plan(), crate::Plan::default());
}

#[test]
fn a_sharer_whose_key_changes_is_refused_until_the_others_follow() {
    let mut index = three_nodes();
    index.apply_service(&set_created(sharing("default/web", 80, &[VIP]), 1));
    index.apply_service(&sharing("default/dns", 53, &[VIP]));
    assert_eq!(owners(&mut index, VIP).len(), 2);
    index.apply_service(&keyed("default/dns", 53, &[VIP], "new"));
    assert_eq!(owners(&mut index, VIP), [service("default/web")]);
    let expected = Some(Reason::DuplicateClaim { other: Box::new(service("default/web")) });
    assert_eq!(refusal(&mut index, &service_key("default/dns"), VIP), expected);
    index.apply_service(&set_created(keyed("default/web", 80, &[VIP], "new"), 1));
    assert_eq!(owners(&mut index, VIP), [service("default/web"), service("default/dns")]);
    assert!(index.plan().refused.is_empty());
}

#[test]
fn a_chain_of_three_owners_over_two_addresses_is_one_group_until_it_breaks() {
    let mut index = chain();
    for name in ["web", "mail", "dns"] {
        add_endpoints(&mut index, name, &["a", "b", "c"]);
    }
    let group = GroupKey(service_key("default/web"));
    for address in [VIP, OTHER] {
        assert_eq!(seen_from(&mut index, "a", address).group, group);
    }
    assert_eq!(announcers(&mut index, VIP), announcers(&mut index, OTHER));
    for member in ["default/web", "default/mail", "default/dns"] {
        let owners = index.explain(&service_key(member)).unwrap().owners;
        assert_eq!(owners, [service("default/web"), service("default/mail"), service("default/dns")]);
    }
    index.delete_service("default", "mail");
    assert_eq!(seen_from(&mut index, "a", VIP).group, group);
    assert_eq!(seen_from(&mut index, "a", OTHER).group, GroupKey(service_key("default/dns")));
}

#[test]
fn a_change_of_one_owner_computes_its_group_once_and_no_other() {
    let mut index = chain();
    for number in 20..50 {
        index.apply_service(&sharing(
            &format!("default/alone-{number}"),
            80,
            &[&format!("192.0.2.{number}")],
        ));
    }
    assert_eq!(index.update(&"a".into()).groups_computed, 31, "the chain is one group");
    for name in ["web", "mail", "dns"] {
        add_endpoints(&mut index, name, &["a"]);
        assert_eq!(index.update(&"a".into()).groups_computed, 1, "{name}");
    }
    index.delete_service("default", "mail");
    assert_eq!(index.update(&"a".into()).groups_computed, 2, "the two halves");
    index.apply_service(&set_created(sharing("default/mail", 25, &[VIP, OTHER]), 2));
    assert_eq!(index.update(&"a".into()).groups_computed, 1, "one again");
}

#[test]
fn an_address_of_a_node_ties_no_owners() {
    let mut index = chain();
    index.update(&"a".into());
    let mut node = mk_node("b");
    set_node_address(&mut node, OTHER);
    index.apply_node(&node);
    let expected = Some(Reason::NodeAddress { node: "b".into() });
    for name in ["default/mail", "default/dns"] {
        assert_eq!(refusal(&mut index, &service_key(name), OTHER), expected);
    }
    let owners = index.explain(&service_key("default/web")).unwrap().owners;
    assert_eq!(owners, [service("default/web"), service("default/mail")]);
}

#[test]
fn a_port_that_two_sharers_claim_is_the_firsts_and_the_address_stays_shared() {
    let mut index = three_nodes();
    index.apply_service(&set_created(sharing("default/first", 80, &[VIP]), 1));
    index.apply_service(&set_local(sharing("default/second", 80, &[VIP, OTHER])));
    add_endpoints(&mut index, "second", &["a"]);
    assert_eq!(owners(&mut index, VIP).len(), 2);
    assert!(index.plan().refused.is_empty());
    assert_eq!(reason(&mut index, "a", VIP), Reason::NoEndpoints, "the first owner has none");
    assert_eq!(announcers(&mut index, OTHER), ["a"], "there the port is the second's");
    let ports = index.explain(&service_key("default/first")).unwrap().ports;
    let ports: Vec<_> = ports.into_iter().map(|port| (port.owner, port.addresses)).collect();
    let expected = [(service("default/first"), vec![ip(VIP)]), (service("default/second"), vec![ip(OTHER)])];
    assert_eq!(ports, expected);
}

#[test]
fn a_local_endpoint_is_required_only_if_every_owner_asks_for_one() {
    for local_secs in [1, 3] {
        let mut index = three_nodes();
        let local = set_local(sharing("default/local", 80, &[VIP]));
        let cluster = set_created(sharing("default/cluster", 53, &[VIP]), 2);
        index.apply_service(&set_created(local, local_secs));
        index.apply_service(&cluster);
        add_endpoints(&mut index, "local", &["gone"]);
        add_endpoints(&mut index, "cluster", &["gone"]);
        assert_eq!(announcers(&mut index, VIP).len(), 1, "any node serves port 53");
        index.apply_service(&set_local(cluster));
        assert_eq!(reason(&mut index, "a", VIP), Reason::NoEndpointOnEligibleNode);
    }
}

#[test]
fn without_endpoints_an_address_refuses_if_one_of_its_own_owners_says_so() {
    let mut index = three_nodes();
    index.apply_service(&sharing("default/web", 80, &[VIP, OTHER]));
    let mut exposure = mk_exposure("default/gw", &[VIP]);
    exposure.sharing_key = Some("k".into());
    exposure.announce.announce_from = AnnounceFrom::AnyNode;
    add_anchor_port(&mut exposure, 443);
    index.apply_exposure("gw", &exposure);
    assert_eq!(reason(&mut index, "a", VIP), Reason::NoEndpoints);
    exposure.announce.without_endpoints = WithoutEndpoints::Refuse;
    index.apply_exposure("gw", &exposure);
    assert_eq!(announcers(&mut index, VIP).len(), 1);
    assert_eq!(reason(&mut index, "a", OTHER), Reason::NoEndpoints, "its only owner withdraws it");
    index.delete_exposure("gw");
    assert_eq!(reason(&mut index, "a", VIP), Reason::NoEndpoints);
}

#[test]
fn an_address_whose_owners_have_no_endpoint_on_the_groups_node_is_silent() {
    let mut index = chain();
    for (name, port, addresses, secs) in
        [("web", 80, &[VIP][..], 1), ("mail", 25, &[VIP, OTHER], 2), ("dns", 53, &[OTHER], 3)]
    {
        let service = sharing(&format!("default/{name}"), port, addresses);
        index.apply_service(&set_local(set_created(service, secs)));
    }
    add_endpoints(&mut index, "web", &["a"]);
    add_endpoints(&mut index, "dns", &["b"]);
    let announced = [VIP, OTHER].map(|address| announcers(&mut index, address));
    let (silent, holder) = if announced[0].is_empty() { (VIP, "b") } else { (OTHER, "a") };
    assert_eq!(announced.concat(), [holder]);
    assert_eq!(reason(&mut index, "c", silent), Reason::HolderLacksEndpoint { node: holder.into() });
    assert!(index.plan().vips.values().all(|vip| vip.decision != Decision::Skip(Reason::NoEndpoints)));
}
