//! From the creation of a Gateway and its route to the first connection that a client gets answered. MetalLB serves
//! no Gateways.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result};
use keryx_lab::capture::wall_nanos;
use keryx_lab::probe;
use keryx_tests::{Keryx, Space, app};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, PostParams};
use serde_json::{Value, json};

use keryx_benches::watcher::{Assigned, Watcher};

use crate::arm::{LIMIT, announced, delete};
use crate::samples::Sample;
use keryx_benches::side::Side;

/// Gateways that are measured, one after the other.
const COUNT: usize = 20;
/// Pause before each, so that nothing of the one before is under way: kube-proxy writes rules at most once a second.
const PAUSE: Duration = Duration::from_millis(1500);
/// Longest wait of one connection; a SYN that was dropped is sent again only after a second.
const TRY: Duration = Duration::from_millis(20);
/// Between two tries.
const BETWEEN: Duration = Duration::from_millis(2);
/// Port of listener, route and backend.
const PORT: u16 = 7000;
const GROUP: &str = "gateway.networking.k8s.io";

/// Measures [`COUNT`] Gateways, and one before that is left out.
pub(crate) fn measure(keryx: &Keryx) -> Result<Vec<Sample>> {
    let space = Space::new(keryx, "bench-gateways")?;
    space.run_app("echo", 1, None)?;
    space.apply(app::service("echo", "echo", PORT, json!({})))?;
    let mut samples = Vec::new();
    for number in 0..=COUNT {
        std::thread::sleep(PAUSE);
        samples.push(one(&space, &format!("gateway-{number}"))?);
    }
    delete(&space)?;
    Ok(samples.split_off(1))
}

fn one(space: &Space<'_>, name: &str) -> Result<Sample> {
    let lab = &space.keryx.lab;
    let mut capture = space.keryx.client().capture()?;
    let gateways = api(space, "Gateway");
    let watcher = lab.block_on(Watcher::open(gateways.clone(), first_address))?;
    let watching = lab.runtime().spawn(watcher.follow(vec![name.to_owned()], LIMIT));
    let objects = [
        (gateways, app::gateway(name, &[("tcp", "TCP", PORT)], json!({}))),
        (api(space, "TCPRoute"), app::route("TCPRoute", name, name, "tcp", "echo", PORT)),
    ];
    let posted = wall_nanos();
    for (api, object) in objects {
        let object: DynamicObject = serde_json::from_value(object)?;
        lab.block_on(api.create(&PostParams::default(), &object))?;
    }
    let accepted = wall_nanos();
    let Assigned { address, at: assigned } = lab.block_on(watching)??[name];
    let client = lab.client_host(1).namespace();
    let server = SocketAddr::new(address, PORT);
    probe::until_answered(LIMIT, BETWEEN, || probe::tcp_once(&client, server, TRY))
        .with_context(|| format!("no connection to {server}, the address of {name}, was answered"))?;
    let connected = wall_nanos();
    let first = announced(&capture, [(address, posted)].into_iter())?;
    capture.stop();
    Ok(Sample {
        side: Side::KERYX.name,
        arm: 0,
        name: name.to_owned(),
        address,
        posted,
        accepted,
        assigned,
        announced: first[0],
        connected: Some(connected),
    })
}

fn api(space: &Space<'_>, kind: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, "v1", kind));
    Api::namespaced_with(space.keryx.lab.client(), &space.name, &resource)
}

fn first_address(gateway: &DynamicObject) -> Option<IpAddr> {
    gateway.data.pointer("/status/addresses/0/value").and_then(Value::as_str)?.parse().ok()
}
