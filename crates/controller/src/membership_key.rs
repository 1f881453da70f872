//! The key by which speakers know each other: a Secret that is made once, and read by speakers alone.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use keryx_api::names;
use keryx_daemon::connect::brief;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

/// Octets of a key.
const KEY_LEN: usize = 32;
/// Longest wait for the API server.
const LIMIT: Duration = Duration::from_secs(10);
/// Pause before another try.
const RETRY: Duration = Duration::from_secs(2);
/// How often it is made sure that the Secret is still there: new speakers do not start without it.
const INTERVAL: Duration = Duration::from_secs(60);

/// Makes the Secret whenever it is missing. Never changes one that is there: that is up to whoever changes the key.
pub(crate) async fn keep(client: Client, namespace: String) {
    let secrets: Api<Secret> = Api::namespaced(client, &namespace);
    loop {
        let pause = match timeout(LIMIT, make(&secrets)).await {
            Ok(Ok(())) => INTERVAL,
            Ok(Err(error)) => {
                warn!("failed to make the key of the speakers' gossip, trying again: {error:#}");
                RETRY
            }
            Err(_) => {
                warn!("failed to make the key of the speakers' gossip, trying again: no answer");
                RETRY
            }
        };
        sleep(pause).await;
    }
}

async fn make(secrets: &Api<Secret>) -> anyhow::Result<()> {
    let name = names::SECRET_MEMBERSHIP;
    match secrets.get_metadata_opt(name).await {
        Ok(Some(_)) => return Ok(()),
        Ok(None) => {}
        Err(error) => anyhow::bail!("{}", brief(&error)),
    }
    let mut key = vec![0; KEY_LEN];
    getrandom::fill(&mut key).map_err(std::io::Error::other).context("the system gives no random numbers")?;
    ensure!(key.iter().any(|octet| *octet != 0), "the system gives no random numbers");
    let mut secret = Secret {
        type_: Some("Opaque".to_owned()),
        data: Some([(names::MEMBERSHIP_KEY.to_owned(), ByteString(key))].into()),
        ..Secret::default()
    };
    secret.metadata.name = Some(name.to_owned());
    match secrets.create(&PostParams::default(), &secret).await {
        Ok(_) => {
            info!("made the key of the speakers' gossip");
            Ok(())
        }
        // Another controller was faster.
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => anyhow::bail!("{}", brief(&error)),
    }
}
