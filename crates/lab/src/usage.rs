//! What a process costs: processor time and memory.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

const BYTES_PER_KIB: u64 = 1024;

/// What a process has used, with all its threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Processor time since it started, to the nanosecond, as the kernel's scheduler counts it.
    pub cpu: Duration,
    /// Its memory now, in bytes, of shared pages its share (PSS).
    pub pss_bytes: u64,
    /// The most memory that it had at one time, in bytes (VmHWM).
    pub peak_rss_bytes: u64,
}

impl Usage {
    /// What a process has used so far; fails if there is none with this number.
    pub fn of(pid: i32) -> Result<Usage> {
        let cpu = clock_gettime(clock_getcpuclockid(Pid::from_raw(pid))?)?;
        let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}"));
        Ok(Usage {
            cpu: Duration::from(cpu),
            pss_bytes: bytes(&read("smaps_rollup")?, "Pss:").context("smaps_rollup without Pss")?,
            peak_rss_bytes: bytes(&read("status")?, "VmHWM:").context("status without VmHWM")?,
        })
    }
}

/// The value of a line `NAME   VALUE kB` (proc_pid_status(5)), in bytes.
fn bytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kib.checked_mul(BYTES_PER_KIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_by_their_whole_name() {
        let text = "00400000-7fff r--p 00000000 00:00 0   [rollup]\nRss:      900 kB\nPss_Dirty:   7 kB\nPss:    812 kB\n";
        assert_eq!(bytes(text, "Pss:"), Some(812 * 1024));
        assert_eq!(bytes(text, "VmHWM:"), None);
        assert_eq!(bytes("VmHWM:\t many kB\n", "VmHWM:"), None);
    }

    #[test]
    fn processor_time_grows_with_work() {
        let me = i32::try_from(std::process::id()).unwrap();
        let before = Usage::of(me).unwrap();
        let mut sum = 0_u64;
        for number in 0..3_000_000_u64 {
            sum = std::hint::black_box(sum.wrapping_add(number));
        }
        let after = Usage::of(me).unwrap();
        assert!(after.cpu > before.cpu, "{before:?} {after:?}");
        assert!(after.pss_bytes > 0 && after.peak_rss_bytes > 0, "{after:?}");
    }
}
