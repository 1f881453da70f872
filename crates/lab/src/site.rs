//! What all parts of one running lab share: its state folder, its programs, and the processes it started.

use std::collections::BTreeMap;
use std::process::Child;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::clock;
use crate::netns::Namespace;
use crate::parts::Parts;
use crate::run::{self, Spec};
use crate::state::State;

/// See the module.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) state: State,
    pub(crate) parts: Parts,
    specs: Mutex<BTreeMap<String, Spec>>,
    children: Mutex<BTreeMap<String, Child>>,
}

impl Site {
    pub(crate) fn new(state: State, parts: Parts) -> Site {
        Site { state, parts, specs: Mutex::default(), children: Mutex::default() }
    }

    /// The namespace of a host of the lab.
    pub(crate) fn namespace(&self, host: &str) -> Namespace {
        Namespace::named(&self.state.namespace(host))
    }

    /// Starts a process for the first time.
    pub(crate) fn start(&self, spec: Spec) -> Result<()> {
        let child = run::start(&self.state, &spec)?;
        if let Some(mut earlier) = self.children().insert(spec.name.clone(), child) {
            // Ended long ago: a name is used again only then.
            earlier.try_wait()?;
        }
        lock(&self.specs).insert(spec.name.clone(), spec);
        Ok(())
    }

    /// Starts a process again as it was started before. Does nothing while it runs.
    pub(crate) fn start_again(&self, name: &str) -> Result<()> {
        if self.is_running(name)? {
            return Ok(());
        }
        let spec = lock(&self.specs).get(name).cloned();
        self.start(spec.with_context(|| format!("the lab never started {name}"))?)
    }

    /// The process's pid; fails if it does not run.
    pub(crate) fn pid(&self, name: &str) -> Result<i32> {
        self.check(name)?;
        let children = self.children();
        let child = children.get(name).with_context(|| format!("the lab never started {name}"))?;
        Ok(i32::try_from(child.id())?)
    }

    /// True while the process runs or is stopped.
    pub(crate) fn is_running(&self, name: &str) -> Result<bool> {
        self.children().get_mut(name).map_or(Ok(false), |child| Ok(child.try_wait()?.is_none()))
    }

    /// Fails, with its last words, if the process has ended.
    pub(crate) fn check(&self, name: &str) -> Result<()> {
        let ended = self.children().get_mut(name).map(Child::try_wait).transpose()?.flatten();
        if let Some(status) = ended {
            bail!("{name} has ended ({status}); its last lines were:\n{}", self.state.log_tail(name));
        }
        Ok(())
    }

    /// Waits for the end of a process.
    pub(crate) fn wait(&self, name: &str, limit: Duration) -> Result<()> {
        let deadline = clock::now() + limit;
        while self.is_running(name)? {
            if clock::now() > deadline {
                bail!("{name} still runs after {limit:?}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Lets the kernel forget the processes that have ended.
    pub(crate) fn reap(&self) {
        for child in self.children().values_mut() {
            // What cannot be reaped now is when the owner ends.
            let _ = child.try_wait();
        }
    }

    fn children(&self) -> MutexGuard<'_, BTreeMap<String, Child>> {
        lock(&self.children)
    }
}

/// A panic elsewhere leaves these maps whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
