//! The Service whose address is moved, and one round of a fault.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use keryx_lab::Host;
use keryx_lab::capture::{Capture, wall_nanos};
use keryx_lab::probe::{Asker, Pace};
use keryx_tests::app::service;
use keryx_tests::outage::Outage;
use keryx_tests::{Keryx, Space, wait};

use crate::contender::Contender;
use crate::events::Event;
use crate::overlap;

const PORT: u16 = 7000;
/// Until every kube-proxy has heard that a Pod has moved; it looks once a second.
const KUBE_PROXIES: Duration = Duration::from_secs(3);
/// From one question of a new client to the next, and for how long at most.
const ASKS: (Duration, Duration) = (Duration::from_millis(2), Duration::from_secs(180));

/// A Service of policy `Cluster`. Its endpoints are on nodes that no round breaks if that can be.
pub(crate) struct Scene<'a> {
    keryx: &'a Keryx,
    contender: &'a Contender,
    space: Space<'a>,
    address: IpAddr,
}

/// What one round has shown.
pub(crate) struct Round {
    /// What a client missed that was there before.
    pub(crate) outage: Outage,
    /// For how long a question who has the address stayed without an answer.
    pub(crate) new_clients: Duration,
    /// For how long two nodes announced at once.
    pub(crate) overlap: Duration,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(keryx: &'a Keryx, contender: &'a Contender) -> Result<Self> {
        let space = Space::new(keryx, &format!("failover-{}", contender.name().to_lowercase()))?;
        space.run_app("web", 1, None)?;
        space.apply(service("web", "web", PORT, contender.service_spec()))?;
        let address = match contender.own_address() {
            Some(address) => address.into(),
            None => space.service_address("web")?,
        };
        keryx.client().announcer(address)?;
        Ok(Self { keryx, contender, space, address })
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

    /// Whether it is Keryx that is measured.
    pub(crate) fn is_keryx(&self) -> bool {
        matches!(self.contender, Contender::Keryx)
    }

    /// What Keryx said last, for a round that took too long.
    pub(crate) fn logs(&self) -> String {
        self.keryx.pods()
    }

    /// Breaks something once, and mends it.
    pub(crate) fn round(&self, event: &Event) -> Result<Round> {
        let (keryx, contender) = (self.keryx, self.contender);
        let IpAddr::V4(target) = self.address else { bail!("{} is not found by ARP", self.address) };
        let holder = self.holder()?;
        self.with_endpoint_elsewhere(&holder)?;
        // The first client's kernel knows the address, and learns of a move by what is announced alone. The second asks, and
        // sees every answer.
        let newcomer = keryx.lab.client_host(2).namespace();
        let capture = Capture::start(&newcomer, "eth0")?;
        let began = wall_nanos();
        let asker = Asker::start(&newcomer, "eth0", target, Pace::new(ASKS.0, ASKS.1))?;
        let fault = || event.fault(keryx, contender, &holder);
        let outage = keryx.client().outage((self.address, PORT), contender.settle(), fault);
        let asked = asker.stop();
        event.heal(keryx, contender, &holder)?;
        let (outage, asked) = (outage?, asked?);
        ensure!(asked.answered > 0, "nobody answers who has {}", SocketAddr::new(self.address, PORT));
        std::thread::sleep(contender.settle());
        contender.wait_ready(keryx)?;
        ensure!(capture.missed() == 0, "the capture is incomplete");
        let overlap = overlap::longest(&capture.events(), self.address, began);
        Ok(Round { outage, new_clients: asked.longest_outage, overlap })
    }
}
