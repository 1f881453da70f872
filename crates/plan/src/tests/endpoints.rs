//! Which endpoints count.

use keryx_api::Protocol;

use super::fixtures::*;
use crate::Reason;

const VIP: &str = "192.0.2.10";

#[test]
fn endpoints_count_by_their_conditions() {
    use State::{NotReady, Ready, Terminating, TerminatingNotServing, Unset};
    // Endpoints on their nodes, then the nodes that count under Cluster and under Local.
    type Row = (&'static [(&'static str, State)], &'static [&'static str], &'static [&'static str]);
    let rows: &[Row] = &[
        (&[("a", Ready)], &["a"], &["a"]),
        (&[("a", Unset)], &["a"], &["a"]),
        (&[("a", NotReady)], &[], &[]),
        (&[("a", TerminatingNotServing)], &[], &[]),
        (&[("a", Terminating)], &["a"], &["a"]),
        // A ready one elsewhere ends the grace of terminating ones under Cluster, but not under Local.
        (&[("a", Terminating), ("b", Ready)], &["b"], &["a", "b"]),
        (&[("a", Terminating), ("a", Ready), ("b", NotReady)], &["a"], &["a"]),
        (&[("a", Terminating), ("", Ready)], &[], &["a"]),
        (&[("a", Ready), ("a", Ready)], &["a"], &["a"]),
    ];
    for (endpoints, under_cluster, under_local) in rows {
        for (service, expected) in [
            (mk_service("default/web", &[VIP]), under_cluster),
            (set_local(mk_service("default/web", &[VIP])), under_local),
        ] {
            let mut index = three_nodes();
            index.apply_service(&service);
            index.apply_endpoint_slice(&mk_slice("default/web-1", "web", endpoints));
            index.update(&"a".into());
            let explanation = index.explain(&service_key("default/web")).unwrap();
            let nodes: Vec<&str> = explanation.ports[0].nodes.iter().map(|node| node.as_str()).collect();
            assert_eq!(nodes, **expected, "{endpoints:?}");
        }
    }
}

#[test]
fn all_slices_of_a_service_count_together_and_only_its_own() {
    let mut index = three_nodes();
    index.apply_service(&set_local(mk_service("default/web", &[VIP])));
    index.apply_endpoint_slice(&mk_slice("default/web-1", "web", &[("a", State::NotReady)]));
    index.apply_endpoint_slice(&mk_slice("default/web-2", "web", &[("b", State::Ready)]));
    index.apply_endpoint_slice(&mk_slice("default/other-1", "other", &[("a", State::Ready)]));
    index.apply_endpoint_slice(&mk_slice("elsewhere/web-1", "web", &[("a", State::Ready)]));
    assert_eq!(announcers(&mut index, VIP), ["b"]);
}

#[test]
fn a_service_port_finds_its_endpoints_by_port_name_and_protocol() {
    let service = set_ports(mk_service("default/dns", &[VIP]), vec![mk_port("dns", "UDP", 53)]);
    for (port, counts) in [
        (mk_slice_port("dns", "UDP"), true),
        (mk_slice_port("dns", "TCP"), false),
        (mk_slice_port("dns-tcp", "UDP"), false),
        (k8s_openapi::api::discovery::v1::EndpointPort { port: None, ..mk_slice_port("dns", "UDP") }, false),
    ] {
        let mut index = three_nodes();
        index.apply_service(&service);
        let slice = mk_slice("default/dns-1", "dns", &[("a", State::Ready)]);
        index.apply_endpoint_slice(&set_slice_ports(slice, vec![port.clone()]));
        assert_eq!(announcers(&mut index, VIP) == ["a"], counts, "{port:?}");
    }
}

#[test]
fn one_port_number_serves_tcp_and_udp_apart() {
    let ports = vec![mk_port("dns-tcp", "TCP", 53), mk_port("dns", "UDP", 53)];
    let mut index = three_nodes();
    index.apply_service(&set_ports(mk_service("default/dns", &[VIP]), ports));
    let slice = mk_slice("default/dns-1", "dns", &[("a", State::Ready)]);
    index.apply_endpoint_slice(&set_slice_ports(slice, vec![mk_slice_port("dns", "UDP")]));
    index.update(&"a".into());
    let ports = index.explain(&service_key("default/dns")).unwrap().ports;
    let served: Vec<_> =
        ports.iter().map(|port| (port.protocol, port.port, !port.nodes.is_empty())).collect();
    assert_eq!(served, [(Protocol::Tcp, 53, false), (Protocol::Udp, 53, true)]);
}

#[test]
fn an_address_rests_on_endpoints_of_its_own_family() {
    let mut index = three_nodes();
    index.apply_service(&mk_service("default/web", &[VIP, "2001:db8::10"]));
    index.apply_endpoint_slice(&set_v6(mk_slice("default/web-6", "web", &[("b", State::Ready)])));
    assert_eq!(announcers(&mut index, "2001:db8::10"), ["b"]);
    assert_eq!(reason(&mut index, "b", VIP), Reason::NoEndpoints);
}

#[test]
fn endpoints_without_a_node_name_count_for_cluster_only() {
    let slice = mk_slice("default/web-1", "web", &[("", State::Ready)]);
    let mut index = three_nodes();
    index.apply_endpoint_slice(&slice);
    index.apply_service(&mk_service("default/web", &[VIP]));
    assert_eq!(announcers(&mut index, VIP).len(), 1);
    index.apply_service(&set_local(mk_service("default/web", &[VIP])));
    assert_eq!(reason(&mut index, "a", VIP), Reason::NoEndpointOnEligibleNode);
}

#[test]
fn a_slice_that_moves_to_another_service_leaves_the_first() {
    let mut index = three_nodes();
    index.apply_service(&mk_service("default/web", &[VIP]));
    index.apply_endpoint_slice(&mk_slice("default/s", "web", &[("a", State::Ready)]));
    assert_eq!(announcers(&mut index, VIP), ["a"]);
    index.apply_endpoint_slice(&mk_slice("default/s", "other", &[("a", State::Ready)]));
    assert_eq!(reason(&mut index, "a", VIP), Reason::NoEndpoints);
}
