//! Two controllers.

use anyhow::{Context as _, Result, ensure};
use keryx_lab::{Request, Signal};
use keryx_tests::app::{load_balancer, service};
use keryx_tests::controller::writes;
use keryx_tests::{Keryx, Space};

use crate::Test;

pub(crate) const TESTS: &[Test] = &[
    (
        "leaders::one_that_is_stopped_leaves_the_next_service_to_the_other_at_once_and_200_owners_as_they_are",
        handed_over,
    ),
    ("leaders::one_that_was_frozen_past_its_lease_writes_nothing_of_what_it_thought_before", frozen),
    ("leaders::one_that_is_killed_is_followed_by_the_other_and_no_address_has_two_owners", killed),
];

/// Well below the 15 s after which a Lease expires, well above what a busy machine needs.
const AT_ONCE: std::time::Duration = std::time::Duration::from_secs(8);

/// Whose hand-over costs no write.
const OWNERS: u32 = 200;
const LIMIT: std::time::Duration = std::time::Duration::from_secs(60);

fn handed_over(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "leaders-handed-over")?;
    let first = keryx.run_controller(0)?;
    space.apply(service("before", "web", 80, load_balancer()))?;
    space.service_address("before")?;
    space.create_crowd(OWNERS)?;
    let before = space.crowd_addresses(OWNERS, LIMIT)?;
    let second = keryx.run_controller(1)?;
    second.wait_ready()?;
    keryx.wait_at_rest()?;
    let requests = keryx.lab.requests()?;
    let stopped = keryx_tests::wait::now();
    first.stop()?;
    space.apply(service("after", "web", 80, load_balancer()))?;
    space.service_address("after")?;
    let took = keryx_tests::wait::now().duration_since(stopped);
    ensure!(took < AT_ONCE, "it took {took:?}: the Lease was not given up but expired");
    let written = writes(requests.so_far()?);
    let expected = |resource: &str, name: &str| match resource {
        "services" => name == "after",
        "configmaps" => name.starts_with("keryx-ledger"),
        _ => false,
    };
    ensure!(written.iter().all(|request| expected(&request.resource, &request.name)), "{written:#?}");
    let after = space.crowd_addresses(OWNERS, LIMIT)?;
    ensure!(before.iter().all(|(name, address)| after.get(name) == Some(address)), "an address has changed");
    Ok(())
}

fn frozen(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "leaders-frozen")?;
    let first = keryx.run_controller(0)?;
    let asks = |name: &str, address: &str| {
        let mut spec = load_balancer();
        spec["loadBalancerIP"] = address.into();
        service(name, "web", 80, spec)
    };
    space.apply(asks("a", "10.90.7.1"))?;
    space.service_address("a")?;
    let second = keryx.run_controller(1)?;
    second.wait_ready()?;
    first.process.signal(Signal::SIGSTOP)?;
    // While the first stands still its address passes to another owner.
    space.apply(asks("a", "10.90.7.2"))?;
    let shows = |name: &str, address: &str| {
        space.wait_for("service", name, &format!("address {address}"), |service| {
            let shown = service.pointer("/status/loadBalancer/ingress/0/ip")?;
            (shown == address).then_some(())
        })
    };
    shows("a", "10.90.7.2").with_context(|| second.log_tail())?;
    space.apply(asks("b", "10.90.7.1"))?;
    shows("b", "10.90.7.1")?;
    let requests = keryx.lab.requests()?;
    first.process.signal(Signal::SIGCONT)?;
    // What comes next is still served, by the one that leads.
    space.apply(service("c", "web", 80, load_balancer()))?;
    space.service_address("c")?;
    shows("a", "10.90.7.2")?;
    shows("b", "10.90.7.1")?;
    let written = writes(requests.so_far()?);
    let expected = |request: &Request| request.name == "c" || request.name.starts_with("keryx-ledger");
    ensure!(written.iter().all(expected), "written by the one that woke up: {written:#?}");
    Ok(())
}

fn killed(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "leaders-killed")?;
    let first = keryx.run_controller(0)?;
    space.apply(service("before", "web", 80, load_balancer()))?;
    let address = space.service_address("before")?;
    let second = keryx.run_controller(1)?;
    second.wait_ready()?;
    first.process.kill()?;
    space.apply(service("after", "web", 80, load_balancer()))?;
    let after = space.service_address("after").with_context(|| second.log_tail())?;
    ensure!(after != address && space.service_address("before")? == address, "an address has two owners");
    Ok(())
}
