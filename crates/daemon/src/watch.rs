//! One watch of the API server, turned into changes of state.

use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::PartialObjectMeta;
use kube::runtime::utils::{Backoff, ResetTimerBackoff};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::{debug, warn};

/// The first pause after a watch broke.
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A watch that has stood this long begins with the first pause again.
const PAUSE_RESET: Duration = Duration::from_secs(30);

/// What a watch tells of one kind. Objects are counted, so that a reader keeps them without a second copy.
#[derive(Debug)]
pub enum Change<K> {
    /// Created or updated.
    Apply(Arc<K>),
    /// Deleted. Objects that vanish while a watch is down are told by the next `Reset` alone.
    Delete(Arc<K>),
    /// The full list, at the start and after every re-list.
    Reset(Vec<Arc<K>>),
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

/// As [`run`], for a kind that the CustomResourceDefinition `definition` brings: while that does not stand, the list of its
/// objects is empty, and when it comes, they are watched. For a moment after the API server has started, it lacks kinds that
/// exist; that a kind is not served is therefore believed only if its definition is gone.
pub async fn run_if_defined<K, I>(
    client: Client,
    definition: &str,
    api: Api<K>,
    config: watcher::Config,
    wrap: impl Fn(Change<K>) -> I + Clone + Send + 'static,
    sender: mpsc::Sender<I>,
) where
    K: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    I: Send + 'static,
{
    let definitions: Api<PartialObjectMeta<CustomResourceDefinition>> = Api::all(client);
    let named = config.clone().fields(&format!("metadata.name={definition}"));
    let (changed, mut changes) = mpsc::channel(1);
    tokio::spawn(run(definitions, named, |change| change, changed));
    // Nothing is told before it is known whether the definition stands.
    let mut watching: Option<Option<JoinHandle<()>>> = None;
    while let Some(change) = changes.recv().await {
        let stands = match change {
            Change::Apply(_) => true,
            Change::Delete(_) => false,
            Change::Reset(all) => !all.is_empty(),
        };
        match (&watching, stands) {
            (Some(Some(_)), true) | (Some(None), false) => {}
            (Some(None) | None, true) => {
                let watch = run(api.clone(), config.clone(), wrap.clone(), sender.clone());
                watching = Some(Some(tokio::spawn(watch)));
            }
            (Some(Some(_)) | None, false) => {
                if let Some(Some(watch)) = watching.replace(None) {
                    watch.abort();
                    // What it was about to send must not come after what is told here. That it was aborted is no news.
                    let _aborted = watch.await;
                }
                if sender.send(wrap(Change::Reset(Vec::new()))).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// As [`run`], over an existing watch stream.
pub async fn run_stream<K: Resource + Clone, I>(
    stream: impl futures::Stream<Item = watcher::Result<watcher::Event<K>>> + Send,
    wrap: impl Fn(Change<K>) -> I,
    sender: mpsc::Sender<I>,
) {
    let mut stream = pin!(stream.backoff(ResetTimerBackoff::new(Pauses(PAUSE_MIN), PAUSE_RESET)));
    let mut list = Vec::new();
    while let Some(event) = stream.next().await {
        let change = match event {
            Ok(watcher::Event::Init) => {
                list.clear();
                continue;
            }
            Ok(watcher::Event::InitApply(object)) => {
                list.push(Arc::new(trimmed(object)));
                continue;
            }
            Ok(watcher::Event::InitDone) => Change::Reset(std::mem::take(&mut list)),
            Ok(watcher::Event::Apply(object)) => Change::Apply(Arc::new(trimmed(object))),
            Ok(watcher::Event::Delete(object)) => Change::Delete(Arc::new(object)),
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

/// Pauses between tries of a watch that is broken, each twice the one before. Short ones: as long as a watch is down, its
/// reader decides on what was.
struct Pauses(Duration);

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = self.0;
        self.0 = (pause * 2).min(PAUSE_MAX);
        Some(pause)
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.0 = PAUSE_MIN;
    }
}

/// The object without its managed fields, which are often larger than the rest and which nobody here reads.
pub fn trimmed<K: Resource>(mut object: K) -> K {
    object.meta_mut().managed_fields = None;
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_few_seconds_and_begin_anew() {
        let mut pauses = Pauses(PAUSE_MIN);
        let taken: Vec<u128> = pauses.by_ref().take(7).map(|pause| pause.as_millis()).collect();
        assert_eq!(taken, [200, 400, 800, 1600, 3200, 5000, 5000]);
        pauses.reset();
        assert_eq!(pauses.next(), Some(PAUSE_MIN));
    }
}
