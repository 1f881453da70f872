//! The peer: status patches as the controller's, at the same concurrency, by a program that does nothing else. They are
//! what the API server itself costs; no controller that writes one status a Service can be faster.

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
use crate::sight::{self, Watcher};

/// Patches under way at once; the controller has as many.
const PARALLEL: usize = 32;
/// What no pool gives out: patched to it, a Service looks changed.
const PEER_NET: &str = "203.0.113.";

/// Gives every Service another address in a patch like the controller's, by a client with the controller's rights.
pub(crate) fn rewrite(space: &Space<'_>, count: usize) -> Result<Round> {
    let lab = &space.keryx.lab;
    let kubeconfig = lab.service_account(NAMESPACE, "keryx-controller")?;
    let api: Api<Service> = Api::namespaced(lab.client_of(&kubeconfig)?, &space.name);
    let patches = statuses(space, |service| {
        let mut status = json!(service.status);
        status["loadBalancer"]["ingress"][0]["ip"] = format!("{PEER_NET}1").into();
        status
    })?;
    let requests = lab.requests()?;
    let is_rewritten = |service: &Service| sight::address(service).is_some_and(|ip| ip.starts_with(PEER_NET));
    let watcher = lab.block_on(Watcher::open(space.services(), is_rewritten))?;
    let watching = lab.runtime().spawn(watcher.follow(count, ALL));
    let began = wall_nanos();
    lab.block_on(send(&api, patches))?;
    let seen = lab.block_on(watching)??;
    Ok(Round { began, seen, requests: requests.so_far()? })
}

/// Takes every status and the ledger away: the Services wait as at first.
pub(crate) fn wipe(space: &Space<'_>) -> Result<()> {
    let lab = &space.keryx.lab;
    let patches = statuses(space, |_| json!({ "loadBalancer": null, "conditions": null }))?;
    lab.block_on(send(&space.services(), patches))?;
    let ledger: Api<ConfigMap> = Api::namespaced(lab.client(), NAMESPACE);
    let blocks = ListParams::default().labels("keryx.dev/component=ledger");
    lab.block_on(ledger.delete_collection(&DeleteParams::default(), &blocks))?;
    Ok(())
}

/// A patch for each Service, of its present version.
fn statuses(space: &Space<'_>, status: impl Fn(&Service) -> Value) -> Result<Vec<(String, Value)>> {
    let list = space.keryx.lab.block_on(space.services().list(&ListParams::default()))?;
    let patch = |service: &Service| {
        let version = service.resource_version();
        (service.name_any(), json!({ "metadata": { "resourceVersion": version }, "status": status(service) }))
    };
    Ok(list.iter().map(patch).collect())
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
