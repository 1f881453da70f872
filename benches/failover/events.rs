//! What fails, and what heals it.

use anyhow::Result;
use keryx_lab::{Host, Signal};
use keryx_tests::Keryx;

use crate::contender::Contender;

/// Whoever announces by it leaves the node.
const EXCLUDE: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// One kind of fault.
pub(crate) struct Event {
    pub(crate) name: &'static str,
    /// The longest outage that is permitted, in milliseconds.
    pub(crate) most_ms: f64,
    /// The longest in which nobody answers a client that does not know the address yet.
    pub(crate) most_new_ms: f64,
    /// Whether it is one only for what runs in pods.
    pub(crate) needs_pods: bool,
    fault: fn(&Keryx, &Contender, &Host) -> Result<()>,
    heal: fn(&Keryx, &Contender, &Host) -> Result<()>,
}

/// All events, in the order of the table.
pub(crate) const EVENTS: [Event; 6] = [
    Event {
        name: "holder unplugged silently",
        most_ms: 500.0,
        most_new_ms: 500.0,
        needs_pods: false,
        fault: |_, _, holder| holder.unplug(0),
        heal: |_, _, holder| holder.plug(0),
    },
    Event {
        name: "its carrier lost",
        // The speakers have a second path, by the management network.
        most_ms: 150.0,
        most_new_ms: 150.0,
        needs_pods: false,
        fault: |_, _, holder| holder.set_carrier(0, false),
        heal: |_, _, holder| holder.set_carrier(0, true),
    },
    Event {
        name: "speaker SIGKILL",
        most_ms: 500.0,
        most_new_ms: 500.0,
        needs_pods: false,
        fault: |_, contender, holder| contender.signal(holder, Signal::SIGKILL),
        heal: |keryx, contender, _| contender.wait_ready(keryx),
    },
    Event {
        name: "drain of the holder",
        most_ms: 5.0,
        most_new_ms: 500.0,
        needs_pods: true,
        fault: |keryx, _, holder| label(keryx, holder, &format!("{EXCLUDE}=true")),
        heal: |keryx, _, holder| label(keryx, holder, &format!("{EXCLUDE}-")),
    },
    Event {
        name: "rolling update of all speakers",
        most_ms: 5.0,
        most_new_ms: 500.0,
        needs_pods: true,
        fault: rolling_update,
        heal: |_, _, _| Ok(()),
    },
    Event {
        name: "frozen speaker, then continued",
        most_ms: 500.0,
        most_new_ms: 500.0,
        needs_pods: false,
        fault: |_, contender, holder| contender.signal(holder, Signal::SIGSTOP),
        heal: |_, contender, holder| contender.signal(holder, Signal::SIGCONT),
    },
];

impl Event {
    /// Whether it can be done to that contender.
    pub(crate) fn concerns(&self, contender: &Contender) -> bool {
        !self.needs_pods || contender.side().is_some()
    }

    /// Does it to the node that announces.
    pub(crate) fn fault(&self, keryx: &Keryx, contender: &Contender, holder: &Host) -> Result<()> {
        (self.fault)(keryx, contender, holder)
    }

    /// Ends it.
    pub(crate) fn heal(&self, keryx: &Keryx, contender: &Contender, holder: &Host) -> Result<()> {
        (self.heal)(keryx, contender, holder)
    }
}

fn label(keryx: &Keryx, node: &Host, label: &str) -> Result<()> {
    keryx.lab.kubectl(&["label", "node", node.name(), label, "--overwrite"]).map(drop)
}

fn rolling_update(keryx: &Keryx, contender: &Contender, _: &Host) -> Result<()> {
    if let Some(side) = contender.side() {
        let workload = format!("daemonset/{}", side.daemonset);
        keryx.lab.kubectl(&["-n", side.namespace(), "rollout", "restart", &workload])?;
    }
    contender.wait_ready(keryx)
}
