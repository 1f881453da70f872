//! Routers for tests of BGP and BFD: BIRD, FRR and GoBGP, each on a client of the lab that was built with
//! [`Builder::routers`](crate::Builder::routers).
//!
//! BIRD and FRR are asked by their control sockets, as their own command-line programs do; GoBGP by its program.

mod bird;
mod frr;
mod gobgp;

pub use bird::{Bird, BirdPath, BirdRoute};
pub use frr::Frr;
pub use gobgp::GoBgp;

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::clock;
use crate::host::Host;

/// How long a router may take to start or to answer.
const LIMIT: Duration = Duration::from_secs(10);
/// Between two looks for a socket.
const PAUSE: Duration = Duration::from_millis(20);

impl Host {
    /// Starts BIRD with this configuration and waits until it answers. Interfaces and kernel routes are as it says; `log` and
    /// `router id` have to be in it.
    ///
    /// # Errors
    /// The configuration is wrong, and what it says about it; the lab was built without routers.
    pub fn bird(&self, config: &str) -> Result<Bird> {
        Bird::start(self, config)
    }

    /// Starts FRR's zebra, bgpd and bfdd and waits until they answer. bgpd and bfdd have a configuration each.
    ///
    /// # Errors
    /// One of them does not start; the lab was built without routers.
    pub fn frr(&self, bgpd: &str, bfdd: &str) -> Result<Frr> {
        Frr::start(self, bgpd, bfdd)
    }

    /// Starts GoBGP with this configuration, in TOML, and waits until it answers. It installs no routes in the kernel.
    ///
    /// # Errors
    /// It does not start; the lab was built without routers.
    pub fn gobgp(&self, config: &str) -> Result<GoBgp> {
        GoBgp::start(self, config)
    }

    /// A folder of a router on this host.
    fn router_folder(&self, router: &str) -> Result<PathBuf> {
        let folder = self.site.state.path(format!("{router}-{}", self.name()));
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

/// Connects to a socket that a program is about to make.
fn connect(socket: &Path) -> Result<UnixStream> {
    let deadline = clock::now() + LIMIT;
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => {
                stream.set_read_timeout(Some(LIMIT))?;
                return Ok(stream);
            }
            Err(error) if is_over(deadline) => {
                return Err(error).with_context(|| format!("{} does not come up", socket.display()));
            }
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

fn is_over(deadline: Instant) -> bool {
    clock::now() >= deadline
}

/// Sends a request and reads until `is_whole` says that the answer is.
fn ask(mut stream: &UnixStream, request: &[u8], is_whole: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>> {
    stream.write_all(request)?;
    let mut answer = Vec::new();
    let mut buffer = [0; 64 * 1024];
    while !is_whole(&answer) {
        match stream.read(&mut buffer) {
            Ok(0) => bail!("the router has closed its control socket"),
            Ok(length) => answer.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("the router does not answer"),
        }
    }
    Ok(answer)
}
