//! What a client on the nodes' segment sees of a VIP.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use keryx_lab::Host;
use keryx_lab::capture::{Capture, MacAddr};
use keryx_lab::probe::{self, Answer, ProbeError};

use crate::keryx::Keryx;
use crate::wait;

/// Longest wait of one try; a lost SYN is repeated only after a second.
const TRY: Duration = Duration::from_millis(500);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(20);
/// How long answers to one ARP request are collected.
const ARP_WINDOW: Duration = Duration::from_millis(100);

/// The first client of a lab.
pub struct Client<'a> {
    pub(crate) keryx: &'a Keryx,
}

impl Keryx {
    /// The client.
    pub fn client(&self) -> Client<'_> {
        Client { keryx: self }
    }
}

impl Client<'_> {
    /// The app's answer over TCP, tried again until there is one.
    ///
    /// # Errors
    /// Nobody answers.
    pub fn tcp(&self, address: IpAddr, port: u16) -> Result<Answer> {
        let host = self.keryx.lab.client_host(1);
        let server = SocketAddr::new(address, port);
        probe::until_answered(wait::LIMIT, PAUSE, || probe::tcp_once(&host.namespace(), server, TRY))
            .with_context(|| format!("no answer over TCP from {server}"))
    }

    /// The app's answer over UDP, from a new port for each try.
    ///
    /// # Errors
    /// Nobody answers.
    pub fn udp(&self, address: IpAddr, port: u16) -> Result<Answer> {
        let host = self.keryx.lab.client_host(1);
        let server = SocketAddr::new(address, port);
        probe::until_answered(wait::LIMIT, PAUSE, || probe::udp_once(&host.namespace(), server, TRY))
            .with_context(|| format!("no answer over UDP from {server}"))
    }

    /// Waits until a TCP connection is refused, not merely unanswered.
    ///
    /// # Errors
    /// It never is.
    pub fn tcp_refused(&self, address: IpAddr, port: u16) -> Result<()> {
        let server = SocketAddr::new(address, port);
        self.refused(&format!("a TCP reset from {server}"), |host| probe::tcp_once(host, server, TRY))
    }

    /// Waits until a UDP datagram is refused.
    ///
    /// # Errors
    /// It never is.
    pub fn udp_refused(&self, address: IpAddr, port: u16) -> Result<()> {
        let server = SocketAddr::new(address, port);
        self.refused(&format!("port unreachable from {server}"), |host| probe::udp_once(host, server, TRY))
    }

    fn refused(
        &self,
        what: &str,
        ask: impl Fn(&keryx_lab::netns::Namespace) -> Result<Answer, ProbeError>,
    ) -> Result<()> {
        let host = self.keryx.lab.client_host(1).namespace();
        wait::until(what, || match ask(&host) {
            Err(ProbeError::Refused) => Ok(Some(())),
            Err(other) => bail!("{other}"),
            Ok(answer) => bail!("{} answers", answer.pod),
        })
    }

    /// Names of the nodes that answer an ARP request for the address.
    ///
    /// # Errors
    /// The request cannot be sent, or something that is no node answers.
    pub fn announcers(&self, address: IpAddr) -> Result<BTreeSet<String>> {
        let IpAddr::V4(target) = address else { bail!("{address} is not found by ARP") };
        let host = self.keryx.lab.client_host(1).namespace();
        let answers = probe::arp_once(&host, "eth0", target, ARP_WINDOW)?;
        answers.into_iter().map(|answer| self.keryx.node_of(answer.mac)).collect()
    }

    /// Waits until exactly one node answers ARP, and returns its name.
    ///
    /// # Errors
    /// None or several do.
    pub fn announcer(&self, address: IpAddr) -> Result<String> {
        wait::until(&format!("one announcer of {address}"), || {
            let announcers = self.announcers(address)?;
            if announcers.len() > 1 {
                bail!("{announcers:?} answer");
            }
            Ok(announcers.into_iter().next())
        })
    }

    /// A capture at the client's end of the segment.
    ///
    /// # Errors
    /// No packet socket can be opened.
    pub fn capture(&self) -> Result<Capture> {
        Capture::start(&self.keryx.lab.client_host(1).namespace(), "eth0")
    }
}

impl Keryx {
    /// Name of the node with that hardware address.
    ///
    /// # Errors
    /// It is no node's.
    pub fn node_of(&self, mac: MacAddr) -> Result<String> {
        let nodes = self.lab.nodes();
        let node = nodes.iter().find(|node| node.mac() == mac.0);
        node.map(|node| node.name().to_owned()).with_context(|| format!("{mac} is no node's address"))
    }
}

/// The routes of a host to exactly this address or prefix, as its kernel shows them.
///
/// # Errors
/// `ip` fails.
pub fn ip_route(host: &Host, destination: impl Display) -> Result<String> {
    let output = host.command("ip").args(["route", "show", &destination.to_string()]).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
