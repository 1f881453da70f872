//! The speaker's drivers, each on a thread inside a host's network, with a test in place of the plan.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Result;
use keryx_api::Protocol;
use keryx_api::ledger::OwnerKind;
use keryx_lab::Host;
use keryx_plan::{Decision, GroupKey, GuardInput, NodeName, ObjectName, Owner, OwnerKey, Plan, VipPlan};
use keryx_speaker::{Metrics, Orders, drivers};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::worker::Worker;

/// A running driver. Dropping it stops it and waits for its end.
pub(crate) struct Driver {
    orders: watch::Sender<Orders>,
    /// What it counts.
    pub(crate) metrics: Metrics,
    _worker: Worker,
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
        Self::start(node, orders, |orders, metrics, stop| {
            drivers::layer2::start(orders, BTreeSet::new(), metrics, stop)
        })
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
        Ok(Self { orders, metrics, _worker: Worker::new(stop, thread) })
    }

    /// Gives it new orders instead of all earlier ones.
    pub(crate) fn order(&self, orders: Orders) {
        self.orders.send_replace(orders);
    }
}

/// Orders to guard `vips`, on each of which `claimed` ports are claimed.
pub(crate) fn guarding(vips: &[IpAddr], claimed: &[(Protocol, u16)]) -> Orders {
    let ports = BTreeSet::from_iter(claimed.iter().copied());
    let guard = GuardInput { vips: vips.iter().map(|vip| (*vip, ports.clone())).collect() };
    Orders { plan: Arc::new(Plan { guard, ..Plan::default() }), ..Orders::default() }
}

/// Orders to announce exactly `vips`.
pub(crate) fn announcing(vips: &[IpAddr]) -> Orders {
    let name = ObjectName::new("shop", "web");
    let vip_plan = VipPlan {
        owners: [Owner { kind: OwnerKind::Service, name: name.clone() }].into(),
        group: GroupKey(OwnerKey::Service(name)),
        decision: Decision::Announce,
        announcer: Some(NodeName::from("n1")),
    };
    let vips: BTreeMap<_, _> = vips.iter().map(|vip| (*vip, vip_plan.clone())).collect();
    Orders { plan: Arc::new(Plan { vips, ..Plan::default() }), ..Orders::default() }
}
