//! The keeper: a process in a session of its own that tears a lab down once its owner is gone, however it went.
//!
//! The owner holds the writing end of a pipe that the keeper reads: its end is the owner's end, even by SIGKILL. A
//! kept lab outlives that, until SIGTERM (`keryx-lab down`) comes.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::state::State;
use crate::teardown::tear_down;

/// The keeper's `argv[0]`, by which [`crate::init`] knows it.
pub(crate) const KEEPER: &str = "keryx-lab-keeper";
const READY: &str = "ready";

/// The owner's side.
#[derive(Debug)]
pub(crate) struct Keeper {
    process: Child,
    owner_lives: Option<ChildStdin>,
}

impl Keeper {
    /// Starts the keeper of a lab; from now on nothing of it can be left behind.
    pub(crate) fn start(state: &State) -> Result<Keeper> {
        let mut process = Command::new("/proc/self/exe")
            .arg0(KEEPER)
            .arg(state.path(""))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(state.log("keeper"))?)
            .current_dir("/")
            .spawn()
            .context("the keeper cannot be started")?;
        let owner_lives = process.stdin.take();
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("the keeper has no output")?).read_line(&mut line)?;
        if line.trim() != READY {
            bail!("the keeper ended: {}", state.log_tail("keeper"));
        }
        Ok(Keeper { process, owner_lives })
    }

    /// Lets the keeper tear down and waits until it has; at once if the lab is kept.
    pub(crate) fn release(&mut self, state: &State) -> Result<()> {
        drop(self.owner_lives.take());
        if state.is_kept() {
            return Ok(());
        }
        let status = self.process.wait()?;
        if !status.success() {
            bail!("the teardown failed: {}\nremedy: keryx-lab gc", state.log_tail("keeper"));
        }
        Ok(())
    }
}

/// What the keeper does; its input is the pipe from the owner.
pub(crate) fn keep(mut arguments: impl Iterator<Item = OsString>) -> Result<()> {
    let folder = arguments.next().context("an argument is wanted")?;
    let state = State::open(Path::new(&folder))?;
    nix::unistd::setsid()?;
    let mut signals = SigSet::empty();
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().for_each(|signal| signals.add(signal));
    signals.thread_block()?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC)?;
    state.set_keeper()?;
    println!("{READY}");
    std::io::stdout().flush()?;
    wait_for_the_end(&state, &signals)?;
    tear_down(&state)
}

/// Returns when the lab has to go: by SIGTERM, or by the end of its owner unless it is kept.
fn wait_for_the_end(state: &State, signals: &SignalFd) -> Result<()> {
    let stdin = std::io::stdin();
    let mut owned = true;
    loop {
        let mut files = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        if owned {
            files.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
        }
        poll(&mut files, PollTimeout::NONE)?;
        let told = files[0].any().unwrap_or_default();
        let owner_gone = files.get(1).is_some_and(|file| file.any().unwrap_or_default());
        // SIGINT and SIGHUP are meant for the owner's terminal; its end says the rest.
        if told && signals.read_signal()?.is_some_and(|signal| signal.ssi_signo == Signal::SIGTERM as u32) {
            return Ok(());
        }
        if owner_gone {
            if !state.is_kept() {
                return Ok(());
            }
            owned = false;
        }
    }
}
