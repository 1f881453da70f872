//! The Services and the exposure of a Gateway.

use std::collections::BTreeMap;

use insta::assert_yaml_snapshot;
use keryx_api::gateway_api::RouteKind;
use keryx_gateway::{ObjectKey, exposure};
use proptest::prelude::*;

use crate::world::{self, APP, TO_APP, WEB, World, report};

const RICH: &str = "{type: ClusterIP, clusterIP: 10.0.0.7, clusterIPs: [10.0.0.7], selector: {app: a}, \
    sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}, \
    publishNotReadyAddresses: true, internalTrafficPolicy: Local, trafficDistribution: PreferSameZone, \
    ipFamilies: [IPv6, IPv4], ipFamilyPolicy: RequireDualStack, externalIPs: [192.0.2.99], \
    ports: [{name: web, port: 80, targetPort: http, appProtocol: kubernetes.io/h2c}, \
      {name: plain, port: 81, protocol: TCP}, {name: dns, port: 53, protocol: UDP, targetPort: 5353, nodePort: 30053}]}";

/// Listeners 8080/TCP, 81/TCP, 53/UDP and 9/TCP; routes from the first three to a rich Service of another namespace.
fn cross_namespace() -> World {
    let to = |section: &str, port: u16| {
        format!(
            "{{parentRefs: [{{name: edge, sectionName: {section}}}], \
              rules: [{{backendRefs: [{{name: rich, namespace: shop, port: {port}}}]}}]}}"
        )
    };
    let from = |kind: &str| format!("{{group: gateway.networking.k8s.io, kind: {kind}, namespace: default}}");
    World::new(
        "{gatewayClassName: keryx, listeners: [{name: web, port: 8080, protocol: TCP}, \
          {name: alt, port: 81, protocol: TCP}, {name: dns, port: 53, protocol: UDP}, \
          {name: free, port: 9, protocol: TCP}]}",
    )
    .service("shop/rich", RICH)
    .tcp("default/web", &to("web", 80))
    .tcp("default/alt", &to("alt", 81))
    .udp("default/dns", &to("dns", 53))
    .grant(
        "shop",
        &format!(
            "{{from: [{}, {}], to: [{{group: '', kind: Service}}]}}",
            from("TCPRoute"),
            from("UDPRoute")
        ),
    )
}

#[test]
fn a_clone_follows_its_backend_with_all_listener_ports_and_needs_the_finalizer_elsewhere() {
    let mut world = cross_namespace();
    let metadata = &mut world.services.values_mut().next().unwrap().metadata;
    metadata.labels = Some(BTreeMap::from([("app".to_owned(), "a".to_owned())]));
    metadata.annotations = Some(BTreeMap::from([("note".to_owned(), "of the backend".to_owned())]));
    let outcome = world.decide();
    assert!(outcome.needs_finalizer);
    assert_yaml_snapshot!(outcome.clones);
}

#[test]
fn a_clone_in_the_gateways_namespace_is_owned_by_it_and_needs_no_finalizer() {
    let outcome = World::serving().decide();
    assert!(!outcome.needs_finalizer);
    assert_yaml_snapshot!(outcome.clones[0].metadata);
}

#[test]
fn one_backend_of_several_routes_and_listeners_has_one_clone_and_each_backend_its_own() {
    let listeners = "{gatewayClassName: keryx, listeners: [{name: a, port: 80, protocol: TCP}, \
        {name: b, port: 81, protocol: TCP}, {name: c, port: 82, protocol: TCP}]}";
    let to = |port: u16, name: &str| {
        format!(
            "{{parentRefs: [{{name: edge, port: {port}}}], rules: [{{backendRefs: [{{name: {name}, port: 8080}}]}}]}}"
        )
    };
    let world = World::new(listeners)
        .service("default/app", APP)
        .service("default/web", APP)
        .tcp("default/one", &to(80, "app"))
        .tcp("default/two", &to(81, "web"))
        .tcp("default/three", &to(82, "app"));
    let ports: Vec<Vec<i32>> = world
        .decide()
        .clones
        .iter()
        .map(|clone| clone.spec.as_ref().unwrap().ports.iter().flatten().map(|port| port.port).collect())
        .collect();
    assert_eq!(ports, [vec![80, 82], vec![81]]);
}

#[test]
fn the_anchor_serves_what_no_clone_does_and_carries_the_infrastructure_metadata() {
    let world = World::new(
        "{gatewayClassName: keryx, listeners: [{name: dns, port: 53, protocol: UDP}, {name: web, port: 80, protocol: TCP}, \
          {name: alt, port: 81, protocol: TCP}, {name: http, port: 82, protocol: HTTP}], \
          infrastructure: {labels: {team: a, keryx.dev/component: speaker}, \
            annotations: {note: hello, keryx.dev/gateway: other/gateway}}}",
    )
    .service("default/app", APP)
    .tcp("default/shop", &TO_APP.replace("{name: edge}", "{name: edge, port: 80}"));
    let outcome = world.decide();
    assert_yaml_snapshot!(outcome.anchor);
    assert_eq!(outcome.clones[0].metadata.labels.as_ref().unwrap().get("team"), None);
}

#[test]
fn without_a_port_to_refuse_there_is_no_anchor() {
    assert_eq!(World::serving().decide().anchor, None);
}

#[test]
fn a_gateway_that_is_not_accepted_has_no_services_and_no_exposure() {
    let mut world = cross_namespace();
    world.gateway.spec.listeners.retain(|listener| listener.name == "web");
    assert_eq!(world.decide().clones.len(), 1);
    world.gateway.spec.listeners[0].protocol = "HTTP".to_owned();
    let outcome = world.decide();
    assert_eq!((outcome.clones.len(), outcome.anchor, outcome.exposure), (0, None, None));
    assert!(!outcome.needs_finalizer);
}

#[test]
fn names_stay_within_their_limits_for_the_longest_gateway_class_and_backend() {
    let mut world = World::new(WEB);
    let long = |part: &str| part.repeat(40).trim_end_matches('.').chars().take(253).collect::<String>();
    world.gateway.metadata.name = Some(long("0gate.way"));
    world.gateway.spec.gateway_class_name = long("class.of.");
    let (gateway, backend) = (world.gateway.metadata.name.clone().unwrap(), "b-".repeat(31) + "x");
    assert_eq!(backend.len(), 63);
    let spec = TO_APP.replace("{name: edge}", &format!("{{name: {gateway}}}")).replace("app", &backend);
    let anchor = world.decide().anchor.unwrap();
    assert_yaml_snapshot!(anchor.metadata);
    let clone = world
        .service(&format!("default/{backend}"), APP)
        .tcp("default/shop", &spec)
        .decide()
        .clones
        .remove(0);
    assert_eq!(clone.metadata.name.as_ref().unwrap().len(), 62, "{:?}", clone.metadata.name);
    for (key, value) in [anchor.metadata.labels, clone.metadata.labels].into_iter().flatten().flatten() {
        assert!(value.len() <= 63, "{key}: {value}");
    }
}

#[test]
fn the_exposure_lists_every_port_once_in_order() {
    assert_yaml_snapshot!(cross_namespace().decide().exposure);
}

#[test]
fn exposure_names_are_stable_and_tell_gateways_apart() {
    assert_eq!(exposure::name("default", "edge"), exposure::name("default", "edge"));
    assert_ne!(exposure::name("a", "b-c"), exposure::name("a-b", "c"));
    assert_eq!(exposure::name(&"n".repeat(63), &"g".repeat(253)).len(), 27);
}

#[test]
fn clones_of_two_gateways_for_one_backend_have_different_names() {
    let one = World::serving();
    let mut other = World::serving();
    other.gateway.metadata.name = Some("other".to_owned());
    other.routes[0].1.spec.parent_refs[0].name = "other".to_owned();
    let name = |world: &World| ObjectKey::of(&world.decide().clones[0].metadata);
    assert_ne!(name(&one), name(&other));
}

/// Eight routes of various ages over four listeners, some of which lose, split or lack their backend.
fn crowd() -> World {
    let mut world = World::new(
        "{gatewayClassName: keryx, listeners: [{name: a, port: 80, protocol: TCP}, {name: b, port: 81, protocol: TCP}, \
          {name: c, port: 82, protocol: UDP}, {name: d, port: 83, protocol: TCP}]}",
    )
    .service("default/app", APP)
    .service("default/web", "{selector: {app: w}, ports: [{port: 8080, protocol: TCP}, {port: 8080, protocol: UDP}]}");
    let backends = [
        "[{name: app, port: 8080}]",
        "[{name: web, port: 8080}]",
        "[{name: gone, port: 1}]",
        "[{name: app, port: 8080}, {name: web, port: 8080}]",
    ];
    for at in 0_u16..8 {
        let kind = if at % 3 == 2 { RouteKind::Udp } else { RouteKind::Tcp };
        let parent = if at % 2 == 0 {
            "{name: edge}".to_owned()
        } else {
            format!("{{name: edge, port: {}}}", 80 + at % 4)
        };
        let spec = format!(
            "{{parentRefs: [{parent}], rules: [{{backendRefs: {}}}]}}",
            backends[usize::from(at) % 4]
        );
        world = world.route(kind, &format!("default/route-{at}"), &spec, u32::from(at) / 3);
    }
    world
}

proptest! {
    #[test]
    fn the_order_of_routes_does_not_matter(order in Just((0..8).collect::<Vec<usize>>()).prop_shuffle()) {
        let expected = crowd().decide();
        let mut world = crowd();
        world.routes = order.iter().map(|at| world.routes[*at].clone()).collect();
        prop_assert_eq!(report(&world.decide()), report(&expected));
        prop_assert_eq!(world.decide(), expected);
    }

    #[test]
    fn every_port_of_an_accepted_listener_is_served_by_exactly_one_service(gone in prop::collection::vec(any::<bool>(), 8)) {
        let mut world = crowd();
        let mut gone = gone.into_iter();
        world.routes.retain(|_| !gone.next().unwrap());
        let outcome = world.decide();
        let services = outcome.clones.iter().chain(&outcome.anchor);
        let mut ports: Vec<(i32, String)> = services
            .flat_map(|service| service.spec.iter().flat_map(|spec| spec.ports.iter().flatten()))
            .map(|port| (port.port, port.protocol.clone().unwrap()))
            .collect();
        ports.sort();
        let expected = [(80, "TCP"), (81, "TCP"), (82, "UDP"), (83, "TCP")].map(|(port, name)| (port, name.to_owned()));
        prop_assert_eq!(ports, expected);
        prop_assert_eq!(world::ports(&outcome).lines().count(), 4);
    }
}
