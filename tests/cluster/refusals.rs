//! What is refused, and what the user then sees.

use anyhow::{Result, ensure};
use keryx_tests::app::{gateway, load_balancer, route, service};
use keryx_tests::{Keryx, Space};
use serde_json::json;

use crate::Test;

pub(crate) const TESTS: &[Test] = &[
    ("refusal::port_of_a_vip_without_a_listener_is_refused_at_once", no_listener),
    ("refusal::listener_without_a_route_is_refused_at_once", no_route),
    ("refusal::missing_backend_is_named_and_heals_when_it_comes", missing_backend),
    ("refusal::wrong_port_names_the_ports_that_exist", wrong_port),
    ("refusal::second_gateway_that_asks_for_a_taken_address_is_told_and_gets_it_when_it_is_free", taken),
    ("refusal::weights_and_l7_listeners_get_their_exact_condition", unserved),
];

fn no_listener(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "refusal-listener")?;
    space.run_app("web", 1, None)?;
    space.apply(service("web", "web", 80, load_balancer()))?;
    let address = space.service_address("web")?;
    keryx.client().tcp(address, 80)?;
    keryx.client().tcp_refused(address, 81)?;
    keryx.client().udp_refused(address, 81)
}

fn no_route(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "refusal-route")?;
    space.run_app("web", 1, None)?;
    space.apply(service("web", "web", 80, json!({})))?;
    space.apply(gateway("edge", &[("web", "TCP", 7000), ("spare", "TCP", 7001)], json!({})))?;
    space.apply(route("TCPRoute", "web", "edge", "web", "web", 80))?;
    let address = space.gateway_address("edge")?;
    keryx.client().tcp(address, 7000)?;
    keryx.client().tcp_refused(address, 7001)
}

fn missing_backend(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "refusal-backend")?;
    space.run_app("web", 1, None)?;
    space.apply(gateway("edge", &[("web", "TCP", 7000)], json!({})))?;
    space.apply(route("TCPRoute", "web", "edge", "web", "web", 80))?;
    let path = "/status/parents/0/conditions";
    let (reason, message) = space.condition(("tcproute", "web"), path, ("ResolvedRefs", "False"))?;
    ensure!(reason == "BackendNotFound" && message.contains("refusal-backend/web"), "{reason}: {message}");
    space.condition(("tcproute", "web"), path, ("Accepted", "True"))?;
    let (type_, told) = space.event("BackendNotFound")?;
    ensure!(type_ == "Warning" && told == message, "{type_}: {told}");
    space.apply(service("web", "web", 80, json!({})))?;
    space.condition(("tcproute", "web"), path, ("ResolvedRefs", "True"))?;
    let address = space.gateway_address("edge")?;
    keryx.client().tcp(address, 7000).map(drop)
}

fn wrong_port(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "refusal-port")?;
    space.apply(service("web", "web", 80, json!({})))?;
    space.apply(gateway("edge", &[("web", "TCP", 7000)], json!({})))?;
    space.apply(route("TCPRoute", "web", "edge", "web", "web", 8181))?;
    let path = "/status/parents/0/conditions";
    let (reason, message) = space.condition(("tcproute", "web"), path, ("ResolvedRefs", "False"))?;
    ensure!(
        reason == "BackendNotFound" && message.contains("8181") && message.contains("80"),
        "{reason}: {message}"
    );
    Ok(())
}

fn taken(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "refusal-taken")?;
    let asks = json!({ "addresses": [{ "type": "IPAddress", "value": "10.98.0.249" }] });
    space.apply(gateway("first", &[("web", "TCP", 7000)], asks.clone()))?;
    ensure!(space.gateway_address("first")?.to_string() == "10.98.0.249", "another address than asked for");
    space.apply(gateway("second", &[("web", "TCP", 7000)], asks))?;
    let (reason, message) =
        space.condition(("gateway", "second"), "/status/conditions", ("Programmed", "False"))?;
    ensure!(reason == "AddressNotUsable" && message.contains("refusal-taken/first"), "{reason}: {message}");
    space.kubectl(&["delete", "gateway", "first"])?;
    ensure!(
        space.gateway_address("second")?.to_string() == "10.98.0.249",
        "it did not get the freed address"
    );
    Ok(())
}

fn unserved(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "refusal-unserved")?;
    space.apply(service("web", "web", 80, json!({})))?;
    space.apply(gateway("edge", &[("web", "TCP", 7000), ("http", "HTTP", 80)], json!({})))?;
    let (reason, _) = space.condition(("gateway", "edge"), "/status/conditions", ("Accepted", "True"))?;
    ensure!(reason == "ListenersNotValid", "{reason}");
    let (reason, _) =
        space.condition(("gateway", "edge"), "/status/listeners/1/conditions", ("Accepted", "False"))?;
    ensure!(reason == "UnsupportedProtocol", "{reason}");
    let mut weighted = route("TCPRoute", "web", "edge", "web", "web", 80);
    weighted["spec"]["rules"][0]["backendRefs"] =
        json!([{ "name": "web", "port": 80, "weight": 7 }, { "name": "other", "port": 80, "weight": 3 }]);
    space.apply(weighted)?;
    let path = "/status/parents/0/conditions";
    let (reason, message) = space.condition(("tcproute", "web"), path, ("Accepted", "False"))?;
    ensure!(reason == "UnsupportedValue" && message.contains("weight"), "{reason}: {message}");
    Ok(())
}
