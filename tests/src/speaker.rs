//! The speakers' processes on the nodes, to kill and to freeze.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use keryx_lab::{Host, Usage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::keryx::{Keryx, NAMESPACE};
use crate::wait;

impl Keryx {
    /// Sends a signal to the speaker on a node.
    ///
    /// # Errors
    /// There is none.
    pub fn signal_speaker(&self, node: &Host, signal: Signal) -> Result<()> {
        signal_program(node, SPEAKER, signal)
    }

    /// Waits until every node has a speaker and each of them is Ready.
    ///
    /// # Errors
    /// They never are.
    pub fn wait_speakers(&self) -> Result<()> {
        self.lab
            .kubectl(&["-n", NAMESPACE, "rollout", "status", "daemonset/keryx-speaker", "--timeout=60s"])
            .map(drop)?;
        wait::until("a speaker on every node", || {
            let nodes = self.lab.nodes();
            let running = nodes.iter().map(speaker).collect::<Result<Vec<_>>>()?;
            Ok(running.iter().all(Option::is_some).then_some(()))
        })
    }

    /// A file in the folder of the speaker on a node; empty if there is none.
    ///
    /// # Errors
    /// There is no speaker.
    pub fn speaker_file(&self, node: &Host, name: &str) -> Result<String> {
        let pid = speaker(node)?.with_context(|| format!("no speaker runs on {}", node.name()))?;
        let path = format!("/proc/{pid}/root/run/keryx/{name}");
        Ok(fs::read_to_string(path).unwrap_or_default())
    }

    /// The number of the speaker's process on a node, if one runs.
    ///
    /// # Errors
    /// /proc cannot be read.
    pub fn speaker_pid(&self, node: &Host) -> Result<Option<i32>> {
        Ok(speaker(node)?.map(Pid::as_raw))
    }

    /// What the speaker on a node has used so far.
    ///
    /// # Errors
    /// There is none.
    pub fn speaker_usage(&self, node: &Host) -> Result<Usage> {
        Usage::of(speaker(node)?.with_context(|| format!("no speaker runs on {}", node.name()))?.as_raw())
    }

    /// A metric of the speaker on a node; 0 if it does not tell it.
    ///
    /// # Errors
    /// The speaker does not answer.
    pub fn speaker_metric(&self, node: &Host, name: &str) -> Result<f64> {
        let text = node.namespace().run(|| -> Result<String> {
            use std::io::{Read as _, Write as _};
            let mut stream = std::net::TcpStream::connect(("127.0.0.1", 7472))?;
            stream.set_read_timeout(Some(std::time::Duration::from_secs(2)))?;
            stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text)
        })?;
        let line =
            text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().last()?.parse().ok());
        Ok(line.unwrap_or_default())
    }
}

const SPEAKER: &str = "/keryx-speaker";

/// Sends a signal to the process of a program on a node.
///
/// # Errors
/// There is none.
pub fn signal_program(node: &Host, program: &str, signal: Signal) -> Result<()> {
    let pid = running(node, program)?.with_context(|| format!("no {program} runs on {}", node.name()))?;
    kill(pid, signal).with_context(|| format!("failed to send {signal} to {program} on {}", node.name()))
}

fn speaker(node: &Host) -> Result<Option<Pid>> {
    running(node, SPEAKER)
}

/// The process of a program, known by its path and by the node's own network namespace.
///
/// # Errors
/// /proc cannot be read.
pub fn running(node: &Host, program: &str) -> Result<Option<Pid>> {
    let namespace = fs::metadata(node.namespace().path())?.ino();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let Some(pid) = path.file_name().and_then(|name| name.to_str()?.parse::<i32>().ok()) else {
            continue;
        };
        if is_of(&path, program) && fs::metadata(path.join("ns/net")).is_ok_and(|ns| ns.ino() == namespace) {
            return Ok(Some(Pid::from_raw(pid)));
        }
    }
    Ok(None)
}

/// Processes come and go while they are looked at; one that cannot be read is none.
fn is_of(process: &Path, program: &str) -> bool {
    let line = fs::read(process.join("cmdline")).unwrap_or_default();
    line.strip_prefix(program.as_bytes()).is_some_and(|rest| rest.starts_with(&[0]))
}
