//! What fails, and what heals it.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use keryx_lab::{Host, Signal};
use keryx_tests::app::{load_balancer, service};
use keryx_tests::keryx::NAMESPACE;
use keryx_tests::outage::Outage;
use keryx_tests::{Keryx, Space, wait};

use crate::overlap;

const PORT: u16 = 7000;
/// After a fault, and after its end, until all is quiet.
const SETTLE: Duration = Duration::from_millis(1500);

/// Until every kube-proxy has heard that a Pod has moved; it looks once a second.
const KUBE_PROXIES: Duration = Duration::from_secs(3);

/// One kind of fault.
pub(crate) struct Event {
    /// As the row of its median is named.
    pub(crate) name: &'static str,
    /// As the row of its longest is named.
    pub(crate) name_of_max: &'static str,
    /// The longest outage that is permitted, in milliseconds.
    pub(crate) most_ms: f64,
    fault: fn(&Keryx, &Host) -> Result<()>,
    heal: fn(&Keryx, &Host) -> Result<()>,
}

/// All events, in the order of the table.
pub(crate) const EVENTS: [Event; 6] = [
    Event {
        name: "holder unplugged silently, p50",
        name_of_max: "holder unplugged silently, max",
        most_ms: 500.0,
        fault: |_, holder| holder.unplug(0),
        heal: |_, holder| holder.plug(0),
    },
    Event {
        name: "its carrier lost, p50",
        name_of_max: "its carrier lost, max",
        // The speakers have a second path, by the management network.
        most_ms: 150.0,
        fault: |_, holder| holder.set_carrier(0, false),
        heal: |_, holder| holder.set_carrier(0, true),
    },
    Event {
        name: "speaker SIGKILL, p50",
        name_of_max: "speaker SIGKILL, max",
        most_ms: 500.0,
        fault: |keryx, holder| keryx.signal_speaker(holder, Signal::SIGKILL),
        heal: |keryx, _| keryx.wait_speakers(),
    },
    Event {
        name: "drain of the holder, p50",
        name_of_max: "drain of the holder, max",
        most_ms: 5.0,
        fault: |keryx, holder| annotate(keryx, holder, "keryx.dev/drain="),
        heal: |keryx, holder| annotate(keryx, holder, "keryx.dev/drain-"),
    },
    Event {
        name: "rolling update of all speakers, p50",
        name_of_max: "rolling update of all speakers, max",
        most_ms: 5.0,
        fault: |keryx, _| {
            keryx.lab.kubectl(&["-n", NAMESPACE, "rollout", "restart", "daemonset/keryx-speaker"])?;
            keryx.wait_speakers()
        },
        heal: |_, _| Ok(()),
    },
    Event {
        name: "frozen speaker, then continued, p50",
        name_of_max: "frozen speaker, then continued, max",
        most_ms: 500.0,
        fault: |keryx, holder| keryx.signal_speaker(holder, Signal::SIGSTOP),
        heal: |keryx, holder| keryx.signal_speaker(holder, Signal::SIGCONT),
    },
];

fn annotate(keryx: &Keryx, node: &Host, annotation: &str) -> Result<()> {
    keryx.lab.kubectl(&["annotate", "node", node.name(), annotation, "--overwrite"]).map(drop)
}

/// A Service of policy `Cluster`. Its endpoints are on nodes that no round breaks if that can be.
pub(crate) struct Scene<'a> {
    keryx: &'a Keryx,
    space: Space<'a>,
    address: IpAddr,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(keryx: &'a Keryx) -> Result<Self> {
        let space = Space::new(keryx, "failover")?;
        space.run_app("web", 1, None)?;
        space.apply(service("web", "web", PORT, load_balancer()))?;
        let address = space.service_address("web")?;
        keryx.client().announcer(address)?;
        Ok(Self { keryx, space, address })
    }

    fn holder(&self) -> Result<Host> {
        let name = self.keryx.client().announcer(self.address)?;
        self.keryx.lab.nodes().into_iter().find(|node| node.name() == name).context("no such node")
    }

    /// Moves the app's Pod to a node other than the holder, so that the outage is that of the announcement alone.
    fn with_endpoint_elsewhere(&self, holder: &Host) -> Result<()> {
        let answer = self.keryx.client().udp(self.address, PORT)?;
        if answer.node != holder.name() {
            return Ok(());
        }
        let nodes = self.keryx.lab.nodes();
        let other =
            nodes.iter().find(|node| node.name() != holder.name()).context("there is one node only")?;
        self.space.run_app("web", 1, Some(other.name()))?;
        wait::until("an answer from there", || {
            let answer = self.keryx.client().udp(self.address, PORT)?;
            Ok((answer.node == other.name()).then_some(()))
        })?;
        std::thread::sleep(KUBE_PROXIES);
        ensure!(self.holder()?.name() == holder.name(), "the announcer moved with the Pod");
        Ok(())
    }

    /// What the speakers said last, for a round that took too long.
    pub(crate) fn logs(&self) -> String {
        self.keryx.pods()
    }

    /// The outage of one round, and for how long two nodes announced at once.
    pub(crate) fn round(&self, event: &Event) -> Result<(Outage, Duration)> {
        let holder = self.holder()?;
        self.with_endpoint_elsewhere(&holder)?;
        let capture = self.keryx.client().capture()?;
        let began = keryx_lab::capture::wall_nanos();
        let fault = || (event.fault)(self.keryx, &holder);
        let outage = self.keryx.client().outage((self.address, PORT), SETTLE, fault);
        (event.heal)(self.keryx, &holder)?;
        let outage = outage?;
        std::thread::sleep(SETTLE);
        self.keryx.wait_speakers()?;
        ensure!(capture.missed() == 0, "the capture is incomplete");
        let overlap = overlap::longest(&capture.events(), self.address, began);
        Ok((outage, overlap))
    }
}
