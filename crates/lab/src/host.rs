//! A host of the lab: a node, a client, or the control plane, each in a network namespace of its own.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::address;
use crate::netns::Namespace;
use crate::network;
use crate::role::{Role, mounts_holder, process_name};
use crate::run::{MountNamespace, Spec};
use crate::running::command_inside;
use crate::site::Site;
use crate::usage::Usage;

/// A host of a lab, gotten from [`crate::Lab`]. Its faults are in the same type: see [`Host::unplug`] and on.
#[derive(Clone, Debug)]
pub struct Host {
    pub(crate) site: Arc<Site>,
    pub(crate) name: String,
    pub(crate) number: u8,
}

impl Host {
    pub(crate) fn new(site: Arc<Site>, name: String, number: u8) -> Host {
        Host { site, name, number }
    }

    /// `n1` and on for nodes, which is the Node's name too; `c1` and on for clients; `cp`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its network namespace.
    pub fn namespace(&self) -> Namespace {
        self.site.namespace(&self.name)
    }

    /// Its address on the first segment, at `eth0`; a node's InternalIP. The control plane is on no segment.
    pub fn address_v4(&self) -> Ipv4Addr {
        address::segment_v4(0, self.number)
    }

    /// Its IPv6 address on the first segment, at `eth0`.
    pub fn address_v6(&self) -> Ipv6Addr {
        address::segment_v6(0, self.number)
    }

    /// Its addresses on a segment, counted from 0, at `eth<segment>`.
    pub fn addresses_on(&self, segment: u8) -> (Ipv4Addr, Ipv6Addr) {
        (address::segment_v4(segment, self.number), address::segment_v6(segment, self.number))
    }

    /// Its address on the management network, at `mgmt0`.
    pub fn management_address(&self) -> Ipv4Addr {
        address::management(self.number)
    }

    /// The hardware address of `eth0`.
    pub fn mac(&self) -> [u8; 6] {
        address::mac(self.address_v4())
    }

    /// The switch's port of its `eth<segment>`, in [`crate::Lab::switch`]: the place to see what the host really sent.
    pub fn port(&self, segment: u8) -> String {
        network::segment_port(&self.name, segment)
    }

    /// A command that runs inside the host: in its network, and on a node with its mounts and the container tools
    /// (`ctr`, `nft`) in `PATH`, so that paths in it must be absolute.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        command_inside(&self.site.state, &self.site.parts, &self.name, program)
    }

    /// Starts a program inside the host, with no environment but `env` and the `PATH` to the container tools; its
    /// output goes to a log. On a node it sees the node's mounts, as a pod with the host's paths would. `name` is free to choose, once per host at a
    /// time. The process is killed when the returned value is dropped, and at the latest with the lab.
    pub fn spawn(
        &self,
        name: &str,
        program: impl Into<PathBuf>,
        args: impl IntoIterator<Item = impl Into<String>>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Process> {
        let mounts = match self.site.pid(&mounts_holder(&self.name)) {
            Ok(_) => MountNamespace::Of(mounts_holder(&self.name)),
            Err(_) => MountNamespace::Host,
        };
        self.spawn_with(name, program, args, env, mounts)
    }

    /// As [`Host::spawn`], with these mounts.
    pub(crate) fn spawn_with(
        &self,
        name: &str,
        program: impl Into<PathBuf>,
        args: impl IntoIterator<Item = impl Into<String>>,
        env: impl IntoIterator<Item = (String, String)>,
        mounts: MountNamespace,
    ) -> Result<Process> {
        let name = format!("{}-{name}", self.name);
        anyhow::ensure!(!self.site.is_running(&name)?, "{name} runs already");
        let mut environment = self.site.parts.environment();
        environment.extend(env);
        self.site.start(Spec {
            name: name.clone(),
            namespace: self.site.state.namespace(&self.name),
            mounts,
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
            env: environment,
        })?;
        Ok(Process { site: Arc::clone(&self.site), name, ends_with_value: true })
    }

    /// One of the cluster's own processes on this host.
    pub fn process(&self, role: Role) -> Process {
        Process { site: Arc::clone(&self.site), name: process_name(&self.name, role), ends_with_value: false }
    }
}

/// A process that the lab started.
#[derive(Debug)]
pub struct Process {
    site: Arc<Site>,
    name: String,
    ends_with_value: bool,
}

impl Process {
    /// Its pid; fails, with its last words, if it has ended.
    pub fn pid(&self) -> Result<i32> {
        self.site.pid(&self.name)
    }

    /// True while it runs or is stopped.
    pub fn is_running(&self) -> bool {
        self.site.is_running(&self.name).unwrap_or_default()
    }

    /// Sends a signal: `SIGSTOP` freezes it, `SIGCONT` thaws it.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(self.pid()?), signal).with_context(|| format!("{signal} to {}", self.name))
    }

    /// Kills it and waits for its end. Nothing happens if it has ended.
    pub fn kill(&self) -> Result<()> {
        if self.is_running() {
            self.signal(Signal::SIGKILL)?;
        }
        self.wait(Duration::from_secs(10))
    }

    /// What it has used so far; fails if it has ended.
    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.pid()?).with_context(|| format!("what {} uses cannot be read", self.name))
    }

    /// Waits until it has ended by itself.
    pub fn wait(&self, limit: Duration) -> Result<()> {
        self.site.wait(&self.name, limit)
    }

    /// Starts it again as it was started before. Nothing happens while it runs.
    pub fn start(&self) -> Result<()> {
        self.site.start_again(&self.name)
    }

    /// The file with everything it has said.
    pub fn log(&self) -> PathBuf {
        self.site.state.log(&self.name)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ends_with_value
            && let Err(error) = self.kill()
        {
            eprintln!("lab: {} stays until the lab goes: {error:#}", self.name);
        }
    }
}
