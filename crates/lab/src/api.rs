//! The lab's way to its API server: a Kubernetes client whose connections start inside the control plane's namespace,
//! whatever thread or runtime uses it, and server-side apply.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use anyhow::{Context as _, Result};
use hyper_util::rt::{TokioExecutor, TokioIo};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::client::{Body, ConfigExt as _};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::discovery::Scope;
use kube::runtime::{conditions, wait};
use kube::{Client, Config, ResourceExt as _};
use serde::Deserialize as _;
use tokio::net::{TcpSocket, TcpStream};
use tower::{BoxError, Service, ServiceBuilder};

use crate::address;
use crate::netns::Namespace;

/// Who the lab is in `managedFields`.
const FIELD_MANAGER: &str = "keryx-lab";
/// How long a ServiceAccount's token is good for.
const TOKEN_SECS: i64 = 24 * 60 * 60;

/// A client with the rights of a kubeconfig. Must be called inside a runtime, which has to live as long as the client.
pub(crate) async fn client(kubeconfig: &Path, inside: &Namespace) -> Result<Client> {
    // Several clients of one process may all try: one provider is as good as another.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let address = SocketAddr::from((address::management(address::CONTROL_PLANE), 6443));
    let connector = Connector { inside: inside.clone(), address };
    let https = config.rustls_https_connector_with_connector(connector)?;
    let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build::<_, Body>(https);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(Client::new(service, "default"))
}

/// Connects to one address from inside a namespace: a socket stays where it was made.
#[derive(Clone)]
struct Connector {
    inside: Namespace,
    address: SocketAddr,
}

impl<T> Service<T> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: T) -> Self::Future {
        let Connector { inside, address } = self.clone();
        Box::pin(async move {
            let socket = inside.run(TcpSocket::new_v4)?;
            let stream = socket.connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(TokioIo::new(stream))
        })
    }
}

/// A token of a ServiceAccount.
pub(crate) async fn token(client: &Client, namespace: &str, name: &str) -> Result<String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let spec = TokenRequestSpec { expiration_seconds: Some(TOKEN_SECS), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
    let answer = accounts.create_token_request(name, &PostParams::default(), &request).await;
    let answer = answer.with_context(|| format!("no token for ServiceAccount {namespace}/{name}"))?;
    answer.status.and_then(|status| status.token).context("an answer without a token")
}

/// The objects in the documents of a YAML text.
pub(crate) fn parse(yaml: &str) -> Result<Vec<DynamicObject>> {
    let mut objects = Vec::new();
    for document in serde_yaml::Deserializer::from_str(yaml) {
        let value = serde_yaml::Value::deserialize(document).context("the manifest is not YAML")?;
        if !value.is_null() {
            objects.push(serde_yaml::from_value(value).context("the manifest is no Kubernetes object")?);
        }
    }
    Ok(objects)
}

/// Applies objects server-side, in order, and takes over fields that others manage. After a CustomResourceDefinition
/// it waits until its kind is served, so that objects of it may follow.
pub(crate) async fn apply_all(client: &Client, objects: &[DynamicObject]) -> Result<()> {
    for object in objects {
        apply_one(client, object).await?;
    }
    Ok(())
}

async fn apply_one(client: &Client, object: &DynamicObject) -> Result<()> {
    let types = object.types.clone().context("the manifest has no apiVersion and kind")?;
    let name = object.name_any();
    let kind = GroupVersionKind::try_from(&types)?;
    let (resource, capabilities) = kube::discovery::pinned_kind(client, &kind).await?;
    let api: Api<DynamicObject> = match (capabilities.scope, object.namespace()) {
        (Scope::Cluster, _) => Api::all_with(client.clone(), &resource),
        (Scope::Namespaced, None) => Api::default_namespaced_with(client.clone(), &resource),
        (Scope::Namespaced, Some(namespace)) => Api::namespaced_with(client.clone(), &namespace, &resource),
    };
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let applied = api.patch(&name, &params, &Patch::Apply(object)).await;
    applied.with_context(|| format!("{} {name} cannot be applied", types.kind))?;
    if types.kind == "CustomResourceDefinition" {
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        wait::await_condition(definitions, &name, conditions::is_crd_established()).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_documents_of_a_manifest_are_skipped() {
        let yaml = "# a comment\n---\n---\nkind: A\napiVersion: v1\nmetadata: {name: a}\n---\nkind: B\napiVersion: v1\nmetadata: {}\n---\n";
        let objects = parse(yaml).unwrap();
        let kinds: Vec<_> =
            objects.iter().flat_map(|object| &object.types).map(|types| &types.kind).collect();
        assert_eq!(kinds, ["A", "B"]);
    }

    #[test]
    fn text_that_is_no_object_is_refused() {
        for (yaml, reason) in [("a: [", "not YAML"), ("- 1\n- 2", "no Kubernetes object")] {
            let error = parse(yaml).unwrap_err();
            assert!(format!("{error:#}").contains(reason), "{yaml}: {error:#}");
        }
    }
}
