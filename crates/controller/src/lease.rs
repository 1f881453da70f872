//! Leader election on a `coordination.k8s.io/v1` Lease.
//!
//! Expiry is judged by the local monotonic clock from the last *observed* change of the Lease, never by comparing wall
//! clocks of two machines. Every write carries the resourceVersion that was read, so of two candidates one gets a
//! conflict. The holder steps down before another may take over: `RENEW_DEADLINE` < `DURATION`. Even so the ledger
//! does not rely on this: a leader that wakes up late fails at its compare-and-swap.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch;
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
/// Pause between two attempts, of the holder as of the others.
const RETRY: Duration = Duration::from_secs(1);
/// The holder renews this often.
const RENEW: Duration = Duration::from_secs(4);

/// One candidate.
pub(crate) struct Candidate {
    api: Api<Lease>,
    identity: String,
    /// The Lease as last seen to change (its resourceVersion), and when.
    observed: Option<(Option<String>, Instant)>,
    /// When the last successful renewal was begun.
    renewed: Option<Instant>,
}

impl Candidate {
    /// A candidate named `identity` for the Lease in `namespace`. A process that restarts under the same identity
    /// goes on as the holder at once, so the identity must not be shared by two living processes.
    pub(crate) fn new(client: Client, namespace: &str, identity: String) -> Self {
        Self { api: Api::namespaced(client, namespace), identity, observed: None, renewed: None }
    }

    /// Runs for ever, and tells in `leading` whether this process holds the Lease. On `stop` the Lease is given up, so
    /// that another candidate need not wait for it to expire.
    pub(crate) async fn run(mut self, leading: watch::Sender<bool>, stop: CancellationToken) {
        loop {
            let attempt = timeout(RETRY * 2, self.attempt()).await;
            match attempt {
                Ok(Ok(())) => {}
                Ok(Err(error)) => warn!(%error, "lease request failed"),
                Err(_) => warn!("lease request timed out"),
            }
            let holds = self.holds(clock::now());
            leading.send_if_modified(|leading| {
                let changed = *leading != holds;
                if changed {
                    info!(identity = self.identity, leading = holds, "leadership changed");
                }
                *leading = holds;
                changed
            });
            let pause = if holds { RENEW } else { RETRY };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => break,
            }
        }
        if self.holds(clock::now())
            && let Err(error) = self.give_up().await
        {
            warn!(%error, "failed to give up the lease; it expires by itself");
        }
    }

    fn holds(&self, now: Instant) -> bool {
        self.renewed.is_some_and(|renewed| now.duration_since(renewed) < RENEW_DEADLINE)
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
            self.renewed = None;
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
                self.renewed = Some(began);
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.code == 409 => {
                self.renewed = None;
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
            lease_duration_seconds: Some(15),
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
}
