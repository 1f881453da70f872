//! Who announces the VIP while it is measured.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Result;
use keryx_benches::metallb::MetalLb;
use keryx_benches::side::Side;
use keryx_lab::{Host, Signal};
use keryx_tests::speaker::{running, signal_program};
use keryx_tests::{Keryx, wait};
use serde_json::{Value, json};

use crate::keepalived::{Keepalived, Program};

/// What MetalLB gives out, of the lab's first segment.
const METALLB_RANGE: &str = "10.98.0.150-10.98.0.159";
/// What keepalived holds, of the same.
const KEEPALIVED_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 149);

/// Those who are compared. Each keeps its address on one node, and moves it when that fails.
pub(crate) enum Contender {
    Keryx,
    MetalLb,
    Keepalived(Keepalived),
}

/// The peers whose programs are given.
pub(crate) struct Peers {
    metallb: Option<MetalLb>,
    keepalived: Option<Program>,
}

impl Peers {
    /// Those that `METALLB_BIN` and `KEEPALIVED_BIN` name.
    ///
    /// # Errors
    /// One of them names something else.
    pub(crate) fn from_environment() -> Result<Self> {
        Ok(Self { metallb: MetalLb::from_environment()?, keepalived: Program::from_environment()? })
    }

    /// Takes Keryx away and starts one peer after the other, each alone. What `measure` makes of it is returned.
    pub(crate) fn each<T>(
        &self,
        keryx: &Keryx,
        mut measure: impl FnMut(&Contender) -> Result<T>,
    ) -> Result<Vec<(&'static str, T)>> {
        let mut measured = Vec::new();
        if self.metallb.is_some() || self.keepalived.is_some() {
            Side::KERYX.park(keryx)?;
        }
        if let Some(metallb) = &self.metallb {
            metallb.install(keryx, METALLB_RANGE, &[MetalLb::layer2()])?;
            measured.push((Contender::MetalLb.name(), measure(&Contender::MetalLb)?));
            Side::METALLB.park(keryx)?;
        }
        if let Some(program) = &self.keepalived {
            let peer = Contender::Keepalived(Keepalived::start(program, keryx, KEEPALIVED_ADDRESS)?);
            measured.push((peer.name(), measure(&peer)?));
        }
        Ok(measured)
    }
}

impl Contender {
    /// As the table names it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Keryx => Side::KERYX.name,
            Self::MetalLb => Side::METALLB.name,
            Self::Keepalived(_) => "keepalived",
        }
    }

    /// What runs in pods, if it does.
    pub(crate) fn side(&self) -> Option<Side> {
        match self {
            Self::Keryx => Some(Side::KERYX),
            Self::MetalLb => Some(Side::METALLB),
            Self::Keepalived(_) => None,
        }
    }

    /// The part of a Service's spec that makes its address this one's.
    pub(crate) fn service_spec(&self) -> Value {
        match self.side() {
            Some(side) => side.service_spec(),
            None => json!({ "externalIPs": [KEEPALIVED_ADDRESS] }),
        }
    }

    /// The address that it holds without being asked.
    pub(crate) fn own_address(&self) -> Option<Ipv4Addr> {
        self.side().is_none().then_some(KEEPALIVED_ADDRESS)
    }

    /// After a fault, and after its end, until all is quiet: longer than it takes to find the fault.
    pub(crate) fn settle(&self) -> Duration {
        match self {
            Self::Keryx => Duration::from_millis(1500),
            Self::MetalLb => Duration::from_secs(10),
            Self::Keepalived(_) => Duration::from_secs(6),
        }
    }

    /// Sends a signal to what announces on a node.
    pub(crate) fn signal(&self, node: &Host, signal: Signal) -> Result<()> {
        match self {
            Self::Keryx => signal_program(node, KERYX_SPEAKER, signal),
            Self::MetalLb => signal_program(node, METALLB_SPEAKER, signal),
            Self::Keepalived(keepalived) => keepalived.signal(node, signal),
        }
    }

    /// Waits until it runs on every node, where it is started again if nobody else does that.
    pub(crate) fn wait_ready(&self, keryx: &Keryx) -> Result<()> {
        let program = match self {
            Self::Keryx => KERYX_SPEAKER,
            Self::MetalLb => METALLB_SPEAKER,
            Self::Keepalived(keepalived) => return keepalived.start_again(),
        };
        if let Some(side) = self.side() {
            side.wait_ready(keryx)?;
        }
        wait::until(&format!("{program} on every node"), || {
            let nodes = keryx.lab.nodes();
            let pids = nodes.iter().map(|node| running(node, program)).collect::<Result<Vec<_>>>()?;
            Ok(pids.iter().all(Option::is_some).then_some(()))
        })
    }
}

const KERYX_SPEAKER: &str = "/keryx-speaker";
const METALLB_SPEAKER: &str = "/speaker";
