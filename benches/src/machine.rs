//! What else the machine does: figures of a busy machine are worth nothing.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Share of the processors that other programs may use, in percent.
const FOREIGN_MAX_PERCENT: f64 = 10.0;
/// How long the processors are looked at.
const LOOK: Duration = Duration::from_secs(3);
/// Fields of a line of /proc/stat that are idle time: idle, iowait (proc_stat(5)).
const IDLE_FIELDS: [usize; 2] = [3, 4];

/// The machine in one line.
fn describe() -> Result<String> {
    let processors = thread::available_parallelism()?;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let load = load_average()?;
    Ok(format!("machine: {processors} processors, Linux {}; load average {load}", release.trim()))
}

/// The load averages of 1, 5 and 15 minutes.
///
/// # Errors
/// A file of /proc cannot be read.
pub fn load_average() -> Result<String> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').take(3).collect::<Vec<_>>().join(" "))
}

/// What is to be known of the machine before anything is started, in lines; it takes some seconds. A machine that others
/// use makes the figures void, and a line says so.
///
/// # Errors
/// A file of /proc cannot be read.
pub fn before_the_lab() -> Result<Vec<String>> {
    let busy = foreign_percent()?;
    let mut notes = vec![describe()?, format!("before the lab, {busy:.0} % of the processors were busy")];
    if busy > FOREIGN_MAX_PERCENT {
        notes.push("VOID: other programs used the machine; end them and measure again".to_owned());
    }
    Ok(notes)
}

/// Share of the processors that is in use, in percent.
fn foreign_percent() -> Result<f64> {
    let processors = Use::from_now()?;
    thread::sleep(LOOK);
    processors.percent()
}

/// The use of the processors since a moment.
#[derive(Debug)]
pub struct Use(Ticks);

impl Use {
    /// From this moment on.
    ///
    /// # Errors
    /// /proc/stat cannot be read.
    pub fn from_now() -> Result<Self> {
        Ok(Self(read_ticks()?))
    }

    /// Share of the processors that was in use since, in percent.
    ///
    /// # Errors
    /// /proc/stat cannot be read.
    pub fn percent(&self) -> Result<f64> {
        Ok(busy_between(self.0, read_ticks()?))
    }
}

/// Ticks of all processors since start: idle, and in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticks {
    idle: u64,
    all: u64,
}

fn read_ticks() -> Result<Ticks> {
    parse(&fs::read_to_string("/proc/stat")?).context("/proc/stat has another form")
}

fn parse(stat: &str) -> Option<Ticks> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    // Time of guests is in the times of the processes that run them already.
    let all = fields.iter().take(8).sum();
    let idle = IDLE_FIELDS.iter().filter_map(|field| fields.get(*field)).sum();
    Some(Ticks { idle, all })
}

fn busy_between(before: Ticks, after: Ticks) -> f64 {
    let (idle, all) = (after.idle.saturating_sub(before.idle), after.all.saturating_sub(before.all));
    if all == 0 { 0.0 } else { 100.0 * (1.0 - idle as f64 / all as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_is_what_is_neither_idle_nor_waiting_for_a_disk() {
        let before = parse("cpu  10 0 10 70 10 0 0 0 5 0\ncpu0 1 2 3\n").unwrap();
        assert_eq!(before, Ticks { idle: 80, all: 100 });
        let after = parse("cpu  40 0 20 120 20 0 0 0 5 0\n").unwrap();
        assert!((busy_between(before, after) - 40.0).abs() < 1e-9);
        assert!(busy_between(before, before).abs() < 1e-9, "no time has passed");
        assert_eq!(parse("intr 1 2 3\n"), None);
    }
}
