//! FRR: zebra, bgpd and bfdd.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{ask, connect};
use crate::host::{Host, Process};
use crate::run::{Mount, MountNamespace};

/// The daemons, in the order in which they start.
const DAEMONS: [&str; 3] = ["zebra", "bgpd", "bfdd"];
/// User and groups that FRR was built with; it refuses to run where they are missing.
const USER: &str = "frr:x:992:992::/:/bin/false\n";
const GROUPS: &str = "frr:x:992:\nfrrvty:x:991:root\n";

/// A running FRR. It ends with this value.
#[derive(Debug)]
pub struct Frr {
    daemons: BTreeMap<&'static str, (Process, UnixStream)>,
}

impl Frr {
    pub(super) fn start(host: &Host, bgpd: &str, bfdd: &str) -> Result<Frr> {
        let folder = host.router_folder("frr")?;
        let file = |name: &str, contents: &str| -> Result<PathBuf> {
            let path = folder.join(name);
            fs::write(&path, contents)?;
            Ok(path)
        };
        let known = |path: &str| fs::read_to_string(path).with_context(|| format!("{path} cannot be read"));
        let mounts = vec![
            Mount::Bind {
                source: file("passwd", &(known("/etc/passwd")? + USER))?,
                target: "/etc/passwd".into(),
            },
            Mount::Bind {
                source: file("group", &(known("/etc/group")? + GROUPS))?,
                target: "/etc/group".into(),
            },
        ];
        let mut frr = Frr { daemons: BTreeMap::new() };
        for (daemon, config) in DAEMONS.into_iter().zip(["", bgpd, bfdd]) {
            let config = file(&format!("{daemon}.conf"), config)?;
            let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
            let mut arguments = vec!["-u", "root", "-g", "root", "-P", "0", "--log", "stdout"];
            let rest = [
                ("--vty_socket", path("")),
                ("-i", path(&format!("{daemon}.pid"))),
                ("-z", path("zserv.api")),
                ("-f", config.to_string_lossy().into_owned()),
            ];
            arguments.extend(rest.iter().flat_map(|(flag, value)| [*flag, value.as_str()]));
            let control = path("bfdd.sock");
            if daemon == "bfdd" {
                arguments.extend(["--bfdctl", &control]);
            }
            let program = host.site.parts.router(&format!("/usr/lib/frr/{daemon}"));
            let environment = [("LD_LIBRARY_PATH".to_owned(), host.site.parts.router_library_path())];
            let process = host.spawn_with(
                daemon,
                program,
                arguments,
                environment,
                MountNamespace::New(mounts.clone()),
            )?;
            let stream = connect(&folder.join(format!("{daemon}.vty"))).inspect_err(|_| {
                eprintln!("lab: {daemon} said: {}", fs::read_to_string(process.log()).unwrap_or_default());
            })?;
            frr.daemons.insert(daemon, (process, stream));
            frr.ask(daemon, "enable")?;
        }
        Ok(frr)
    }

    /// The answer of a daemon to a command of vtysh.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub fn ask(&self, daemon: &str, command: &str) -> Result<String> {
        let (_, stream) = self.daemons.get(daemon).with_context(|| format!("{daemon} does not run"))?;
        let request = [command.as_bytes(), b"\0"].concat();
        // Three zeros and the outcome end an answer.
        let answer =
            ask(stream, &request, |answer| answer.len() >= 4 && answer[answer.len() - 4..][..3] == [0; 3])?;
        let (text, end) = answer.split_at(answer.len() - 4);
        let text = String::from_utf8_lossy(text).into_owned();
        ensure!(end[3] == 0, "{daemon} says to '{command}': {text}");
        Ok(text)
    }

    /// The same for a command that ends in `json`.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn json(&self, daemon: &str, command: &str) -> Result<Value> {
        let text = self.ask(daemon, command)?;
        serde_json::from_str(&text).with_context(|| format!("{daemon} says to '{command}': {text}"))
    }

    /// Changes the configuration: commands as they would be typed after `configure terminal`.
    ///
    /// # Errors
    /// One is refused.
    pub fn configure(&self, daemon: &str, commands: &[&str]) -> Result<()> {
        self.ask(daemon, "configure terminal")?;
        let outcome = commands.iter().try_for_each(|command| self.ask(daemon, command).map(drop));
        self.ask(daemon, "end")?;
        outcome
    }

    /// One of its processes: `zebra`, `bgpd` or `bfdd`.
    ///
    /// # Panics
    /// For any other.
    pub fn process(&self, daemon: &str) -> &Process {
        &self.daemons[daemon].0
    }
}
