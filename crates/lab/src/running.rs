//! Labs that another process started, by their state folders: what `keryx-lab` does with a lab that is kept.

use std::ffi::OsStr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;

use crate::clock;
use crate::lab::kubectl;
use crate::machine;
use crate::netns::Namespace;
use crate::parts::Parts;
use crate::process::ProcessId;
use crate::role::mounts_holder;
use crate::state::State;
use crate::teardown::tear_down;

const LIMIT: Duration = Duration::from_secs(60);

/// A lab that is up, whoever started it.
#[derive(Debug)]
pub struct Running {
    state: State,
    parts: Parts,
}

impl Running {
    /// The lab with a prefix such as `kx1`, or the only one.
    pub fn find(prefix: Option<&str>) -> Result<Running> {
        machine::check_root()?;
        let mut labs = State::all()?;
        labs.retain(|state| state.keeper().is_some() && prefix.is_none_or(|prefix| state.prefix() == prefix));
        let state = match labs.len() {
            0 if prefix.is_some() => bail!("no lab {} is up", prefix.unwrap_or_default()),
            0 => bail!("no lab is up; remedy: keryx-lab up"),
            1 => labs.remove(0),
            _ => {
                let prefixes: Vec<_> = labs.iter().map(State::prefix).collect();
                bail!("several labs are up; remedy: --lab with one of {}", prefixes.join(", "))
            }
        };
        let parts = Parts::load(&state)?;
        Ok(Running { state, parts })
    }

    /// The prefix of the names of its namespaces and cgroups.
    pub fn prefix(&self) -> &str {
        self.state.prefix()
    }

    /// kubectl with all rights, without arguments yet.
    pub fn kubectl(&self) -> Command {
        kubectl(&self.parts, &self.state)
    }

    /// As [`crate::Host::command`], by the host's name: `n1`, `c1`, `cp`, or `sw` for the switch.
    pub fn command(&self, host: &str, program: impl AsRef<OsStr>) -> Result<Command> {
        let namespace = self.state.namespace(host);
        if !Namespace::named(&namespace).path().exists() {
            bail!("lab {} has no host '{host}'; they are n1 and on, c1 and on, cp, sw", self.prefix());
        }
        Ok(command_inside(&self.state, &self.parts, host, program))
    }

    /// What a shell has to set to talk to the lab by itself: name and value.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let kubeconfig = self.state.path("pki/admin.kubeconfig");
        let inside = Namespace::named(&self.state.namespace("cp"));
        vec![
            ("KERYX_LAB", self.prefix().to_owned()),
            ("KUBECONFIG", kubeconfig.to_string_lossy().into_owned()),
            ("KERYX_LAB_API", format!("nsenter --net={}", inside.path().display())),
            ("KERYX_LAB_KUBECTL", self.parts.kubernetes("kubectl").to_string_lossy().into_owned()),
        ]
    }

    /// Tears it down and waits until nothing is left.
    pub fn down(self) -> Result<()> {
        let Some(keeper) = self.state.keeper() else { return tear_down(&self.state) };
        let owner = self.state.owner().filter(|owner| owner.is_alive() && !self.state.is_kept());
        if let Some(owner) = owner {
            bail!(
                "lab {} belongs to process {}, and goes with it; remedy: end that",
                self.prefix(),
                owner.pid
            );
        }
        keeper.signal(Signal::SIGTERM)?;
        let deadline = clock::now() + LIMIT;
        while keeper.is_alive() {
            if clock::now() > deadline {
                bail!("lab {} is not gone after {LIMIT:?}", self.prefix());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        if self.state.path("").exists() {
            bail!("the teardown failed: {}\nremedy: keryx-lab gc", self.state.log_tail("keeper"));
        }
        Ok(())
    }
}

/// Tears down every lab whose owner and keeper are both dead; the prefixes of those that are gone now.
pub fn collect_garbage() -> Result<Vec<String>> {
    machine::check_root()?;
    let mut gone = Vec::new();
    for state in State::all()?.iter().filter(|state| state.is_orphaned()) {
        tear_down(state).with_context(|| format!("lab {}", state.prefix()))?;
        gone.push(state.prefix().to_owned());
    }
    Ok(gone)
}

/// A command in a host's network and, on a node, with its mounts.
pub(crate) fn command_inside(
    state: &State,
    parts: &Parts,
    host: &str,
    program: impl AsRef<OsStr>,
) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", Namespace::named(&state.namespace(host)).path().display()));
    if let Some(holder) = state.recorded(&mounts_holder(host)).filter(ProcessId::is_alive) {
        command.arg(format!("--mount=/proc/{}/ns/mnt", holder.pid));
    }
    command.arg("--").arg(program).envs(parts.environment());
    command
}
