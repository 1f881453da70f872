//! How the lab starts a process: its own executable runs as a stub, which records itself in the state folder, enters
//! the namespaces, and becomes the program. So nothing that the lab starts is ever unrecorded, whenever the owner dies.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use serde::{Deserialize, Serialize};

use crate::netns::Namespace;
use crate::process::ProcessId;
use crate::state::State;

/// The stub's `argv[0]`, by which [`crate::init`] knows it.
pub(crate) const STUB: &str = "keryx-lab-run";

/// One process to start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    /// Unique in the lab, such as `n1-kubelet`.
    pub(crate) name: String,
    /// The network namespace, by its whole name.
    pub(crate) namespace: String,
    pub(crate) mounts: MountNamespace,
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    /// The whole environment, but for `PATH` and `HOME`, which have defaults.
    pub(crate) env: BTreeMap<String, String>,
}

/// Which mounts a process sees.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum MountNamespace {
    /// Those of the host.
    Host,
    /// Its own, changed so. They vanish with the last process inside.
    New(Vec<Mount>),
    /// Those of another process of the lab, by name.
    Of(String),
}

/// One change of a private mount namespace.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Mount {
    /// An empty file system in memory over a folder.
    Tmpfs(PathBuf),
    /// A file or folder over another one.
    Bind { source: PathBuf, target: PathBuf },
    /// The `/sys` of the network namespace, with the cgroups kept in it.
    Sysfs,
}

/// Starts a process with its output appended to its log. It leads a session of its own.
pub(crate) fn start(state: &State, spec: &Spec) -> Result<Child> {
    let file = state.path("specs").join(format!("{}.json", spec.name));
    crate::machine::write(&file, &serde_json::to_string(spec)?)?;
    let log = File::options().create(true).append(true).open(state.log(&spec.name))?;
    Command::new("/proc/self/exe")
        .arg0(STUB)
        .arg(state.path(""))
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .current_dir("/")
        .spawn()
        .with_context(|| format!("{} cannot be started", spec.name))
}

/// The marker file of a process whose mounts are made.
pub(crate) fn mounts_ready(state: &State, name: &str) -> PathBuf {
    state.path("specs").join(format!("{name}.mounted"))
}

/// What the stub does. Ends only by an error.
pub(crate) fn stub(mut arguments: impl Iterator<Item = OsString>) -> Result<Infallible> {
    let mut argument = || arguments.next().context("two arguments are wanted");
    let state = State::open(Path::new(&argument()?))?;
    let spec: Spec = serde_json::from_slice(&fs::read(argument()?)?)?;
    state.record(&spec.name, ProcessId::current()?)?;
    if state.is_ending() {
        bail!("{} is not started: the lab is going", spec.name);
    }
    nix::unistd::setsid()?;
    let namespace = Namespace::named(&spec.namespace);
    namespace.enter().with_context(|| format!("network namespace {}", spec.namespace))?;
    match &spec.mounts {
        MountNamespace::Host => {}
        MountNamespace::New(mounts) => {
            change_mounts(mounts)?;
            File::create(mounts_ready(&state, &spec.name))?;
        }
        MountNamespace::Of(name) => enter_mounts(&state, name)?,
    }
    let mut command = Command::new(&spec.program);
    command
        .args(&spec.args)
        .env_clear()
        .env("HOME", "/root")
        .env("PATH", crate::machine::path())
        .envs(&spec.env);
    let error = command.exec();
    bail!("{} cannot be run: {error}", spec.program.display())
}

/// Moves the calling process, which must have one thread only, to the mounts of a process of the lab.
pub(crate) fn enter_mounts(state: &State, name: &str) -> Result<()> {
    let process = state.recorded(name).filter(ProcessId::is_alive);
    let process = process.with_context(|| format!("{name} holds the mounts and does not run"))?;
    let file = File::open(format!("/proc/{}/ns/mnt", process.pid))?;
    setns(file, CloneFlags::CLONE_NEWNS).with_context(|| format!("the mounts of {name} cannot be entered"))
}

fn change_mounts(mounts: &[Mount]) -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    attach(None, Path::new("/"), None, MsFlags::MS_REC | MsFlags::MS_PRIVATE)?;
    for change in mounts {
        match change {
            Mount::Tmpfs(target) => {
                attach(Some("keryx-lab".as_ref()), target, Some("tmpfs"), MsFlags::empty())?
            }
            Mount::Bind { source, target } => {
                attach(Some(source.as_os_str()), target, None, MsFlags::MS_BIND)?
            }
            Mount::Sysfs => {
                let cgroups = File::open("/sys/fs/cgroup")?;
                let before = PathBuf::from(format!("/proc/self/fd/{}", cgroups.as_raw_fd()));
                attach(Some("keryx-lab".as_ref()), Path::new("/sys"), Some("sysfs"), MsFlags::empty())?;
                let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
                attach(Some(before.as_os_str()), Path::new("/sys/fs/cgroup"), None, flags)?;
            }
        }
    }
    Ok(())
}

fn attach(source: Option<&OsStr>, target: &Path, kind: Option<&str>, flags: MsFlags) -> Result<()> {
    mount(source, target, kind, flags, None::<&str>).with_context(|| format!("mount on {}", target.display()))
}
