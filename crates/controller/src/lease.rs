//! Leader election on a `coordination.k8s.io/v1` Lease.
//!
//! Expiry is judged by the local monotonic clock from the last *observed* change of the Lease, never by comparing wall
//! clocks of two machines. Every write carries the resourceVersion that was read, so of two candidates one gets a
//! conflict. The holder steps down before another may take over: `RENEW_DEADLINE` < `DURATION`. Even so the ledger
//! does not rely on this: a leader that wakes up late fails at its compare-and-swap.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use keryx_daemon::connect::brief;
use keryx_daemon::watch::{self as kube_watch, Change};
use kube::api::PostParams;
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock;

/// Name of the Lease.
const NAME: &str = "keryx-controller";
/// Another candidate takes over when it has seen no change for this long.
const DURATION: Duration = Duration::from_secs(15);
/// The holder steps down when it could not renew for this long.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Longest wait for one attempt.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(2);
/// Pause after an attempt that failed.
const RETRY: Duration = Duration::from_secs(1);
/// The holder renews this often.
const RENEW: Duration = Duration::from_secs(4);
/// Changes of the Lease that may wait.
const CHANGES_MAX: usize = 8;

/// For how long this process leads. Whoever writes asks before each write: a process that was stopped and goes on must
/// not act on what it thought before.
#[derive(Clone, Debug)]
pub(crate) struct Term(watch::Receiver<Option<Instant>>);

impl Term {
    /// Ends never: there is no election.
    pub(crate) fn unlimited() -> Self {
        let far = clock::now() + Duration::from_secs(u64::from(u32::MAX));
        Self(watch::channel(Some(far)).1)
    }

    /// A term that `sender` prolongs and ends.
    fn new() -> (watch::Sender<Option<Instant>>, Self) {
        let (sender, receiver) = watch::channel(None);
        (sender, Self(receiver))
    }

    /// Whether this process leads at `now`.
    pub(crate) fn covers(&self, now: Instant) -> bool {
        self.0.borrow().is_some_and(|until| now < until)
    }
}

/// One candidate.
pub(crate) struct Candidate {
    api: Api<Lease>,
    identity: String,
    /// Until when this candidate leads.
    term: watch::Sender<Option<Instant>>,
    /// The Lease as last seen to change (its resourceVersion), and when.
    observed: Option<(Option<String>, Instant)>,
}

impl Candidate {
    /// A candidate named `identity` for the Lease in `namespace`, and its term. A process that restarts under the same
    /// identity goes on as the holder at once, so the identity must not be shared by two living processes.
    pub(crate) fn new(client: Client, namespace: &str, identity: String) -> (Self, Term) {
        let (sender, term) = Term::new();
        let candidate =
            Self { api: Api::namespaced(client, namespace), identity, term: sender, observed: None };
        (candidate, term)
    }

    /// Runs for ever, and tells in `leading` whether this process holds the Lease. On `stop` the Lease is given up, so
    /// that another candidate need not wait for it to expire.
    pub(crate) async fn run(mut self, leading: watch::Sender<bool>, stop: CancellationToken) {
        let (sender, mut changes) = mpsc::channel(CHANGES_MAX);
        let only = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
        let watching = tokio::spawn(kube_watch::run(self.api.clone(), only, |change| change, sender));
        loop {
            let succeeded = match timeout(ATTEMPT_LIMIT, self.attempt()).await {
                Ok(Ok(())) => true,
                Ok(Err(error)) => {
                    warn!("lease request failed: {}", brief(&error));
                    false
                }
                Err(_) => {
                    warn!("lease request timed out");
                    false
                }
            };
            let now = clock::now();
            let holds = self.until().is_some_and(|until| now < until);
            leading.send_if_modified(|leading| {
                let changed = *leading != holds;
                if changed {
                    info!(identity = self.identity, leading = holds, "leadership changed");
                }
                *leading = holds;
                changed
            });
            let pause = self.pause(succeeded, now);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // Its own renewals are no news to the holder.
                () = next_change(&mut changes), if !holds => {}
                () = stop.cancelled() => break,
            }
        }
        watching.abort();
        if self.until().is_some_and(|until| clock::now() < until) {
            self.term.send_replace(None);
            match timeout(ATTEMPT_LIMIT, self.give_up()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    warn!("failed to give up the lease, it expires by itself: {}", brief(&error));
                }
                Err(_) => warn!("failed to give up the lease, it expires by itself: no answer"),
            }
        }
    }

    fn until(&self) -> Option<Instant> {
        *self.term.borrow()
    }

    /// How long to wait before the next attempt. The holder never sleeps past the end of its term; others sleep until
    /// the Lease may have expired, and are woken by its changes.
    fn pause(&self, succeeded: bool, now: Instant) -> Duration {
        let pause = match (succeeded, self.until()) {
            (false, _) => RETRY,
            (true, Some(_)) => RENEW,
            (true, None) => {
                let since = self.observed.as_ref().map_or(now, |(_, since)| *since);
                (since + DURATION).saturating_duration_since(now).max(RETRY)
            }
        };
        let left = self.until().map(|until| until.saturating_duration_since(now));
        left.filter(|left| !left.is_zero()).map_or(pause, |left| pause.min(left))
    }

    /// Reads the Lease and renews or takes it if that is allowed.
    async fn attempt(&mut self) -> kube::Result<()> {
        let began = clock::now();
        let Some(lease) = self.api.get_opt(NAME).await? else {
            let lease = self.claimed(Lease { metadata: named(), spec: None });
            return self.settle(self.api.create(&PostParams::default(), &lease).await, began);
        };
        let version = lease.metadata.resource_version.clone();
        if self.observed.as_ref().is_none_or(|(seen, _)| *seen != version) {
            self.observed = Some((version, began));
        }
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
        let expired =
            self.observed.as_ref().is_some_and(|(_, since)| began.duration_since(*since) >= DURATION);
        if !may_take(holder, &self.identity, expired) {
            self.term.send_replace(None);
            return Ok(());
        }
        let lease = self.claimed(lease);
        self.settle(self.api.replace(NAME, &PostParams::default(), &lease).await, began)
    }

    /// Notes the outcome of a write: only a success renews, a conflict means that another was faster.
    fn settle(&mut self, outcome: kube::Result<Lease>, began: Instant) -> kube::Result<()> {
        match outcome {
            Ok(lease) => {
                self.observed = Some((lease.metadata.resource_version, began));
                self.term.send_replace(Some(began + RENEW_DEADLINE));
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.code == 409 => {
                self.term.send_replace(None);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// `lease` with this candidate as the holder. The times are for people; nothing compares them.
    fn claimed(&self, mut lease: Lease) -> Lease {
        let now = MicroTime(clock::wall().0);
        let old = lease.spec.take().unwrap_or_default();
        let changes_hands = old.holder_identity.as_deref() != Some(self.identity.as_str());
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: if changes_hands { Some(now.clone()) } else { old.acquire_time },
            renew_time: Some(now),
            lease_transitions: Some(old.lease_transitions.unwrap_or(0) + i32::from(changes_hands)),
            ..LeaseSpec::default()
        });
        lease
    }

    async fn give_up(&self) -> kube::Result<()> {
        let mut lease = self.api.get(NAME).await?;
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() == Some(self.identity.as_str()) {
            spec.holder_identity = Some(String::new());
            self.api.replace(NAME, &PostParams::default(), &lease).await?;
        }
        Ok(())
    }
}

/// Whether a Lease held by `holder` may be written by `identity`.
fn may_take(holder: &str, identity: &str, expired: bool) -> bool {
    holder.is_empty() || holder == identity || expired
}

/// Waits until the Lease changes; for ever if nobody watches it any more.
async fn next_change(changes: &mut mpsc::Receiver<Change<Lease>>) {
    if changes.recv().await.is_none() {
        std::future::pending().await
    }
}

fn named() -> ObjectMeta {
    ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_taken_only_when_free_own_or_expired() {
        assert!(may_take("", "a", false));
        assert!(may_take("a", "a", false));
        assert!(!may_take("b", "a", false));
        assert!(may_take("b", "a", true));
    }

    #[test]
    fn the_holder_steps_down_before_another_may_take_over() {
        const { assert!(RENEW_DEADLINE.as_secs() < DURATION.as_secs()) };
        const { assert!(RENEW.as_secs() * 2 < RENEW_DEADLINE.as_secs()) };
    }

    #[test]
    fn a_term_covers_what_is_before_its_end() {
        let (sender, term) = Term::new();
        let now = clock::now();
        assert!(!term.covers(now));
        sender.send_replace(Some(now + RENEW_DEADLINE));
        assert!(term.covers(now));
        assert!(!term.covers(now + RENEW_DEADLINE));
        sender.send_replace(None);
        assert!(!term.covers(now));
    }
}
