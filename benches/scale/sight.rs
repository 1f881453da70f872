//! The independent watcher: it has a watch of its own and notes when a Service first shows an address.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::Service;
use keryx_lab::capture::wall_nanos;
use kube::runtime::watcher::{self, Event};
use kube::{Api, ResourceExt as _};

/// When each Service was first seen with an address, in nanoseconds of `CLOCK_REALTIME`, by name.
pub(crate) type Sights = BTreeMap<String, u64>;

/// A watch that is up.
pub(crate) struct Watcher {
    events: BoxStream<'static, watcher::Result<Event<Service>>>,
    seen: Sights,
}

impl Watcher {
    /// Opens the watch and takes in what exists already; what changes after the return is seen when it changes.
    ///
    /// # Errors
    /// Nothing is listed, or a Service has an address already.
    pub(crate) async fn open(api: Api<Service>) -> Result<Self> {
        let events = watcher::watcher(api, watcher::Config::default()).boxed();
        let mut watcher = Self { events, seen: Sights::new() };
        while !watcher.step().await? {}
        ensure!(watcher.seen.is_empty(), "{} Services have an address before the start", watcher.seen.len());
        Ok(watcher)
    }

    /// Follows the watch until `count` Services have been seen with an address.
    ///
    /// # Errors
    /// They are not within `limit`, or the watch ends.
    pub(crate) async fn follow(mut self, count: usize, limit: Duration) -> Result<Sights> {
        let follow = async {
            while self.seen.len() < count {
                self.step().await?;
            }
            Ok(())
        };
        match tokio::time::timeout(limit, follow).await {
            Ok(outcome) => outcome.map(|()| self.seen),
            Err(_) => {
                let seconds = limit.as_secs();
                anyhow::bail!(
                    "after {seconds} s only {} of {count} Services have an address",
                    self.seen.len()
                )
            }
        }
    }

    /// Takes in one event; says whether it ends the first list.
    async fn step(&mut self) -> Result<bool> {
        let event = self.events.next().await.context("the watch ended")??;
        // Before anything is made of it.
        let at = wall_nanos();
        match event {
            Event::Apply(service) | Event::InitApply(service) => {
                if has_address(&service) {
                    self.seen.entry(service.name_any()).or_insert(at);
                }
                Ok(false)
            }
            Event::InitDone => Ok(true),
            Event::Init | Event::Delete(_) => Ok(false),
        }
    }
}

fn has_address(service: &Service) -> bool {
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    balancer.is_some_and(|balancer| balancer.ingress.as_ref().is_some_and(|ingress| !ingress.is_empty()))
}
