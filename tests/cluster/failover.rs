//! Who announces, and how that follows the pods.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use keryx_lab::probe::{ProbeError, UdpFlow};
use keryx_lab::{Role, Signal};
use keryx_tests::app::{gateway, load_balancer, route, service};
use keryx_tests::{Keryx, Space, wait};
use serde_json::json;

use crate::Test;

pub(crate) const TESTS: &[Test] = &[
    ("failover::gateway_is_announced_by_exactly_the_node_with_the_pod_and_follows_it", follows),
    ("failover::last_endpoint_gone_means_not_announced_within_100_ms_of_the_slice", withdrawn),
    (
        "failover::client_that_sends_udp_from_one_port_before_kube_proxy_is_ready_still_gets_answers",
        early_udp,
    ),
    ("failover::explain_names_pool_clone_endpoints_and_announcer", explained),
];

fn follows(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "failover-follows")?;
    space.run_app("web", 1, Some("n1"))?;
    space.apply(service("web", "web", 80, json!({})))?;
    space.apply(gateway("edge", &[("web", "TCP", 7000)], json!({})))?;
    space.apply(route("TCPRoute", "web", "edge", "web", "web", 80))?;
    let address = space.gateway_address("edge")?;
    for node in ["n1", "n3"] {
        space.run_app("web", 1, Some(node))?;
        wait::until(&format!("{node} as the only announcer"), || {
            let announcers = keryx.client().announcers(address)?;
            ensure!(announcers.len() < 2, "{announcers:?} answer");
            Ok(announcers.contains(node).then_some(()))
        })?;
        let answer = wait::until("an answer from there", || {
            Ok(Some(keryx.client().tcp(address, 7000)?).filter(|answer| answer.node == node))
        })?;
        ensure!(answer.pod.starts_with("web-"), "answered by {}", answer.pod);
    }
    Ok(())
}

/// Both times are taken where they are seen: the slice by a watcher of its own, the silence by asking.
fn withdrawn(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "failover-withdrawn")?;
    space.run_app("web", 1, None)?;
    space.apply(service("web", "web", 80, load_balancer()))?;
    let address = space.service_address("web")?;
    keryx.client().announcer(address)?;
    space.kubectl(&["scale", "deployment/web", "--replicas=0"])?;
    wait::until("no ready endpoint", || {
        let slices = space.kubectl(&[
            "get",
            "endpointslice",
            "-l",
            "kubernetes.io/service-name=web",
            "-o",
            "jsonpath={.items[*].endpoints[*].conditions.ready}{.items[*].endpoints[*].conditions.serving}",
        ])?;
        Ok((!slices.contains("true")).then_some(()))
    })?;
    // kubectl alone takes longer than the 100 ms that the speaker has.
    let announcers = keryx.client().announcers(address)?;
    ensure!(announcers.is_empty(), "still answered by {announcers:?}");
    space.kubectl(&["scale", "deployment/web", "--replicas=1"])?;
    keryx.client().announcer(address).map(drop)
}

fn early_udp(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "failover-udp")?;
    space.run_app("dns", 1, Some("n2"))?;
    let kube_proxy = keryx.lab.node(2).process(Role::KubeProxy);
    kube_proxy.signal(Signal::SIGSTOP)?;
    let outcome = (|| {
        let mut spec = load_balancer();
        spec["externalTrafficPolicy"] = "Local".into();
        space.apply(service("dns", "dns", 53, spec))?;
        let address = space.service_address("dns")?;
        keryx.client().announcer(address)?;
        let server = std::net::SocketAddr::new(address, 53);
        let mut flow = UdpFlow::open(&keryx.lab.client_host(1).namespace(), 40_053, server)?;
        for _ in 0..5 {
            let early = flow.ask(Duration::from_millis(100));
            ensure!(early == Err(ProbeError::TimedOut), "before kube-proxy there is {early:?}");
        }
        kube_proxy.signal(Signal::SIGCONT)?;
        let answer = keryx_lab::probe::until_answered(wait::LIMIT, Duration::from_millis(20), || {
            flow.ask(Duration::from_millis(200))
        });
        answer.context("the flow never recovers").map(drop)
    })();
    kube_proxy.signal(Signal::SIGCONT)?;
    outcome
}

fn explained(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "failover-explain")?;
    space.run_app("web", 1, Some("n2"))?;
    space.apply(service("web", "web", 80, json!({})))?;
    space.apply(gateway("edge", &[("web", "TCP", 7000)], json!({})))?;
    space.apply(route("TCPRoute", "web", "edge", "web", "web", 80))?;
    let address = space.gateway_address("edge")?;
    keryx.client().announcer(address)?;
    for target in ["gateway/failover-explain/edge".to_owned(), address.to_string()] {
        let page = keryx.cli(&["explain", &target])?;
        let needed = [
            format!("{address}, pool range-global"),
            "clone failover-explain/web-".to_owned(),
            "Node n2".to_owned(),
        ];
        for text in needed {
            ensure!(page.contains(&text), "{text:?} is not in\n{page}");
        }
    }
    space.kubectl(&["scale", "deployment/web", "--replicas=0"])?;
    wait::until("nobody announces", || {
        let page = keryx.cli(&["explain", "gateway/failover-explain/edge"])?;
        Ok(page.contains("nobody: no port has a ready endpoint").then_some(()))
    })
}
