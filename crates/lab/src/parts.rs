//! The programs that a lab runs, in the cache that `tools/build.sh` fills.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::machine;
use crate::state::State;

const BUILD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tools/build.sh");

const FILE: &str = "parts.json";

/// One thing that `build.sh` makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Part {
    /// The Kubernetes programs.
    Kubernetes,
    Etcd,
    CoreDns,
    Kwok,
    GoBgp,
    /// Unpacked packages: containerd, runc, CNI plugins, nft, iptables.
    Debian,
    /// Unpacked packages: BIRD and FRR.
    Routers,
    /// Unpacked packages: tshark.
    Dissector,
    /// The program of the pods' sandbox containers.
    Pause,
    /// The Gateway API's CustomResourceDefinitions.
    Crds,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Part::Kubernetes => "kubernetes",
            Part::Etcd => "etcd",
            Part::CoreDns => "coredns",
            Part::Kwok => "kwok",
            Part::GoBgp => "gobgp",
            Part::Debian => "debian",
            Part::Routers => "routers",
            Part::Dissector => "dissector",
            Part::Pause => "pause",
            Part::Crds => "crds",
        }
    }
}

/// The folders of the parts that a lab asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Parts {
    folders: BTreeMap<Part, PathBuf>,
}

impl Parts {
    /// Finds the parts; what is missing is built first, with progress on standard error.
    pub(crate) fn find(wanted: &[Part]) -> Result<Parts> {
        let printed = machine::run(Command::new(BUILD).arg("--print"))?;
        let all: BTreeMap<_, _> = printed.lines().filter_map(|line| line.split_once('=')).collect();
        let mut parts = Parts::default();
        let mut missing = Vec::new();
        for part in wanted {
            let folder =
                all.get(part.name()).with_context(|| format!("build.sh knows no {}", part.name()))?;
            if !Path::new(folder).is_dir() {
                missing.push(part.name());
            }
            parts.folders.insert(*part, PathBuf::from(folder));
        }
        if !missing.is_empty() {
            build(&missing)?;
        }
        Ok(parts)
    }

    /// Writes the folders down, for [`Parts::load`] of another process.
    pub(crate) fn save(&self, state: &State) -> Result<()> {
        machine::write(&state.path(FILE), &serde_json::to_string(self)?)
    }

    /// The parts that a lab was started with.
    pub(crate) fn load(state: &State) -> Result<Parts> {
        let text = std::fs::read(state.path(FILE))
            .with_context(|| format!("lab {} is not up yet", state.prefix()))?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// The folder of a part.
    ///
    /// # Panics
    /// If the part was not asked for.
    pub(crate) fn folder(&self, part: Part) -> &Path {
        &self.folders[&part]
    }

    /// The folders of all parts.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.folders.values().map(PathBuf::as_path)
    }

    /// One of the Kubernetes programs.
    pub(crate) fn kubernetes(&self, program: &str) -> PathBuf {
        self.folder(Part::Kubernetes).join(program)
    }

    /// A file of the unpacked packages, by its absolute path there.
    pub(crate) fn debian(&self, path: &str) -> PathBuf {
        self.folder(Part::Debian).join("root").join(path.trim_start_matches('/'))
    }

    /// A file of the routers' packages, by its absolute path there.
    pub(crate) fn router(&self, path: &str) -> PathBuf {
        self.folder(Part::Routers).join("root").join(path.trim_start_matches('/'))
    }

    /// The routers' shared libraries, as a value of `LD_LIBRARY_PATH`.
    pub(crate) fn router_library_path(&self) -> String {
        let folders = library_folders(&self.folder(Part::Routers).join("root"));
        let of_frr: Vec<_> = folders.iter().map(|folder| folder.join("frr")).collect();
        joined(folders.into_iter().chain(of_frr))
    }

    /// A file of the dissector's packages, by its absolute path there.
    pub(crate) fn dissector(&self, path: &str) -> PathBuf {
        self.folder(Part::Dissector).join("root").join(path.trim_start_matches('/'))
    }

    /// The dissector's shared libraries, as a value of `LD_LIBRARY_PATH`.
    pub(crate) fn dissector_library_path(&self) -> String {
        joined(library_folders(&self.folder(Part::Dissector).join("root")))
    }

    /// What a program needs in its environment to find the unpacked ones, and iptables its extensions.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        let folders = [self.debian("/usr/bin"), self.debian("/usr/sbin")];
        let extensions = self.library_folders().into_iter().map(|folder| folder.join("xtables"));
        BTreeMap::from([
            ("PATH".to_owned(), format!("{}:{}", joined(folders), machine::path())),
            ("XTABLES_LIBDIR".to_owned(), joined(extensions)),
        ])
    }

    /// The folders of the unpacked shared libraries.
    pub(crate) fn library_folders(&self) -> Vec<PathBuf> {
        library_folders(&self.debian("/"))
    }

    /// The same as a value of `LD_LIBRARY_PATH`.
    pub(crate) fn library_path(&self) -> String {
        joined(self.library_folders())
    }
}

/// The folders of shared libraries below an unpacked root.
fn library_folders(root: &Path) -> Vec<PathBuf> {
    let triplets = ["usr/lib", "lib"].into_iter().flat_map(|above| std::fs::read_dir(root.join(above)));
    let folders = triplets.flatten().flatten().map(|entry| entry.path());
    let mut folders: Vec<_> = folders.filter(|path| path.to_string_lossy().ends_with("-linux-gnu")).collect();
    folders.sort();
    folders
}

fn joined(folders: impl IntoIterator<Item = PathBuf>) -> String {
    folders.into_iter().map(|folder| folder.to_string_lossy().into_owned()).collect::<Vec<_>>().join(":")
}

/// Only the lab runs as root: under sudo the caller builds himself.
fn build(missing: &[&str]) -> Result<()> {
    if std::env::var_os("SUDO_UID").is_some_and(|user| user != "0") {
        bail!("not built yet: {}; remedy: run {BUILD} once, without sudo", missing.join(", "));
    }
    let status = Command::new(BUILD).args(missing).stdout(std::io::stderr()).status()?;
    if !status.success() {
        bail!("{} could not be built", missing.join(", "));
    }
    Ok(())
}
