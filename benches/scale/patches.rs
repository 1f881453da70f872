//! The peer: status patches as the controller's, at the same concurrency, by a program that does nothing else. They are
//! what the API server itself costs; no controller that writes one status a Service can be faster.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use keryx_lab::capture::wall_nanos;
use keryx_tests::keryx::NAMESPACE;
use keryx_tests::{Keryx, Space};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::rounds::{ALL, Round};
use crate::sight::Watcher;

/// Patches under way at once; the controller has as many.
const PARALLEL: usize = 32;
/// The status of each Service, by name.
pub(crate) type Statuses = BTreeMap<String, Value>;

/// What the controller has written.
pub(crate) fn statuses(space: &Space<'_>) -> Result<Statuses> {
    Ok(list(space)?.iter().map(|service| (service.name_any(), json!(service.status))).collect())
}

/// Gives every Service, which waits, the status that the controller gave it, by a client with the controller's rights.
pub(crate) fn repeat(space: &Space<'_>, statuses: &Statuses) -> Result<Round> {
    let lab = &space.keryx.lab;
    let kubeconfig = lab.service_account(NAMESPACE, "keryx-controller")?;
    let api: Api<Service> = Api::namespaced(lab.client_of(&kubeconfig)?, &space.name);
    let patches = patches(space, |name| statuses.get(name).cloned().unwrap_or_default())?;
    let requests = lab.requests()?;
    let watcher = lab.block_on(Watcher::open(space.services()))?;
    let watching = lab.runtime().spawn(watcher.follow(statuses.len(), ALL));
    let began = wall_nanos();
    lab.block_on(send(&api, patches))?;
    let seen = lab.block_on(watching)??;
    Ok(Round { began, seen, requests: requests.so_far()? })
}

/// Takes every status and the ledger away: the Services wait as at first.
pub(crate) fn wipe(space: &Space<'_>) -> Result<()> {
    let lab = &space.keryx.lab;
    let patches = patches(space, |_| json!({ "loadBalancer": null, "conditions": null }))?;
    lab.block_on(send(&space.services(), patches))?;
    let ledger: Api<ConfigMap> = Api::namespaced(lab.client(), NAMESPACE);
    let blocks = ListParams::default().labels("keryx.dev/component=ledger");
    lab.block_on(ledger.delete_collection(&DeleteParams::default(), &blocks))?;
    Ok(())
}

/// A patch for each Service, of its present version.
fn patches(space: &Space<'_>, status: impl Fn(&str) -> Value) -> Result<Vec<(String, Value)>> {
    let patch = |service: Service| {
        let (name, version) = (service.name_any(), service.resource_version());
        let patch = json!({ "metadata": { "resourceVersion": version }, "status": status(&name) });
        (name, patch)
    };
    Ok(list(space)?.into_iter().map(patch).collect())
}

fn list(space: &Space<'_>) -> Result<Vec<Service>> {
    Ok(space.keryx.lab.block_on(space.services().list(&ListParams::default()))?.items)
}

async fn send(api: &Api<Service>, patches: Vec<(String, Value)>) -> Result<()> {
    let send = |(name, patch): (String, Value)| async move {
        let sent = api.patch_status(&name, &PatchParams::default(), &Patch::Merge(&patch)).await;
        sent.map(drop).with_context(|| format!("the status of Service {name}"))
    };
    stream::iter(patches).map(send).buffer_unordered(PARALLEL).try_collect().await
}

/// The version of Kubernetes.
pub(crate) fn kubernetes(keryx: &Keryx) -> Result<String> {
    let text = keryx.lab.kubectl(&["version", "-o", "json"])?;
    let version: Value = serde_json::from_str(&text)?;
    Ok(version["serverVersion"]["gitVersion"].as_str().unwrap_or("of unknown version").to_owned())
}
