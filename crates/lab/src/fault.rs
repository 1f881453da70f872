//! What a test can break at a host, and mend again.

mod disorder;

use std::fmt::Write as _;

use anyhow::{Result, ensure};

pub(crate) use self::disorder::Chances;
pub use self::disorder::LateCopies;
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

    /// Moves the host to the other half of a segment: from now on it reaches only hosts that were moved too, and keeps
    /// carrier. [`Host::plug`] moves it back.
    pub fn split_off(&self, segment: u8) -> Result<()> {
        let (switch, bridge) = (self.site.namespace("sw"), network::split_bridge(segment));
        if network::ip(&switch, &format!("link show dev {bridge}")).is_err() {
            network::ip(
                &switch,
                &format!("link add {bridge} type bridge forward_delay 0\nlink set {bridge} up"),
            )?;
        }
        self.at_switch(&format!("link set {} master {bridge}", self.port(segment)))
    }

    /// Ends [`Host::unplug`] and [`Host::split_off`].
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

    /// Takes the host's interface on a segment away with its addresses, as when a driver is unloaded.
    pub fn remove_interface(&self, segment: u8) -> Result<()> {
        network::ip(&self.namespace(), &format!("link del eth{segment}"))
    }

    /// Ends [`Host::remove_interface`]: name, addresses and hardware address are those of before, the interface's number
    /// is another.
    pub fn make_interface(&self, segment: u8) -> Result<()> {
        let switch = self.site.namespace("sw");
        network::make_segment_leg(&switch, &self.namespace(), (&self.name, self.number), segment)
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
        percents.into_iter().try_for_each(check_percent)?;
        let interface = format!("eth{segment}");
        drop_at_ingress(&self.namespace(), &interface, loss.to_host_percent, self)?;
        drop_at_ingress(&self.site.namespace("sw"), &self.port(segment), loss.from_host_percent, self)
    }

    /// Loses at random what comes to a UDP port of the host, in percent of the datagrams, instead of what was lost there
    /// before; 0 loses none.
    pub fn set_udp_loss(&self, port: u16, percent: u8) -> Result<()> {
        check_percent(percent)?;
        let table = format!("inet lab-loss-{port}");
        let mut rules = format!("table {table} {{}}\ndelete table {table}\n");
        if percent > 0 {
            let chain = "type filter hook input priority -500;";
            let share = drop_share(percent);
            let _ =
                writeln!(rules, "table {table} {{ chain input {{ {chain} udp dport {port} {share}; }}; }}");
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
        let share = drop_share(percent);
        let _ = writeln!(rules, "table {table} {{ chain ingress {{ {chain} {share}; }}; }}");
    }
    nft(namespace, &rules, host)
}

fn check_percent(percent: u8) -> Result<()> {
    ensure!(percent <= 100, "a loss is at most 100 percent, not {percent}");
    Ok(())
}

/// The end of a rule that drops so many percent of what it matches.
fn drop_share(percent: u8) -> String {
    if percent == 100 { "drop".to_owned() } else { format!("numgen random mod 100 < {percent} drop") }
}

/// Loads rules in a namespace.
fn nft(namespace: &Namespace, rules: &str, host: &Host) -> Result<()> {
    let parts = &host.site.parts;
    let mut nft = namespace.command(parts.debian("/usr/sbin/nft"));
    nft.env("LD_LIBRARY_PATH", parts.library_path()).args(["-f", "-"]);
    machine::run_with_input(&mut nft, rules).map(drop)
}
