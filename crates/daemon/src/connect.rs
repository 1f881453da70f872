//! The connection to the API server.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// Longest silence on a connection.
const SILENCE_MAX: Duration = Duration::from_secs(90);

/// A client from `kubeconfig` if given, else from the KUBECONFIG variable or the Pod's service account.
///
/// # Errors
/// The file, variable or service account cannot be read, or names no usable cluster.
pub async fn client(kubeconfig: Option<&Path>) -> anyhow::Result<Client> {
    // rustls takes no provider for granted; a second caller finds it installed, which is as good.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let mut config = match kubeconfig {
        Some(file) => {
            let kubeconfig = Kubeconfig::read_from(file)
                .with_context(|| format!("failed to read the kubeconfig {}", file.display()))?;
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?
        }
        None => Config::infer().await.context("found no kubeconfig and no service account")?,
    };
    config.connect_timeout = Some(Duration::from_secs(5));
    // A connection that died unseen must not hold up a list for ever. Watches end sooner by their own timeout.
    config.read_timeout = Some(SILENCE_MAX);
    Client::try_from(config).context("failed to set up the API client")
}

/// The API server's own message, where it gave one: kube prints the whole status object besides.
pub fn brief(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error { status.message.clone() } else { error.to_string() }
}
