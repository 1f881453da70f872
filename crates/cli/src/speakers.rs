//! Live state of the speakers, and what they can be asked to do. They listen on their node's loopback only, so they are
//! reached as `kubectl port-forward` does, which takes the right to `create` `pods/portforward`.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::StreamExt as _;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use keryx_api::layer2::{self, Layer2State};
use keryx_plan::NodeName;
use kube::{Api, ResourceExt as _};
use tokio::time::timeout;

/// The port that the installation gives the speaker.
const PORT: u16 = 7472;
/// How long one speaker may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Speakers asked at a time.
const ASKED_AT_ONCE: usize = 8;

/// The speakers' Pods, by node.
pub(crate) struct Speakers {
    api: Api<Pod>,
    pods: BTreeMap<NodeName, String>,
}

impl Speakers {
    /// Those among `pods` that run on a node.
    pub(crate) fn new(api: Api<Pod>, pods: &[Pod]) -> Self {
        let on_node = |pod: &Pod| {
            let node = pod.spec.as_ref()?.node_name.as_deref()?;
            let is_going = pod.metadata.deletion_timestamp.is_some();
            (!is_going).then(|| (NodeName::from(node), pod.name_any()))
        };
        Self { api, pods: pods.iter().filter_map(on_node).collect() }
    }

    /// All nodes with a speaker.
    pub(crate) fn nodes(&self) -> Vec<NodeName> {
        self.pods.keys().cloned().collect()
    }

    /// What each of these nodes' speakers says of layer 2, in the order of the nodes.
    pub(crate) async fn layer2(&self, nodes: &[NodeName]) -> Vec<(NodeName, anyhow::Result<Layer2State>)> {
        let ask = |node: NodeName| async move {
            let state = self.request(&node, Method::GET, layer2::PATH).await;
            let state = state.and_then(|text| Ok(serde_json::from_str(&text)?));
            (node, state)
        };
        futures::stream::iter(nodes.iter().cloned()).map(ask).buffered(ASKED_AT_ONCE).collect().await
    }

    /// Has a node's speaker take the groups in which it is the first choice. Says how many these are.
    pub(crate) async fn rebalance(&self, node: &NodeName) -> anyhow::Result<usize> {
        let answer = self.request(node, Method::POST, layer2::REBALANCE_PATH).await?;
        answer.parse().with_context(|| format!("the speaker on Node {node} gave no number but {answer:?}"))
    }

    async fn request(&self, node: &NodeName, method: Method, path: &str) -> anyhow::Result<String> {
        let Some(pod) = self.pods.get(node) else { bail!("no speaker runs on it") };
        timeout(ANSWER_LIMIT, self.exchange(pod, method, path))
            .await
            .context("its speaker did not answer in time")?
    }

    async fn exchange(&self, pod: &str, method: Method, path: &str) -> anyhow::Result<String> {
        let mut forwarded =
            self.api.portforward(pod, &[PORT]).await.context("its speaker cannot be reached")?;
        let stream = forwarded.take_stream(PORT).context("its speaker cannot be reached")?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .body(Empty::<Bytes>::new())?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        drop(sender);
        connection.abort();
        if !status.is_success() {
            bail!("its speaker answered {status}");
        }
        Ok(String::from_utf8(body.to_vec())?)
    }
}
