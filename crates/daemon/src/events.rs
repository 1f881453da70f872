//! Events on objects (`events.k8s.io`), where users look when something is wrong.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, Recorder, Reporter};
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::connect::brief;

/// How long one request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// Publishes events in one reporter's name.
#[derive(Clone)]
pub struct Publisher(Recorder);

impl Publisher {
    /// `controller` and `instance` stand in every event as its reporter.
    #[must_use]
    pub fn new(client: Client, controller: &str, instance: &str) -> Self {
        let reporter = Reporter { controller: controller.to_owned(), instance: Some(instance.to_owned()) };
        Self(Recorder::new(client, reporter))
    }

    /// Publishes an event and does not wait for it: a courtesy must hold up nothing. Failures are logged.
    pub fn publish(&self, about: ObjectReference, event: Event) {
        let recorder = self.0.clone();
        tokio::spawn(async move {
            match timeout(REQUEST_LIMIT, recorder.publish(&event, &about)).await {
                Ok(Ok(())) => {}
                // Nobody reads events there any more.
                Ok(Err(error)) if is_terminating(&error) => debug!("no event: {}", brief(&error)),
                Ok(Err(error)) => warn!("failed to publish an event: {}", brief(&error)),
                Err(_) => warn!("failed to publish an event: no answer"),
            }
        });
    }
}

/// Whether the namespace of an object to create is being deleted.
fn is_terminating(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else { return false };
    let mut causes = status.details.iter().flat_map(|details| &details.causes);
    causes.any(|cause| cause.reason == "NamespaceTerminating")
}
