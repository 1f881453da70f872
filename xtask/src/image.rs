//! OCI archives of static programs, made without a container engine.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use keryx_lab::image::{Architecture, ImageBuilder};

use crate::install;

/// Static, so that the image needs no C library.
const RUSTFLAGS: &str = "-C target-feature=+crt-static";

/// An image that this repository makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Image {
    /// The three programs of Keryx
    Keryx,
    /// The app that the lab's tests and the examples run
    Echo,
}

impl Image {
    /// Its name in a manifest.
    pub fn reference(self) -> String {
        match self {
            Self::Keryx => install::image_reference(),
            Self::Echo => "keryx.dev/echo:lab".to_owned(),
        }
    }

    /// Packages to build, and the program that each one gives.
    fn programs(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Keryx => &[
                ("keryx-controller", "keryx-controller"),
                ("keryx-speaker", "keryx-speaker"),
                ("keryx-cli", "keryx"),
            ],
            Self::Echo => &[("keryx-lab-echo", "keryx-lab-echo")],
        }
    }

    fn builder(self, architecture: Architecture) -> ImageBuilder {
        let image = ImageBuilder::new(self.reference(), architecture)
            .label("org.opencontainers.image.version", install::VERSION)
            .label("org.opencontainers.image.licenses", "Apache-2.0");
        match self {
            // The controller's user; the speaker's manifest asks for root itself.
            Self::Keryx => image.user(install::CONTROLLER_UID.to_string()),
            Self::Echo => image.entrypoint(["/keryx-lab-echo"]),
        }
    }
}

/// The processor of this machine, as the image format and as rustc name it.
///
/// # Errors
/// On a processor for which no image is made.
fn host() -> Result<(Architecture, &'static str)> {
    match env::consts::ARCH {
        "x86_64" => Ok((Architecture::Amd64, "x86_64-unknown-linux-gnu")),
        "aarch64" => Ok((Architecture::Arm64, "aarch64-unknown-linux-gnu")),
        other => bail!("no image is made on {other}: build on x86_64 or aarch64"),
    }
}

/// Builds the programs of `image` in the workspace at `root` with a cargo profile, and packs them into the archive `out`.
///
/// # Errors
/// If a build fails or the archive cannot be written.
pub fn build(image: Image, root: &Path, profile: &str, out: &Path) -> Result<()> {
    let (architecture, target) = host()?;
    pack(image, &compile(image, root, target, profile)?, architecture, out)
}

/// Packs the programs in the folder `programs` into the archive `out`.
fn pack(image: Image, programs: &Path, architecture: Architecture, out: &Path) -> Result<()> {
    let mut builder = image.builder(architecture);
    for (_, program) in image.programs() {
        builder = builder.file(programs.join(program), format!("/{program}"), 0o755);
    }
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    }
    builder.write(out)?;
    Ok(())
}

/// Compiles the programs of `image` and returns the folder that they are in.
fn compile(image: Image, root: &Path, target: &str, profile: &str) -> Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(&cargo);
    // --target keeps the flags away from build scripts and procedural macros, which cannot be static.
    build.current_dir(root).env("RUSTFLAGS", RUSTFLAGS).args([
        "build",
        "--profile",
        profile,
        "--target",
        target,
    ]);
    for (package, _) in image.programs() {
        build.args(["-p", package]);
    }
    let status = build.status().context("failed to run cargo")?;
    if !status.success() {
        bail!("building the programs failed; the compiler's messages stand above");
    }
    let metadata = Command::new(&cargo)
        .current_dir(root)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .output()
        .context("failed to run cargo metadata")?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&metadata.stdout).context("failed to read the output of cargo metadata")?;
    let folder = metadata["target_directory"].as_str().context("cargo metadata names no target directory")?;
    // Cargo keeps what the profile `dev` builds in a folder of another name.
    let built = if profile == "dev" { "debug" } else { profile };
    Ok(Path::new(folder).join(target).join(built))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(image: Image) -> String {
        let folder = tempfile::tempdir().unwrap();
        for (_, program) in image.programs() {
            fs::write(folder.path().join(program), format!("program {program};")).unwrap();
        }
        let out = folder.path().join("new/image.tar");
        pack(image, folder.path(), Architecture::Amd64, &out).unwrap();
        String::from_utf8_lossy(&fs::read(out).unwrap()).into_owned()
    }

    #[test]
    fn the_archive_holds_every_program_that_a_manifest_starts() {
        let archive = packed(Image::Keryx);
        for who in crate::rbac::Who::ALL {
            assert!(archive.contains(&format!("program {};", who.name())), "{who:?}");
        }
        assert!(archive.contains("program keryx;"));
        assert!(archive.contains(&Image::Keryx.reference()));
    }

    #[test]
    fn the_app_starts_without_a_command() {
        assert!(packed(Image::Echo).contains(r#""Entrypoint":["/keryx-lab-echo"]"#));
    }
}
