//! Named network namespaces, below `/run/netns`, so that `ip netns list` and `nsenter` see them too.

use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use nix::sched::{CloneFlags, setns};

use crate::machine;

/// A named network namespace. Clones name the same namespace; it lives until [`Namespace::delete`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    name: Arc<str>,
}

impl Namespace {
    /// Makes the namespace and brings its loopback up. Fails where the name is taken or the caller is not root.
    pub fn create(name: &str) -> Result<Namespace> {
        machine::run(Command::new("ip").args(["netns", "add", name]))?;
        let namespace = Namespace::named(name);
        machine::run(Command::new("ip").args(["-n", name, "link", "set", "lo", "up"]))?;
        Ok(namespace)
    }

    /// The namespace of that name, which somebody made already.
    pub fn named(name: &str) -> Namespace {
        Namespace { name: name.into() }
    }

    /// The name, as `ip netns list` prints it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that holds the namespace.
    pub fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(self.name())
    }

    /// Moves the calling thread into the namespace, for good. Only for threads that end there.
    pub fn enter(&self) -> io::Result<()> {
        let file = std::fs::File::open(self.path())?;
        setns(file, CloneFlags::CLONE_NEWNET).map_err(io::Error::from)
    }

    /// Runs `f` on a thread of its own inside the namespace and waits for it. Sockets that `f` makes stay in the
    /// namespace wherever they are used later. A panic of `f` goes on in the caller.
    ///
    /// # Panics
    /// If the namespace is gone.
    pub fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            if let Err(error) = self.enter() {
                panic!("network namespace {} cannot be entered: {error}", self.name);
            }
            f()
        };
        let joined = std::thread::scope(|scope| scope.spawn(inside).join());
        joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// A command that runs `program` inside. By `nsenter`, not by `ip netns exec`: that remounts `/sys`, which hides
    /// the cgroups from container runtimes.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path().display())).arg("--").arg(program);
        command
    }

    /// Removes the name. The namespace itself goes with its last process and socket. No error if it is gone already.
    pub fn delete(&self) -> Result<()> {
        if !self.path().exists() {
            return Ok(());
        }
        machine::run(Command::new("ip").args(["netns", "delete", self.name()]))
            .map(drop)
            .with_context(|| format!("network namespace {} stays", self.name))
    }
}
