//! GoBGP.

use std::fs;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{LIMIT, PAUSE, is_over};
use crate::clock;
use crate::host::{Host, Process};
use crate::machine;
use crate::parts::Part;

/// Where gobgpd is asked, within the host.
const API: &str = "127.0.0.1:50051";

/// A running GoBGP. It ends with this value.
#[derive(Debug)]
pub struct GoBgp {
    process: Process,
    host: Host,
}

impl GoBgp {
    pub(super) fn start(host: &Host, config: &str) -> Result<GoBgp> {
        let file = host.router_folder("gobgp")?.join("gobgpd.toml");
        fs::write(&file, config)?;
        let file = file.to_string_lossy().into_owned();
        let arguments = ["-t", "toml", "-f", &file, "--api-hosts", API, "--pprof-disable"];
        let program = host.site.parts.folder(Part::GoBgp).join("gobgpd");
        let gobgp = GoBgp { process: host.spawn("gobgpd", program, arguments, [])?, host: host.clone() };
        let deadline = clock::now() + LIMIT;
        while let Err(error) = gobgp.ask(&["global"]) {
            if is_over(deadline) || !gobgp.process.is_running() {
                let said = fs::read_to_string(gobgp.process.log()).unwrap_or_default();
                return Err(error).with_context(|| format!("gobgpd said: {said}"));
            }
            std::thread::sleep(PAUSE);
        }
        Ok(gobgp)
    }

    /// The answer to a command of `gobgp`, such as `["neighbor"]`.
    ///
    /// # Errors
    /// GoBGP does not answer, or refuses.
    pub fn ask(&self, command: &[&str]) -> Result<String> {
        let program = self.host.site.parts.folder(Part::GoBgp).join("gobgp");
        machine::run(self.host.command(program).args(command))
    }

    /// The same as JSON.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn json(&self, command: &[&str]) -> Result<Value> {
        let text = self.ask(&[&["-j"], command].concat())?;
        serde_json::from_str(&text).with_context(|| format!("GoBGP says to {command:?}: {text}"))
    }

    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }
}
