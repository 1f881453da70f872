//! Nodes without kubelets: kwok renews their Leases, keeps them Ready, and says of the Pods that are bound to them that
//! they run. Real nodes are left alone, by the annotation.

use std::collections::BTreeSet;
use std::pin::pin;

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, PostParams};
use kube::runtime::watcher;
use kube::{Client, ResourceExt as _};
use serde_json::json;

use crate::address;
use crate::bringup::is_ready;

/// What kwok does, and when.
pub(crate) const STAGES: &str = include_str!("stages.yaml");
/// The annotation of a node that kwok may manage, as its manifests have it.
const ANNOTATION: (&str, &str) = ("kwok.x-k8s.io/node", "fake");
/// kwok renews after a quarter of it, well within the grace period of the controller-manager.
const LEASE_SECS: u32 = 40;
/// Nodes that are created at once.
const PARALLEL: usize = 16;

/// kwok's arguments but for its kubeconfig; `stages` is a file with [`STAGES`].
pub(crate) fn arguments(stages: &str) -> Vec<String> {
    let (key, value) = ANNOTATION;
    vec![
        format!("--config={stages}"),
        "--manage-all-nodes=false".to_owned(),
        format!("--manage-nodes-with-annotation-selector={key}={value}"),
        format!("--node-lease-duration-seconds={LEASE_SECS}"),
        format!("--cidr={}", address::FAKE_PODS_V4),
        "--server-address=127.0.0.1:10247".to_owned(),
    ]
}

/// The name of fake node `number`, counted from 1.
pub(crate) fn name(number: u16) -> String {
    format!("f{number}")
}

/// Creates so many fake nodes and waits until all are Ready.
pub(crate) async fn create(client: &Client, count: u16) -> Result<()> {
    let api: Api<Node> = Api::all(client.clone());
    let mut missing: BTreeSet<String> = (1..=count).map(name).collect();
    let mut events = pin!(watcher(api.clone(), watcher::Config::default()));
    let created = stream::iter(1..=count).map(|number| one(&api, number)).buffer_unordered(PARALLEL);
    let created = created.try_collect::<()>();
    let ready = async {
        while !missing.is_empty() {
            match events.next().await.context("the watch of Nodes ended")?? {
                watcher::Event::Apply(node) | watcher::Event::InitApply(node) if is_ready(&node) => {
                    missing.remove(&node.name_any());
                }
                watcher::Event::Apply(_)
                | watcher::Event::InitApply(_)
                | watcher::Event::Delete(_)
                | watcher::Event::Init
                | watcher::Event::InitDone => {}
            }
        }
        Ok(())
    };
    futures::future::try_join(created, ready).await.map(drop)
}

async fn one(api: &Api<Node>, number: u16) -> Result<()> {
    let name = name(number);
    let (key, value) = ANNOTATION;
    let room = json!({ "cpu": "32", "memory": "256Gi", "pods": "110" });
    let node: Node = serde_json::from_value(json!({
        "metadata": {
            "name": name,
            "annotations": { key: value },
            "labels": { "kubernetes.io/hostname": name, "kubernetes.io/os": "linux" },
        },
        "status": {
            "addresses": [
                { "type": "InternalIP", "address": address::fake_node(number).to_string() },
                { "type": "Hostname", "address": name },
            ],
            "capacity": room,
            "allocatable": room,
        },
    }))?;
    api.create(&PostParams::default(), &node).await.with_context(|| format!("Node {name}"))?;
    Ok(())
}
