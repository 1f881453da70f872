//! From an address in a status to the UPDATE that announces it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Service;
use keryx_benches::followed::{Followed, create_and_watch};
use keryx_benches::side::Side;
use keryx_lab::capture::{BgpKind, BgpMessage, Capture, Direction};
use keryx_tests::{Keryx, Space, app};

use crate::router;

/// Services that are measured, and those before them that are not: they wait for elections and caches.
const SERVICES: usize = 100;
const WARM_UP: usize = 5;
/// Between the starts of two POSTs: 5 a second.
const PACE: Duration = Duration::from_millis(200);
const LIMIT: Duration = Duration::from_secs(30);
const PORT: u16 = 80;

/// When the UPDATEs of each Service came, in milliseconds.
pub(crate) struct Arrivals(Vec<Arrival>);

#[derive(Clone, Copy)]
struct Arrival {
    created_to_first: f64,
    assigned_to_first: f64,
    assigned_to_all: f64,
}

impl Arrivals {
    pub(crate) fn created_ms(&self, percent: usize) -> f64 {
        self.percentile(percent, |arrival| arrival.created_to_first)
    }

    pub(crate) fn first_ms(&self, percent: usize) -> f64 {
        self.percentile(percent, |arrival| arrival.assigned_to_first)
    }

    pub(crate) fn all_ms(&self, percent: usize) -> f64 {
        self.percentile(percent, |arrival| arrival.assigned_to_all)
    }

    /// By nearest rank.
    fn percentile(&self, percent: usize, of: impl Fn(&Arrival) -> f64) -> f64 {
        let mut all: Vec<f64> = self.0.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        let place = (all.len() * percent).div_ceil(100).saturating_sub(1);
        all.get(place).copied().unwrap_or(f64::NAN)
    }
}

/// Creates Services of one side and follows them to the router.
pub(crate) fn measure(keryx: &Keryx, side: &Side) -> Result<Arrivals> {
    let space = Space::new(keryx, &format!("bgp-{}", side.name.to_lowercase()))?;
    space.run_app("web", 1, None)?;
    series(&space, side, "warm", WARM_UP)?;
    series(&space, side, "service", SERVICES)
}

fn series(space: &Space<'_>, side: &Side, prefix: &str, count: usize) -> Result<Arrivals> {
    let services = (0..count).map(|number| {
        let object = app::service(&format!("{prefix}-{number}"), "web", PORT, side.service_spec());
        serde_json::from_value(object).context("the Service is not of its type")
    });
    let services: Vec<Service> = services.collect::<Result<_>>()?;
    let lab = &space.keryx.lab;
    let capture = Capture::start(&router::host(space.keryx).namespace(), "eth0")?;
    let followed = lab.block_on(create_and_watch(lab.client(), &space.name, services, PACE, LIMIT))?;
    let arrivals = followed
        .iter()
        .map(|(name, service)| arrival(&capture, service, lab.nodes().len()).with_context(|| name.clone()));
    let arrivals = arrivals.collect::<Result<Vec<_>>>()?;
    ensure!(capture.missed() == 0, "the capture missed {} frames; close other programs", capture.missed());
    Ok(Arrivals(arrivals))
}

fn arrival(capture: &Capture, service: &Followed, nodes: usize) -> Result<Arrival> {
    let IpAddr::V4(address) = service.address else { anyhow::bail!("{} is not IPv4", service.address) };
    let mut seen: BTreeMap<IpAddr, u64> = BTreeMap::new();
    let all = capture.wait_for_bgp(
        |message| {
            if message.at_nanos >= service.posted && announces(message, address) {
                seen.entry(SocketAddr::ip(&message.source)).or_insert(message.at_nanos);
            }
            seen.len() == nodes
        },
        LIMIT,
    );
    let all = all.with_context(|| format!("{address} came from {} of {nodes} nodes", seen.len()))?.at_nanos;
    let first = seen.values().min().copied().unwrap_or(all);
    let millis = |from: u64, to: u64| (to as f64 - from as f64) / 1e6;
    Ok(Arrival {
        created_to_first: millis(service.posted, first),
        assigned_to_first: millis(service.assigned, first),
        assigned_to_all: millis(service.assigned, all),
    })
}

/// Whether an UPDATE has the prefix of the address alone among its IPv4 routes (RFC 4271 section 4.3).
pub(crate) fn announces(message: &BgpMessage, address: Ipv4Addr) -> bool {
    let [a, b, c, d] = address.octets();
    message.kind == BgpKind::Update
        && message.direction == Direction::Received
        && nlri(&message.octets).is_some_and(|nlri| nlri.chunks(5).any(|route| *route == [32, a, b, c, d]))
}

/// What stands behind the withdrawn routes and the attributes. Both sides say host routes alone, of 5 octets each.
fn nlri(octets: &[u8]) -> Option<&[u8]> {
    let after = |octets: &'_ [u8]| -> Option<usize> {
        let length = octets.first_chunk::<2>().map(|length| u16::from_be_bytes(*length))?;
        Some(2 + usize::from(length))
    };
    let rest = octets.get(19..)?;
    let rest = rest.get(after(rest)?..)?;
    rest.get(after(rest)?..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_routes_stand_behind_withdrawals_and_attributes() {
        let mut update = vec![0; 19];
        update.extend([0, 5, 32, 1, 1, 1, 1, 0, 3, 9, 9, 9, 32, 192, 0, 2, 1]);
        assert_eq!(nlri(&update), Some(&[32, 192, 0, 2, 1][..]));
        assert_eq!(nlri(&update[..25]), None);
    }
}
