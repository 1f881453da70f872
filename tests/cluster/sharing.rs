//! Several owners on one address.

use anyhow::{Result, ensure};
use keryx_tests::app::{gateway, load_balancer, route, service};
use keryx_tests::{Keryx, Space, wait};
use serde_json::{Value, json};

use crate::Test;

pub(crate) const TESTS: &[Test] = &[
    ("sharing::tcp_and_udp_services_of_one_key_are_reached_on_one_address_at_one_node", both_protocols),
    ("sharing::of_a_port_that_is_taken_is_refused_with_its_owner_and_heals_when_that_goes", port_taken),
    ("sharing::ends_for_the_one_whose_own_edit_no_longer_fits", own_edit),
    ("sharing::keeps_the_address_until_the_last_one_goes", last_one),
    ("sharing::across_namespaces_needs_the_consent_of_both", consent),
    ("sharing::two_gateways_of_one_key_and_distinct_listeners_are_reached_on_one_address", gateways),
    ("sharing::survives_a_restart_of_the_controller", restart),
    ("annotation::that_contradicts_another_is_named_and_nothing_is_guessed", contradiction),
];

/// A Service of ours on one TCP or UDP port, with these annotations.
fn one_port(name: &str, protocol: &str, port: u16, annotations: Value) -> Value {
    let mut spec = load_balancer();
    spec["ports"] = json!([{ "port": port, "targetPort": 8080, "protocol": protocol }]);
    let mut object = service(name, "web", port, spec);
    object["metadata"]["annotations"] = annotations;
    object
}

fn key(key: &str) -> Value {
    json!({ "keryx.dev/sharing-key": key })
}

fn both_protocols(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "sharing-both")?;
    space.run_app("web", 2, None)?;
    space.apply(one_port("tcp", "TCP", 53, key("dns")))?;
    space.apply(one_port("udp", "UDP", 53, key("dns")))?;
    let address = space.service_address("tcp")?;
    ensure!(space.service_address("udp")? == address, "not on one address");
    keryx.client().tcp(address, 53)?;
    keryx.client().udp(address, 53)?;
    wait::until("one announcer", || Ok((keryx.client().announcers(address)?.len() == 1).then_some(())))?;
    let (_, message) =
        space.condition(("service", "udp"), "/status/conditions", ("keryx.dev/Assigned", "True"))?;
    ensure!(message.ends_with("shared by key dns"), "{message}");
    let explained = keryx.cli(&["explain", &address.to_string()])?;
    ensure!(explained.contains("sharing-both/tcp") && explained.contains("sharing-both/udp"), "{explained}");
    Ok(())
}

fn port_taken(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "sharing-port")?;
    let asks = json!({ "keryx.dev/sharing-key": "web", "keryx.dev/addresses": "10.98.0.241" });
    space.apply(one_port("first", "TCP", 80, asks.clone()))?;
    space.service_address("first")?;
    space.apply(one_port("second", "TCP", 80, asks))?;
    let path = "/status/conditions";
    let (reason, message) = space.condition(("service", "second"), path, ("keryx.dev/Assigned", "False"))?;
    ensure!(reason == "PortTaken" && message.contains("sharing-port/first"), "{reason}: {message}");
    space.kubectl(&["delete", "service", "first"])?;
    ensure!(space.service_address("second")?.to_string() == "10.98.0.241", "did not get what it asks for");
    Ok(())
}

fn own_edit(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "sharing-edit")?;
    space.apply(one_port("first", "TCP", 80, key("web")))?;
    let address = space.service_address("first")?;
    space.apply(one_port("second", "TCP", 81, key("web")))?;
    ensure!(space.service_address("second")? == address, "not on one address");
    space.apply(one_port("second", "TCP", 80, key("web")))?;
    space.wait_for("service", "second", "an address of its own", |service| {
        let ip = service.pointer("/status/loadBalancer/ingress/0/ip")?.as_str()?;
        (ip != address.to_string()).then_some(())
    })?;
    ensure!(space.service_address("first")? == address, "the one that changed nothing lost its address");
    Ok(())
}

fn last_one(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "sharing-last")?;
    space.apply(one_port("tcp", "TCP", 53, key("dns")))?;
    let address = space.service_address("tcp")?;
    space.apply(one_port("udp", "UDP", 53, key("dns")))?;
    space.service_address("udp")?;
    space.kubectl(&["delete", "service", "tcp"])?;
    let asks = json!({ "keryx.dev/addresses": address.to_string() });
    space.apply(one_port("other", "TCP", 9000, asks))?;
    let path = "/status/conditions";
    let (reason, _) = space.condition(("service", "other"), path, ("keryx.dev/Assigned", "False"))?;
    ensure!(reason == "AddressTaken", "{reason}");
    space.kubectl(&["delete", "service", "udp"])?;
    ensure!(space.service_address("other")? == address, "the address did not become free");
    Ok(())
}

fn consent(keryx: &Keryx) -> Result<()> {
    let one = Space::new(keryx, "sharing-one")?;
    let two = Space::new(keryx, "sharing-two")?;
    let open = json!({ "keryx.dev/sharing-key": "edge", "keryx.dev/share-across-namespaces": "true" });
    one.apply(one_port("web", "TCP", 80, open.clone()))?;
    let address = one.service_address("web")?;
    two.apply(one_port("shy", "TCP", 81, key("edge")))?;
    ensure!(two.service_address("shy")? != address, "shared without the consent of both");
    two.apply(one_port("open", "TCP", 82, open))?;
    ensure!(two.service_address("open")? == address, "not shared though both consent");
    Ok(())
}

fn gateways(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "sharing-gateways")?;
    space.run_app("web", 1, None)?;
    space.apply(service("web", "web", 80, json!({})))?;
    for (name, port) in [("edge-a", 7000), ("edge-b", 7001)] {
        let mut object = gateway(name, &[("web", "TCP", port)], json!({}));
        object["metadata"]["annotations"] = key("edge");
        space.apply(object)?;
        space.apply(route("TCPRoute", name, name, "web", "web", 80))?;
    }
    let address = space.gateway_address("edge-a")?;
    ensure!(space.gateway_address("edge-b")? == address, "not on one address");
    keryx.client().tcp(address, 7000)?;
    keryx.client().tcp(address, 7001)?;
    let mut third =
        gateway("edge-c", &[("web", "TCP", 7000)], json!({ "addresses": [{ "value": address }] }));
    third["metadata"]["annotations"] = key("edge");
    space.apply(third)?;
    let path = "/status/conditions";
    let (reason, message) = space.condition(("gateway", "edge-c"), path, ("Programmed", "False"))?;
    ensure!(reason == "AddressNotUsable" && message.contains("7000"), "{reason}: {message}");
    space.kubectl(&["delete", "gateway", "edge-a"])?;
    keryx.client().tcp(address, 7001).map(drop)
}

fn restart(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "sharing-restart")?;
    space.apply(one_port("tcp", "TCP", 53, key("dns")))?;
    let address = space.service_address("tcp")?;
    space.apply(one_port("udp", "UDP", 53, key("dns")))?;
    space.service_address("udp")?;
    keryx.kill_controller()?;
    space.apply(one_port("third", "TCP", 54, key("dns")))?;
    for name in ["third", "tcp", "udp"] {
        ensure!(space.service_address(name)? == address, "{name} is not on {address}");
    }
    Ok(())
}

fn contradiction(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "annotation-two")?;
    let two = json!({ "keryx.dev/addresses": "10.98.0.242", "metallb.io/loadBalancerIPs": "10.98.0.243" });
    space.apply(one_port("web", "TCP", 80, two))?;
    let path = "/status/conditions";
    let (reason, message) = space.condition(("service", "web"), path, ("keryx.dev/Assigned", "False"))?;
    ensure!(
        message.contains("keryx.dev/addresses") && message.contains("metallb.io/loadBalancerIPs"),
        "{reason}: {message}"
    );
    space.kubectl(&["annotate", "service", "web", "metallb.io/loadBalancerIPs-"])?;
    ensure!(space.service_address("web")?.to_string() == "10.98.0.242", "not the one that is left");
    Ok(())
}
