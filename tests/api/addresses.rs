//! What users do to pools and Services later, and what that does to addresses. Each pool serves the namespace of its test
//! alone.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use keryx_tests::app::{load_balancer, service};
use keryx_tests::pool::{Pool, serving};
use keryx_tests::{Keryx, Space, wait};
use serde_json::{Value, json};

use crate::{RANGE_V4, Test};

pub(crate) const TESTS: &[Test] = &[
    (
        "addresses::prefer_dual_stack_gets_its_second_family_once_a_pool_has_it_and_keeps_the_first",
        second_family,
    ),
    ("addresses::owners_that_wait_are_served_oldest_first", oldest_first),
    ("addresses::one_that_a_node_takes_is_said_and_no_longer_given", taken_by_node),
    ("addresses::one_that_a_service_cidr_takes_is_said_and_no_longer_given", taken_by_service_cidr),
    ("addresses::stay_when_their_pool_is_renamed_split_and_deleted", pool_renamed),
    ("addresses::stay_when_the_configmap_is_garbled_deleted_and_made_anew", configmap_garbled),
    (
        "addresses::of_a_service_that_is_no_load_balancer_any_more_are_free_and_its_status_is_cleared_once",
        type_changed,
    ),
    ("addresses::that_a_status_lost_are_written_back", status_wiped),
];

const CONDITIONS: &str = "/status/conditions";
const A_SECOND_LATER: Duration = Duration::from_millis(1100);

/// Makes a Service of ours and waits for its address.
fn serve(space: &Space<'_>, name: &str) -> Result<String> {
    space.apply(service(name, "web", 80, load_balancer()))?;
    Ok(space.service_address(name)?.to_string())
}

/// Every address of a Service, once there are `count`.
fn addresses(space: &Space<'_>, name: &str, count: usize) -> Result<Vec<String>> {
    space.wait_for("service", name, &format!("{count} addresses"), |service| {
        let ingress = service.pointer("/status/loadBalancer/ingress")?.as_array()?;
        let shown: Vec<_> =
            ingress.iter().filter_map(|entry| Some(entry["ip"].as_str()?.to_owned())).collect();
        (shown.len() == count).then_some(shown)
    })
}

fn second_family(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "second-family")?;
    let _controller = keryx.run_controller(0)?;
    let _pool = Pool::in_force(keryx, "second-family", serving("second-family", &["10.91.1.0/28"]))?;
    let mut spec = load_balancer();
    spec["ipFamilyPolicy"] = "PreferDualStack".into();
    space.apply(service("web", "web", 80, spec))?;
    let first = addresses(&space, "web", 1)?;
    let (reason, message) =
        space.condition(("service", "web"), CONDITIONS, ("keryx.dev/RequestUnmet", "True"))?;
    ensure!(message.contains("IPv6"), "{reason}: {message}");
    let both = serving("second-family", &["10.91.1.0/28", "2001:db8:91::/120"]);
    let _widened = Pool::in_force(keryx, "second-family", both)?;
    let after = addresses(&space, "web", 2)?;
    ensure!(after[0] == first[0] && after[1].starts_with("2001:db8:91:"), "{first:?} became {after:?}");
    space.wait_for("service", "web", "no condition RequestUnmet", |service| {
        let conditions = service.pointer(CONDITIONS)?.as_array()?;
        conditions.iter().all(|c| c["type"] != "keryx.dev/RequestUnmet").then_some(())
    })
}

fn oldest_first(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "oldest-first")?;
    let _controller = keryx.run_controller(0)?;
    let _pool = Pool::in_force(keryx, "oldest-first", serving("oldest-first", &["10.91.2.1"]))?;
    let asks = || {
        let mut object = service("", "web", 80, load_balancer());
        object["metadata"]["annotations"] = json!({ "keryx.dev/pool": "oldest-first" });
        object
    };
    let waits = |name: &str| -> Result<()> {
        let mut object = asks();
        object["metadata"]["name"] = name.into();
        space.apply(object)?;
        space.condition(("service", name), CONDITIONS, ("keryx.dev/Assigned", "False")).map(drop)
    };
    let mut first = asks();
    first["metadata"]["name"] = "first".into();
    space.apply(first)?;
    ensure!(space.service_address("first")?.to_string() == "10.91.2.1", "not the pool's address");
    // The names are in another order than the times, which objects have in whole seconds.
    for name in ["z", "y", "x"] {
        waits(name)?;
        std::thread::sleep(A_SECOND_LATER);
    }
    let mut before = "first";
    for next in ["z", "y", "x"] {
        space.kubectl(&["delete", "service", before])?;
        ensure!(space.service_address(next)?.to_string() == "10.91.2.1", "{next} did not get the address");
        before = next;
    }
    Ok(())
}

/// An object of the cluster that goes with this value.
struct Guest<'a>(&'a Keryx, &'static str, &'static str);

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        // The lab goes in any case; a failure here must not hide the test's own.
        let _ignored = self.0.lab.kubectl(&["delete", self.1, self.2, "--wait=false"]);
    }
}

fn taken_by_node(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "taken-by-node")?;
    let _controller = keryx.run_controller(0)?;
    let _pool = Pool::in_force(keryx, "taken-by-node", serving("taken-by-node", &["10.91.3.1-10.91.3.3"]))?;
    ensure!(serve(&space, "a")? == "10.91.3.1", "not the first");
    let node = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": { "name": "guest" },
        "status": { "addresses": [
            { "type": "InternalIP", "address": "10.91.3.1" }, { "type": "ExternalIP", "address": "10.91.3.2" },
        ] },
    });
    keryx.lab.apply(&node.to_string())?;
    let _guest = Guest(keryx, "node", "guest");
    is_used_by_cluster(&space, "Node guest")?;
    ensure!(serve(&space, "b")? == "10.91.3.3", "a Node's address was given");
    ensure!(space.service_address("a")?.to_string() == "10.91.3.1", "the owner lost its address");
    Ok(())
}

fn taken_by_service_cidr(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "taken-by-cidr")?;
    let _controller = keryx.run_controller(0)?;
    let _pool =
        Pool::in_force(keryx, "taken-by-cidr", serving("taken-by-cidr", &["10.91.4.1", "10.91.5.1"]))?;
    ensure!(serve(&space, "a")? == "10.91.4.1", "not the first");
    let cidr = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": { "name": "guest" },
        "spec": { "cidrs": ["10.91.4.0/24"] },
    });
    keryx.lab.apply(&cidr.to_string())?;
    let _guest = Guest(keryx, "servicecidr", "guest");
    is_used_by_cluster(&space, "the cluster's Service range")?;
    ensure!(serve(&space, "b")? == "10.91.5.1", "an address of the Service range was given");
    ensure!(space.service_address("a")?.to_string() == "10.91.4.1", "the owner lost its address");
    Ok(())
}

fn is_used_by_cluster(space: &Space<'_>, by: &str) -> Result<()> {
    let (reason, message) =
        space.condition(("service", "a"), CONDITIONS, ("keryx.dev/OutsidePool", "True"))?;
    ensure!(reason == "UsedByCluster" && message.contains(by), "{reason}: {message}");
    Ok(())
}

fn pool_renamed(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "pool-renamed")?;
    let controller = keryx.run_controller(0)?;
    let whole = Pool::in_force(keryx, "renamed-whole", serving("pool-renamed", &["10.91.6.1-10.91.6.4"]))?;
    let before = [serve(&space, "a")?, serve(&space, "b")?];
    let kept = |what: &str| -> Result<()> {
        let now = [space.service_address("a")?.to_string(), space.service_address("b")?.to_string()];
        ensure!(now == before, "{what}: {before:?} became {now:?}");
        Ok(())
    };
    drop(whole);
    let outside = |name: &str| {
        space.condition(("service", name), CONDITIONS, ("keryx.dev/OutsidePool", "True")).map(drop)
    };
    outside("a")?;
    kept("deleted")?;
    // Half of it under another name, and the other half under a third.
    let lower = Pool::in_force(keryx, "renamed-lower", serving("pool-renamed", &["10.91.6.1"]))?;
    let _upper = Pool::in_force(keryx, "renamed-upper", serving("pool-renamed", &["10.91.6.2-10.91.6.4"]))?;
    outside("b")?;
    kept("split")?;
    // In use by an owner of another pool, so not to be given.
    lower.shows("/ipv4/available", &"0".into())?;
    controller.stop()?;
    drop(controller);
    let _next = keryx.run_controller(0)?;
    let third = serve(&space, "c")?;
    ensure!(!before.contains(&third), "{third} was given twice");
    kept("after a restart")
}

fn configmap_garbled(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "garbled")?;
    let _controller = keryx.run_controller(0)?;
    let before: BTreeMap<&str, String> =
        ["a", "b"].into_iter().map(|name| Ok((name, serve(&space, name)?))).collect::<Result<_>>()?;
    let kept = |what: &str| -> Result<()> {
        for (name, address) in &before {
            let now = space.service_address(name)?.to_string();
            ensure!(now == *address, "{what}: {name} moved from {address} to {now}");
        }
        Ok(())
    };
    let restore = Restore(keryx);
    keryx.set_ranges(&[("cidr-global", "10.90.0.0/1600"), ("cidr-glbal", "x")])?;
    Space::existing(keryx, keryx_tests::keryx::NAMESPACE).event("InvalidKey")?;
    kept("garbled")?;
    keryx.lab.kubectl(&["-n", keryx_tests::keryx::NAMESPACE, "delete", "configmap", "keryx"])?;
    space.condition(("service", "a"), CONDITIONS, ("keryx.dev/OutsidePool", "True"))?;
    kept("deleted")?;
    drop(restore);
    let third = serve(&space, "c")?;
    ensure!(before.values().all(|address| *address != third), "{third} was given twice");
    kept("made anew")
}

/// Puts the address ranges back.
struct Restore<'a>(&'a Keryx);

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        // A failure shows in the next test; here it would hide this one's.
        let _ignored = self.0.set_ranges(&[("cidr-global", RANGE_V4)]);
    }
}

fn type_changed(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "type-changed")?;
    let _controller = keryx.run_controller(0)?;
    let _pool = Pool::in_force(keryx, "type-changed", serving("type-changed", &["10.91.7.1"]))?;
    ensure!(serve(&space, "a")? == "10.91.7.1", "not the pool's address");
    let requests = keryx.lab.requests()?;
    let plain = json!({ "spec": { "type": "ClusterIP", "loadBalancerClass": null,
        "allocateLoadBalancerNodePorts": null } });
    space.kubectl(&["patch", "service", "a", "--type=merge", "-p", &plain.to_string()])?;
    ensure!(serve(&space, "b")? == "10.91.7.1", "the address is not free");
    space.wait_for("service", "a", "a status without anything of ours", |service| {
        let conditions = service.pointer(CONDITIONS).and_then(Value::as_array);
        let ours = |c: &Value| c["type"].as_str().is_some_and(|type_| type_.starts_with("keryx.dev/"));
        let clean = !conditions.is_some_and(|conditions| conditions.iter().any(ours));
        let ingress = service.pointer("/status/loadBalancer/ingress").and_then(Value::as_array);
        (clean && ingress.is_none_or(Vec::is_empty)).then_some(())
    })?;
    keryx.wait_at_rest()?;
    let written = keryx_tests::controller::writes(requests.so_far()?);
    let to_a = written.iter().filter(|r| r.resource == "services" && r.name == "a").count();
    ensure!(to_a <= 1, "{to_a} writes to a Service that is not ours: {written:#?}");
    Ok(())
}

fn status_wiped(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "status-wiped")?;
    let _controller = keryx.run_controller(0)?;
    let before = serve(&space, "a")?;
    let wiped = json!({ "status": { "loadBalancer": { "ingress": null }, "conditions": null } });
    let patch = wiped.to_string();
    space.kubectl(&["patch", "service", "a", "--subresource=status", "--type=merge", "-p", &patch])?;
    wait::until("the address in the status again", || {
        let service = space.get("service", "a")?.unwrap_or_default();
        let shown = service.pointer("/status/loadBalancer/ingress/0/ip");
        Ok((shown == Some(&before.as_str().into())).then_some(()))
    })
}
