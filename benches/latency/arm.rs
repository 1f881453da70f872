//! One arm: Services of one side, created at a steady pace, each followed to its first announcement.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Service;
use keryx_lab::capture::{Capture, Direction, Event, Packet};
use keryx_tests::{Keryx, Space, app};

use crate::samples::Sample;
use crate::{SERVICES_PER_ARM, WARM_UP};
use keryx_benches::followed::{Followed, create_and_watch};
use keryx_benches::side::Side;

/// Between the starts of two POSTs: 5 a second.
const PACE: Duration = Duration::from_millis(200);
/// How long after the last POST an address and its announcement are waited for.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
/// The Service port.
const PORT: u16 = 80;

/// Brings `side` up if it is parked and measures [`SERVICES_PER_ARM`] Services of it. All that was made is gone again
/// at the return.
pub(crate) fn measure(keryx: &Keryx, side: &Side, arm: usize) -> Result<Vec<Sample>> {
    side.unpark(keryx)?;
    let space = Space::new(keryx, &format!("bench-{arm}"))?;
    space.run_app("echo", 1, None)?;
    // The first ones also wait for elections and caches, which is not what is measured.
    series(&space, side, arm, "warm", WARM_UP)?;
    let samples = series(&space, side, arm, "service", SERVICES_PER_ARM)?;
    delete(&space)?;
    Ok(samples)
}

/// Deletes the namespace and waits until it is gone, so that its addresses are free.
pub(crate) fn delete(space: &Space<'_>) -> Result<()> {
    space.keryx.lab.kubectl(&["delete", "namespace", &space.name, "--timeout=120s"]).map(drop)
}

/// Creates `count` Services and follows them.
fn series(space: &Space<'_>, side: &Side, arm: usize, prefix: &str, count: usize) -> Result<Vec<Sample>> {
    let lab = &space.keryx.lab;
    let services = (0..count).map(|number| {
        let object = app::service(&format!("{prefix}-{number}"), "echo", PORT, side.service_spec());
        serde_json::from_value(object).context("the Service is not of its type")
    });
    let services: Vec<Service> = services.collect::<Result<_>>()?;
    let mut capture = space.keryx.client().capture()?;
    let followed = lab.block_on(create_and_watch(lab.client(), &space.name, services, PACE, LIMIT))?;
    let announced =
        announced(&capture, followed.iter().map(|(_, service)| (service.address, service.posted)))?;
    capture.stop();
    ensure!(capture.missed() == 0, "the capture missed {} frames; close other programs", capture.missed());
    one_owner_each(&capture, &followed)?;
    let samples = followed.into_iter().zip(announced).map(|((name, service), announced)| Sample {
        side: side.name,
        arm,
        name,
        address: service.address,
        posted: service.posted,
        accepted: service.accepted,
        assigned: service.assigned,
        announced,
        connected: None,
    });
    Ok(samples.collect())
}

/// When each address was first announced after its time, in the order given.
///
/// # Errors
/// One was not.
pub(crate) fn announced(
    capture: &Capture,
    addresses: impl Iterator<Item = (IpAddr, u64)>,
) -> Result<Vec<u64>> {
    let find = |(address, since)| {
        let is_first = |event: &Event| event.at_nanos >= since && announces(event, address);
        let found = capture.wait_for(is_first, LIMIT);
        found.map(|event| event.at_nanos).with_context(|| format!("{address} was not announced"))
    };
    addresses.map(find).collect()
}

fn announces(event: &Event, address: IpAddr) -> bool {
    let Packet::Arp(arp) = event.packet else { return false };
    event.direction == Direction::Received && arp.is_gratuitous() && address == arp.sender_ip
}

/// Fails if two Services have one address, or two nodes announced one.
fn one_owner_each(capture: &Capture, followed: &[(String, Followed)]) -> Result<()> {
    let mut owners: BTreeMap<IpAddr, BTreeSet<&str>> = BTreeMap::new();
    for (name, service) in followed {
        owners.entry(service.address).or_default().insert(name);
    }
    let shared: Vec<_> = owners.iter().filter(|(_, names)| names.len() > 1).collect();
    ensure!(shared.is_empty(), "addresses were given twice: {shared:?}");
    for (name, service) in followed {
        let announcers = capture.announcers(service.address, service.posted);
        ensure!(announcers.len() == 1, "{name}, {}, was announced by {announcers:?}", service.address);
    }
    Ok(())
}
