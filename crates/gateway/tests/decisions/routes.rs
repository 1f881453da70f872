//! Conditions of routes: parentRefs, `allowedRoutes`, backends, grants, and who wins a port.

use insta::assert_snapshot;
use keryx_api::gateway_api::RouteKind;
use keryx_api::names::CONDITION_CONFLICTED;
use keryx_gateway::conditions::Wanted;
use keryx_gateway::reason::{ACCEPTED, RESOLVED_REFS};

use crate::world::{self, APP, TO_APP, WEB, World, find, key};

const LISTENERS: &str = "{gatewayClassName: keryx, listeners: [\
    {name: web, port: 80, protocol: TCP}, {name: alt, port: 8080, protocol: TCP}, \
    {name: dns, port: 53, protocol: UDP}, {name: http, port: 81, protocol: HTTP}]}";

/// A world of [`LISTENERS`] with a route of `kind` whose one parentRef is `parent`.
fn attached_by(kind: RouteKind, parent: &str) -> World {
    let spec = format!("{{parentRefs: [{parent}], rules: [{{backendRefs: [{{name: app, port: 8080}}]}}]}}");
    World::new(LISTENERS)
        .service(
            "default/app",
            "{selector: {app: a}, ports: [{port: 8080, protocol: TCP}, {port: 8080, protocol: UDP}]}",
        )
        .route(kind, "default/shop", &spec, 10)
}

/// Listener `web` and a route with these backendRefs, beside Service `app`.
fn with_backends(backends: &str) -> World {
    let spec = format!("{{parentRefs: [{{name: edge}}], rules: [{{backendRefs: {backends}}}]}}");
    World::new(WEB).service("default/app", APP).tcp("default/shop", &spec)
}

/// Conditions of the first parent of the route of that name.
fn conditions_of(world: &World, route: &str) -> Vec<Wanted> {
    let outcome = world.decide();
    let route = outcome.routes.iter().find(|outcome| outcome.key == key(route)).unwrap();
    route.parents[0].conditions.clone()
}

#[test]
fn a_parent_ref_selects_by_section_name_port_both_or_neither() {
    let cases: [(RouteKind, &str, &str, &[&str]); 12] = [
        (RouteKind::Tcp, "{name: edge}", "Accepted", &["web", "alt"]),
        (RouteKind::Udp, "{name: edge}", "Accepted", &["dns"]),
        (RouteKind::Tcp, "{name: edge, sectionName: alt}", "Accepted", &["alt"]),
        (RouteKind::Tcp, "{name: edge, port: 80}", "Accepted", &["web"]),
        (RouteKind::Tcp, "{name: edge, sectionName: web, port: 80}", "Accepted", &["web"]),
        (RouteKind::Tcp, "{name: edge, sectionName: web, port: 8080}", "NoMatchingParent", &[]),
        (RouteKind::Tcp, "{name: edge, sectionName: none}", "NoMatchingParent", &[]),
        (RouteKind::Tcp, "{name: edge, port: 9}", "NoMatchingParent", &[]),
        (RouteKind::Tcp, "{name: edge, sectionName: dns}", "NotAllowedByListeners", &[]),
        (RouteKind::Udp, "{name: edge, port: 80}", "NotAllowedByListeners", &[]),
        (RouteKind::Tcp, "{name: edge, sectionName: http}", "NotAllowedByListeners", &[]),
        (
            RouteKind::Tcp,
            "{name: edge, namespace: default, group: gateway.networking.k8s.io, kind: Gateway}",
            "Accepted",
            &["web", "alt"],
        ),
    ];
    for (kind, parent, reason, listeners) in cases {
        let outcome = attached_by(kind, parent).decide();
        let attached: Vec<_> =
            outcome.listeners.iter().filter(|l| l.attached_routes == 1).map(|l| l.name.as_str()).collect();
        assert_eq!(attached, listeners, "{kind:?} {parent}");
        let accepted = find(&outcome.routes[0].parents[0].conditions, ACCEPTED);
        assert_eq!((accepted.reason, accepted.status), (reason, reason == "Accepted"), "{kind:?} {parent}");
    }
}

#[test]
fn parent_refs_of_other_gateways_and_other_kinds_get_no_entry() {
    for parent in [
        "{name: other}",
        "{name: edge, namespace: elsewhere}",
        "{name: edge, kind: ListenerSet}",
        "{name: edge, group: '', kind: Service}",
        "{name: edge, group: example.com}",
    ] {
        let outcome = attached_by(RouteKind::Tcp, parent).decide();
        assert_eq!(outcome.routes[0].parents, [], "{parent}");
        assert!(outcome.listeners.iter().all(|listener| listener.attached_routes == 0), "{parent}");
    }
}

#[test]
fn each_parent_ref_of_a_route_gets_its_own_answer_and_one_that_stands_twice_only_one() {
    let world = attached_by(
        RouteKind::Tcp,
        "{name: edge, sectionName: web}, {name: edge, port: 9}, {name: other}, \
         {name: edge, namespace: default, sectionName: web}, {name: edge, sectionName: dns}",
    );
    assert_snapshot!(world.route_report());
    assert_eq!(world.decide().listeners[0].attached_routes, 1);
}

#[test]
fn parent_refs_are_reported_with_group_and_kind() {
    let outcome = World::serving().decide();
    let parent_ref = &outcome.routes[0].parents[0].parent_ref;
    assert_eq!(parent_ref.group.as_deref(), Some("gateway.networking.k8s.io"));
    assert_eq!(parent_ref.kind.as_deref(), Some("Gateway"));
    assert_eq!(parent_ref.namespace, None);
}

/// Whether a route of `namespace` may attach to a listener with these `allowedRoutes`. Namespace `shop` has the label
/// `team: a`, `default` none, and no other exists.
fn is_allowed(allowed_routes: &str, namespace: &str) -> bool {
    let listener = format!("{{name: web, port: 80, protocol: TCP, allowedRoutes: {{{allowed_routes}}}}}");
    let world = World::new(&format!("{{gatewayClassName: keryx, listeners: [{listener}]}}"))
        .namespace("shop", "{team: a}")
        .namespace("default", "{}")
        .tcp(&format!("{namespace}/shop"), "{parentRefs: [{name: edge, namespace: default}]}");
    find(&conditions_of(&world, &format!("{namespace}/shop")), ACCEPTED).status
}

#[test]
fn routes_are_allowed_from_the_same_namespace_unless_said_otherwise() {
    let cases = [
        ("", "default", true),
        ("", "shop", false),
        ("namespaces: {}", "shop", false),
        ("namespaces: {from: Same}", "default", true),
        ("namespaces: {from: Same}", "shop", false),
        ("namespaces: {from: All}", "shop", true),
        ("namespaces: {from: All}", "unknown", true),
    ];
    for (allowed_routes, namespace, expected) in cases {
        assert_eq!(is_allowed(allowed_routes, namespace), expected, "{allowed_routes} {namespace}");
    }
}

#[test]
fn a_selector_allows_the_namespaces_whose_labels_meet_all_its_requirements() {
    assert!(!is_allowed("namespaces: {from: Selector}", "shop"));
    let cases = [
        ("{}", "shop", true),
        ("{}", "unknown", false),
        ("{matchLabels: {team: a}}", "shop", true),
        ("{matchLabels: {team: a}}", "default", false),
        ("{matchLabels: {team: b}}", "shop", false),
        ("{matchLabels: {team: a, other: x}}", "shop", false),
        ("{matchExpressions: [{key: team, operator: In, values: [b, a]}]}", "shop", true),
        ("{matchExpressions: [{key: team, operator: In, values: [b]}]}", "shop", false),
        ("{matchExpressions: [{key: team, operator: NotIn, values: [b]}]}", "shop", true),
        ("{matchExpressions: [{key: team, operator: NotIn, values: [a]}]}", "shop", false),
        ("{matchExpressions: [{key: none, operator: NotIn, values: [b]}]}", "shop", true),
        ("{matchExpressions: [{key: team, operator: Exists}]}", "shop", true),
        ("{matchExpressions: [{key: none, operator: Exists}]}", "shop", false),
        ("{matchExpressions: [{key: none, operator: DoesNotExist}]}", "shop", true),
        ("{matchExpressions: [{key: team, operator: DoesNotExist}]}", "shop", false),
        ("{matchExpressions: [{key: team, operator: Near, values: [a]}]}", "shop", false),
        ("{matchLabels: {team: a}, matchExpressions: [{key: team, operator: DoesNotExist}]}", "shop", false),
    ];
    for (selector, namespace, expected) in cases {
        let allowed_routes = format!("namespaces: {{from: Selector, selector: {selector}}}");
        assert_eq!(is_allowed(&allowed_routes, namespace), expected, "{selector} {namespace}");
    }
}

#[test]
fn refusals_to_attach_say_what_there_is_and_what_would_mend_it() {
    let other = "{parentRefs: [{name: edge, namespace: default}]}";
    let world = attached_by(RouteKind::Tcp, "{name: edge, sectionName: none, port: 9}")
        .udp("default/dns", "{parentRefs: [{name: edge, sectionName: web}]}")
        .tcp("shop/foreign", other);
    assert_snapshot!(world.route_report());
}

#[test]
fn a_route_may_attach_where_only_some_of_the_selected_listeners_allow_it() {
    let world = World::new(
        "{gatewayClassName: keryx, listeners: [{name: a, port: 80, protocol: TCP}, \
          {name: b, port: 81, protocol: TCP, allowedRoutes: {namespaces: {from: All}}}]}",
    )
    .tcp("shop/web", "{parentRefs: [{name: edge, namespace: default}]}");
    let attached: Vec<_> = world.decide().listeners.iter().map(|listener| listener.attached_routes).collect();
    assert_eq!(attached, [0, 1]);
    assert!(find(&conditions_of(&world, "shop/web"), ACCEPTED).status);
}

#[test]
fn routes_attach_to_a_conflicted_listener_and_are_counted_but_get_no_port() {
    let world = World::new(
        "{gatewayClassName: keryx, listeners: [{name: raw, port: 80, protocol: TCP}, \
          {name: web, port: 80, protocol: HTTP}, {name: alt, port: 81, protocol: TCP}]}",
    )
    .service("default/app", APP)
    .tcp(
        "default/shop",
        "{parentRefs: [{name: edge, sectionName: raw}], rules: [{backendRefs: [{name: app, port: 8080}]}]}",
    );
    let outcome = world.decide();
    assert_eq!(outcome.listeners[0].attached_routes, 1);
    assert_eq!(world::ports(&outcome), "81/TCP is served by the anchor\n");
}

#[test]
fn backends_that_cannot_be_used_are_named_with_what_would_mend_it_and_never_cost_acceptance() {
    let services = |world: World| {
        world
            .service("default/named", "{type: ExternalName, externalName: a.example}")
            .service("default/empty", "{selector: {app: a}}")
            .service("default/udp", "{selector: {app: a}, ports: [{port: 53, protocol: UDP}, {port: 80}]}")
            .service("other/app", APP)
    };
    let cases = [
        ("a missing Service", "[{name: gone, port: 80}]", "BackendNotFound"),
        ("a missing port", "[{name: udp, port: 9}]", "BackendNotFound"),
        ("a Service without ports", "[{name: empty, port: 9}]", "BackendNotFound"),
        ("a reference without port", "[{name: app}]", "BackendNotFound"),
        ("the other protocol", "[{name: udp, port: 53}]", "UnsupportedProtocol"),
        ("another kind", "[{group: example.com, kind: Bucket, name: app, port: 8080}]", "InvalidKind"),
        ("another kind of the core group", "[{kind: Pod, name: app, port: 8080}]", "InvalidKind"),
        ("an ExternalName", "[{name: named, port: 80}]", "InvalidKind"),
        ("no grant", "[{name: app, namespace: other, port: 8080}]", "RefNotPermitted"),
        ("no grant and no Service", "[{name: gone, namespace: other, port: 8080}]", "RefNotPermitted"),
        ("weight 0", "[{name: app, port: 8080}, {name: gone, port: 80, weight: 0}]", "BackendNotFound"),
        (
            "two of them",
            "[{name: gone, port: 80, weight: 0}, {name: app, namespace: other, port: 8080, weight: 0}]",
            "BackendNotFound",
        ),
    ];
    let mut report = String::new();
    for (name, backends, reason) in cases {
        let conditions = conditions_of(&services(with_backends(backends)), "default/shop");
        assert!(find(&conditions, ACCEPTED).status, "{name}");
        let resolved = find(&conditions, RESOLVED_REFS);
        assert_eq!((resolved.reason, resolved.status), (reason, false), "{name}");
        report += &format!("{name}\n  {resolved}\n");
    }
    assert_snapshot!(report);
}

#[test]
fn services_that_keryx_made_are_no_backends() {
    let mut world = World::new(
        "{gatewayClassName: keryx, listeners: [{name: web, port: 80, protocol: TCP}, {name: alt, port: 81, protocol: TCP}]}",
    )
    .service("default/app", APP)
    .tcp("default/shop", "{parentRefs: [{name: edge, port: 80}], rules: [{backendRefs: [{name: app, port: 8080}]}]}");
    let made = world.decide();
    for (at, service) in made.clones.iter().chain(&made.anchor).enumerate() {
        let generated = keryx_gateway::ObjectKey::of(&service.metadata);
        world.services.insert(generated.clone(), service.clone());
        let spec = format!(
            "{{parentRefs: [{{name: edge, port: 81}}], rules: [{{backendRefs: [{{name: {}, port: 80}}]}}]}}",
            generated.name
        );
        world = world.tcp(&format!("default/loop-{at}"), &spec);
    }
    assert_snapshot!(world.route_report());
}

#[test]
fn a_grant_permits_exactly_the_routes_and_services_that_it_names() {
    let from = "{group: gateway.networking.k8s.io, kind: TCPRoute, namespace: default}";
    let near = [
        "{group: '', kind: TCPRoute, namespace: default}",
        "{group: gateway.networking.k8s.io, kind: UDPRoute, namespace: default}",
        "{group: gateway.networking.k8s.io, kind: TCPRoute, namespace: other}",
    ];
    let to = "{group: '', kind: Service}";
    let mut cases = vec![
        ("other", format!("{{from: [{from}], to: [{to}]}}"), true),
        ("other", format!("{{from: [{from}], to: [{{group: '', kind: Service, name: app}}]}}"), true),
        ("other", format!("{{from: [{from}], to: [{{group: '', kind: Service, name: web}}]}}"), false),
        ("other", format!("{{from: [{from}], to: [{{group: '', kind: Secret}}]}}"), false),
        ("other", format!("{{from: [{from}], to: [{{group: apps, kind: Service}}]}}"), false),
        ("other", format!("{{from: [{}, {from}], to: [{{group: '', kind: Secret}}, {to}]}}", near[0]), true),
        ("default", format!("{{from: [{from}], to: [{to}]}}"), false),
    ];
    cases.extend(near.map(|from| ("other", format!("{{from: [{from}], to: [{to}]}}"), false)));
    for (namespace, grant, permitted) in cases {
        let world = with_backends("[{name: app, namespace: other, port: 8080}]")
            .service("other/app", APP)
            .grant(namespace, &grant);
        let resolved = find(&conditions_of(&world, "default/shop"), RESOLVED_REFS).clone();
        assert_eq!(resolved.status, permitted, "{namespace} {grant}: {resolved}");
        assert_eq!(world.decide().clones.len(), usize::from(permitted), "{namespace} {grant}");
    }
}

#[test]
fn two_half_grants_do_not_make_a_whole_one() {
    let world = with_backends("[{name: app, namespace: other, port: 8080}]")
        .service("other/app", APP)
        .grant("other", "{from: [{group: gateway.networking.k8s.io, kind: TCPRoute, namespace: default}], to: [{group: '', kind: Secret}]}")
        .grant("other", "{from: [{group: gateway.networking.k8s.io, kind: UDPRoute, namespace: default}], to: [{group: '', kind: Service}]}");
    assert!(!find(&conditions_of(&world, "default/shop"), RESOLVED_REFS).status);
}

#[test]
fn a_split_and_a_backend_without_selector_are_not_served_yet_and_say_so() {
    let cases = [
        ("two weights", "[{name: app, port: 8080, weight: 70}, {name: other, port: 8080, weight: 30}]"),
        ("one of two is missing", "[{name: app, port: 8080}, {name: gone, port: 8080}]"),
        ("no selector", "[{name: bare, port: 80}]"),
        ("an empty selector", "[{name: hollow, port: 80}]"),
    ];
    let mut report = String::new();
    for (name, backends) in cases {
        let world = with_backends(backends)
            .service("default/other", APP)
            .service("default/bare", "{ports: [{port: 80}]}")
            .service("default/hollow", "{selector: {}, ports: [{port: 80}]}");
        assert_eq!(world.decide().listeners[0].attached_routes, 0, "{name}");
        assert_eq!(world::ports(&world.decide()), "80/TCP is served by the anchor\n", "{name}");
        report += &format!("{name}\n{}", world.route_report());
    }
    assert_snapshot!(report);
}

#[test]
fn backends_of_all_rules_count_together() {
    let rules = "rules: [{backendRefs: [{name: app, port: 8080}]}, {backendRefs: [{name: app, port: 8080, weight: 0}]}, ";
    let route = |last: &str| {
        let spec = format!("{{parentRefs: [{{name: edge}}], {rules} {{backendRefs: [{last}]}}]}}");
        World::new(WEB).service("default/app", APP).tcp("default/shop", &spec)
    };
    let served = route("{name: app, port: 8080, weight: 0}");
    assert!(find(&conditions_of(&served, "default/shop"), ACCEPTED).status);
    let split = route("{name: app, port: 8080}");
    assert_eq!(find(&conditions_of(&split, "default/shop"), ACCEPTED).reason, "UnsupportedValue");
}

#[test]
fn backends_of_weight_0_take_no_traffic() {
    let one = with_backends("[{name: app, port: 8080}, {name: other, port: 8080, weight: 0}]")
        .service("default/other", APP);
    assert_eq!(one.decide().clones.len(), 1);
    let none = with_backends("[{name: app, port: 8080, weight: 0}]");
    assert_eq!(world::ports(&none.decide()), "80/TCP is served by the anchor\n");
    assert!(find(&conditions_of(&none, "default/shop"), ACCEPTED).status);
}

#[test]
fn the_oldest_route_has_the_port_and_the_others_are_told_its_name() {
    let world = World::new(LISTENERS)
        .service("default/app", APP)
        .service("default/new", APP)
        .route(RouteKind::Tcp, "default/a-young", &TO_APP.replace("app", "new"), 20)
        .route(
            RouteKind::Tcp,
            "default/z-old",
            &TO_APP.replace("{name: edge}", "{name: edge, port: 80}"),
            10,
        );
    assert_snapshot!(world.report());
}

#[test]
fn routes_of_one_age_are_ordered_by_namespace_and_name() {
    let listener = "{name: web, port: 80, protocol: TCP, allowedRoutes: {namespaces: {from: All}}}";
    let spec = "{parentRefs: [{name: edge, namespace: default}]}";
    let world = World::new(&format!("{{gatewayClassName: keryx, listeners: [{listener}]}}"))
        .tcp("b/a", spec)
        .tcp("a/z", spec)
        .tcp("a/y", spec);
    let losers: Vec<_> =
        world.decide().routes.iter().map(|route| route.parents[0].conditions.len() == 3).collect();
    assert_eq!(losers, [false, true, true]);
    assert_eq!(world.decide().listeners[0].attached_routes, 3);
}

#[test]
fn a_loser_is_no_longer_conflicted_when_the_winner_goes() {
    let mut world = World::serving().route(RouteKind::Tcp, "default/young", TO_APP, 20);
    let is_conflicted =
        |world: &World| conditions_of(world, "default/young").iter().any(|c| c.type_ == CONDITION_CONFLICTED);
    assert!(is_conflicted(&world));
    world.routes.remove(0);
    assert!(!is_conflicted(&world));
}

#[test]
fn a_route_that_is_not_served_keeps_its_port_from_younger_ones() {
    let split = "{parentRefs: [{name: edge}], rules: [{backendRefs: [{name: app, port: 8080}, {name: b, port: 80}]}]}";
    let world = World::new(WEB)
        .service("default/app", APP)
        .route(RouteKind::Tcp, "default/old", split, 10)
        .route(RouteKind::Tcp, "default/young", TO_APP, 20);
    assert_eq!(world::ports(&world.decide()), "80/TCP is served by the anchor\n");
    assert_snapshot!(world.route_report());
}
