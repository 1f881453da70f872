//! The passwords of BGP sessions, from Secrets in Keryx' own namespace.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use keryx_daemon::watch::{self, Change};
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt as _};
use tokio::sync::{mpsc, watch as state};

use crate::drivers::bgp::Passwords;

/// The only type of Secret that is asked for (`kubectl create secret generic --type`), as MetalLB has it.
const TYPE: &str = "kubernetes.io/basic-auth";
/// Its key.
const KEY: &str = "password";
/// Changes that wait.
const CHANGES_MAX: usize = 16;

/// Keeps `passwords` as the Secrets of `namespace` say, until nobody looks any more. A Secret that is of another type, or lacks the
/// key, is as good as none.
pub(crate) async fn follow(
    client: Client,
    namespace: String,
    config: watcher::Config,
    passwords: state::Sender<Passwords>,
) {
    let (sender, mut changes) = mpsc::channel(CHANGES_MAX);
    let secrets: Api<Secret> = Api::namespaced(client, &namespace);
    tokio::spawn(watch::run(secrets, config.fields(&format!("type={TYPE}")), |change| change, sender));
    let mut known = BTreeMap::new();
    while let Some(change) = changes.recv().await {
        match change {
            Change::Apply(secret) => set(&mut known, &secret),
            Change::Delete(secret) => drop(known.remove(&secret.name_any())),
            Change::Reset(all) => {
                known = BTreeMap::new();
                all.iter().for_each(|secret| set(&mut known, secret));
            }
        }
        let latest = Some(Arc::new(known.clone()));
        passwords.send_if_modified(|passwords| {
            let modified = *passwords != latest;
            *passwords = latest;
            modified
        });
    }
}

fn set(known: &mut BTreeMap<String, Arc<[u8]>>, secret: &Secret) {
    let password = secret.data.as_ref().and_then(|data| data.get(KEY));
    match password {
        Some(password) => known.insert(secret.name_any(), password.0.as_slice().into()),
        None => known.remove(&secret.name_any()),
    };
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    #[test]
    fn a_secret_gives_its_password_and_takes_it_back() {
        let mut secret = Secret::default();
        secret.metadata.name = Some("tor".to_owned());
        secret.data = Some(BTreeMap::from([("password".to_owned(), ByteString(b"s3cret".to_vec()))]));
        let mut known = BTreeMap::new();
        set(&mut known, &secret);
        assert_eq!(known.get("tor").map(|password| &**password), Some(&b"s3cret"[..]));
        secret.data = Some(BTreeMap::from([("pass".to_owned(), ByteString(b"s3cret".to_vec()))]));
        set(&mut known, &secret);
        assert!(known.is_empty());
    }
}
