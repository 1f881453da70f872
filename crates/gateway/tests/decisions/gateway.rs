//! Conditions of a Gateway and its listeners: type, status, reason and message of each, pinned.

use crate::world::{self, APP, TO_APP, WEB, World, key};
use insta::assert_snapshot;
use keryx_api::gateway_api::RouteKind;
use keryx_gateway::addresses::{AddressState, RefusalReason};
use keryx_gateway::conditions::Wanted;

/// A Gateway of these listeners.
fn listeners(listeners: &str) -> World {
    World::new(&format!("{{gatewayClassName: keryx, listeners: {listeners}}}"))
}

/// Listener `web`, and more fields of the spec.
fn web_with(more: &str) -> World {
    World::new(&format!(
        "{{gatewayClassName: keryx, listeners: [{{name: web, port: 80, protocol: TCP}}], {more}}}"
    ))
}

fn refused(reason: RefusalReason, message: &str, held: &[&str]) -> AddressState {
    let held = held.iter().map(|ip| ip.parse().unwrap()).collect();
    AddressState::Refused { reason, message: message.to_owned(), held }
}

#[test]
fn a_valid_gateway_with_addresses_is_accepted_and_programmed() {
    assert_snapshot!(World::serving().report());
}

#[test]
fn a_gateway_without_routes_is_programmed_and_the_anchor_serves_it() {
    assert_snapshot!(World::new(WEB).report());
}

#[test]
fn tcp_and_udp_share_a_port_number() {
    let world =
        listeners("[{name: dns-tcp, port: 53, protocol: TCP}, {name: dns-udp, port: 53, protocol: UDP}]");
    assert_snapshot!(world.report());
}

#[test]
fn layer_seven_protocols_are_not_served_yet_beside_a_good_listener() {
    let world = listeners(
        "[{name: web, port: 80, protocol: HTTP}, {name: secure, port: 443, protocol: HTTPS}, \
          {name: sni, port: 8443, protocol: TLS, allowedRoutes: {kinds: [{kind: TLSRoute}]}}, \
          {name: dns, port: 53, protocol: UDP}]",
    );
    assert_snapshot!(world.report());
}

#[test]
fn unknown_and_vendor_protocols_are_refused_and_a_gateway_without_good_listeners_with_them() {
    let world = listeners(
        "[{name: odd, port: 80, protocol: INVALID}, {name: sctp, port: 81, protocol: example.com/SCTP}, \
          {name: lower, port: 82, protocol: tcp}]",
    );
    assert_snapshot!(world.report());
}

#[test]
fn tcp_beside_http_on_one_port_makes_both_conflicted_and_leaves_the_others() {
    let world = listeners(
        "[{name: raw, port: 80, protocol: TCP}, {name: web, port: 80, protocol: HTTP}, \
          {name: dns, port: 80, protocol: UDP}]",
    );
    assert_snapshot!(world.service("default/app", APP).tcp("default/shop", TO_APP).report());
}

#[test]
fn two_listeners_of_one_protocol_and_port_are_both_conflicted() {
    let world = listeners("[{name: one, port: 53, protocol: UDP}, {name: two, port: 53, protocol: UDP}]");
    assert_snapshot!(world.report());
}

#[test]
fn a_port_out_of_range_is_unavailable() {
    let world = listeners("[{name: zero, port: 0, protocol: TCP}, {name: far, port: 65536, protocol: UDP}]");
    assert_snapshot!(world.report());
}

#[test]
fn unknown_route_kinds_are_named_and_valid_ones_kept() {
    let world = listeners(
        "[{name: mixed, port: 80, protocol: TCP, allowedRoutes: {kinds: \
            [{kind: TCPRoute}, {kind: UDPRoute}, {group: example.com, kind: TCPRoute}, {kind: TCPRoute}]}}, \
          {name: wrong, port: 81, protocol: TCP, allowedRoutes: {kinds: [{kind: HTTPRoute}]}}]",
    );
    assert_snapshot!(world.report());
}

#[test]
fn parameters_are_judged_before_addresses_and_listeners() {
    let world = World::new(
        "{gatewayClassName: keryx, listeners: [{name: web, port: 80, protocol: HTTP}], \
          addresses: [{type: Hostname, value: a.example}], \
          infrastructure: {parametersRef: {group: example.com, kind: Parameters, name: fast}}}",
    );
    assert_snapshot!(world.report());
}

#[test]
fn an_unsupported_address_type_is_judged_before_bad_values() {
    let mut reports = String::new();
    for type_ in ["Hostname", "NamedAddress", "example.com/Pool"] {
        let world = web_with(&format!("addresses: [{{value: bad}}, {{type: {type_}, value: x}}]"));
        reports += &world.service("default/app", APP).tcp("default/shop", TO_APP).report();
    }
    assert_snapshot!(reports);
}

#[test]
fn a_value_that_is_no_address_is_not_usable() {
    assert_snapshot!(web_with("addresses: [{value: 192.0.2.300}]").addresses(AddressState::Pending).report());
}

#[test]
fn an_exhausted_pool_is_said_on_gateway_and_listener() {
    let message = "Pool edge has no free IPv4 address; enlarge it";
    let world = World::serving().addresses(refused(RefusalReason::AddressNotAssigned, message, &[]));
    assert_snapshot!(world.report());
}

#[test]
fn addresses_from_before_stay_in_use_while_a_new_demand_is_refused() {
    let message = "192.0.2.77 belongs to Gateway default/other; ask for another address";
    let world =
        World::serving().addresses(refused(RefusalReason::AddressNotUsable, message, &["192.0.2.10"]));
    assert_snapshot!(world.report());
    assert_eq!(world.decide().addresses, ["192.0.2.10".parse::<std::net::IpAddr>().unwrap()]);
}

#[test]
fn without_an_answer_from_ipam_the_gateway_is_pending_and_its_services_are_still_wanted() {
    let world = World::serving().addresses(AddressState::Pending);
    assert_snapshot!(world.report());
    assert_eq!(world.decide().clones.len(), 1);
    assert_eq!(world.decide().exposure, None);
}

#[test]
fn a_refused_clone_is_said_on_gateway_listener_and_route_while_other_ports_go_on() {
    let mut world = listeners("[{name: web, port: 80, protocol: TCP}, {name: dns, port: 53, protocol: UDP}]");
    world = world.service("default/app", APP).tcp("default/shop", TO_APP);
    world = world.route(RouteKind::Tcp, "default/young", TO_APP, 20);
    let clone = world.decide().clones.remove(0);
    let clone = keryx_gateway::ObjectKey::of(&clone.metadata);
    world.write_failures.insert(clone, "exceeded quota: services.loadbalancers".to_owned());
    assert_snapshot!(world.report());
}

#[test]
fn a_refused_anchor_is_said_on_gateway_and_listener_and_on_the_route_that_refuses() {
    let mut world = World::new(WEB).tcp("default/shop", TO_APP);
    world.write_failures.insert(key("default/edge-keryx"), "denied by policy x".to_owned());
    assert_snapshot!(world.report());
}

#[test]
fn a_failure_of_an_anchor_that_is_not_needed_harms_nobody() {
    let mut world = World::serving();
    let before = world.decide();
    world.write_failures.insert(key("default/edge-keryx"), "denied by policy x".to_owned());
    assert_eq!(world.decide(), before);
}

#[test]
fn somebody_elses_service_under_the_anchors_name_is_left_alone_and_named() {
    let world = World::new(WEB).service("default/edge-keryx", APP);
    assert_snapshot!(world.report());
    assert_eq!(world.decide().anchor, None);
}

#[test]
fn somebody_elses_service_under_a_clones_name_is_left_alone_and_the_port_refuses() {
    let clone = World::serving().decide().clones.remove(0).metadata.name.unwrap();
    let world = World::serving().service(&format!("default/{clone}"), APP);
    assert_snapshot!(world.report());
    assert_eq!(world.decide().clones, []);
    assert!(world.decide().anchor.is_some());
}

#[test]
fn a_service_of_another_gateway_or_role_is_somebody_elses_too() {
    let ours = World::new(WEB).decide().anchor.unwrap();
    for (labels, annotations) in [
        ("{keryx.dev/component: anchor}", "{keryx.dev/gateway: default/edge-of}"),
        ("{keryx.dev/component: clone}", "{keryx.dev/gateway: default/edge}"),
        ("{keryx.dev/component: anchor}", "{}"),
        ("{}", "{keryx.dev/gateway: default/edge}"),
    ] {
        let mut stored = ours.clone();
        stored.metadata.labels = serde_yaml::from_str(labels).unwrap();
        stored.metadata.annotations = serde_yaml::from_str(annotations).unwrap();
        let mut world = World::new(WEB);
        world.services.insert(key("default/edge-keryx"), stored);
        assert_eq!(world.decide().anchor, None, "{labels} {annotations}");
    }
}

#[test]
fn our_own_stored_services_are_no_obstacle_not_even_those_of_a_deleted_predecessor() {
    let mut world = World::new(
        "{gatewayClassName: keryx, listeners: [{name: web, port: 80, protocol: TCP}, {name: dns, port: 53, protocol: UDP}]}",
    );
    world = world.service("default/app", APP).tcp("default/shop", TO_APP);
    let before = world.decide();
    for service in before.clones.iter().chain(&before.anchor) {
        world.services.insert(keryx_gateway::ObjectKey::of(&service.metadata), service.clone());
    }
    assert_eq!(world.decide(), before);
    world.gateway.metadata.uid = Some("uid-of-successor".to_owned());
    assert_eq!(world::ports(&world.decide()), world::ports(&before));
}

#[test]
fn a_gateway_that_shares_its_address_says_by_which_key_to_the_speakers() {
    let mut world = World::serving();
    assert_eq!(world.decide().exposure.unwrap().sharing_key, None);
    world.sharing_key = Some("edge".into());
    assert_eq!(world.decide().exposure.unwrap().sharing_key.as_deref(), Some("edge"));
}

#[test]
fn what_else_is_to_be_known_about_the_addresses_stands_after_our_own_conditions() {
    let mut world = World::serving();
    let note = Wanted::yes("keryx.dev/OutsidePool", "PoolChanged", "Pool a no longer has 192.0.2.10");
    world.address_notes = vec![note.clone()];
    let conditions = world.decide().conditions;
    assert_eq!((conditions.len(), conditions.last()), (3, Some(&note)));
}
