//! What the lab needs from the machine it runs on: root, a few programs, and a way to run them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, bail};

/// Programs that the lab runs, and the Debian package that has each.
const PROGRAMS: [(&str, &str); 4] =
    [("ip", "iproute2"), ("ldconfig", "libc-bin"), ("mount", "mount"), ("nsenter", "util-linux")];

/// Fails, with the remedy, where a lab cannot run at all.
pub(crate) fn check() -> Result<()> {
    check_root()?;
    for (program, package) in PROGRAMS {
        if find(program).is_none() {
            bail!("the lab needs the program '{program}'; remedy: apt-get install {package}");
        }
    }
    Ok(())
}

/// Fails unless the caller is root.
pub(crate) fn check_root() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!(
            "the lab makes network namespaces and cgroups, so it must run as root; remedy: run it with sudo"
        );
    }
    Ok(())
}

/// Where a program is, by `PATH` and the folders of system programs, which a plain user's `PATH` lacks.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&path()).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// The caller's `PATH` with the folders of system programs.
pub(crate) fn path() -> String {
    let inherited = std::env::var("PATH").unwrap_or_default();
    format!("{inherited}:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin")
}

/// Runs a command to its end and returns its standard output; a failure carries the command and what it said.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{} cannot be started", shown(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{} failed ({}): {}", shown(command), output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command that reads `input`.
pub(crate) fn run_with_input(command: &mut Command, input: &str) -> Result<String> {
    use std::io::{Seek as _, Write as _};
    let mut file = nix::sys::memfd::memfd_create("input", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)
        .map(std::fs::File::from)
        .context("no memory for the input of a command")?;
    file.write_all(input.as_bytes())?;
    file.rewind()?;
    run(command.stdin(file)).map_err(|error| anyhow!("{error:#}\nits input was:\n{}", input.trim_end()))
}

/// The command line, for messages.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Writes a file and the folders above it.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    let written =
        path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(path, text));
    written.with_context(|| format!("{} cannot be written", path.display()))
}
