//! What a test can break at a host, and mend again.

use std::fmt::Write as _;

use anyhow::{Result, ensure};

use crate::host::Host;
use crate::machine;
use crate::netns::Namespace;
use crate::network::{self, MANAGEMENT_BRIDGE};

/// Random loss at a host's interface, in percent of the frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Of what the segment sends to the host.
    pub to_host_percent: u8,
    /// Of what the host sends.
    pub from_host_percent: u8,
}

impl Host {
    /// Cuts the host from a segment silently: its interface keeps carrier, but no frame comes or goes.
    pub fn unplug(&self, segment: u8) -> Result<()> {
        self.at_switch(&format!("link set {} nomaster", self.port(segment)))
    }

    /// Ends [`Host::unplug`].
    pub fn plug(&self, segment: u8) -> Result<()> {
        self.at_switch(&format!(
            "link set {} master {}",
            self.port(segment),
            network::segment_bridge(segment)
        ))
    }

    /// Takes the carrier of the host's interface on a segment away, or gives it back, as a pulled cable does.
    pub fn set_carrier(&self, segment: u8, carrier: bool) -> Result<()> {
        self.at_switch(&format!("link set {} {}", self.port(segment), if carrier { "up" } else { "down" }))
    }

    /// Cuts the host from the management network silently: the API server is gone for it, the segments are fine.
    pub fn cut_management(&self) -> Result<()> {
        self.at_switch(&format!("link set {} nomaster", network::management_port(&self.name)))
    }

    /// Ends [`Host::cut_management`].
    pub fn restore_management(&self) -> Result<()> {
        self.at_switch(&format!(
            "link set {} master {MANAGEMENT_BRIDGE}",
            network::management_port(&self.name)
        ))
    }

    /// Loses frames at random on a segment, instead of what was lost before; [`Loss::default`] loses none.
    pub fn set_loss(&self, segment: u8, loss: Loss) -> Result<()> {
        let percents = [loss.to_host_percent, loss.from_host_percent];
        ensure!(percents.iter().all(|percent| *percent <= 100), "a loss is at most 100 percent: {loss:?}");
        let interface = format!("eth{segment}");
        drop_at_ingress(&self.namespace(), &interface, loss.to_host_percent, self)?;
        drop_at_ingress(&self.site.namespace("sw"), &self.port(segment), loss.from_host_percent, self)
    }

    /// Drops what comes to a UDP port of the host, or lets it through again.
    pub fn set_udp_block(&self, port: u16, blocked: bool) -> Result<()> {
        let table = format!("inet lab-block-{port}");
        let mut rules = format!("table {table} {{}}\ndelete table {table}\n");
        if blocked {
            let chain = "type filter hook input priority -500;";
            let _ = writeln!(rules, "table {table} {{ chain input {{ {chain} udp dport {port} drop; }}; }}");
        }
        nft(&self.namespace(), &rules, self)
    }

    fn at_switch(&self, line: &str) -> Result<()> {
        network::ip(&self.site.namespace("sw"), line)
    }
}

/// One table per device, whose chain drops a share of what comes in there.
fn drop_at_ingress(namespace: &Namespace, device: &str, percent: u8, host: &Host) -> Result<()> {
    let table = format!("netdev lab-loss-{device}");
    // A table must exist to be deleted; both in one transaction always succeed.
    let mut rules = format!("table {table} {{}}\ndelete table {table}\n");
    if percent > 0 {
        let chain = format!("type filter hook ingress device \"{device}\" priority -500;");
        let rule = match percent {
            100 => "drop".to_owned(),
            _ => format!("numgen random mod 100 < {percent} drop"),
        };
        let _ = writeln!(rules, "table {table} {{ chain ingress {{ {chain} {rule}; }}; }}");
    }
    nft(namespace, &rules, host)
}

/// Loads rules in a namespace.
fn nft(namespace: &Namespace, rules: &str, host: &Host) -> Result<()> {
    let parts = &host.site.parts;
    let mut nft = namespace.command(parts.debian("/usr/sbin/nft"));
    nft.env("LD_LIBRARY_PATH", parts.library_path()).args(["-f", "-"]);
    machine::run_with_input(&mut nft, rules).map(drop)
}
