//! One watch of the API server, turned into changes of state.

use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kube::runtime::utils::{Backoff, ResetTimerBackoff};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
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
