//! The one image: three static programs in an OCI archive, made without a container engine.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use keryx_lab::image::{Architecture, ImageBuilder};

use crate::install;

/// Packages to build, and the program that each one gives.
const PROGRAMS: [(&str, &str); 3] =
    [("keryx-controller", "keryx-controller"), ("keryx-speaker", "keryx-speaker"), ("keryx-cli", "keryx")];
/// Static, so that the image needs no C library.
const RUSTFLAGS: &str = "-C target-feature=+crt-static";

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

/// Builds the release programs of the workspace at `root` and packs them into the archive `out`.
///
/// # Errors
/// If a build fails or the archive cannot be written.
pub fn build(root: &Path, out: &Path) -> Result<()> {
    let (architecture, target) = host()?;
    pack(&compile(root, target)?, architecture, out)
}

/// Packs the programs in the folder `programs` into the archive `out`.
fn pack(programs: &Path, architecture: Architecture, out: &Path) -> Result<()> {
    // The controller's user; the speaker's manifest asks for root itself.
    let mut image = ImageBuilder::new(install::image_reference(), architecture)
        .user(install::CONTROLLER_UID.to_string())
        .label("org.opencontainers.image.title", "keryx")
        .label("org.opencontainers.image.version", install::VERSION)
        .label("org.opencontainers.image.licenses", "Apache-2.0");
    for (_, program) in PROGRAMS {
        image = image.file(programs.join(program), format!("/{program}"), 0o755);
    }
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    }
    image.write(out)?;
    Ok(())
}

/// Compiles [`PROGRAMS`] and returns the folder that they are in.
fn compile(root: &Path, target: &str) -> Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(&cargo);
    // --target keeps the flags away from build scripts and procedural macros, which cannot be static.
    build.current_dir(root).env("RUSTFLAGS", RUSTFLAGS).args(["build", "--release", "--target", target]);
    for (package, _) in PROGRAMS {
        build.args(["-p", package]);
    }
    let status = build.status().context("failed to run cargo")?;
    if !status.success() {
        bail!("building the release programs failed; the compiler's messages stand above");
    }
    let metadata = Command::new(&cargo)
        .current_dir(root)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .output()
        .context("failed to run cargo metadata")?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&metadata.stdout).context("failed to read the output of cargo metadata")?;
    let folder = metadata["target_directory"].as_str().context("cargo metadata names no target directory")?;
    Ok(Path::new(folder).join(target).join("release"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_holds_every_program_that_a_manifest_starts() {
        let folder = tempfile::tempdir().unwrap();
        for (_, program) in PROGRAMS {
            fs::write(folder.path().join(program), format!("program {program}")).unwrap();
        }
        let out = folder.path().join("new/keryx.tar");
        pack(folder.path(), Architecture::Amd64, &out).unwrap();
        let archive = String::from_utf8_lossy(&fs::read(out).unwrap()).into_owned();
        for who in crate::rbac::Who::ALL {
            assert!(archive.contains(&format!("program {}", who.name())), "{who:?}");
        }
        assert!(archive.contains(&install::image_reference()));
    }
}
