//! The index, and where its plan goes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keryx_plan::{Decision, Index, NodeName};
use tokio::sync::{mpsc, watch as state};
use tracing::{debug, info, warn};

use crate::clock;
use crate::drivers::bgp::Standings;
use crate::drivers::layer2::Report;
use crate::events::Events;
use crate::metrics::{Metrics, ReasonLabels};
use crate::orders::Orders;
use crate::snapshot;
use crate::watches::{INPUTS_MAX, Input, KINDS};

mod inputs;

/// How long a start waits for the API server before it says so.
const PATIENCE: Duration = Duration::from_secs(3);

/// The index, fed by watches.
pub(crate) struct Core {
    me: NodeName,
    index: Index,
    /// Every Node with its InternalIPs.
    nodes: BTreeMap<NodeName, Vec<IpAddr>>,
    /// Whether this node hands over what it holds.
    draining: bool,
    /// Nodes or `draining` have changed since the last orders.
    nodes_changed: bool,
    /// Kinds that have not sent their first full list yet.
    unsynced: BTreeSet<&'static str>,
    /// Whether there has been a plan.
    planned: bool,
    orders: state::Sender<Orders>,
    metrics: Metrics,
    events: Events,
}

/// What the drivers tell.
pub(crate) struct News {
    /// Layer 2.
    pub(crate) reports: mpsc::Receiver<Report>,
    /// BGP.
    pub(crate) standings: state::Receiver<Standings>,
}

impl Core {
    pub(crate) fn new(me: NodeName, orders: state::Sender<Orders>, metrics: Metrics, events: Events) -> Self {
        Self {
            me,
            index: Index::default(),
            nodes: BTreeMap::new(),
            draining: false,
            nodes_changed: false,
            unsynced: BTreeSet::from(KINDS),
            planned: false,
            orders,
            metrics,
            events,
        }
    }

    /// Takes in changes and tells the drivers what follows, until the watches are gone.
    pub(crate) async fn run(mut self, mut inputs: mpsc::Receiver<Input>, news: News, plan_file: PathBuf) {
        let News { mut reports, mut standings } = news;
        let mut batch = Vec::new();
        let mut patience = std::pin::pin!(tokio::time::sleep(PATIENCE));
        let mut waits = true;
        self.go_on_from(&plan_file);
        loop {
            tokio::select! {
                () = &mut patience, if waits => {
                    waits = false;
                    self.say_what_is_waited_for();
                }
                Some(report) = reports.recv() => self.events.tell(&report, &self.index, clock::now()),
                Ok(()) = standings.changed() => {
                    self.events.tell_sessions(&standings.borrow_and_update(), clock::now());
                }
                count = inputs.recv_many(&mut batch, INPUTS_MAX) => {
                    if count == 0 {
                        return;
                    }
                    batch.drain(..).for_each(|input| self.apply(input));
                    if self.unsynced.is_empty() {
                        self.publish();
                    }
                }
            }
        }
    }

    /// Goes on from the plan that the speaker before this one left, until there is one from the API server: to list a large
    /// cluster takes seconds, and the server may be down. What is not so any more does no harm for that long: the segment is asked
    /// before anything is announced, and the guard drops what nobody serves.
    fn go_on_from(&self, plan_file: &Path) {
        if let Some(orders) = snapshot::read(plan_file) {
            info!(vips = orders.plan.vips.len(), "going on from the last plan on this node");
            self.metrics.plan_is_stale.set(1);
            self.orders.send_replace(orders);
        }
    }

    fn say_what_is_waited_for(&self) {
        if self.planned {
            return;
        }
        let waiting_for: Vec<&str> = self.unsynced.iter().copied().collect();
        let waiting_for = waiting_for.join(", ");
        match self.orders.borrow().plan.vips.len() {
            0 => warn!(waiting_for, "the API server cannot be reached; announcing nothing until it can"),
            vips => warn!(
                waiting_for,
                vips, "the API server cannot be reached; the last plan on this node goes on"
            ),
        }
    }

    /// Computes what changed, and tells the drivers if that is anything. The first plan is told even if it is empty.
    fn publish(&mut self) {
        let changes = self.index.update(&self.me);
        let first = !std::mem::replace(&mut self.planned, true);
        self.metrics.plan_is_stale.set(0);
        let nodes_changed = std::mem::take(&mut self.nodes_changed);
        if !first && changes.is_empty() && !nodes_changed {
            return;
        }
        debug!(groups = changes.groups_computed, "plan changed");
        self.report();
        let nodes = if first || nodes_changed {
            Arc::new(self.nodes.clone())
        } else {
            Arc::clone(&self.orders.borrow().nodes)
        };
        self.orders.send_replace(Orders {
            plan: Arc::clone(self.index.plan()),
            internal_ips: self.nodes.get(&self.me).cloned().unwrap_or_default(),
            draining: self.draining,
            nodes,
        });
    }

    fn report(&self) {
        let mut skipped = std::collections::BTreeMap::new();
        for vip in self.index.plan().vips.values() {
            if let Decision::Skip(reason) = &vip.decision {
                *skipped.entry(reason.code()).or_insert(0) += 1;
            }
        }
        self.metrics.vips_skipped.clear();
        for (reason, count) in skipped {
            self.metrics.vips_skipped.get_or_create(&ReasonLabels { reason }).set(count);
        }
    }
}
