//! Processes by pid and start time, so that a pid that was given to another process is never taken for ours.

use std::fmt;
use std::fs;
use std::str::FromStr;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// One process, for as long as the host runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProcessId {
    pub(crate) pid: i32,
    /// Clock ticks from the start of the host to the start of the process.
    start: u64,
}

impl ProcessId {
    /// The process that has the pid now.
    pub(crate) fn of(pid: i32) -> Option<ProcessId> {
        stat(pid).map(|(_, start)| ProcessId { pid, start })
    }

    /// The calling process.
    pub(crate) fn current() -> Result<ProcessId> {
        ProcessId::of(nix::unistd::getpid().as_raw()).context("/proc is not mounted")
    }

    /// True while it runs or is stopped; a zombie has ended.
    pub(crate) fn is_alive(&self) -> bool {
        stat(self.pid).is_some_and(|(state, start)| start == self.start && !matches!(state, 'Z' | 'X'))
    }

    /// Sends a signal; nothing happens if the process has ended.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        if !self.is_alive() {
            return Ok(());
        }
        match kill(Pid::from_raw(self.pid), signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("{signal} to process {}", self.pid)),
        }
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.pid, self.start)
    }
}

impl FromStr for ProcessId {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<ProcessId> {
        let (pid, start) = text.trim().split_once(' ').context("'PID START-TIME' is wanted")?;
        Ok(ProcessId { pid: pid.parse()?, start: start.parse()? })
    }
}

/// State letter and start time (proc_pid_stat(5), fields 3 and 22). The name in field 2 may hold spaces and brackets.
fn stat(pid: i32) -> Option<(char, u64)> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = line.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_survives_being_written_and_read() {
        let me = ProcessId::current().unwrap();
        assert_eq!(me.to_string().parse::<ProcessId>().unwrap(), me);
    }

    #[test]
    fn a_recycled_pid_is_another_process() {
        let me = ProcessId::current().unwrap();
        assert!(me.is_alive());
        let earlier = ProcessId { start: me.start - 1, ..me };
        assert!(!earlier.is_alive());
        earlier.signal(Signal::SIGKILL).unwrap();
    }

    #[test]
    fn a_zombie_has_ended() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let process = ProcessId::of(i32::try_from(child.id()).unwrap());
        // Waits for the end but leaves the zombie, as a parent that never reaps.
        let id = nix::sys::wait::Id::Pid(Pid::from_raw(i32::try_from(child.id()).unwrap()));
        let flags = nix::sys::wait::WaitPidFlag::WEXITED | nix::sys::wait::WaitPidFlag::WNOWAIT;
        nix::sys::wait::waitid(id, flags).unwrap();
        assert!(process.is_none_or(|process| !process.is_alive()));
        child.wait().unwrap();
    }
}
