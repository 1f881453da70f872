//! Services from their creation to their address, as an independent watcher sees it.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Service;
use keryx_lab::capture::wall_nanos;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::MissedTickBehavior;

use crate::watcher::Watcher;

/// A Service's address and times, in nanoseconds of `CLOCK_REALTIME`.
#[derive(Clone, Copy, Debug)]
pub struct Followed {
    /// What it was given.
    pub address: IpAddr,
    /// Just before the POST.
    pub posted: u64,
    /// When the POST was answered.
    pub accepted: u64,
    /// When the watcher saw the address in the status.
    pub assigned: u64,
}

/// Creates Services one after the other, `pace` between the starts of two POSTs, and returns when each had its address, by name. After
/// the last one the addresses are waited for up to `limit`.
///
/// # Errors
/// One is refused, or gets no address.
pub async fn create_and_watch(
    client: Client,
    namespace: &str,
    services: Vec<Service>,
    pace: Duration,
    limit: Duration,
) -> Result<Vec<(String, Followed)>> {
    let api: Api<Service> = Api::namespaced(client, namespace);
    let names: Vec<String> = services.iter().filter_map(|service| service.metadata.name.clone()).collect();
    let limit = limit + pace * u32::try_from(names.len())?;
    let watcher = Watcher::open(api.clone(), ingress).await?;
    let watching = tokio::spawn(watcher.follow(names.clone(), limit));
    let mut created = Vec::new();
    let mut pace = tokio::time::interval(pace);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick is at once. Until the second the watch is opened.
    pace.tick().await;
    for service in &services {
        pace.tick().await;
        let posted = wall_nanos();
        api.create(&PostParams::default(), service).await?;
        created.push((posted, wall_nanos()));
    }
    let seen = watching.await??;
    let join = |(name, (posted, accepted)): (String, (u64, u64))| {
        let assigned = seen.get(&name).with_context(|| format!("{name} was not seen"))?;
        let followed = Followed { address: assigned.address, posted, accepted, assigned: assigned.at };
        Ok((name, followed))
    };
    names.into_iter().zip(created).map(join).collect()
}

fn ingress(service: &Service) -> Option<IpAddr> {
    let ingress = service.status.as_ref()?.load_balancer.as_ref()?.ingress.as_ref()?;
    ingress.iter().find_map(|entry| entry.ip.as_ref()?.parse().ok())
}
