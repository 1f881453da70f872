//! The `SpeakerStatus` of this node, written when it changes.

use std::time::Duration;

use keryx_api::speaker_status::{
    AddressConflict, BgpSession, CONFLICTS_MAX, SESSIONS_MAX, SpeakerStatus, SpeakerStatusStatus,
};
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource as _};
use serde_json::{Value, json};
use tokio::sync::watch;
use tracing::{debug, warn};

use crate::args::Args;
use crate::drivers::bfd::SessionState;
use crate::drivers::bgp::{Standing, Standings};
use crate::drivers::layer2::{Conflict, Summary};

/// From one write to the next: after a large failure the numbers change many times in a second.
const PAUSE: Duration = Duration::from_secs(2);
/// After a write that failed.
const RETRY: Duration = Duration::from_secs(5);
/// The same, if the kind is not installed.
const RETRY_WITHOUT_KIND: Duration = Duration::from_secs(60);
/// Owner of the fields (server-side apply).
const FIELD_MANAGER: &str = "keryx-speaker";

/// Whose status it is.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    node: String,
    /// Name and UID of the speaker's Pod, if it runs in one.
    pod: Option<(String, String)>,
}

impl Identity {
    pub(crate) fn of(args: &Args) -> Self {
        Self { node: args.node_name.clone(), pod: args.pod_name.clone().zip(args.pod_uid.clone()) }
    }
}

/// What the status shows.
pub(crate) struct Shown {
    /// Layer 2.
    pub(crate) summary: watch::Receiver<Summary>,
    /// BGP.
    pub(crate) standings: watch::Receiver<Standings>,
}

/// Keeps the status of this node as the drivers say, until one of them is gone.
pub(crate) async fn keep(mut shown: Shown, api: Api<SpeakerStatus>, identity: Identity) {
    let mut written = None;
    loop {
        let wanted = status(&shown.summary.borrow_and_update(), &shown.standings.borrow_and_update());
        if written.as_ref() != Some(&wanted) {
            let is_first = written.is_none();
            let pause = match write(&api, &identity, &wanted, is_first).await {
                Ok(()) => {
                    written = Some(wanted);
                    PAUSE
                }
                Err(kube::Error::Api(answer)) if answer.code == 404 => {
                    debug!("there is no kind SpeakerStatus");
                    written = None;
                    RETRY_WITHOUT_KIND
                }
                Err(error) => {
                    warn!(%error, "failed to write this node's SpeakerStatus, trying again");
                    RETRY
                }
            };
            tokio::time::sleep(pause).await;
            continue;
        }
        let changed = tokio::select! {
            changed = shown.summary.changed() => changed,
            changed = shown.standings.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}

/// Writes the status, and before it the object, if this process has not yet or somebody deleted it.
async fn write(
    api: &Api<SpeakerStatus>,
    identity: &Identity,
    status: &SpeakerStatusStatus,
    is_first: bool,
) -> kube::Result<()> {
    let Identity { node, pod } = identity;
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let status = object(node, json!({ "status": status }));
    if !is_first {
        match api.patch_status(node, &params, &Patch::Apply(&status)).await {
            Err(kube::Error::Api(answer)) if answer.code == 404 => {}
            written => return written.map(drop),
        }
    }
    // It goes with the Pod, so that no speaker that is gone is heard of.
    let owner =
        pod.iter().map(|(name, uid)| json!({ "apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid }));
    let mut whole = object(node, json!({ "spec": { "node": node } }));
    whole["metadata"]["ownerReferences"] = owner.collect();
    api.patch(node, &params, &Patch::Apply(&whole)).await?;
    api.patch_status(node, &params, &Patch::Apply(&status)).await.map(drop)
}

/// A part of the object, as it is applied.
fn object(node: &str, mut part: Value) -> Value {
    part["apiVersion"] = json!(SpeakerStatus::api_version(&()));
    part["kind"] = json!(SpeakerStatus::kind(&()));
    part["metadata"] = json!({ "name": node });
    part
}

fn status(summary: &Summary, standings: &Standings) -> SpeakerStatusStatus {
    let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    let conflict = |conflict: &Conflict| AddressConflict {
        address: conflict.vip,
        interface: conflict.interface.clone(),
        hardware_address: conflict.mac.to_string(),
        announced: conflict.announced,
    };
    SpeakerStatusStatus {
        announced: count(summary.announced),
        members: count(summary.members),
        conflicting: count(summary.conflicts.len()),
        conflicts: summary.conflicts.iter().take(CONFLICTS_MAX).map(conflict).collect(),
        established: count(standings.values().filter(|standing| standing.agreed().is_some()).count()),
        sessions: standings
            .iter()
            .take(SESSIONS_MAX)
            .map(|(peer, standing)| session(peer, standing))
            .collect(),
    }
}

fn session(peer: &str, standing: &Standing) -> BgpSession {
    let agreed = standing.agreed();
    BgpSession {
        peer: peer.to_owned(),
        address: standing.address,
        interface: standing.interface.as_deref().map(str::to_owned),
        state: standing.state.name().to_owned(),
        since: standing.since.clone(),
        last_error: standing.last_error.clone(),
        remote_asn: agreed.map(|agreed| agreed.remote_as.get()),
        router_id: agreed.map(|agreed| agreed.router_id.get()),
        families: agreed.iter().flat_map(|agreed| &agreed.families).map(ToString::to_string).collect(),
        capabilities: agreed
            .iter()
            .flat_map(|agreed| &agreed.capabilities)
            .map(|&name| name.to_owned())
            .collect(),
        prefixes_sent: agreed.map_or(0, |_| u32::try_from(standing.prefixes).unwrap_or(u32::MAX)),
        bfd: standing.bfd.as_ref().map(|state| match state {
            SessionState::Up => "Up".to_owned(),
            SessionState::Down => "Down".to_owned(),
            SessionState::Unable(reason) => reason.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use keryx_layer2::MacAddr;

    use super::*;

    #[test]
    fn all_conflicts_are_counted_and_the_first_listed() {
        let conflict = |last: u8| Conflict {
            vip: [192, 0, 2, last].into(),
            interface: "eth0".to_owned(),
            mac: MacAddr([2, 0, 0, 0, 0, last]),
            announced: last == 0,
        };
        let summary = Summary { announced: 3, members: 2, conflicts: (0..100).map(conflict).collect() };
        let status = status(&summary, &Standings::default());
        assert_eq!((status.announced, status.members, status.conflicting), (3, 2, 100));
        assert_eq!(status.conflicts.len(), CONFLICTS_MAX);
        let first = AddressConflict {
            address: [192, 0, 2, 0].into(),
            interface: "eth0".to_owned(),
            hardware_address: "02:00:00:00:00:00".to_owned(),
            announced: true,
        };
        assert_eq!(status.conflicts[0], first);
    }

    #[test]
    fn what_is_applied_names_the_kind_and_the_node() {
        let object = object("n1", json!({ "status": {} }));
        assert_eq!(object["apiVersion"], "keryx.dev/v1alpha1");
        assert_eq!((&object["kind"], &object["metadata"]["name"]), (&json!("SpeakerStatus"), &json!("n1")));
    }
}
