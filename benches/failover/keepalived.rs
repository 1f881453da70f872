//! keepalived as a peer: VRRP with the intervals that it has by default, one instance on every node.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use keryx_lab::{Host, Process, Signal};
use keryx_tests::Keryx;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use tempfile::TempDir;

/// Names the program.
const VARIABLE: &str = "KEEPALIVED_BIN";

/// The program, as it is given.
#[derive(Debug)]
pub(crate) struct Program(PathBuf);

impl Program {
    /// The program that `KEEPALIVED_BIN` names; `None` if it is not set.
    ///
    /// # Errors
    /// There is no such file.
    pub(crate) fn from_environment() -> Result<Option<Self>> {
        let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) else { return Ok(None) };
        let path = fs::canonicalize(&path).with_context(|| format!("{VARIABLE}: {}", path.display()))?;
        ensure!(path.is_file(), "{VARIABLE}: {} is no program", path.display());
        Ok(Some(Self(path)))
    }
}

/// keepalived on every node. It ends with this value.
pub(crate) struct Keepalived {
    instances: Vec<Instance>,
    folder: TempDir,
}

struct Instance {
    node: String,
    process: Process,
}

impl Keepalived {
    /// Starts it on every node, to hold `address` on one of them.
    pub(crate) fn start(program: &Program, keryx: &Keryx, address: Ipv4Addr) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut instances = Vec::new();
        for (number, host) in (0..).zip(keryx.lab.nodes()) {
            let node = host.name().to_owned();
            let path = |what: &str| folder.path().join(format!("{node}.{what}")).display().to_string();
            fs::write(path("conf"), config(address, 100 - number))?;
            let (conf, parent, child) = (path("conf"), path("pid"), path("vrrp"));
            let args = ["-n", "-l", "-P", "-f", &conf, "-p", &parent, "-r", &child];
            let process = host.spawn("keepalived", &program.0, args, [])?;
            instances.push(Instance { node, process });
        }
        Ok(Self { instances, folder })
    }

    /// Sends a signal to both of its processes on a node: the one that speaks VRRP, and the one that would start it again.
    pub(crate) fn signal(&self, node: &Host, signal: Signal) -> Result<()> {
        for what in ["pid", "vrrp"] {
            let file = self.folder.path().join(format!("{}.{what}", node.name()));
            let text =
                fs::read_to_string(&file).with_context(|| format!("no keepalived on {}", node.name()))?;
            kill(Pid::from_raw(text.trim().parse()?), signal)
                .with_context(|| format!("{signal} to keepalived"))?;
        }
        Ok(())
    }

    /// Starts it where it has ended.
    pub(crate) fn start_again(&self) -> Result<()> {
        for Instance { node, process } in &self.instances {
            if !process.is_running() {
                for what in ["pid", "vrrp"] {
                    let _gone = fs::remove_file(self.folder.path().join(format!("{node}.{what}")));
                }
                process.start()?;
            }
        }
        Ok(())
    }
}

/// All begin as backups, and none takes the address from another that has it, as Keryx does by default.
fn config(address: Ipv4Addr, priority: u8) -> String {
    format!(
        "global_defs {{\n  vrrp_garp_master_refresh 60\n}}\n\
         vrrp_instance bench {{\n  state BACKUP\n  nopreempt\n  interface eth0\n  virtual_router_id 51\n  \
         priority {priority}\n  advert_int 1\n  virtual_ipaddress {{\n    {address}/24 dev eth0\n  }}\n}}\n"
    )
}
