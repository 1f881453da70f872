//! Programs that a test runs inside a host.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use keryx_lab::Host;

/// Runs a command line, words parted by blanks, and returns what it printed.
///
/// # Errors
/// It cannot be started or fails; the text holds what it said.
pub(crate) fn run(host: &Host, line: &str) -> Result<String> {
    let mut words = line.split_whitespace();
    finish(host.command(words.next().unwrap_or_default()).args(words))
}

/// Runs `nft` with commands in its own language and returns what it printed.
///
/// # Errors
/// As [`run`].
pub(crate) fn nft(host: &Host, commands: &str) -> Result<String> {
    let mut command = host.command("nft");
    let libraries = library_path(&command);
    finish(command.env("LD_LIBRARY_PATH", libraries).arg(commands))
}

/// The folders of the lab's unpacked shared libraries. Without a cluster a node has no mounts of its own, so the loader
/// does not find them; the lab's environment names the folders of iptables' extensions, which are beside them.
fn library_path(command: &Command) -> String {
    let of_extensions = command.get_envs().find(|(name, _)| *name == "XTABLES_LIBDIR");
    let folders = of_extensions.and_then(|(_, value)| value?.to_str()).unwrap_or_default();
    folders.replace("/xtables", "")
}

fn finish(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?} cannot be started"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed: {}", said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
