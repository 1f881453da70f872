//! The state folder of a lab: everything that a teardown needs to know, so that any process can do it.
//!
//! ```text
//! <temporary folder>/keryx-lab/kx1/     the folder's name is the lab's prefix
//!     owner, keeper                     "PID START-TIME" of the process that made it, of the one that watches
//!     kept                              there once the lab shall outlive its owner
//!     ending                            there once its teardown has begun
//!     processes/NAME                    "PID START-TIME" of each process that the lab started
//!     specs/NAME.json                   how each was started, to start it again
//!     log/NAME.log                      what it said
//! ```
//!
//! `KERYX_LAB_STATE` names another folder to hold the labs.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, bail};

use crate::process::ProcessId;

const FIRST: u32 = 1;
const LAST: u32 = 999;

/// One lab's folder.
#[derive(Clone, Debug)]
pub(crate) struct State {
    folder: PathBuf,
}

impl State {
    /// A folder under the first free prefix; the calling process is the owner.
    pub(crate) fn create() -> Result<State> {
        State::create_in(&labs_folder())
    }

    fn create_in(labs: &Path) -> Result<State> {
        if let Err(error) = fs::DirBuilder::new().mode(0o700).recursive(true).create(labs) {
            bail!("{} cannot be made: {error}; KERYX_LAB_STATE may name another folder", labs.display());
        }
        let owner = fs::metadata(labs)?.uid();
        if owner != nix::unistd::geteuid().as_raw() {
            bail!("{} belongs to user {owner}; KERYX_LAB_STATE may name another folder", labs.display());
        }
        // Filled aside and renamed, so that no lab is ever seen without its owner. One process may start several labs.
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let start = STARTED.fetch_add(1, Ordering::Relaxed);
        let aside = State { folder: labs.join(format!(".new-{}-{start}", std::process::id())) };
        for part in ["processes", "specs", "log"] {
            fs::create_dir_all(aside.path(part))?;
        }
        aside.write_process("owner", ProcessId::current()?)?;
        for number in FIRST..=LAST {
            let state = State { folder: labs.join(format!("kx{number}")) };
            // A lab of another state folder may hold the name.
            if Path::new("/run/netns").join(state.namespace("sw")).exists() {
                continue;
            }
            match fs::rename(&aside.folder, &state.folder) {
                Ok(()) => return Ok(state),
                Err(error) if taken(&error) => {}
                Err(error) => return Err(error).context("the state folder cannot be made"),
            }
        }
        fs::remove_dir_all(&aside.folder)?;
        bail!("{} holds {LAST} labs; remedy: keryx-lab gc", labs.display())
    }

    /// The folder at that path.
    pub(crate) fn open(folder: &Path) -> Result<State> {
        if !folder.join("processes").is_dir() {
            bail!("{} is not the state folder of a lab", folder.display());
        }
        Ok(State { folder: folder.to_owned() })
    }

    /// Every lab of this host, by prefix.
    pub(crate) fn all() -> Result<Vec<State>> {
        State::all_in(&labs_folder())
    }

    fn all_in(labs: &Path) -> Result<Vec<State>> {
        let entries = match fs::read_dir(labs) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).context("the labs cannot be listed"),
        };
        let mut folders = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        folders.sort();
        Ok(folders.into_iter().map(|folder| State { folder }).collect())
    }

    /// The prefix of everything that the lab makes, such as `kx1`.
    pub(crate) fn prefix(&self) -> &str {
        self.folder.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// The name of the lab's namespace for a host.
    pub(crate) fn namespace(&self, host: &str) -> String {
        format!("{}-{host}", self.prefix())
    }

    /// A path inside the folder.
    pub(crate) fn path(&self, part: impl AsRef<Path>) -> PathBuf {
        self.folder.join(part)
    }

    /// Where a process writes what it says.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.folder.join("log").join(format!("{name}.log"))
    }

    /// The last lines that a process said, for messages.
    pub(crate) fn log_tail(&self, name: &str) -> String {
        let log = fs::read(self.log(name)).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    /// Records a process that the lab started.
    pub(crate) fn record(&self, name: &str, process: ProcessId) -> Result<()> {
        self.write_process(&format!("processes/{name}"), process)
    }

    /// The process of that name, if the lab started it once.
    pub(crate) fn recorded(&self, name: &str) -> Option<ProcessId> {
        self.read_process(&format!("processes/{name}"))
    }

    /// Every process that the lab started.
    pub(crate) fn all_recorded(&self) -> BTreeMap<String, ProcessId> {
        let entries = fs::read_dir(self.folder.join("processes")).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter_map(|name| Some((name.clone(), self.recorded(&name)?))).collect()
    }

    /// Names the calling process as the keeper.
    pub(crate) fn set_keeper(&self) -> Result<()> {
        self.write_process("keeper", ProcessId::current()?)
    }

    /// The process that made the lab.
    pub(crate) fn owner(&self) -> Option<ProcessId> {
        self.read_process("owner")
    }

    /// The process that tears the lab down when its time has come, if it is alive.
    pub(crate) fn keeper(&self) -> Option<ProcessId> {
        self.read_process("keeper").filter(ProcessId::is_alive)
    }

    /// Lets the lab outlive its owner.
    pub(crate) fn keep(&self) -> Result<()> {
        fs::write(self.folder.join("kept"), "").context("the lab cannot be marked as kept")
    }

    /// True once the lab shall outlive its owner.
    pub(crate) fn is_kept(&self) -> bool {
        self.folder.join("kept").exists()
    }

    /// From now on no process starts: one that is recorded later sees it and ends.
    pub(crate) fn set_ending(&self) -> Result<()> {
        fs::write(self.folder.join("ending"), "").context("the lab cannot be marked as ending")
    }

    /// True once its teardown has begun.
    pub(crate) fn is_ending(&self) -> bool {
        self.folder.join("ending").exists()
    }

    /// True if nobody is left to tear the lab down.
    pub(crate) fn is_orphaned(&self) -> bool {
        self.keeper().is_none() && !self.owner().is_some_and(|owner| owner.is_alive())
    }

    /// Removes the folder, and the one that holds the labs if this was the last.
    pub(crate) fn remove(&self) -> Result<()> {
        fs::remove_dir_all(&self.folder).with_context(|| format!("{} stays", self.folder.display()))?;
        // Refused while other labs are in it, which is right.
        let _ = self.folder.parent().map(fs::remove_dir);
        Ok(())
    }

    /// Renamed into place, so that no reader sees half of it.
    fn write_process(&self, part: &str, process: ProcessId) -> Result<()> {
        let path = self.folder.join(part);
        let aside = self.folder.join(format!(".{}.{}", part.replace('/', "."), process.pid));
        fs::write(&aside, process.to_string())
            .and_then(|()| fs::rename(&aside, &path))
            .with_context(|| format!("{} cannot be written", path.display()))
    }

    fn read_process(&self, part: &str) -> Option<ProcessId> {
        fs::read_to_string(self.folder.join(part)).ok()?.parse().ok()
    }
}

/// Why a folder could not be renamed to a name: another one has it.
fn taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists)
}

fn labs_folder() -> PathBuf {
    std::env::var_os("KERYX_LAB_STATE").map_or_else(|| std::env::temp_dir().join("keryx-lab"), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labs_of_one_folder_never_share_a_prefix() {
        let labs = tempfile::tempdir().unwrap();
        let [one, two] = [(); 2].map(|()| State::create_in(labs.path()).unwrap());
        assert_ne!(one.prefix(), two.prefix());
        let all = State::all_in(labs.path()).unwrap();
        assert_eq!(all.iter().map(State::prefix).collect::<Vec<_>>(), [one.prefix(), two.prefix()]);
    }

    #[test]
    fn a_lab_is_orphaned_only_when_owner_and_keeper_are_dead() {
        let labs = tempfile::tempdir().unwrap();
        let state = State::create_in(labs.path()).unwrap();
        assert!(!state.is_orphaned(), "its owner is this test");
        state.write_process("owner", "1 0".parse().unwrap()).unwrap();
        assert!(state.is_orphaned(), "no process has pid 1 and that start time");
        state.set_keeper().unwrap();
        assert!(!state.is_orphaned(), "its keeper is this test");
    }

    #[test]
    fn a_recorded_process_is_found_by_its_name() {
        let labs = tempfile::tempdir().unwrap();
        let state = State::create_in(labs.path()).unwrap();
        let me = ProcessId::current().unwrap();
        state.record("n1-kubelet", me).unwrap();
        assert_eq!(state.recorded("n1-kubelet"), Some(me));
        assert_eq!(state.recorded("n2-kubelet"), None);
        assert_eq!(state.all_recorded(), BTreeMap::from([("n1-kubelet".to_owned(), me)]));
    }

    #[test]
    fn the_last_lab_takes_the_folder_of_labs_with_it() {
        let above = tempfile::tempdir().unwrap();
        let labs = above.path().join("labs");
        let [one, two] = [(); 2].map(|()| State::create_in(&labs).unwrap());
        one.remove().unwrap();
        assert!(labs.exists());
        two.remove().unwrap();
        assert!(!labs.exists());
    }

    #[test]
    fn only_the_last_lines_of_a_log_are_shown() {
        let labs = tempfile::tempdir().unwrap();
        let state = State::create_in(labs.path()).unwrap();
        let said: Vec<_> = (1..=40).map(|line| line.to_string()).collect();
        fs::write(state.log("etcd"), said.join("\n")).unwrap();
        assert_eq!(state.log_tail("etcd"), said[28..].join("\n"));
        assert_eq!(state.log_tail("never-started"), "");
    }
}
