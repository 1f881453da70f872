//! Many Services, one controller.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use keryx_lab::Request;
use keryx_tests::controller::writes;
use keryx_tests::{Keryx, Space, wait};

use crate::Test;

pub(crate) const TESTS: &[Test] = &[
    ("crowd::of_500_services_gets_addresses_by_one_patch_each_and_at_rest_nothing_is_written", assigned),
    ("crowd::survives_a_kill_of_the_controller_and_the_next_writes_nothing_but_its_lease", killed),
];

const SERVICES: u32 = 500;
/// Of the crowd that outlives its controller.
const SURVIVORS: u32 = 200;
const LIMIT: Duration = Duration::from_secs(60);
/// How long nothing may be written.
const REST: Duration = Duration::from_secs(3);

fn assigned(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "crowd-assigned")?;
    space.create_crowd(SERVICES)?;
    let requests = keryx.lab.requests()?;
    let controller = keryx.run_controller(0)?;
    let addresses = space.crowd_addresses(SERVICES, LIMIT).with_context(|| controller.log_tail())?;
    ensure!(
        addresses.values().collect::<BTreeSet<_>>().len() == addresses.len(),
        "an address has two owners"
    );
    keryx.wait_at_rest()?;
    let written = writes(requests.so_far()?);
    let mut patches: BTreeMap<&str, u32> = BTreeMap::new();
    for request in written.iter().filter(|request| request.resource == "services") {
        *patches.entry(&request.name).or_default() += 1;
    }
    ensure!(patches.len() == addresses.len() && patches.values().all(|count| *count == 1), "{patches:?}");
    // The ledger, and that the GatewayClass is accepted; no events.
    let expected = ["services", "configmaps", "gatewayclasses"];
    let others: Vec<_> = written.iter().filter(|r| !expected.contains(&r.resource.as_str())).collect();
    ensure!(others.is_empty(), "{others:#?}");
    let at_rest = keryx.lab.requests()?;
    std::thread::sleep(REST);
    let written = writes(at_rest.so_far()?);
    ensure!(written.is_empty(), "written at rest: {written:#?}");
    Ok(())
}

fn killed(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "crowd-killed")?;
    space.create_crowd(SURVIVORS)?;
    let before = {
        let controller = keryx.run_controller(0)?;
        let addresses = space.crowd_addresses(SURVIVORS, LIMIT).with_context(|| controller.log_tail())?;
        keryx.wait_at_rest()?;
        controller.process.kill()?;
        addresses
    };
    let requests = keryx.lab.requests()?;
    let controller = keryx.run_controller(0)?;
    controller.wait_ready()?;
    // It leads once the Lease of the killed one has expired.
    wait::until("a controller that leads", || {
        let leads =
            |request: &Request| request.resource == "leases" && request.is_write() && request.code < 300;
        Ok(requests.so_far()?.iter().any(leads).then_some(()))
    })?;
    std::thread::sleep(REST);
    let written = writes(requests.so_far()?);
    ensure!(written.is_empty(), "written after the restart: {written:#?}");
    ensure!(space.crowd_addresses(SURVIVORS, LIMIT)? == before, "an address has changed");
    Ok(())
}
