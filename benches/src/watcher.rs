//! The independent watcher: it has a watch of its own and notes when an object first shows an address.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use keryx_lab::capture::wall_nanos;
use kube::runtime::watcher::{self, Event};
use kube::{Api, ResourceExt as _};
use serde::de::DeserializeOwned;

/// An address, and when it was first seen in a status, in nanoseconds of `CLOCK_REALTIME`.
#[derive(Clone, Copy, Debug)]
pub struct Assigned {
    /// The first that was seen.
    pub address: IpAddr,
    /// When.
    pub at: u64,
}

/// A watch of one namespace that is up.
pub struct Watcher<K> {
    events: BoxStream<'static, watcher::Result<Event<K>>>,
    address_of: fn(&K) -> Option<IpAddr>,
    /// The first sight of every object that has an address, by name.
    seen: BTreeMap<String, Assigned>,
}

impl<K> Watcher<K>
where
    K: kube::Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    /// Opens the watch and takes in what exists already; what changes after the return is seen when it changes.
    ///
    /// # Errors
    /// The API server refuses it.
    pub async fn open(api: Api<K>, address_of: fn(&K) -> Option<IpAddr>) -> Result<Self> {
        let events = watcher::watcher(api, watcher::Config::default()).boxed();
        let mut watcher = Self { events, address_of, seen: BTreeMap::new() };
        while !watcher.step().await? {}
        Ok(watcher)
    }

    /// Follows the watch until all `names` have been seen with an address, and returns when that was. To be run in a
    /// task of its own: a sight must not wait for anything else.
    ///
    /// # Errors
    /// One is not seen within `limit`, or the watch ends.
    pub async fn follow(mut self, names: Vec<String>, limit: Duration) -> Result<BTreeMap<String, Assigned>> {
        let follow = async {
            while names.iter().any(|name| !self.seen.contains_key(name)) {
                self.step().await?;
            }
            Ok(())
        };
        if let Ok(outcome) = tokio::time::timeout(limit, follow).await {
            return outcome.map(|()| self.seen);
        }
        let missing: Vec<_> = names.iter().filter(|name| !self.seen.contains_key(*name)).collect();
        bail!("after {} s there is no address for {missing:?}", limit.as_secs())
    }

    /// Takes in one event; says whether it ends the first list.
    async fn step(&mut self) -> Result<bool> {
        let event = self.events.next().await.context("the watch ended")??;
        // Before anything is made of it.
        let at = wall_nanos();
        match event {
            Event::Apply(object) | Event::InitApply(object) => {
                if let Some(address) = (self.address_of)(&object) {
                    self.seen.entry(object.name_any()).or_insert(Assigned { address, at });
                }
                Ok(false)
            }
            Event::InitDone => Ok(true),
            Event::Init | Event::Delete(_) => Ok(false),
        }
    }
}
