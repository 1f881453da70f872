//! What a group is, which nodes are its candidates, and who of them announces.

use keryx_api::Protocol;
use keryx_api::exposure::{AnnounceFrom, WithoutEndpoints};
use keryx_api::names::{COMPONENT_ANCHOR, LABEL_COMPONENT};

use super::fixtures::*;
use crate::{Decision, GroupKey, Index, NodeName, OwnerKey, Reason, rendezvous};

const VIP: &str = "192.0.2.10";
const VIP6: &str = "2001:db8::10";

#[test]
fn a_cluster_service_prefers_nodes_with_an_endpoint_and_falls_back_to_the_others() {
    let mut index = three_nodes();
    index.apply_service(&mk_service("default/web", &[VIP]));
    index.apply_endpoint_slice(&mk_slice("default/web-1", "web", &[("b", State::Ready)]));
    let (ranked, _) = ranking(&mut index, &service_key("default/web"));
    assert_eq!((ranked[0].as_str(), ranked.len()), ("b", 3), "the others stand by");
    index.delete_node("b");
    assert_eq!(
        seen_from(&mut index, "a", VIP).announcer,
        Some(ranked[1].clone()),
        "the next in rank takes over"
    );
}

#[test]
fn a_local_service_is_announced_only_from_nodes_with_an_endpoint() {
    let mut index = three_nodes();
    index.apply_service(&set_local(mk_service("default/web", &[VIP])));
    index.apply_endpoint_slice(&mk_slice("default/web-1", "web", &[("b", State::Ready)]));
    let (ranked, others) = ranking(&mut index, &service_key("default/web"));
    assert_eq!(ranked, [NodeName::from("b")]);
    let no = Reason::NoLocalEndpoint;
    assert_eq!(others, [("a".into(), no.clone()), ("c".into(), no)]);
}

#[test]
fn a_gateway_is_announced_only_from_nodes_with_an_endpoint_unless_told_otherwise() {
    let mut exposure = mk_exposure("default/gw", &[VIP]);
    add_clone_port(&mut exposure, 80, "apps/web-1");
    let mut index = three_nodes();
    index.apply_exposure("gw", &exposure);
    index.apply_service(&mk_clone("apps/web-1", &[VIP]));
    index.apply_endpoint_slice(&mk_slice("apps/web-1-x", "web-1", &[("c", State::Ready)]));
    let group = OwnerKey::Exposure("gw".into());
    assert_eq!(ranking(&mut index, &group).0, [NodeName::from("c")]);

    exposure.announce.announce_from = AnnounceFrom::AnyNode;
    index.apply_exposure("gw", &exposure);
    let (ranked, _) = ranking(&mut index, &group);
    assert_eq!((ranked[0].as_str(), ranked.len()), ("c", 3));
}

#[test]
fn a_gateway_whose_endpoints_have_no_node_name_is_announced_from_any_node() {
    let mut exposure = mk_exposure("default/gw", &[VIP]);
    add_clone_port(&mut exposure, 80, "apps/web-1");
    let mut index = three_nodes();
    index.apply_exposure("gw", &exposure);
    index.apply_service(&mk_clone("apps/web-1", &[VIP]));
    index.apply_endpoint_slice(&mk_slice("apps/web-1-x", "web-1", &[("", State::Ready)]));
    assert_eq!(ranking(&mut index, &OwnerKey::Exposure("gw".into())).0.len(), 3);
    // One endpoint with a node name is enough to ask for locality again.
    index.apply_endpoint_slice(&mk_slice("apps/web-1-y", "web-1", &[("b", State::Ready)]));
    assert_eq!(announcers(&mut index, VIP), ["b"]);
}

#[test]
fn the_node_that_covers_the_most_ports_announces() {
    let mut exposure = mk_exposure("default/gw", &[VIP]);
    add_clone_port(&mut exposure, 80, "apps/web-1");
    add_clone_port(&mut exposure, 81, "apps/api-1");
    add_anchor_port(&mut exposure, 82);
    let mut index = three_nodes();
    index.apply_exposure("gw", &exposure);
    index.apply_service(&set_local(mk_clone("apps/web-1", &[VIP])));
    index.apply_service(&set_ports(set_local(mk_clone("apps/api-1", &[VIP])), vec![mk_port("", "TCP", 81)]));
    index.apply_endpoint_slice(&mk_slice(
        "apps/web-1-x",
        "web-1",
        &[("a", State::Ready), ("b", State::Ready)],
    ));
    index.apply_endpoint_slice(&mk_slice(
        "apps/api-1-x",
        "api-1",
        &[("b", State::Ready), ("c", State::Ready)],
    ));
    assert_eq!(announcers(&mut index, VIP), ["b"]);
    assert_eq!(reason(&mut index, "a", VIP), Reason::CoversFewerPorts { covered: 1, best: 2 });
    // Only eligible nodes are compared.
    index.delete_node("b");
    assert_eq!(announcers(&mut index, VIP).len(), 1);
}

#[test]
fn without_endpoints_a_vip_is_withdrawn_or_refuses_as_the_exposure_says() {
    let mut exposure = mk_exposure("default/gw", &[VIP]);
    add_anchor_port(&mut exposure, 80);
    let mut index = three_nodes();
    index.apply_exposure("gw", &exposure);
    assert_eq!(reason(&mut index, "a", VIP), Reason::NoEndpoints);
    exposure.announce.without_endpoints = WithoutEndpoints::Refuse;
    index.apply_exposure("gw", &exposure);
    assert_eq!(announcers(&mut index, VIP).len(), 1);
}

#[test]
fn dual_stack_addresses_are_announced_by_one_node_together() {
    for number in 0..20 {
        let name = format!("default/web-{number}");
        let mut index = three_nodes();
        index.apply_service(&mk_service(&name, &[VIP, VIP6]));
        let slice = |slice: &str| {
            mk_slice(&format!("{name}-{slice}"), &format!("web-{number}"), &[("", State::Ready)])
        };
        index.apply_endpoint_slice(&slice("4"));
        index.apply_endpoint_slice(&set_v6(slice("6")));
        assert_eq!(announcers(&mut index, VIP), announcers(&mut index, VIP6));
        assert_eq!(announcers(&mut index, VIP).len(), 1);
    }
}

#[test]
fn an_address_is_silent_if_its_family_has_no_endpoint_on_the_node_of_its_group() {
    let mut index = three_nodes();
    index.apply_service(&set_local(mk_service("default/web", &[VIP, VIP6])));
    index.apply_endpoint_slice(&mk_slice("default/web-4", "web", &[("a", State::Ready)]));
    index.apply_endpoint_slice(&set_v6(mk_slice("default/web-6", "web", &[("b", State::Ready)])));
    let holder = ranking(&mut index, &service_key("default/web")).0[0].clone();
    let (announced, silent) = if holder.as_str() == "a" { (VIP, VIP6) } else { (VIP6, VIP) };
    assert_eq!(announcers(&mut index, announced), [holder.as_str()]);
    assert_eq!(reason(&mut index, "c", silent), Reason::HolderLacksEndpoint { node: holder });
    assert_eq!(seen_from(&mut index, "c", silent).announcer, None);
}

#[test]
fn clones_and_anchors_make_no_group_of_their_own() {
    let mut index = three_nodes();
    index.apply_service(&mk_clone("apps/web-1", &[VIP]));
    let mut anchor = mk_clone("default/gw", &[VIP6]);
    anchor.metadata.labels = Some([(LABEL_COMPONENT.into(), COMPONENT_ANCHOR.into())].into());
    index.apply_service(&anchor);
    index.apply_endpoint_slice(&mk_slice("apps/web-1-x", "web-1", &[("a", State::Ready)]));
    index.update(&"a".into());
    assert_eq!(**index.plan(), crate::Plan::default());
}

#[test]
fn a_clone_counts_for_the_ports_that_the_exposure_gives_it_and_only_those() {
    let mut exposure = mk_exposure("default/gw", &[VIP]);
    add_clone_port(&mut exposure, 443, "apps/web-1");
    let mut index = three_nodes();
    index.apply_exposure("gw", &exposure);
    index.apply_service(&mk_clone("apps/web-1", &[VIP]));
    index.apply_endpoint_slice(&mk_slice("apps/web-1-x", "web-1", &[("a", State::Ready)]));
    assert_eq!(reason(&mut index, "a", VIP), Reason::NoEndpoints, "the clone has no port 443 yet");
    let ports = vec![mk_port("", "TCP", 443)];
    index.apply_service(&set_ports(mk_clone("apps/web-1", &[VIP]), ports));
    assert_eq!(announcers(&mut index, VIP), ["a"]);
}

#[test]
fn the_guard_knows_every_address_of_ours_and_every_claimed_port() {
    let mut exposure = mk_exposure("default/gw", &[VIP, VIP6]);
    add_clone_port(&mut exposure, 80, "apps/not-there-yet");
    add_anchor_port(&mut exposure, 81);
    let mut index = three_nodes();
    index.apply_exposure("gw", &exposure);
    let ports = vec![mk_port("dns", "UDP", 53), mk_port("assoc", "SCTP", 54)];
    index.apply_service(&set_ports(mk_service("default/dns", &["192.0.2.11"]), ports));
    index.update(&"a".into());
    let gateway_ports = [(Protocol::Tcp, 80), (Protocol::Tcp, 81)];
    let expected = [
        (ip(VIP), gateway_ports.into()),
        (ip(VIP6), gateway_ports.into()),
        (ip("192.0.2.11"), [(Protocol::Udp, 53)].into()),
    ];
    assert_eq!(index.plan().guard.vips, expected.into());
    assert!(
        index.plan().vips.values().all(|vip| vip.decision != Decision::Announce),
        "nothing has endpoints"
    );
}

#[test]
fn the_rendezvous_function_is_fixed() {
    // Computed by another implementation from the module's description.
    let group = GroupKey(service_key("default/web"));
    assert_eq!(rendezvous::group_id(&group), 0x7f22_c18d_706e_ebbf);
    assert_eq!(rendezvous::group_id(&GroupKey(OwnerKey::Exposure("gw".into()))), 0xc19f_e94b_d2cf_1725);
    let node = rendezvous::node_id(&"a".into());
    assert_eq!(node, 0x0c41_013b_5e14_75ee);
    assert_eq!(rendezvous::score(rendezvous::group_id(&group), node), 0x6191_4248_59f3_a1b8);
}

#[test]
fn groups_spread_evenly_and_a_lost_node_moves_only_its_own() {
    let mut index = three_nodes();
    let address = |number: u32| format!("192.0.{}.{}", number / 256, number % 256);
    for number in 0..900 {
        let name = format!("web-{number}");
        index.apply_service(&mk_service(&format!("default/{name}"), &[&address(number)]));
        index.apply_endpoint_slice(&mk_slice(&format!("default/{name}-1"), &name, &[("", State::Ready)]));
    }
    index.update(&"a".into());
    let before = index.plan().clone();
    for node in ["a", "b", "c"] {
        let held = before.vips.values().filter(|vip| vip.announcer == Some(node.into())).count();
        assert!((250..=350).contains(&held), "{node} holds {held} of 900");
    }
    index.delete_node("c");
    index.update(&"a".into());
    for (address, vip) in &index.plan().vips {
        let was = &before.vips[address].announcer;
        assert!(vip.announcer == *was || *was == Some("c".into()), "{address}");
        assert_ne!(vip.announcer, Some("c".into()));
    }
}

#[test]
fn the_candidates_of_a_group_are_the_nodes_that_cover_the_most_best_first() {
    let mut index = three_nodes();
    index.apply_service(&set_local(mk_service("default/web", &[VIP])));
    index.apply_endpoint_slice(&mk_slice(
        "default/web-1",
        "web",
        &[("b", State::Ready), ("c", State::Ready)],
    ));
    let key = service_key("default/web");
    let (ranked, _) = ranking(&mut index, &key);
    let group = GroupKey(key);
    let seen_by = |index: &mut Index, me: &str| {
        index.update(&me.into());
        index.plan().groups[&group].clone()
    };
    let plan = seen_by(&mut index, "a");
    assert_eq!((&*plan.candidates, plan.id), (&*ranked, rendezvous::group_id(&group)));
    assert!(!plan.forwards, "no endpoint of its own under policy Local");
    assert!(seen_by(&mut index, "b").forwards);
    // One whose speaker's Pod is not Ready is none either, and is told apart.
    index.delete_speaker_pod("keryx-system", "speaker-c");
    let plan = seen_by(&mut index, "a");
    assert_eq!((&*plan.candidates, &*plan.unready), (&["b".into()][..], &["c".into()][..]));
    index.apply_speaker_pod(&mk_speaker("c"));
    assert!(seen_by(&mut index, "a").unready.is_empty());
    // A node that is drained is no candidate, and still serves what comes in.
    let mut drained = mk_node("b");
    drained.metadata.annotations = Some([(crate::ANNOTATION_DRAIN.to_owned(), String::new())].into());
    index.apply_node(&drained);
    let plan = seen_by(&mut index, "b");
    assert_eq!((&*plan.candidates, plan.forwards), (&["c".into()][..], true));
    assert_eq!(index.plan().vips[&ip(VIP)].while_holding, Decision::Announce);
    index.delete_endpoint_slice("default", "web-1");
    index.update(&"b".into());
    assert!(!index.plan().groups.contains_key(&group), "nobody should hold it");
}

#[test]
fn a_holder_lingers_where_a_local_endpoint_only_ranks_traffic_and_does_not_carry_it() {
    for (announce_from, policy_local, expected) in [
        (AnnounceFrom::LocalEndpoints, false, true),
        (AnnounceFrom::AnyNode, false, false),
        (AnnounceFrom::LocalEndpoints, true, false),
    ] {
        let mut index = three_nodes();
        let clone = mk_clone("default/web-1", &[VIP]);
        index.apply_service(&if policy_local { set_local(clone) } else { clone });
        index.apply_endpoint_slice(&mk_slice("default/web-1-a", "web-1", &[("a", State::Ready)]));
        let mut exposure = mk_exposure("default/gw", &[VIP]);
        add_clone_port(&mut exposure, 80, "default/web-1");
        exposure.announce.announce_from = announce_from;
        index.apply_exposure("gw", &exposure);
        index.update(&"b".into());
        let group = index.plan().groups.values().next().unwrap();
        assert_eq!(group.lingers, expected, "{announce_from:?}, {policy_local}");
    }
}
