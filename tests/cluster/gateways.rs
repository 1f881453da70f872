//! Gateways with TCPRoutes and UDPRoutes.

use anyhow::{Result, ensure};
use keryx_tests::app::{gateway, route, service};
use keryx_tests::{Keryx, Space, wait};
use serde_json::json;

use crate::Test;

pub(crate) const TESTS: &[Test] = &[
    ("gateway::with_a_tcp_route_is_reached_and_kubectl_shows_class_address_and_programmed", tcp),
    ("gateway::with_a_udp_route_is_reached", udp),
    ("gateway::serves_tcp_and_udp_on_one_port_number", both_protocols),
    ("gateway::clone_follows_its_backend_and_goes_with_its_route", clone_follows),
    ("gateway::route_into_another_namespace_needs_a_grant_and_stops_when_it_goes", grant),
    ("gateway::of_two_routes_on_one_listener_the_older_gets_the_traffic", oldest_wins),
    ("gateway::that_is_deleted_takes_clone_anchor_exposure_and_claim_with_it", deleted),
];

fn tcp(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "gateway-tcp")?;
    space.run_app("web", 1, None)?;
    space.apply(service("web", "web", 80, json!({})))?;
    space.apply(gateway("edge", &[("web", "TCP", 7000)], json!({})))?;
    space.apply(route("TCPRoute", "web", "edge", "web", "web", 80))?;
    let address = space.gateway_address("edge")?;
    let answer = keryx.client().tcp(address, 7000)?;
    ensure!(answer.pod.starts_with("web-"), "answered by {}", answer.pod);
    let shown = space.kubectl(&["get", "gateway", "edge", "--no-headers"])?;
    let words: Vec<&str> = shown.split_whitespace().collect();
    ensure!(
        words[..4] == ["edge", "keryx", &address.to_string(), "True"],
        "kubectl get gateway shows {shown}"
    );
    Ok(())
}

fn udp(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "gateway-udp")?;
    space.run_app("dns", 1, None)?;
    space.apply(service("dns", "dns", 53, json!({})))?;
    space.apply(gateway("edge", &[("dns", "UDP", 5300)], json!({})))?;
    space.apply(route("UDPRoute", "dns", "edge", "dns", "dns", 53))?;
    let address = space.gateway_address("edge")?;
    keryx.client().udp(address, 5300).map(drop)
}

fn both_protocols(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "gateway-both")?;
    space.run_app("dns", 1, None)?;
    space.apply(service("dns", "dns", 53, json!({})))?;
    space.apply(gateway("edge", &[("tcp", "TCP", 53), ("udp", "UDP", 53)], json!({})))?;
    space.apply(route("TCPRoute", "dns", "edge", "tcp", "dns", 53))?;
    space.apply(route("UDPRoute", "dns", "edge", "udp", "dns", 53))?;
    let address = space.gateway_address("edge")?;
    keryx.client().tcp(address, 53)?;
    keryx.client().udp(address, 53).map(drop)
}

fn clone_follows(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "gateway-clone")?;
    space.run_app("blue", 1, None)?;
    space.run_app("green", 1, None)?;
    space.apply(service("web", "blue", 80, json!({})))?;
    space.apply(gateway("edge", &[("web", "TCP", 7000)], json!({})))?;
    space.apply(route("TCPRoute", "web", "edge", "web", "web", 80))?;
    let address = space.gateway_address("edge")?;
    ensure!(keryx.client().tcp(address, 7000)?.pod.starts_with("blue-"), "not answered by blue");
    space.apply(service("web", "green", 80, json!({})))?;
    wait::until("an answer of green", || {
        Ok(keryx.client().tcp(address, 7000)?.pod.starts_with("green-").then_some(()))
    })?;
    let clones = || space.kubectl(&["get", "service", "-l", "keryx.dev/component=clone", "-o", "name"]);
    ensure!(clones()?.lines().count() == 1, "not one clone: {}", clones()?);
    space.kubectl(&["delete", "tcproute", "web"])?;
    wait::until("no clone", || Ok(clones()?.trim().is_empty().then_some(())))?;
    Ok(())
}

fn grant(keryx: &Keryx) -> Result<()> {
    let front = Space::new(keryx, "gateway-front")?;
    let back = Space::new(keryx, "gateway-back")?;
    back.run_app("web", 1, None)?;
    back.apply(service("web", "web", 80, json!({})))?;
    front.apply(gateway("edge", &[("web", "TCP", 7000)], json!({})))?;
    front.apply(route("TCPRoute", "web", "edge", "web", "gateway-back/web", 80))?;
    let path = "/status/parents/0/conditions";
    let (reason, _) = front.condition(("tcproute", "web"), path, ("ResolvedRefs", "False"))?;
    ensure!(reason == "RefNotPermitted", "without a grant the reason is {reason}");
    back.apply(json!({
        "apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "ReferenceGrant", "metadata": { "name": "front" },
        "spec": {
            "from": [{ "group": "gateway.networking.k8s.io", "kind": "TCPRoute", "namespace": "gateway-front" }],
            "to": [{ "group": "", "kind": "Service" }],
        },
    }))?;
    front.condition(("tcproute", "web"), path, ("ResolvedRefs", "True"))?;
    let address = front.gateway_address("edge")?;
    keryx.client().tcp(address, 7000)?;
    let finalizers = front.kubectl(&["get", "gateway", "edge", "-o", "jsonpath={.metadata.finalizers}"])?;
    ensure!(finalizers.contains("keryx.dev/clones"), "no finalizer: {finalizers}");
    back.kubectl(&["delete", "referencegrant", "front"])?;
    let (reason, _) = front.condition(("tcproute", "web"), path, ("ResolvedRefs", "False"))?;
    ensure!(reason == "RefNotPermitted", "with the grant gone the reason is {reason}");
    wait::until("no clone in the backend's namespace", || {
        let clones = back.kubectl(&["get", "service", "-l", "keryx.dev/component=clone", "-o", "name"])?;
        Ok(clones.trim().is_empty().then_some(()))
    })
}

fn oldest_wins(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "gateway-oldest")?;
    space.run_app("blue", 1, None)?;
    space.run_app("green", 1, None)?;
    space.apply(service("blue", "blue", 80, json!({})))?;
    space.apply(service("green", "green", 80, json!({})))?;
    space.apply(gateway("edge", &[("web", "TCP", 7000)], json!({})))?;
    space.apply(route("TCPRoute", "a-first", "edge", "web", "blue", 80))?;
    space.condition(("tcproute", "a-first"), "/status/parents/0/conditions", ("Accepted", "True"))?;
    space.apply(route("TCPRoute", "b-second", "edge", "web", "green", 80))?;
    let path = "/status/parents/0/conditions";
    let (_, message) = space.condition(("tcproute", "b-second"), path, ("keryx.dev/Conflicted", "True"))?;
    ensure!(message.contains("a-first"), "the winner is not named: {message}");
    space.condition(("tcproute", "b-second"), path, ("Accepted", "True"))?;
    space.wait_for("gateway", "edge", "two attached routes", |gateway| {
        (gateway["status"]["listeners"][0]["attachedRoutes"] == 2).then_some(())
    })?;
    let address = space.gateway_address("edge")?;
    for _ in 0..10 {
        let answer = keryx.client().tcp(address, 7000)?;
        ensure!(answer.pod.starts_with("blue-"), "the younger route's {} answers", answer.pod);
    }
    space.kubectl(&["delete", "tcproute", "a-first"])?;
    wait::until("an answer of green", || {
        Ok(keryx.client().tcp(address, 7000)?.pod.starts_with("green-").then_some(()))
    })
}

fn deleted(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "gateway-deleted")?;
    space.run_app("web", 1, None)?;
    space.apply(service("web", "web", 80, json!({})))?;
    space.apply(gateway("edge", &[("web", "TCP", 7000), ("spare", "TCP", 7001)], json!({})))?;
    space.apply(route("TCPRoute", "web", "edge", "web", "web", 80))?;
    let address = space.gateway_address("edge")?;
    keryx.client().tcp(address, 7000)?;
    space.kubectl(&["delete", "gateway", "edge", "--timeout=30s"])?;
    wait::until("nothing that was made for the Gateway", || {
        let generated = "keryx.dev/component in (clone,anchor)";
        let services = space.kubectl(&["get", "service", "-l", generated, "-o", "name"])?;
        let exposures = keryx.lab.kubectl(&[
            "-n",
            "keryx-system",
            "get",
            "configmap",
            "-l",
            "keryx.dev/component=exposure",
            "-o",
            "yaml",
        ])?;
        let ledger = keryx.lab.kubectl(&[
            "-n",
            "keryx-system",
            "get",
            "configmap",
            "-l",
            "keryx.dev/component=ledger",
            "-o",
            "yaml",
        ])?;
        let left = services.contains("service/")
            || exposures.contains("gateway-deleted")
            || ledger.contains("gateway-deleted");
        Ok((!left).then_some(()))
    })?;
    wait::until("no announcer", || Ok(keryx.client().announcers(address)?.is_empty().then_some(())))?;
    space.wait_for("tcproute", "web", "no entry of ours", |route| {
        route["status"]["parents"].as_array().is_none_or(Vec::is_empty).then_some(())
    })
}
