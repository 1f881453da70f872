//! The ledger's ConfigMaps: read whole when leadership is gained, then written with the resourceVersion that is held
//! here. Any refusal or unknown outcome means that this view may be stale, and the caller starts over from a fresh read.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use keryx_api::ledger::{LedgerEntry, block_name, data_key};
use keryx_api::names;
use keryx_daemon::connect::brief;
use keryx_pools::ledger::Damaged;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::time::timeout;

/// Longest wait for a write: the controller does nothing else meanwhile.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// Entries to write: `Some` claims, `None` frees.
pub(crate) type Changes = BTreeMap<IpAddr, Option<LedgerEntry>>;

/// The ledger as this controller knows it.
pub(crate) struct Ledger {
    api: Api<ConfigMap>,
    /// resourceVersion by block name.
    versions: BTreeMap<String, String>,
}

/// Why a write did not happen, or may not have.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LedgerError {
    /// The block changed since it was read: another controller writes.
    #[error("another controller wrote ledger block {0}")]
    Conflict(String),
    /// The API server is silent; the outcome is unknown.
    #[error("no answer to a write of the ledger")]
    NoAnswer,
    /// The API server refused, or the outcome is unknown.
    #[error("failed to write ledger block {block}: {message}")]
    Request {
        /// Name of the ConfigMap.
        block: String,
        /// What the API server or the client said.
        message: String,
    },
}

impl Ledger {
    /// Reads every block in `namespace`.
    pub(crate) async fn load(
        client: Client,
        namespace: &str,
    ) -> kube::Result<(Self, BTreeMap<IpAddr, LedgerEntry>, Vec<Damaged>)> {
        let api: Api<ConfigMap> = Api::namespaced(client, namespace);
        let selector = format!("{}={}", names::LABEL_COMPONENT, names::COMPONENT_LEDGER);
        let mut ledger = Self { api, versions: BTreeMap::new() };
        let (mut entries, mut damaged) = (BTreeMap::new(), Vec::new());
        for block in ledger.api.list(&ListParams::default().labels(&selector)).await? {
            let read = keryx_pools::ledger::read_block(&block);
            entries.extend(read.entries);
            damaged.extend(read.damaged);
            ledger.versions.insert(block.name_any(), block.metadata.resource_version.unwrap_or_default());
        }
        Ok((ledger, entries, damaged))
    }

    /// Whether a change of a block that a watch tells is not one of this controller's own.
    pub(crate) fn is_news(&self, block: &ObjectMeta) -> bool {
        // Versions are ordered (KEP-5504): an older one is the echo of what has been overwritten since.
        let number = |version: Option<&str>| version.and_then(|version| version.parse::<u128>().ok());
        let known = self.versions.get(block.name.as_deref().unwrap_or_default()).map(String::as_str);
        number(block.resource_version.as_deref()) > number(known)
    }

    /// Whether a full list differs from what this controller knows. One that was taken before an own write created a block
    /// counts too: then the ledger is read once more than needed.
    pub(crate) fn lists_news<'a>(&self, blocks: impl Iterator<Item = &'a ObjectMeta> + Clone) -> bool {
        let listed: BTreeSet<&str> = blocks.clone().filter_map(|block| block.name.as_deref()).collect();
        blocks.into_iter().any(|block| self.is_news(block))
            || self.versions.keys().any(|name| !listed.contains(&**name))
    }

    /// Writes `changes`, one request per block, all at once. Takes at most 10 seconds.
    pub(crate) async fn write(&mut self, changes: &Changes) -> Result<(), LedgerError> {
        let mut blocks: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
        for (address, entry) in changes {
            let value = entry.as_ref().map_or(Value::Null, |entry| Value::String(json!(entry).to_string()));
            blocks.entry(block_name(*address)).or_default().insert(data_key(*address), value);
        }
        let writes = blocks.iter().map(|(name, data)| self.write_block(name, data));
        let versions =
            timeout(WRITE_LIMIT, try_join_all(writes)).await.map_err(|_| LedgerError::NoAnswer)??;
        self.versions.extend(versions);
        Ok(())
    }

    async fn write_block(
        &self,
        name: &str,
        data: &BTreeMap<String, Value>,
    ) -> Result<(String, String), LedgerError> {
        let outcome = match self.versions.get(name) {
            Some(version) => {
                let patch = json!({ "metadata": { "resourceVersion": version }, "data": data });
                self.api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await
            }
            None => self.api.create(&PostParams::default(), &new_block(name, data)).await,
        };
        match outcome {
            Ok(block) => Ok((name.to_owned(), block.metadata.resource_version.unwrap_or_default())),
            Err(kube::Error::Api(status)) if status.code == 409 => {
                Err(LedgerError::Conflict(name.to_owned()))
            }
            Err(error) => Err(LedgerError::Request { block: name.to_owned(), message: brief(&error) }),
        }
    }
}

fn new_block(name: &str, data: &BTreeMap<String, Value>) -> ConfigMap {
    let data =
        data.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
    let mut block = ConfigMap { data: Some(data), ..ConfigMap::default() };
    block.metadata.name = Some(name.to_owned());
    block.metadata.labels =
        Some([(names::LABEL_COMPONENT.to_owned(), names::COMPONENT_LEDGER.to_owned())].into());
    block
}
