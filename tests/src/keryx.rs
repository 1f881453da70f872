//! Keryx in a lab, installed from its own manifest and image.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use keryx_lab::Lab;
use serde_json::Value;

use crate::wait;

/// Namespace that Keryx runs in.
pub const NAMESPACE: &str = "keryx-system";
/// The addresses that tests and demo give out: the upper part of the lab's first segment.
pub const RANGE_V4: &str = "10.98.0.200-10.98.0.250";

/// A lab with Keryx in it.
pub struct Keryx {
    /// The cluster.
    pub lab: Lab,
}

impl Keryx {
    /// Starts a lab of three nodes and two clients, the second to be a router, and installs Keryx in it.
    ///
    /// # Errors
    /// The lab cannot be started, images are missing, or Keryx does not become ready.
    pub fn start() -> Result<Self> {
        let keryx = Self { lab: Lab::builder().nodes(3).clients(2).routers(true).start()? };
        keryx.install()?;
        Ok(keryx)
    }

    /// Loads the images, applies manifests/install.yaml and the address ranges, and waits until all of it is ready.
    ///
    /// # Errors
    /// As [`Keryx::start`].
    pub fn install(&self) -> Result<()> {
        let nodes = self.lab.nodes();
        for archive in [image("keryx-image.tar")?, image("echo-image.tar")?] {
            self.lab.load_image(&archive, &nodes)?;
        }
        self.lab.apply(&manifest("install.yaml")?)?;
        self.lab.apply(&manifest("examples/gatewayclass.yaml")?)?;
        self.set_ranges(&[("range-global", RANGE_V4)])?;
        self.wait_ready()
    }

    /// Waits until controller and speakers are ready.
    ///
    /// # Errors
    /// They do not become ready.
    pub fn wait_ready(&self) -> Result<()> {
        for workload in ["deployment/keryx-controller", "daemonset/keryx-speaker"] {
            self.lab
                .kubectl(&["-n", NAMESPACE, "rollout", "status", workload, "--timeout=60s"])
                .with_context(|| format!("{workload} does not become ready: {}", self.pods()))?;
        }
        Ok(())
    }

    /// Writes the ConfigMap with the address ranges, which then has exactly these keys.
    ///
    /// # Errors
    /// The API server refuses it.
    pub fn set_ranges(&self, ranges: &[(&str, &str)]) -> Result<()> {
        let data: serde_json::Map<String, Value> =
            ranges.iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value))).collect();
        let object = serde_json::json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "keryx", "namespace": NAMESPACE }, "data": data,
        });
        self.lab.apply(&object.to_string())
    }

    /// Reads one object as JSON; `None` if it does not exist.
    ///
    /// # Errors
    /// kubectl fails.
    pub fn get(&self, namespace: &str, kind: &str, name: &str) -> Result<Option<Value>> {
        let text =
            self.lab.kubectl(&["-n", namespace, "get", kind, name, "-o", "json", "--ignore-not-found"])?;
        if text.trim().is_empty() {
            return Ok(None);
        }
        serde_json::from_str(&text).context("kubectl printed no JSON").map(Some)
    }

    /// Runs `keryx` as a user with all rights and returns what it prints.
    ///
    /// # Errors
    /// It fails; the text is what it said.
    pub fn cli(&self, args: &[&str]) -> Result<String> {
        let output = self.cli_command(args)?.output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "keryx {} failed: {}", args.join(" "), said.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// `keryx` with these arguments, as a user with all rights, not started yet.
    ///
    /// # Errors
    /// It is not built.
    pub fn cli_command(&self, args: &[&str]) -> Result<Command> {
        let mut command: Command = self.lab.control_plane().command(program("keryx")?);
        command.arg("--kubeconfig").arg(self.lab.kubeconfig()).args(args);
        Ok(command)
    }

    /// Deletes the controller's Pod without grace and waits until a new one is ready.
    ///
    /// # Errors
    /// No new one becomes ready.
    pub fn kill_controller(&self) -> Result<()> {
        let pod = self.controller_pod()?;
        self.lab.kubectl(&["-n", NAMESPACE, "delete", "pod", &pod, "--grace-period=0", "--force"])?;
        wait::until("another controller Pod", || Ok((self.controller_pod()? != pod).then_some(())))?;
        self.wait_ready()
    }

    fn controller_pod(&self) -> Result<String> {
        let selector = "keryx.dev/component=controller";
        let names = self.lab.kubectl(&["-n", NAMESPACE, "get", "pods", "-l", selector, "-o", "name"])?;
        let name = names.lines().next().and_then(|line| line.strip_prefix("pod/"));
        name.map(str::to_owned).context("there is no controller Pod")
    }

    /// Pods and last log lines, for the text of a failure.
    pub fn pods(&self) -> String {
        let pods = self.lab.kubectl(&["-n", NAMESPACE, "get", "pods", "-o", "wide"]).unwrap_or_default();
        let names = self.lab.kubectl(&["-n", NAMESPACE, "get", "pods", "-o", "name"]).unwrap_or_default();
        let logs: Vec<String> = names
            .lines()
            .map(|pod| {
                let log = self.lab.kubectl(&["-n", NAMESPACE, "logs", pod, "--tail=30"]).unwrap_or_default();
                format!("{pod}:\n{log}")
            })
            .collect();
        format!("\n{pods}\n{}", logs.join("\n"))
    }
}

/// The repository's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A file below `manifests/`.
///
/// # Errors
/// It cannot be read.
pub fn manifest(path: &str) -> Result<String> {
    let file = root().join("manifests").join(path);
    std::fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))
}

/// An image archive that `make image` made; KERYX_IMAGES names another folder than `target/`.
fn image(name: &str) -> Result<PathBuf> {
    let folder = std::env::var_os("KERYX_IMAGES").map_or_else(|| root().join("target"), PathBuf::from);
    let archive = folder.join(name);
    ensure!(archive.exists(), "there is no {}; remedy: make image", archive.display());
    Ok(archive)
}

/// A release program that was built as those of the image are.
///
/// # Errors
/// It is not there.
pub fn program(name: &str) -> Result<PathBuf> {
    let built = |triple: &str| root().join("target").join(triple).join("release").join(name);
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    built(&triple)
        .canonicalize()
        .with_context(|| format!("the program {name} is not built; remedy: make image"))
}
