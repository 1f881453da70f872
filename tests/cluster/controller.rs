//! The controller is killed. These tests run last, since all others need it.

use anyhow::{Result, ensure};
use keryx_tests::app::{gateway, load_balancer, route, service};
use keryx_tests::keryx::NAMESPACE;
use keryx_tests::{Keryx, Space};
use serde_json::json;

use crate::Test;

pub(crate) const TESTS: &[Test] = &[
    ("controller::that_is_killed_and_restarted_changes_no_address_and_writes_nothing_again", restarted),
    ("controller::that_was_away_gives_what_was_asked_for_meanwhile", caught_up),
];

fn restarted(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "controller-restarted")?;
    space.run_app("web", 1, None)?;
    space.apply(service("plain", "web", 80, load_balancer()))?;
    space.apply(service("web", "web", 80, json!({})))?;
    space.apply(gateway("edge", &[("web", "TCP", 7000), ("spare", "TCP", 7001)], json!({})))?;
    space.apply(route("TCPRoute", "web", "edge", "web", "web", 80))?;
    space.service_address("plain")?;
    let address = space.gateway_address("edge")?;
    keryx.client().tcp(address, 7000)?;
    // An answer comes before the last write: what is served is counted in the Gateway's status after it is served.
    space.wait_for("gateway", "edge", "an attached route in its status", |gateway| {
        let attached = gateway.pointer("/status/listeners/0/attachedRoutes")?.as_u64()?;
        (attached == 1).then_some(())
    })?;
    let before = versions(&space)?;
    keryx.kill_controller()?;
    // What the new controller does for a newcomer shows that it leads and has looked at everything.
    space.apply(service("newcomer", "web", 80, load_balancer()))?;
    space.service_address("newcomer")?;
    space.kubectl(&["delete", "service", "newcomer"])?;
    let after = versions(&space)?;
    ensure!(before == after, "written again:\n{before}\n{after}");
    Ok(())
}

/// resourceVersions of all that the controller writes for the namespace.
fn versions(space: &Space<'_>) -> Result<String> {
    let version = "{.kind}/{.metadata.name} {.metadata.resourceVersion}{\"\\n\"}{end}";
    let path = format!("jsonpath={{range .items[*]}}{version}");
    let own = space.kubectl(&["get", "service,gateway,tcproute", "-o", &path])?;
    // Exposures of other tests may be going still.
    let path = format!(
        "jsonpath={{range .items[?(@.metadata.annotations.keryx\\.dev/gateway==\"{}/edge\")]}}{version}",
        space.name
    );
    let kubectl = |args: &[&str]| space.keryx.lab.kubectl(args);
    let exposures = kubectl(&["-n", NAMESPACE, "get", "configmap", "-o", &path])?;
    ensure!(!exposures.is_empty(), "the Gateway has no exposure");
    Ok(format!("{own}{exposures}"))
}

fn caught_up(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "controller-away")?;
    let scale = |replicas: &str| {
        keryx.lab.kubectl(&["-n", "keryx-system", "scale", "deployment/keryx-controller", replicas])
    };
    scale("--replicas=0")?;
    space.apply(service("web", "web", 80, load_balancer()))?;
    space.apply(gateway("edge", &[("web", "TCP", 7000)], json!({})))?;
    scale("--replicas=1")?;
    keryx.wait_ready()?;
    space.service_address("web")?;
    space.gateway_address("edge").map(drop)
}
