//! One watch of the API server, turned into changes of state.

use std::fmt::Debug;
use std::pin::pin;

use futures::StreamExt as _;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tracing::{debug, warn};

/// What a watch tells of one kind.
#[derive(Debug)]
pub enum Change<K> {
    /// Created or updated.
    Apply(Box<K>),
    /// Deleted. Objects that vanish while a watch is down are told by the next `Reset` alone.
    Delete(Box<K>),
    /// The full list, at the start and after every re-list.
    Reset(Vec<K>),
}

/// Watches `api` until the receiver is gone, and sends each change wrapped by `wrap`. Lists are sent whole, so the
/// receiver never sees half of one. Broken watches are opened again with back-off.
pub async fn run<K, I>(
    api: Api<K>,
    config: watcher::Config,
    wrap: impl Fn(Change<K>) -> I,
    sender: mpsc::Sender<I>,
) where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    run_stream(watcher(api, config), wrap, sender).await;
}

/// As [`run`], over an existing watch stream.
pub async fn run_stream<K: Resource + Clone, I>(
    stream: impl futures::Stream<Item = watcher::Result<watcher::Event<K>>> + Send,
    wrap: impl Fn(Change<K>) -> I,
    sender: mpsc::Sender<I>,
) {
    let mut stream = pin!(stream.default_backoff());
    let mut list = Vec::new();
    while let Some(event) = stream.next().await {
        let change = match event {
            Ok(watcher::Event::Init) => {
                list.clear();
                continue;
            }
            Ok(watcher::Event::InitApply(object)) => {
                list.push(trimmed(object));
                continue;
            }
            Ok(watcher::Event::InitDone) => Change::Reset(std::mem::take(&mut list)),
            Ok(watcher::Event::Apply(object)) => Change::Apply(Box::new(trimmed(object))),
            Ok(watcher::Event::Delete(object)) => Change::Delete(Box::new(object)),
            Err(watcher::Error::WatchError(status)) if status.code == 410 => {
                debug!("watch expired, listing again");
                continue;
            }
            Err(error) => {
                warn!(%error, "watch failed, trying again");
                continue;
            }
        };
        if sender.send(wrap(change)).await.is_err() {
            return;
        }
    }
}

/// Managed fields are often larger than the object itself, and nobody here reads them.
fn trimmed<K: Resource>(mut object: K) -> K {
    object.meta_mut().managed_fields = None;
    object
}
