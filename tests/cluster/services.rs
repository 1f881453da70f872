//! Plain Services of type LoadBalancer.

use std::time::Duration;

use anyhow::{Result, ensure};
use keryx_lab::capture::{ArpOperation, Packet};
use keryx_tests::app::{load_balancer, service};
use keryx_tests::{Keryx, Space};
use serde_json::json;

use crate::Test;

pub(crate) const TESTS: &[Test] = &[
    ("service::gets_an_address_that_a_client_reaches_over_tcp_and_udp", reached),
    ("service::is_announced_by_gratuitous_arp_in_both_forms_as_soon_as_it_has_an_address", announced),
    ("service::of_another_class_is_left_alone", foreign_class),
    ("service::without_a_class_is_served", classless),
    ("service::that_becomes_cluster_ip_gives_its_address_back", type_changed),
    ("service::with_policy_local_is_announced_where_its_pod_runs_and_keeps_the_client_address", local),
];

fn reached(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "service-reached")?;
    space.run_app("web", 1, None)?;
    space.apply(service("web", "web", 80, load_balancer()))?;
    let address = space.service_address("web")?;
    let stored = space.get("service", "web")?.unwrap_or_default();
    ensure!(stored["status"]["loadBalancer"]["ingress"][0]["ipMode"] == "VIP", "ipMode is not VIP: {stored}");
    let (reason, message) =
        space.condition(("service", "web"), "/status/conditions", ("keryx.dev/Assigned", "True"))?;
    ensure!(
        reason == "Assigned" && message == format!("{address} from pool range-global"),
        "{reason}: {message}"
    );
    let tcp = keryx.client().tcp(address, 80)?;
    let udp = keryx.client().udp(address, 80)?;
    ensure!(tcp.pod == udp.pod && tcp.pod.starts_with("web-"), "answered by {} and {}", tcp.pod, udp.pod);
    Ok(())
}

fn announced(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "service-announced")?;
    space.run_app("web", 1, None)?;
    let capture = keryx.client().capture()?;
    space.apply(service("web", "web", 80, load_balancer()))?;
    let address = space.service_address("web")?;
    for form in [ArpOperation::Request, ArpOperation::Reply] {
        let seen = capture.wait_for(
            |event| {
                let Packet::Arp(arp) = event.packet else { return false };
                arp.is_gratuitous() && arp.operation == form && address == arp.sender_ip
            },
            Duration::from_secs(10),
        );
        let Some(event) = seen else { anyhow::bail!("no gratuitous {form:?} for {address}") };
        let announcer = keryx.client().announcer(address)?;
        ensure!(keryx.node_of(event.source_mac)? == announcer, "announced by another node than {announcer}");
        if let (Packet::Arp(arp), ArpOperation::Reply) = (event.packet, form) {
            ensure!(arp.target_mac == arp.sender_mac, "a neighbour in its lock time would ignore this reply");
        }
    }
    Ok(())
}

fn foreign_class(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "service-foreign")?;
    let foreign = json!({ "type": "LoadBalancer", "loadBalancerClass": "example.com/other" });
    space.apply(service("other", "web", 80, foreign))?;
    // What comes after it is served, so the controller has seen it too.
    space.apply(service("ours", "web", 80, load_balancer()))?;
    space.service_address("ours")?;
    let other = space.get("service", "other")?.unwrap_or_default();
    ensure!(other["status"]["loadBalancer"] == json!({}), "status was written: {}", other["status"]);
    ensure!(other["status"]["conditions"].is_null(), "a condition was written: {}", other["status"]);
    Ok(())
}

fn classless(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "service-classless")?;
    space.run_app("web", 1, None)?;
    space.apply(service("web", "web", 80, json!({ "type": "LoadBalancer" })))?;
    let address = space.service_address("web")?;
    keryx.client().tcp(address, 80).map(drop)
}

fn type_changed(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "service-type")?;
    space.apply(service("web", "web", 80, load_balancer()))?;
    let address = space.service_address("web")?;
    let patch =
        r#"{"spec":{"type":"ClusterIP","loadBalancerClass":null,"allocateLoadBalancerNodePorts":null}}"#;
    space.kubectl(&["patch", "service", "web", "--type=merge", "-p", patch])?;
    space.wait_for("service", "web", "no mark", |service| {
        let conditions = service["status"]["conditions"].as_array().is_none_or(Vec::is_empty);
        (conditions && service["status"]["loadBalancer"] == json!({})).then_some(())
    })?;
    // The address is free for one that asks for it.
    let mut asks = load_balancer();
    asks["loadBalancerIP"] = address.to_string().into();
    space.apply(service("next", "web", 80, asks))?;
    ensure!(space.service_address("next")? == address, "the address was not given back");
    Ok(())
}

fn local(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "service-local")?;
    space.run_app("web", 1, Some("n2"))?;
    let mut spec = load_balancer();
    spec["externalTrafficPolicy"] = "Local".into();
    space.apply(service("web", "web", 80, spec))?;
    let address = space.service_address("web")?;
    let announcer = keryx.client().announcer(address)?;
    ensure!(announcer == "n2", "announced by {announcer}, and the pod is on n2");
    let answer = keryx.client().tcp(address, 80)?;
    let client = keryx.lab.client_host(1).address_v4();
    ensure!(answer.client.ip() == client, "the app sees {} and not {client}", answer.client);
    Ok(())
}
