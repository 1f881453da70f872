//! The last orders, in a file, for a speaker that starts: until it knows the cluster it goes on with what was so, and other
//! speakers find it as it was before.
//!
//! A hint, nothing more. As soon as every watch has its first list, the plan is made from that.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tracing::warn;

use crate::files;
use crate::orders::Orders;

/// Form of the file that this build writes, and the only one that it reads.
const VERSION: u32 = 1;
/// From one writing to the next, so that a busy cluster costs no more than that.
const INTERVAL: Duration = Duration::from_secs(5);

#[derive(Serialize, Deserialize)]
struct Snapshot {
    version: u32,
    orders: Orders,
}

/// The orders in the file; `None` if there is none that this build can read.
pub(crate) fn read(path: &Path) -> Option<Orders> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            warn!("failed to read the last plan in {}: {error}", path.display());
            return None;
        }
    };
    let snapshot: Result<Snapshot, _> = serde_json::from_slice(&text);
    let snapshot = snapshot
        .inspect_err(|error| warn!("the last plan in {} cannot be read: {error}", path.display()))
        .ok()?;
    (snapshot.version == VERSION).then_some(snapshot.orders)
}

/// Replaces the file.
///
/// # Errors
/// The folder is missing or cannot be written.
fn write(path: &Path, orders: Orders) -> io::Result<()> {
    files::replace(path, |file| {
        serde_json::to_writer(file, &Snapshot { version: VERSION, orders }).map_err(io::Error::other)
    })
}

/// Writes the orders to the file whenever they change, until the sender is gone.
pub(crate) async fn keep(mut orders: watch::Receiver<Orders>, path: PathBuf) {
    while orders.changed().await.is_ok() {
        let (latest, path) = (orders.borrow_and_update().clone(), path.clone());
        // Thousands of VIPs take a moment, and everything else here shares the thread.
        let written = tokio::task::spawn_blocking(move || write(&path, latest)).await;
        if let Ok(Err(error)) = written {
            warn!(
                "failed to note the plan, so a speaker that starts without the API server has none: {error}"
            );
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use keryx_api::Protocol;
    use keryx_api::l2_advertisement::ConflictDetection;
    use keryx_api::ledger::OwnerKind;
    use keryx_plan::{Decision, GroupKey, GroupPlan, ObjectName, Owner, OwnerKey, Plan, Reason, VipPlan};

    use super::*;

    fn orders() -> Orders {
        let name = ObjectName::new("shop", "web");
        let group = GroupKey(OwnerKey::Service(name.clone()));
        let vip = "192.0.2.1".parse().unwrap();
        let vip_plan = VipPlan {
            owners: [Owner { kind: OwnerKind::Service, name }].into(),
            group: group.clone(),
            decision: Decision::Skip(Reason::HolderIs { node: "n2".into() }),
            while_holding: Decision::Announce,
            announcer: Some("n2".into()),
            interfaces: Some(Arc::new([Arc::from("eth1")].into())),
            conflict_detection: ConflictDetection::Full,
            bgp: Default::default(),
        };
        let group_plan = GroupPlan {
            id: 7,
            vips: [vip].into(),
            candidates: ["n2".into(), "n1".into()].into(),
            unready: [].into(),
            forwards: true,
            lingers: false,
            revert: true,
        };
        let mut plan = Plan { groups: [(group, Arc::new(group_plan))].into(), ..Plan::default() };
        plan.vips.insert(vip, Arc::new(vip_plan));
        plan.guard.vips.insert(vip, [(Protocol::Tcp, 80)].into());
        let internal_ips = vec!["198.51.100.1".parse().unwrap()];
        let nodes = Arc::new(BTreeMap::from([("n1".into(), internal_ips.clone())]));
        Orders { plan: Arc::new(plan), internal_ips, draining: true, nodes }
    }

    #[test]
    fn what_is_written_is_read_and_what_cannot_be_read_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        assert_eq!(read(&path), None);
        write(&path, orders()).unwrap();
        assert_eq!(read(&path), Some(orders()));
        let text = std::fs::read_to_string(&path).unwrap();
        for broken in [text.replace("\"version\":1", "\"version\":2"), text[1..].to_owned(), String::new()] {
            std::fs::write(&path, broken).unwrap();
            assert_eq!(read(&path), None);
        }
    }
}
