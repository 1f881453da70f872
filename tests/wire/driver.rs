//! The speaker's drivers, each on a thread inside a host's network, with a test in place of the plan.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Result;
use keryx_api::Protocol;
use keryx_api::ledger::OwnerKind;
use keryx_lab::Host;
use keryx_plan::{
    Decision, GroupKey, GroupPlan, GuardInput, NodeName, ObjectName, Owner, OwnerKey, Plan, VipPlan,
    rendezvous,
};
use keryx_speaker::drivers::layer2::{Channels, KeySource, Settings, Summary};
use keryx_speaker::{Metrics, Orders, drivers};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::worker::Worker;

/// A running driver. Dropping it stops it and waits for its end.
pub(crate) struct Driver {
    orders: watch::Sender<Orders>,
    /// What it counts.
    pub(crate) metrics: Metrics,
    _worker: Worker,
    /// What it reads and writes; goes after it.
    files: Option<TempDir>,
}

impl Driver {
    /// The guard of a node, which begins with `orders`.
    ///
    /// # Errors
    /// Its thread cannot be started.
    pub(crate) fn guard(node: &Host, orders: Orders) -> Result<Self> {
        Self::start(node, orders, |orders, metrics, stop| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let (guarded, _) = watch::channel(None);
            // A thread begins in the network namespace of the one that starts it, here and below.
            let follow = move || runtime.block_on(drivers::guard::run(orders, guarded, metrics, stop));
            Ok(std::thread::Builder::new().name("guard".to_owned()).spawn(follow)?)
        })
    }

    /// The layer 2 driver of a node, which may use every interface and begins with `orders`.
    ///
    /// # Errors
    /// Its thread cannot be started.
    pub(crate) fn layer2(node: &Host, orders: Orders) -> Result<Self> {
        let files = tempfile::tempdir()?;
        write_key(files.path(), KEY)?;
        let mut driver = Self::layer2_with(node, orders, files.path())?;
        driver.files = Some(files);
        Ok(driver)
    }

    /// The same, with the files in a folder that stays: see [`settings`].
    ///
    /// # Errors
    /// Its thread cannot be started.
    pub(crate) fn layer2_with(node: &Host, orders: Orders, folder: &Path) -> Result<Self> {
        let settings = settings(node.name(), folder.to_owned());
        Self::start(node, orders, |orders, metrics, stop| start_layer2(orders, settings, metrics, stop))
    }

    fn start(
        node: &Host,
        orders: Orders,
        spawn: impl FnOnce(watch::Receiver<Orders>, Metrics, CancellationToken) -> Result<JoinHandle<()>> + Send,
    ) -> Result<Self> {
        let (orders, orders_seen) = watch::channel(orders);
        let metrics = Metrics::default();
        let stop = CancellationToken::new();
        let thread = node.namespace().run(|| spawn(orders_seen, metrics.clone(), stop.clone()))?;
        Ok(Self { orders, metrics, _worker: Worker::new(stop, thread), files: None })
    }

    /// Gives it new orders instead of all earlier ones.
    pub(crate) fn order(&self, orders: Orders) {
        self.orders.send_replace(orders);
    }
}

/// The key of tests in which all speakers have the same.
pub(crate) const KEY: [u8; 32] = [7; 32];

/// Writes the key of the gossip where a driver with this folder reads it.
///
/// # Errors
/// The folder cannot be written.
pub(crate) fn write_key(folder: &Path, key: [u8; 32]) -> Result<()> {
    Ok(std::fs::write(folder.join("key"), key)?)
}

/// The settings of a layer 2 driver whose folder has the file `key`, and gets the file `holds`.
pub(crate) fn settings(node: &str, folder: PathBuf) -> Settings {
    Settings {
        node: NodeName::from(node),
        interfaces: BTreeSet::new(),
        holds_file: folder.join("holds"),
        keys: KeySource(folder),
        cluster: "wire".to_owned(),
    }
}

/// Starts a layer 2 driver that nobody asks and nobody listens to.
///
/// # Errors
/// Its thread cannot be started.
pub(crate) fn start_layer2(
    orders: watch::Receiver<Orders>,
    settings: Settings,
    metrics: Metrics,
    stop: CancellationToken,
) -> Result<JoinHandle<()>> {
    let ((_, requests), (reports, _)) = (mpsc::channel(1), mpsc::channel(1));
    let (summary, _) = watch::channel(Summary::default());
    drivers::layer2::start(Channels { orders, requests, reports, summary }, settings, metrics, stop)
}

/// Orders to guard `vips`, on each of which `claimed` ports are claimed.
pub(crate) fn guarding(vips: &[IpAddr], claimed: &[(Protocol, u16)]) -> Orders {
    let ports: Arc<[(Protocol, u16)]> = BTreeSet::from_iter(claimed.iter().copied()).into_iter().collect();
    let guard = GuardInput { vips: vips.iter().map(|vip| (*vip, Arc::clone(&ports))).collect() };
    Orders { plan: Arc::new(Plan { guard, ..Plan::default() }), ..Orders::default() }
}

/// Orders to announce exactly `vips`, each a group of its own, for which every node is a candidate.
pub(crate) fn announcing(vips: &[IpAddr]) -> Orders {
    let mut plan = Plan::default();
    for vip in vips {
        let name = ObjectName::new("shop", &vip.to_string());
        let group = GroupKey(OwnerKey::Service(name.clone()));
        let vip_plan = VipPlan {
            owners: [Owner { kind: OwnerKind::Service, name }].into(),
            group: group.clone(),
            decision: Decision::Announce,
            while_holding: Decision::Announce,
            interfaces: None,
            conflict_detection: Default::default(),
            bgp: Default::default(),
            announcer: Some(NodeName::from("n1")),
        };
        let group_plan = GroupPlan {
            id: rendezvous::group_id(&group),
            vips: [*vip].into(),
            candidates: ["n1", "n2", "n3"].map(NodeName::from).into(),
            unready: [].into(),
            forwards: true,
            lingers: false,
            revert: false,
        };
        plan.vips.insert(*vip, Arc::new(vip_plan));
        plan.groups.insert(group, Arc::new(group_plan));
    }
    Orders { plan: Arc::new(plan), ..Orders::default() }
}

/// The same in a cluster of these nodes, whose speakers look for each other on the first segment.
pub(crate) fn announcing_among(nodes: &[Host], vips: &[IpAddr]) -> Orders {
    let internal_ips = |node: &Host| (NodeName::from(node.name()), vec![node.address_v4().into()]);
    let nodes: BTreeMap<_, _> = nodes.iter().map(internal_ips).collect();
    Orders { nodes: Arc::new(nodes), ..announcing(vips) }
}
