//! IPAddressPools. Each pool serves the namespace of its test alone.

use std::net::IpAddr;

use anyhow::{Result, ensure};
use keryx_tests::app::{annotated, gateway, load_balancer, service};
use keryx_tests::pool::{Pool, serving};
use keryx_tests::{Keryx, Space};
use serde_json::json;

use crate::Test;

pub(crate) const TESTS: &[Test] = &[
    ("pool::of_lower_priority_number_comes_first_and_its_status_counts_what_it_gives", counted),
    ("pool::whose_selectors_match_nothing_is_closed_even_to_those_who_name_it", closed),
    ("pool::with_a_field_of_wrong_form_is_refused_and_one_that_ends_before_it_starts_says_so", bad_field),
    ("pool::gives_a_released_address_back_to_the_same_name_and_to_no_other_while_it_rests", rests),
    ("pool::that_shrinks_takes_nothing_away_and_says_who_is_outside", shrinks),
    ("pool::that_overlaps_an_earlier_one_says_so_and_no_address_is_given_twice", overlaps),
    ("pool::is_asked_for_by_name_by_a_service_and_by_a_gateway", by_name),
];

fn address(text: &str) -> IpAddr {
    text.parse().expect("the test writes addresses")
}

fn counted(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "pool-counted")?;
    let mut later = serving("pool-counted", &["10.98.0.110-10.98.0.111"]);
    later["serviceAllocation"]["priority"] = 2.into();
    let _later = Pool::in_force(keryx, "counted-a", later)?;
    let first = Pool::in_force(keryx, "counted-b", serving("pool-counted", &["10.98.0.112-10.98.0.113"]))?;
    for (name, wanted) in [("a", "10.98.0.112"), ("b", "10.98.0.113"), ("c", "10.98.0.110")] {
        space.apply(service(name, "web", 80, load_balancer()))?;
        ensure!(space.service_address(name)? == address(wanted), "{name} did not get {wanted}");
    }
    first.shows("/ipv4/capacity", &"2".into())?;
    first.shows("/ipv4/assigned", &"2".into())?;
    first.shows("/ipv4/available", &"0".into())?;
    space.kubectl(&["delete", "service", "b"])?;
    first.shows("/ipv4/available", &"1".into())
}

fn closed(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "pool-closed")?;
    let spec = json!({
        "addresses": ["10.98.0.115"],
        "serviceAllocation": { "namespaceSelectors": [{ "matchLabels": { "team": "nobody" } }] },
    });
    let _pool = Pool::in_force(keryx, "closed", spec)?;
    space.apply(annotated("web", json!({ "keryx.dev/pool": "closed" })))?;
    let path = "/status/conditions";
    let (reason, message) = space.condition(("service", "web"), path, ("keryx.dev/Assigned", "False"))?;
    ensure!(reason == "PoolUnknown" && message.contains("closed"), "{reason}: {message}");
    keryx.lab.kubectl(&["label", "namespace", "pool-closed", "team=nobody"])?;
    ensure!(space.service_address("web")? == address("10.98.0.115"), "not served once it is selected");
    Ok(())
}

fn bad_field(keryx: &Keryx) -> Result<()> {
    let refused = Pool::apply(keryx, "bad", json!({ "addresses": ["10.98.0.300"] }));
    let Err(error) = refused.map(drop) else { anyhow::bail!("the API server took 10.98.0.300") };
    ensure!(format!("{error:#}").contains("spec.addresses[0]"), "the field is not named: {error:#}");
    let pool = Pool::apply(keryx, "bad", json!({ "addresses": ["10.98.0.9-10.98.0.1"] }))?;
    let (reason, message) = pool.condition("Ready", "False")?;
    ensure!(reason == "Invalid" && message.contains("10.98.0.1-10.98.0.9"), "{reason}: {message}");
    Ok(())
}

fn rests(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "pool-rests")?;
    let mut spec = serving("pool-rests", &["10.98.0.120-10.98.0.122"]);
    spec["reuseAfter"] = "1h".into();
    let _pool = Pool::in_force(keryx, "rests", spec)?;
    let get = |name: &str| -> Result<IpAddr> {
        space.apply(service(name, "web", 80, load_balancer()))?;
        space.service_address(name)
    };
    ensure!(get("a")? == address("10.98.0.120"), "not the first");
    space.kubectl(&["delete", "service", "a"])?;
    ensure!(get("b")? == address("10.98.0.121"), "an address that rests was given away");
    // What rests is kept in the ledger, so a new controller knows it too.
    keryx.kill_controller()?;
    ensure!(get("c")? == address("10.98.0.122"), "an address that rests was given away after a restart");
    ensure!(get("a")? == address("10.98.0.120"), "the owner that came back got another address");
    space.kubectl(&["delete", "service", "b"])?;
    space.kubectl(&["delete", "service", "c"])?;
    ensure!(get("d")? == address("10.98.0.121"), "of two that rest the one released first is next");
    Ok(())
}

fn shrinks(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "pool-shrinks")?;
    let pool = Pool::in_force(keryx, "shrinks", serving("pool-shrinks", &["10.98.0.130-10.98.0.131"]))?;
    space.apply(service("web", "web", 80, load_balancer()))?;
    let before = space.service_address("web")?;
    let edited = Pool::in_force(keryx, "shrinks", serving("pool-shrinks", &["10.98.0.131"]))?;
    let path = "/status/conditions";
    let (reason, message) = space.condition(("service", "web"), path, ("keryx.dev/OutsidePool", "True"))?;
    ensure!(reason == "PoolChanged" && message.contains("10.98.0.130"), "{reason}: {message}");
    ensure!(space.service_address("web")? == before, "the address went");
    pool.shows("/outside", &1.into())?;
    let _restored = Pool::in_force(keryx, "shrinks", serving("pool-shrinks", &["10.98.0.130-10.98.0.131"]))?;
    space.wait_for("service", "web", "no condition OutsidePool", |service| {
        let conditions = service.pointer(path)?.as_array()?;
        conditions.iter().all(|c| c["type"] != "keryx.dev/OutsidePool").then_some(())
    })?;
    edited.shows("/outside", &0.into())
}

fn overlaps(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "pool-overlaps")?;
    let first = Pool::in_force(keryx, "overlaps-a", serving("pool-overlaps", &["10.98.0.140-10.98.0.141"]))?;
    first.condition("Overlapping", "False")?;
    let second = Pool::in_force(keryx, "overlaps-b", serving("pool-overlaps", &["10.98.0.141-10.98.0.142"]))?;
    let (_, message) = second.condition("Overlapping", "True")?;
    ensure!(message.contains("overlaps-a") && message.contains("10.98.0.141"), "{message}");
    first.condition("Overlapping", "False")?;
    let mut given = Vec::new();
    for name in ["a", "b", "c"] {
        space.apply(service(name, "web", 80, load_balancer()))?;
        given.push(space.service_address(name)?);
    }
    let wanted = ["10.98.0.140", "10.98.0.141", "10.98.0.142"].map(address);
    ensure!(given == wanted, "given {given:?}");
    Ok(())
}

fn by_name(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "pool-by-name")?;
    let spec = json!({ "addresses": ["10.98.0.150-10.98.0.152"], "autoAssign": false });
    let _pool = Pool::in_force(keryx, "by-name", spec)?;
    space.apply(service("any", "web", 80, load_balancer()))?;
    let any = space.service_address("any")?;
    ensure!(any > address("10.98.0.152"), "{any} was given from a pool that does not assign by itself");
    space.apply(annotated("web", json!({ "metallb.io/address-pool": "by-name" })))?;
    ensure!(space.service_address("web")? == address("10.98.0.150"), "not from the pool that it names");
    let asks = json!({ "addresses": [{ "type": "keryx.dev/pool", "value": "by-name" }] });
    space.apply(gateway("edge", &[("web", "TCP", 7000)], asks))?;
    ensure!(space.gateway_address("edge")? == address("10.98.0.151"), "not from the pool that it names");
    let shown = space.get("gateway", "edge")?.unwrap_or_default();
    ensure!(shown.pointer("/status/addresses/0/type") == Some(&"IPAddress".into()), "{}", shown["status"]);
    Ok(())
}
