//! The one way in which a lab goes, whoever does it: the keeper, or `keryx-lab gc` for labs that nobody holds.
//!
//! Nothing that a lab writes is kept, so everything is killed at once: what was recorded, whatever runs in a network
//! namespace of ours (so every container shim), and whatever is in a cgroup of ours (so every container). Mounts are
//! private to those processes and vanish with them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::mount::{MntFlags, umount2};
use nix::sys::signal::Signal;

use crate::cgroup::Cgroups;
use crate::clock;
use crate::process::ProcessId;
use crate::state::State;

const LIMIT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(10);
const NAMESPACES: &str = "/run/netns";

/// Removes everything that the lab made. May be called again after a failure.
pub(crate) fn tear_down(state: &State) -> Result<()> {
    let prefix = format!("{}-", state.prefix());
    let cgroups = Cgroups::of_host()?;
    state.set_ending()?;
    let deadline = clock::now() + LIMIT;
    loop {
        // Listed in every round: what the owner had begun when it was killed may end a moment later.
        let namespaces = namespaces(&prefix);
        let inodes = namespaces.values().copied().collect();
        let processes = processes(state, &prefix, &cgroups, &inodes)?;
        for process in &processes {
            process.signal(Signal::SIGKILL)?;
        }
        if processes.is_empty() {
            // The kernel lets go of a cgroup a little after its last process.
            let removed = cgroups.remove(&prefix);
            namespaces.keys().try_for_each(|name| delete(name))?;
            if removed.is_ok() && namespaces.is_empty() && state.remove().is_ok() {
                return Ok(());
            }
        }
        if clock::now() > deadline {
            let pids: Vec<_> = processes.iter().map(|process| process.pid).collect();
            let (cgroups, folder) = (cgroups.remove(&prefix), state.remove());
            bail!("lab {} stays: processes {pids:?}, cgroups {cgroups:?}, folder {folder:?}", state.prefix());
        }
        std::thread::sleep(PAUSE);
    }
}

fn delete(namespace: &str) -> Result<()> {
    let path = Path::new(NAMESPACES).join(namespace);
    // Not mounted if the lab died while it was making the namespace.
    let _ = umount2(&path, MntFlags::MNT_DETACH);
    fs::remove_file(&path).with_context(|| format!("{} stays", path.display()))
}

/// The namespaces of a lab by name, each with the inode that `/proc/PID/ns/net` shows for its processes.
fn namespaces(prefix: &str) -> BTreeMap<String, u64> {
    let entries = fs::read_dir(NAMESPACES).into_iter().flatten().flatten();
    let ours = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok().filter(|name| name.starts_with(prefix))?;
        Some((name, fs::metadata(entry.path()).ok()?.ino()))
    });
    ours.collect()
}

/// The living processes of a lab. Never its owner, its keeper or the caller, whose threads may be in a namespace.
fn processes(
    state: &State,
    prefix: &str,
    cgroups: &Cgroups,
    namespaces: &BTreeSet<u64>,
) -> Result<BTreeSet<ProcessId>> {
    let mut found: BTreeSet<ProcessId> = state.all_recorded().into_values().collect();
    found.extend(cgroups.processes(prefix).into_iter().filter_map(ProcessId::of));
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let process = ProcessId::of(pid);
        // The namespace is read after the identity, so that it is of this very process or a later one.
        let inside =
            fs::metadata(entry.path().join("ns/net")).is_ok_and(|file| namespaces.contains(&file.ino()));
        found.extend(process.filter(|_| inside));
    }
    let spared = [Some(ProcessId::current()?), state.owner(), state.keeper()];
    found.retain(|process| process.is_alive() && !spared.contains(&Some(*process)));
    Ok(found)
}
