//! For how long a client on the nodes' segment is without an answer.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use keryx_lab::capture::Transport;
use keryx_lab::probe::{Pace, PingReport, Pinger};

use crate::client::Client;

/// From one probe to the next.
pub const INTERVAL: Duration = Duration::from_millis(1);
/// How long a late answer still counts.
const LATE: Duration = Duration::from_millis(500);
/// Before and after what is done, so that a gap has two ends.
const MARGIN: Duration = Duration::from_millis(500);

/// What a client on the segment has missed.
#[derive(Clone, Copy, Debug)]
pub struct Outage {
    /// The longest time in which whatever it asked stayed without an answer.
    pub unanswered: Duration,
    /// The longest time without an answer. Also grows when client, server or speakers wait for a processor, of which the lab has
    /// few.
    pub silence: Duration,
}

impl Client<'_> {
    /// For how long nobody answered over UDP while `fault` was done and for `settle` after it, at most.
    ///
    /// # Errors
    /// The fault fails, nobody answers before it, or nobody at the end.
    pub fn outage(
        &self,
        (address, port): (IpAddr, u16),
        settle: Duration,
        fault: impl FnOnce() -> Result<()>,
    ) -> Result<Outage> {
        self.udp(address, port)?;
        let server = SocketAddr::new(address, port);
        let pace = Pace::new(INTERVAL, Duration::from_secs(120));
        let host = self.keryx.lab.client_host(1);
        let pinger = Pinger::start(&host.namespace(), Transport::Udp, server, pace, LATE)?;
        std::thread::sleep(MARGIN);
        let done = fault();
        std::thread::sleep(settle);
        let PingReport { longest_outage, longest_gap, answered, .. } = pinger.stop();
        done?;
        ensure!(answered > 0, "nobody answers at {server}");
        self.udp(address, port).context("nobody answers after the fault")?;
        Ok(Outage { unanswered: longest_outage, silence: longest_gap.length })
    }
}
