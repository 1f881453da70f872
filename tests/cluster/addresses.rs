//! Where addresses come from. These tests change the address ranges, and put them back.

use anyhow::{Result, ensure};
use keryx_tests::app::{gateway, load_balancer, route, service};
use keryx_tests::keryx::{NAMESPACE, RANGE_V4};
use keryx_tests::{Keryx, Space};
use serde_json::json;

use crate::Test;

pub(crate) const TESTS: &[Test] = &[
    ("addresses::exhausted_pool_is_said_and_heals_when_it_is_widened", exhausted),
    ("addresses::bad_range_is_said_on_the_configmap_and_harms_no_other_key", bad_range),
    ("addresses::service_and_gateway_get_both_families_where_the_pool_has_both", dual_stack),
    ("addresses::given_addresses_stay_when_their_range_goes", stay),
    ("addresses::services_share_without_a_key_where_the_configmap_allows_it", allow_share),
    ("addresses::services_and_gateways_are_announced_on_the_interfaces_that_the_configmap_names", interfaces),
];

/// Address ranges that are put back when this value goes.
struct Ranges<'a>(&'a Keryx);

impl<'a> Ranges<'a> {
    fn set(keryx: &'a Keryx, ranges: &[(&str, &str)]) -> Result<Self> {
        keryx.set_ranges(ranges)?;
        Ok(Self(keryx))
    }
}

impl Drop for Ranges<'_> {
    fn drop(&mut self) {
        // A failure shows in the next test; here it would hide this one's.
        let _ignored = self.0.set_ranges(&[("range-global", RANGE_V4)]);
    }
}

fn exhausted(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "addresses-exhausted")?;
    let one = [("range-global", RANGE_V4), ("range-addresses-exhausted", "10.98.0.180-10.98.0.180")];
    let _ranges = Ranges::set(keryx, &one)?;
    space.apply(service("first", "web", 80, load_balancer()))?;
    ensure!(space.service_address("first")?.to_string() == "10.98.0.180", "not from the namespace's range");
    space.apply(service("second", "web", 80, load_balancer()))?;
    let (reason, message) =
        space.condition(("service", "second"), "/status/conditions", ("keryx.dev/Assigned", "False"))?;
    ensure!(
        reason == "PoolExhausted" && message.contains("range-addresses-exhausted"),
        "{reason}: {message}"
    );
    keryx.set_ranges(&[
        ("range-global", RANGE_V4),
        ("range-addresses-exhausted", "10.98.0.180-10.98.0.181"),
    ])?;
    ensure!(space.service_address("second")?.to_string() == "10.98.0.181", "not the address that was added");
    Ok(())
}

fn interfaces(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "addresses-interface")?;
    space.run_app("web", 3, None)?;
    let ranges = |names: &str| {
        Ranges::set(keryx, &[("range-global", RANGE_V4), ("interface-addresses-interface", names)])
    };
    let _nowhere = ranges("eth9")?;
    space.apply(service("web", "web", 7200, load_balancer()))?;
    space.apply(service("backend", "web", 7201, json!({})))?;
    space.apply(gateway("edge", &[("tcp", "TCP", 7201)], json!({})))?;
    space.apply(route("TCPRoute", "web", "edge", "tcp", "backend", 7201))?;
    let addresses = [space.service_address("web")?, space.gateway_address("edge")?];
    for address in addresses {
        ensure!(keryx.client().announcers(address)?.is_empty(), "{address} is announced");
        let page = keryx.cli(&["explain", &address.to_string()])?;
        ensure!(page.contains("is not among the interfaces"), "{page}");
    }
    let _both = ranges("eth9, eth0")?;
    for address in addresses {
        keryx.client().announcer(address)?;
    }
    Ok(())
}

fn bad_range(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "addresses-bad")?;
    let _ranges =
        Ranges::set(keryx, &[("range-global", RANGE_V4), ("range-elsewhere", "10.98.0.9-10.98.0.1")])?;
    let (_, message) = Space::existing(keryx, NAMESPACE).event("InvalidKey")?;
    ensure!(message.contains("range-elsewhere"), "the key is not named: {message}");
    space.apply(service("web", "web", 80, load_balancer()))?;
    space.service_address("web").map(drop)
}

fn dual_stack(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "addresses-dual")?;
    let _ranges = Ranges::set(
        keryx,
        &[("range-global", RANGE_V4), ("cidr-addresses-dual", "10.98.0.188/30,fd98::b0/124")],
    )?;
    let mut spec = load_balancer();
    spec["ipFamilyPolicy"] = "RequireDualStack".into();
    space.apply(service("web", "web", 80, spec))?;
    space.wait_for("service", "web", "both families", |service| {
        (service.pointer("/status/loadBalancer/ingress")?.as_array()?.len() == 2).then_some(())
    })?;
    space.apply(gateway("edge", &[("web", "TCP", 7000)], json!({})))?;
    space.wait_for("gateway", "edge", "both families", |gateway| {
        let addresses = gateway.pointer("/status/addresses")?.as_array()?;
        (addresses.len() == 2 && addresses.iter().all(|address| address["type"] == "IPAddress")).then_some(())
    })
}

fn stay(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "addresses-stay")?;
    space.apply(service("web", "web", 80, load_balancer()))?;
    let before = space.service_address("web")?;
    let _ranges = Ranges::set(keryx, &[])?;
    // A Service that comes now gets none, so the controller has seen the change.
    space.apply(service("late", "web", 80, load_balancer()))?;
    space.condition(("service", "late"), "/status/conditions", ("keryx.dev/Assigned", "False"))?;
    ensure!(space.service_address("web")? == before, "the address went with its range");
    Ok(())
}

fn allow_share(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "addresses-share")?;
    let _ranges = Ranges::set(keryx, &[("range-global", RANGE_V4), ("allow-share-addresses-share", "true")])?;
    let mut addresses = Vec::new();
    for (name, port) in [("a", 80), ("b", 81), ("c", 80)] {
        space.apply(service(name, "web", port, load_balancer()))?;
        addresses.push(space.service_address(name)?);
    }
    ensure!(addresses[0] == addresses[1], "distinct ports do not share: {addresses:?}");
    ensure!(addresses[0] != addresses[2], "two Services have one port: {addresses:?}");
    Ok(())
}
